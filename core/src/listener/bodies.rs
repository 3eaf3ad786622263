//! The bodies of requests as the OpenAPI document describes them.
//!
//! [`TaskRequest`](crate::model::TaskRequest) reads every body that makes a task, and what it does not know passes
//! through to the miner. A reader that takes everything cannot describe what the routes act on; this table does. Each
//! member stands here once, and each body names the members that it has.

use std::borrow::Cow;

use utoipa::openapi::schema::{AllOfBuilder, Array, ArrayBuilder, ObjectBuilder, OneOfBuilder};
use utoipa::openapi::schema::{Ref, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::model::{MAX_JSON_INTEGER, OnFailure, TextOrTokens, ValidationSpec};

/// The values that a member takes. All but those that a body requires may be `null` too, which means that they are not given.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Flag,
    Number,
    /// A number above 0.
    Seconds,
    /// A whole number from the first to the second.
    Whole(u64, Option<u64>),
    Object,
    Objects,
    TextOrTexts,
    TextOrObject,
    /// A text, or the parts of a message.
    TextOrParts,
    FlagOrWhole,
    /// The component of that name.
    Named(&'static str),
    /// A list of the component of that name, with at least one item.
    Several(&'static str),
}

const TOKENS: Takes = Takes::Whole(1, Some(MAX_JSON_INTEGER));

/// Every member of a body: its name, what it takes, what it says.
const MEMBERS: &[(&str, Takes, &str)] = &[
    ("async", Takes::Flag, "Whether to answer at once with the task's ids (202)."),
    ("client_reference", Takes::Text, "The caller's own reference, given back in the task."),
    ("content", Takes::TextOrParts, "A text, or a list of parts (texts, images, sound)."),
    ("detach", Takes::Flag, "Whether the task goes on when the caller hangs up."),
    ("dimensions", Takes::Whole(1, None), "Passes through: how many numbers a vector has."),
    ("echo", Takes::Flag, "Whether the answer begins with the prompt."),
    ("encoding_format", Takes::Text, "`float` or `base64` (little-endian 32-bit floats)."),
    ("frequency_penalty", Takes::Number, "Passes through: a penalty for tokens that came often."),
    ("idempotent", Takes::Flag, "Whether `client_reference` is also the idempotency key."),
    ("include_usage", Takes::Flag, "Whether the last chunk tells the usage."),
    ("input", Takes::Named("TextOrTokens"), "The texts to embed."),
    ("logit_bias", Takes::Object, "Passes through: what is added to the scores of tokens."),
    ("logprobs", Takes::FlagOrWhole, "Passes through: whether, or how many, log probabilities are wanted."),
    (
        "max_completion_tokens",
        TOKENS,
        "Newer name of `max_tokens`, which wins where both are given; what is over the router's limit is cut to it.",
    ),
    (
        "max_miners",
        Takes::Whole(1, None),
        "The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`.",
    ),
    ("max_tokens", TOKENS, "The most tokens to generate; what is over the router's limit is cut to it."),
    ("messages", Takes::Several("ChatMessage"), "The conversation so far."),
    ("min_p", Takes::Number, "Passes through: the least share of the likeliest token's probability."),
    (
        "model",
        Takes::Text,
        "The model, as `/v1/models` lists it; given back in the answer. Under `/v1`, `session-<id>` stands for that session \
         and its model, and a model that no miner offers is a 404; under `/api` such a model stands for any.",
    ),
    (
        "n",
        Takes::Whole(1, Some(128)),
        "How many choices are wanted. Under `/v1` upstreams give several; other miners one, and more than that is a 400. \
         Under `/api` it is an alias of `max_miners`.",
    ),
    ("on_failure", Takes::Named("OnFailure"), "How the task goes on when the miner is lost after tokens were seen."),
    ("parallel_tool_calls", Takes::Flag, "Passes through: whether several tools may be called at once."),
    (
        "precommit_timeout",
        Takes::Seconds,
        "Seconds within which several answers must be in: then those that are in are compared; what is over the router's \
         limit is cut to it.",
    ),
    ("presence_penalty", Takes::Number, "Passes through: a penalty for tokens that came before."),
    ("priority", Takes::Whole(0, Some(9)), "The band: a higher one is served first. Missing: the session's."),
    ("prompt", Takes::Text, "The prompt. Required unless there are `messages`."),
    ("prompt_template", Takes::Text, "A text with `{prompt}` in it, put around the prompt."),
    (
        "prompt_type",
        Takes::Whole(0, Some(1)),
        "0: the model's chat template is applied; 1: the prompt goes to the model as it is.",
    ),
    ("raw", Takes::Flag, "Whether special tokens and leading blanks stay in the text."),
    ("reasoning_effort", Takes::Text, "Passes through: how long the model may think before it speaks."),
    ("repetition_penalty", Takes::Number, "Passes through: a factor against tokens that came before."),
    ("response_format", Takes::Object, "Passes through: the form of the answer."),
    ("role", Takes::Text, "`system`, `developer`, `user`, `assistant`, `tool` ..."),
    ("seed", Takes::Whole(0, None), "Passes through: the seed of the sampling."),
    (
        "session_id",
        Takes::Named("Id"),
        "The session; the path's comes first. Missing: the token's own, else the router's choice.",
    ),
    ("stop", Takes::TextOrTexts, "Passes through: the texts at which the answer stops."),
    ("stream", Takes::Flag, "Whether the answer is wanted as it comes, as server-sent events."),
    ("stream_options", Takes::Named("StreamOptions"), "The parts of a stream that the client wants."),
    ("temperature", Takes::Number, "Passes through: the sampling temperature."),
    ("timeout", Takes::Seconds, "Seconds until the task is given up; what is over the router's limit is cut to it."),
    ("tool_choice", Takes::TextOrObject, "Passes through: which tool to call."),
    ("tools", Takes::Objects, "Passes through: the tools that the model may call."),
    ("top_k", Takes::Whole(0, None), "Passes through: the number of candidates."),
    ("top_logprobs", Takes::Whole(0, None), "Passes through: how many candidates each token tells."),
    ("top_p", Takes::Number, "Passes through: nucleus sampling, from 0 to 1."),
    ("user", Takes::Text, "Passes through: who asks."),
    (
        "webhook",
        Takes::TextOrObject,
        "Where the end of the task is sent: `{\"url\": \"https://...\", \"secret\": \"whsec_...\"}`, or the URL alone.",
    ),
];

/// Defines a body: it is a name in the document and nothing that could be made.
macro_rules! body {
    ($name:ident, $says:literal, required: [$($required:literal)*], members: [$($member:literal)*], with: $validation:literal) => {
        #[doc = $says]
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                body($says, &[$($required),*], &[$($member),*], $validation)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                for part in [part::<ChatMessage>, part::<StreamOptions>, part::<TextOrTokens>, part::<Id>] {
                    schemas.push(part());
                }
                schemas.push(part::<ValidationSpec>());
                schemas.push(part::<OnFailure>());
            }
        }
    };
}

