//! The records and options of the packages, and their differences from the document.

use super::document::Member;

/// A record that the packages give.
pub(super) struct Given {
    /// The name in Python and TypeScript.
    pub(super) name: &'static str,
    /// The name of its schema.
    pub(super) schema: &'static str,
    /// Members that the packages always fill in although the document lets them be absent or `null`.
    pub(super) filled: &'static [&'static str],
    /// Members that may be absent although they are never `null`.
    pub(super) absent: &'static [&'static str],
    /// Members that the packages do not show.
    pub(super) hidden: &'static [&'static str],
    /// Members whose type the document cannot describe: the name, the type in Python, and the type in TypeScript.
    pub(super) typed: &'static [(&'static str, &'static str, &'static str)],
    /// Whether it is a plain `dict` in Python, which nested records have always been.
    pub(super) plain: bool,
    /// Whether Python has it; there the pages and the errors are classes with methods.
    pub(super) in_python: bool,
}

impl Given {
    /// Whether the packages show the member.
    pub(super) fn shows(&self, member: &Member) -> bool {
        !self.hidden.contains(&member.name.as_str())
    }

    /// Whether the member may be absent or `null` in a package that does not tell these apart.
    pub(super) fn may_lack(&self, member: &Member) -> bool {
        let name = member.name.as_str();
        (member.shape.is_nullable() && !self.filled.contains(&name)) || self.absent.contains(&name)
    }
}

/// The name of the record that has this schema.
pub(super) fn record(schema: &str) -> Option<&'static str> {
    RECORDS.iter().find(|given| given.schema == schema).map(|given| given.name)
}

/// The list and its items' record, if a record is a page of others.
pub(super) fn page_of(given: &Given) -> Option<(&'static str, &'static str)> {
    match given.name {
        "TaskPage" => Some(("tasks", "TaskRow")),
        "UsageReport" => Some(("usage", "UsagePart")),
        _ => None,
    }
}

/// Whether the exceptions of a language have the members of the record, so that it needs no type of its own.
pub(super) fn is_in_exceptions(given: &Given) -> bool {
    given.name == "ErrorDetails"
}

/// Whether a member is an id, which has no sign.
pub(super) fn is_id(name: &str) -> bool {
    ["id", "gid", "session_id", "task_id"].contains(&name)
}

const RECORD: Given =
    Given { name: "", schema: "", filled: &[], absent: &[], hidden: &[], typed: &[], plain: false, in_python: true };

/// The records; a record stands before those that hold it.
pub(super) const RECORDS: &[Given] = &[
    Given { name: "Usage", schema: "Usage", ..RECORD },
    Given { name: "MinerVerdict", schema: "MinerVerdict", ..RECORD },
    Given { name: "Verdict", schema: "Verdict", ..RECORD },
    Given {
        name: "Choice",
        schema: "CompletionChoice",
        filled: &["message"],
        typed: &[("message", "dict[str, Any] | None", "Message"), ("logprobs", "None", "null")],
        ..RECORD
    },
    Given {
        name: "CompletionRecord",
        schema: "Completion",
        filled: &["usage"],
        // `text` is a property of the packages, and `restart` is for readers of server-sent events.
        hidden: &["text", "restart"],
        ..RECORD
    },
    Given { name: "TaskResults", schema: "TaskResults", absent: &["miners"], plain: true, ..RECORD },
    Given { name: "WebhookRecord", schema: "WebhookRecord", ..RECORD },
    Given { name: "TaskRecord", schema: "Task", ..RECORD },
    Given {
        name: "TaskPage",
        schema: "TaskPage",
        absent: &["corrupt"],
        typed: &[("tasks", "", "TaskRow[]")],
        in_python: false,
        ..RECORD
    },
    Given { name: "Embedding", schema: "Embedding", ..RECORD },
    Given {
        name: "EmbeddingsRecord",
        schema: "Embeddings",
        typed: &[("usage", "Usage", "{ prompt_tokens: number; total_tokens: number }")],
        ..RECORD
    },
    Given {
        name: "JobInfo",
        schema: "JobInfo",
        typed: &[("request", "dict[str, Any]", "JobRequest"), ("model", "str | None", "string | null")],
        plain: true,
        ..RECORD
    },
    Given {
        name: "ErrorDetails",
        schema: "ErrorDetails",
        absent: &["retryable"],
        typed: &[("kind", "", "ErrorKind")],
        in_python: false,
        ..RECORD
    },
    Given { name: "SessionRecord", schema: "Session", filled: &["validation_policy", "match"], ..RECORD },
    Given { name: "Hardware", schema: "Hardware", plain: true, ..RECORD },
    Given { name: "ModelDetails", schema: "ModelDetails", plain: true, ..RECORD },
    Given { name: "MinerInfo", schema: "MinerInfo", ..RECORD },
    Given { name: "ModelInfo", schema: "ModelInfo", ..RECORD },
    Given { name: "NodeStats", schema: "NodeStats", plain: true, ..RECORD },
    Given { name: "NodeInfo", schema: "NodeInfo", ..RECORD },
    Given { name: "FleetStatus", schema: "FleetStatus", plain: true, ..RECORD },
    Given { name: "NodeStatus", schema: "NodeStatus", ..RECORD },
    Given { name: "MinerClientStats", schema: "MinerClientStats", ..RECORD },
    Given { name: "UsagePart", schema: "UsagePart", ..RECORD },
    Given {
        name: "KeyLimits",
        schema: "KeyLimits",
        absent: &[
            "requests_per_minute",
            "tasks_per_minute",
            "tokens_per_minute",
            "tokens_per_day",
            "tokens_per_month",
            "concurrent_tasks",
            "concurrent_streams",
        ],
        plain: true,
        ..RECORD
    },
    Given {
        name: "SessionQuota",
        schema: "SessionQuota",
        absent: &[
            "requests_per_minute",
            "tasks_per_minute",
            "tokens_per_minute",
            "tokens_per_day",
            "tokens_per_month",
            "concurrent_tasks",
            "concurrent_streams",
        ],
        plain: true,
        ..RECORD
    },
    Given { name: "ApiKey", schema: "ApiKey", ..RECORD },
    Given { name: "NewKey", schema: "NewKey", ..RECORD },
    // Python has the parts alone, as a page.
    Given { name: "UsageReport", schema: "UsageReport", in_python: false, ..RECORD },
];

/// Records inside options: the schema, and the type in Go and Java.
pub(super) const NESTED: &[(&str, &str)] = &[
    ("Hardware", "HardwareOptions"),
    ("ModelDetails", "ModelOptions"),
    ("Usage", "UsageOptions"),
    ("KeyLimits", "KeyLimitOptions"),
    ("SessionQuota", "SessionQuotaOptions"),
    ("GivenToolCall", "GivenToolCall"),
    ("GivenFunction", "GivenFunction"),
    ("ToolCallPiece", "ToolCallPiece"),
    ("FunctionPiece", "FunctionPiece"),
];

/// Lists of words that the packages take: the name of the type and of its schema.
pub(super) const WORDS: &[&str] = &["FailCode"];

/// Options that the packages take.
pub(super) struct Taken {
    /// The name in Python and TypeScript.
    pub(super) name: &'static str,
    /// The name of their schema.
    pub(super) schema: &'static str,
    /// Members that are separate arguments, or that the packages do not offer.
    pub(super) elsewhere: &'static [&'static str],
    /// Members that are separate arguments in Python alone.
    pub(super) elsewhere_in_python: &'static [&'static str],
    /// Members that TypeScript has in another type.
    pub(super) elsewhere_in_typescript: &'static [&'static str],
    /// Members that TypeScript has here, and Python as an argument.
    pub(super) required_in_typescript: &'static [&'static str],
    /// Members whose type in TypeScript the document cannot describe: the name, and the type.
    pub(super) typed_in_typescript: &'static [(&'static str, &'static str)],
    /// Whether Python has them as a type; queries are arguments there.
    pub(super) in_python: bool,
}

const OPTION: Taken = Taken {
    name: "",
    schema: "",
    elsewhere: &[],
    elsewhere_in_python: &[],
    elsewhere_in_typescript: &[],
    required_in_typescript: &[],
    typed_in_typescript: &[],
    in_python: true,
};

/// The options.
pub(super) const OPTIONS: &[Taken] = &[
    Taken {
        name: "RequestOptions",
        schema: "RequestOptions",
        elsewhere_in_typescript: &["messages", "input"],
        ..OPTION
    },
    Taken {
        name: "SessionOptions",
        schema: "SessionSpec",
        elsewhere: &["name"],
        required_in_typescript: &["name"],
        typed_in_typescript: &[("limits", "SessionQuota")],
        ..OPTION
    },
    Taken {
        name: "SessionChanges",
        schema: "SessionPatch",
        typed_in_typescript: &[("limits", "{ [Limit in keyof SessionQuota]?: number | null }")],
        ..OPTION
    },
    Taken { name: "MinerOptions", schema: "MinerSpec", elsewhere: &["name", "kind"], ..OPTION },
    Taken {
        name: "MinerClientSettings",
        schema: "MinerClientSettings",
        elsewhere: &["routers", "name"],
        elsewhere_in_python: &["capacity"],
        // A type of the configuration's.
        elsewhere_in_typescript: &["runtime"],
        required_in_typescript: &["name"],
        ..OPTION
    },
    Taken { name: "Answer", schema: "Answer", typed_in_typescript: &[("embedding", "Vector | Vector[]")], ..OPTION },
    Taken { name: "PieceParts", schema: "PieceParts", ..OPTION },
    Taken {
        name: "KeyOptions",
        schema: "KeySpec",
        elsewhere: &["name"],
        required_in_typescript: &["name"],
        typed_in_typescript: &[("limits", "KeyLimits")],
        ..OPTION
    },
    Taken { name: "PageQuery", schema: "PageQuery", in_python: false, ..OPTION },
    Taken { name: "TaskQuery", schema: "TaskQuery", in_python: false, ..OPTION },
    Taken { name: "UsageQuery", schema: "UsageQuery", in_python: false, ..OPTION },
];