body!(
    PromptRequest,
    "A request for a completion. Members that are not listed pass through to the miner.",
    required: [],
    members: [
        "prompt" "messages" "session_id" "prompt_type" "prompt_template" "model" "stream" "timeout" "precommit_timeout"
        "max_tokens" "max_completion_tokens" "max_miners" "n" "on_failure" "priority" "client_reference" "idempotent"
        "async" "detach" "raw" "temperature" "top_p" "top_k" "min_p" "presence_penalty" "frequency_penalty"
        "repetition_penalty" "stop" "seed" "webhook"
    ],
    with: true
);

body!(
    ChatRequest,
    "A request for the next message of a conversation, as OpenAI's API asks for it, with what only this family has. \
     Members that are not listed pass through to the miner.",
    required: ["messages"],
    members: [
        "messages" "session_id" "model" "stream" "stream_options" "timeout" "max_tokens" "max_completion_tokens"
        "max_miners" "n" "on_failure" "priority" "client_reference" "idempotent" "async" "detach" "temperature" "top_p"
        "stop" "seed" "tools" "tool_choice" "response_format" "logprobs" "user" "webhook"
    ],
    with: true
);

body!(
    ChatCompletionRequest,
    "A request for the next message of a conversation. Members that are not listed pass through to the miner.",
    required: ["messages"],
    members: [
        "messages" "model" "stream" "stream_options" "max_tokens" "max_completion_tokens" "n" "temperature" "top_p"
        "stop" "seed" "tools" "tool_choice" "parallel_tool_calls" "response_format" "reasoning_effort" "logprobs"
        "top_logprobs" "logit_bias" "presence_penalty" "frequency_penalty" "user" "timeout" "priority" "webhook"
    ],
    with: false
);

body!(
    EmbeddingRequest,
    "A request for vectors. Members that are not listed pass through to the miner.",
    required: ["input"],
    members: ["input" "model" "encoding_format" "dimensions" "user" "timeout" "priority"],
    with: false
);

body!(
    ChatMessage,
    "A message of a conversation. Members that are not listed pass through to the miner.",
    required: ["role"],
    members: ["role" "content"],
    with: false
);

body!(StreamOptions, "The parts of a stream that the client wants.", required: [], members: ["include_usage"], with: false);

/// A request for a text that continues a prompt.
pub(super) enum CompletionRequest {}

impl PartialSchema for CompletionRequest {
    fn schema() -> RefOr<Schema> {
        let says = "A request for a text that continues a prompt; no chat template is applied. Several prompts, and token \
                    numbers, need an upstream: with other miners they are a 400. Members that are not listed pass through \
                    to the miner.";
        let members = [
            "model",
            "stream",
            "stream_options",
            "max_tokens",
            "n",
            "echo",
            "temperature",
            "top_p",
            "stop",
            "seed",
            "logprobs",
            "user",
            "timeout",
            "priority",
        ];
        // Its prompt alone may be more than a text.
        let object = ObjectBuilder::new().description(Some(says)).property("prompt", named("TextOrTokens", None));
        let object = object.required("prompt");
        with_members(object, &[], &members).into()
    }
}

impl ToSchema for CompletionRequest {
    fn name() -> Cow<'static, str> {
        "CompletionRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([part::<TextOrTokens>(), part::<StreamOptions>()]);
    }
}

/// A number, or a text of digits.
pub(super) enum Id {}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A number, or a text of digits; of a session also its 0x and 64 digits."))
            .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some("The number.")))
            .item(ObjectBuilder::new().schema_type(Type::String).description(Some("The number as a text.")))
            .into()
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        "Id".into()
    }
}

/// The options of a request in the packages for other languages: the members of every body, and those of the packages
/// alone.
#[cfg(feature = "embed")]
pub(crate) fn options() -> Schema {
    let members = [
        "messages",
        "model",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "user",
        "dimensions",
        "prompt_type",
        "prompt_template",
        "stream",
        "timeout",
        "precommit_timeout",
        "max_miners",
        "on_failure",
        "priority",
        "client_reference",
        "raw",
        "webhook",
    ];
    let own = [
        ("idempotency_key", Takes::Text, "A request with an equal key and equal content joins the task that is there."),
        ("key_id", Takes::Text, "The name of the caller for whom the task is counted, as the usage shows it."),
        ("detach", Takes::Flag, "Whether the task goes on when nobody waits for it."),
        ("extra", Takes::Object, "Any other members: they reach the miner untouched."),
    ];
    let input = ("input", Takes::TextOrTexts, "The text to embed, or several, in place of a prompt.");
    let object = with_members(ObjectBuilder::new(), &[], &members);
    let beside = [input].into_iter().chain(own);
    let object = beside.fold(object, |object, (name, takes, says)| object.property(name, optional(takes, says)));
    let says = "The options beside a prompt. Members for the miner alone go into `extra`.";
    AllOfBuilder::new().description(Some(says)).item(object).item(named_ref("ValidationSpec")).into()
}

fn part<T: ToSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

fn body(says: &str, required: &[&str], members: &[&str], validation: bool) -> RefOr<Schema> {
    let object = with_members(ObjectBuilder::new(), required, members);
    if !validation {
        return object.description(Some(says)).into();
    }
    AllOfBuilder::new().description(Some(says)).item(object).item(named_ref("ValidationSpec")).into()
}

fn with_members(object: ObjectBuilder, required: &[&str], members: &[&str]) -> ObjectBuilder {
    let known = |name: &&str| MEMBERS.iter().find(|member| member.0 == *name);
    members.iter().filter_map(known).fold(object, |object, &(name, takes, says)| {
        if required.contains(&name) {
            object.property(name, schema(takes, says, false)).required(name)
        } else {
            object.property(name, optional(takes, says))
        }
    })
}

fn optional(takes: Takes, says: &str) -> RefOr<Schema> {
    schema(takes, says, true)
}

fn named_ref(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn named(name: &str, says: Option<&str>) -> RefOr<Schema> {
    let mut reference = Ref::from_schema_name(name);
    if let Some(says) = says {
        says.clone_into(&mut reference.description);
    }
    RefOr::Ref(reference)
}

/// The schema of a member.
fn schema(takes: Takes, says: &str, nullable: bool) -> RefOr<Schema> {
    let kind = |kinds: &[Type]| match kinds {
        [only] if !nullable => SchemaType::from(only.clone()),
        _ => kinds.iter().cloned().chain(nullable.then_some(Type::Null)).collect(),
    };
    let plain = |kinds: &[Type]| ObjectBuilder::new().schema_type(kind(kinds)).description(Some(says));
    let list = |items: RefOr<Schema>| {
        ArrayBuilder::new().schema_type(kind(&[Type::Array])).items(items).description(Some(says))
    };
    let choice = |items: Vec<RefOr<Schema>>| {
        let null = nullable.then(|| ObjectBuilder::new().schema_type(Type::Null).into());
        let choice = OneOfBuilder::new().description(Some(says));
        items.into_iter().chain(null).fold(choice, OneOfBuilder::item)
    };
    let object = || -> RefOr<Schema> { ObjectBuilder::new().schema_type(Type::Object).into() };
    match takes {
        Takes::Text => plain(&[Type::String]).into(),
        Takes::Flag => plain(&[Type::Boolean]).into(),
        Takes::Number => plain(&[Type::Number]).into(),
        Takes::Object => plain(&[Type::Object]).into(),
        Takes::Seconds => plain(&[Type::Number]).exclusive_minimum(Some(0)).into(),
        Takes::Whole(least, most) => {
            plain(&[Type::Integer]).minimum(Some(least as f64)).maximum(most.map(|most| most as f64)).into()
        }
        Takes::Objects => list(object()).into(),
        Takes::TextOrTexts => choice(vec![String::schema(), Array::new(String::schema()).into()]).into(),
        Takes::TextOrObject => choice(vec![String::schema(), object()]).into(),
        Takes::TextOrParts => choice(vec![String::schema(), Array::new(object()).into()]).into(),
        Takes::FlagOrWhole => choice(vec![bool::schema(), u32::schema()]).into(),
        Takes::Named(name) if nullable => choice(vec![named_ref(name)]).into(),
        Takes::Named(name) => named(name, Some(says)),
        Takes::Several(name) => list(named_ref(name)).into(),
    }
}
