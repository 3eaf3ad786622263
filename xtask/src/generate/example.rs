//! Examples of requests and answers. Bodies of requests stand here. Answers follow from the schema, with values that
//! suit the names of their members.

use super::document::Document;
use super::json::Json;

/// An example of a stream.
pub(super) const STREAM: &str = r#"id: 1
data: {"choices":[{"finish_reason":null,"index":0,"logprobs":null,"text":"4"}],"created":1767225600,...}

id: 2
data: {"choices":[{"finish_reason":"stop","index":0,"logprobs":null,"text":""}],...,"text":"4"}

data: [DONE]"#;

/// An example of metrics.
pub(super) const METRICS: &str = "# HELP cortensor_tasks_queued Tasks that wait for a miner.\n\
                                  # TYPE cortensor_tasks_queued gauge\ncortensor_tasks_queued 0\n# EOF";

/// An example of an answer that is no text.
pub(super) const BYTES: &str = "(bytes)";

/// The body of a request for each schema.
const BODIES: &[(&str, &str)] = &[
    ("PromptRequest", r#"{"prompt":"What is 2 + 2?","session_id":2,"max_tokens":16}"#),
    ("ChatRequest", r#"{"messages":[{"role":"user","content":"What is 2 + 2?"}],"session_id":2}"#),
    ("ChatCompletionRequest", r#"{"model":"tiny","messages":[{"role":"user","content":"What is 2 + 2?"}]}"#),
    ("CompletionRequest", r#"{"model":"tiny","prompt":"2 + 2 =","max_tokens":4}"#),
    ("MessagesBody", r#"{"model":"tiny","max_tokens":64,"messages":[{"role":"user","content":"What is 2 + 2?"}]}"#),
    ("CountBody", r#"{"model":"tiny","messages":[{"role":"user","content":"What is 2 + 2?"}]}"#),
    ("ResponsesBody", r#"{"model":"tiny","input":"What is 2 + 2?","instructions":"Be brief."}"#),
    ("CompactBody", r#"{"model":"tiny","input":[{"role":"user","content":"Hello, router!"}]}"#),
    ("DelegateBody", r#"{"prompt":"What is 2 + 2?","policy":"safe","max_tokens":16}"#),
    ("ObjectiveBody", r#"{"objective":"Add the numbers.","input":{"numbers":[2,2]},"policy":"safe"}"#),
    (
        "ConsentedBody",
        r#"{"objective":"Add the numbers.","input":{"numbers":[2,2]},"consensus":{"replicas":3,"disagreement_policy":"best_effort"}}"#,
    ),
    ("ResultBody", r#"{"task_request_input":"What is 2 + 2?","task_result_output":"4"}"#),
    ("ClaimBody", r#"{"claim":"2 + 2 = 4","policy":"safe"}"#),
    ("ClaimReplicasBody", r#"{"claim":"2 + 2 = 4","consensus":{"replicas":3,"strategy":"unanimous"}}"#),
    ("FactBody", r#"{"claim":"2 + 2 = 4","mode":"standard","redundancy":3}"#),
    (
        "McpMessage",
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"my-client","version":"1"}}}"#,
    ),
    ("EmbeddingRequest", r#"{"model":"tiny-embed","input":["one text","another"]}"#),
    ("RerankBody", r#"{"model":"tiny-rank","query":"Which is a fruit?","documents":["a stone","an apple"]}"#),
    (
        "TranscriptionForm",
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"speech.wav\"\r\n\r\n...\r\n--b--",
    ),
    ("SpeechBody", r#"{"model":"kokoro","input":"Hello, router!","voice":"alloy"}"#),
    ("ImageBody", r#"{"model":"tiny-draw","prompt":"a cat","n":1,"size":"512x512"}"#),
    ("ModerationBody", r#"{"input":"Hello, router!"}"#),
    ("SessionSpec", r#"{"name":"chat","model":"tiny","redundant":1,"priority":5}"#),
    ("SessionPatch", r#"{"priority":7}"#),
    ("KeySpec", r#"{"name":"ci","scopes":["submit","read"],"ttl_secs":86400}"#),
    ("KeyPatch", r#"{"limits":{"tokens_per_day":100000,"concurrent_tasks":null}}"#),
    ("Enrolment", r#"{"name":"rack-1","models":["tiny"]}"#),
    ("UpstreamSpec", r#"{"name":"desk","url":"http://127.0.0.1:8080/v1"}"#),
    ("UpstreamPatch", r#"{"weight":2}"#),
];

/// The values of members, by their names. A name with its schema wins over the name alone.
const VALUES: &[(&str, &str)] = &[
    ("Accepted.status", "\"accepted\""),
    ("AgentCard.description", "\"An AI inference router ...\""),
    ("AgentCard.protocolVersion", "\"0.3.0\""),
    ("AgentCard.url", "\"https://router.example\""),
    ("Attestation.attests", "\"This router got these answers from these miners ...\""),
    ("Attestation.kind", "\"sha256\""),
    ("DelegateAnswer.output", "\"4\""),
    ("DelegateAnswer.policy", "\"safe\""),
    ("DelegateAnswer.result", "\"4\""),
    ("DelegateAnswer.status", "\"completed\""),
    ("Evidence.content", "\"4\""),
    ("Evidence.miner_id", "\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\""),
    ("MinerResponse.content", "\"4\""),
    ("MinerResponse.miner_id", "\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\""),
    ("SecurityScheme.scheme", "\"bearer\""),
    ("SecurityScheme.type", "\"http\""),
    ("Skill.description", "\"Work under a policy ...\""),
    ("Skill.id", "\"delegate\""),
    ("Skill.name", "\"Delegate\""),
    ("ValidateAnswer.policy", "\"safe\""),
    ("ValidateAnswer.score", "0.9"),
    ("ValidateAnswer.verdict", "\"VALID\""),
    ("Accepted.state", "\"queued\""),
    ("ChatAnswer.content", "\"4\""),
    ("ChatCompletion.object", "\"chat.completion\""),
    ("ChatCompletion.id", "\"chatcmpl-6955b9000000000000000007\""),
    ("Completion.id", "\"cmpl-6955b9000000000000000007\""),
    ("Completion.object", "\"text_completion\""),
    ("EmbeddingItem.object", "\"embedding\""),
    ("EmbeddingList.model", "\"tiny-embed\""),
    ("EmbeddingList.object", "\"list\""),
    ("ApiKey.id", "\"5f2a90c1b7e4\""),
    ("ApiKey.name", "\"ci\""),
    ("KeyRevoked.id", "\"5f2a90c1b7e4\""),
    ("KeyRevoked.status", "\"revoked\""),
    ("MinerInfo.id", "\"rack-1\""),
    ("MinerInfo.status", "\"idle\""),
    ("MinerRecord.id", "\"mk_0f3c5a7e9b1d2f4a6c8e0b2d4f6a8c0e\""),
    ("MinerRecord.kind", "\"ephemeral\""),
    ("MinerRecord.name", "\"rack-1\""),
    ("Model.id", "\"tiny\""),
    ("Model.object", "\"model\""),
    ("ModelDetails.id", "\"tiny\""),
    ("ModelList.object", "\"list\""),
    ("Session.id", "2"),
    ("Session.state", "\"open\""),
    ("SessionCreated.status", "\"created\""),
    ("SessionSpec.model", "\"tiny\""),
    ("SessionSpec.name", "\"chat\""),
    ("SessionSpec.owner", "\"5f2a90c1b7e4\""),
    ("Task.state", "\"ended\""),
    ("Task.status", "4"),
    ("TextCompletion.id", "\"cmpl-6955b9000000000000000007\""),
    ("TextCompletion.object", "\"text_completion\""),
    ("Readiness.status", "\"ready\""),
    ("active", "true"),
    ("active_tasks", "0"),
    ("agreeing", "3"),
    ("answered", "3"),
    ("claim_sha256", "\"c23c1d4f8f2b8f7f0e1d2c3b4a5968778695a4b3c2d1e0f00112233445566778\""),
    ("confidence", "1"),
    ("defaultInputModes", "[\"application/json\"]"),
    ("defaultOutputModes", "[\"application/json\"]"),
    ("disagreement_policy", "\"return_all\""),
    ("distinct_miners", "3"),
    ("is_parsed", "true"),
    ("is_valid", "true"),
    ("k_miners", "3"),
    ("latency_ms", "420"),
    ("preferredTransport", "\"CORTENSOR-REST\""),
    ("reasons", "[\"The sum is right.\"]"),
    ("replicas", "3"),
    ("sha256", "\"4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a\""),
    ("strategy", "\"majority\""),
    ("wanted_miners", "3"),
    ("address", "\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\""),
    ("affinity", "true"),
    ("agent", "\"rack/1.4\""),
    ("assigned_miners", "[\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\"]"),
    ("attempts", "1"),
    ("block_height", "0"),
    ("breaker", "\"closed\""),
    ("capabilities", "[\"completions\",\"chat\",\"streaming\"]"),
    ("capacity", "4"),
    ("client_reference", "\"order-17\""),
    ("completed", "12"),
    ("completion_tokens", "1"),
    ("connected_at", "1767225600"),
    ("count", "1"),
    ("created", "1767225600"),
    ("created_at", "1767225600"),
    ("credits", "4"),
    ("data", "[\"4\"]"),
    ("dedicated_nodes", "[]"),
    ("durability", "\"full\""),
    ("embedding", "[0.12,-0.48,0.91]"),
    ("ended", "true"),
    ("endpoints", "[\"/api/v1/completions\",\"/v1/chat/completions\"]"),
    ("ephemeral_nodes", "[\"rack-1\"]"),
    ("execution_time", "0.42"),
    ("expires_at", "1767312000"),
    ("external_address", "\"\""),
    ("failed", "0"),
    ("failure", "null"),
    ("finish_reason", "\"stop\""),
    ("finished_at", "1767225601"),
    ("first_token_ms", "180.5"),
    ("from_address", "\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\""),
    ("gid", "7"),
    ("gpu", "\"RTX 4090\""),
    ("cpu", "\"EPYC 7302\""),
    ("hash", "\"\""),
    ("health", "\"/healthz\""),
    ("id", "3"),
    ("in_flight", "0"),
    ("index", "0"),
    ("ip_address", "\"203.0.113.7\""),
    ("last_commit_at", "1767225601"),
    ("last_precommit_at", "1767225601"),
    ("last_seen", "1767225600"),
    ("logprobs", "null"),
    ("match", "\"normalized\""),
    ("max_context_tokens", "8192"),
    ("context", "8192"),
    ("max_output", "2048"),
    ("memory_usage", "84.5"),
    ("cpu_usage", "3.2"),
    ("metadata", "\"\""),
    ("method", "\"normalized\""),
    ("miner_address", "\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\""),
    ("miner_id", "\"rack-1\""),
    ("miners", "[\"0x8c1f0a5b2d9e4c7f6a3b8d1e0f2c5a7b9d4e6f18\"]"),
    ("mode", "0"),
    ("model", "\"tiny\""),
    ("model_identifier", "\"\""),
    ("models", "[\"tiny\"]"),
    ("name", "\"cortensor-router\""),
    ("node_type", "\"ephemeral\""),
    ("nodes", "{}"),
    ("openapi", "\"/openapi.json\""),
    ("outcome", "\"ok\""),
    ("owned_by", "\"rack-1\""),
    ("owner", "\"\""),
    ("priority", "5"),
    ("prompt", "\"What is 2 + 2?\""),
    ("prompt_tokens", "12"),
    ("public_key", "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""),
    ("refusal", "null"),
    ("reputation", "1"),
    ("reserved_for", "null"),
    ("reserved_nodes", "[]"),
    ("response", "\"4\""),
    ("restart", "true"),
    ("results_hash", "[\"4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a\"]"),
    ("retention", "\"all\""),
    ("revoked", "false"),
    ("role", "\"assistant\""),
    ("router", "\"wss://router.example\""),
    ("scopes", "[\"submit\",\"read\"]"),
    ("session_id", "2"),
    ("sid", "\"0x5d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e7d6c5b4a392817060504\""),
    ("started_at", "1767225600"),
    ("status", "\"ok\""),
    ("store", "\"sqlite\""),
    ("task_id", "3"),
    ("text", "\"4\""),
    ("token", "\"ctr_5f2a90c1b7e4_9b1d...\""),
    ("tokens_per_second", "38.5"),
    ("total_tokens", "13"),
    ("tx_hash", "\"0x5d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e7d6c5b4a392817060504\""),
    ("updated_at", "1767225600"),
    ("uptime", "3600"),
    ("validation_policy", "\"quorum\""),
    ("version", "\"0.1.0\""),
    ("vram", "24576"),
    ("weight", "1"),
    ("x402_enabled", "false"),
];

/// Members that are absent in most answers.
const RARE: &[&str] = &[
    "verdict",
    "corrupt",
    "restart",
    "queue_position",
    "miner_address",
    "min_score",
    "tie_break",
    "match_tolerance",
    "match_pointers",
    "match_model",
    "hash",
    "digest",
    "quant",
];

/// A path with its parameters filled in.
pub(super) fn path(path: &str) -> String {
    let id = match path.split('/').rev().nth(1) {
        Some("sessions") => "2",
        Some("models") => "tiny",
        Some("identities") => "mk_0f3c5a7e9b1d2f4a6c8e0b2d4f6a8c0e",
        _ => "5f2a90c1b7e4",
    };
    path.replace("{session_id}", "2").replace("{task_id}", "3").replace("{id}", id)
}

/// The body of a request.
pub(super) fn body(schema: &str) -> &'static str {
    BODIES.iter().find(|(name, _)| *name == schema).map_or("{}", |(_, body)| body)
}

/// A value that the schema allows; `name` is the name of the member after that of its record.
pub(super) fn of(document: &Document, name: &str, schema: &Json) -> Json {
    let member = name.rsplit('.').next().unwrap_or(name);
    let told = VALUES.iter().find(|(key, _)| *key == name).or_else(|| VALUES.iter().find(|(key, _)| *key == member));
    let shape = document.resolve(schema);
    let reference = schema.get("$ref").text();
    let record = super::document::name_of(reference);
    let is_record = shape.get("properties").is_given() || shape.get("allOf").is_given();
    if !is_record && let Some((_, text)) = told.filter(|_| fits(document, schema)) {
        return serde_json::from_str(text).unwrap_or(Json::Null);
    }
    if is_record {
        let mut members = Vec::new();
        collect(document, record, shape, &mut members);
        return Json::Object(members);
    }
    for key in ["oneOf", "anyOf"] {
        let choices = shape.get(key).items();
        if let Some(choice) = choices.iter().find(|choice| choice.get("type").text() != "null") {
            return of(document, name, choice);
        }
    }
    if let [first, ..] = shape.get("enum").items() {
        return first.clone();
    }
    let kinds = shape.get("type");
    let kind = if let Json::List(kinds) = kinds { kinds.first().map_or("", |kind| kind.text()) } else { kinds.text() };
    match kind {
        "string" => Json::Text(String::new()),
        "integer" | "number" => Json::Number(shape.get("minimum").number().unwrap_or(0.0)),
        "boolean" => Json::Bool(false),
        "array" => {
            let items = shape.get("items");
            let is_record =
                document.resolve(items).get("properties").is_given() || document.resolve(items).get("allOf").is_given();
            Json::List(if is_record { vec![of(document, name, items)] } else { Vec::new() })
        }
        "object" => Json::Object(Vec::new()),
        _ => Json::Null,
    }
}

/// Whether a value of the table suits the schema. A list of records follows from the record instead.
fn fits(document: &Document, schema: &Json) -> bool {
    let items = document.resolve(schema).get("items");
    !items.is_given()
        || !document.resolve(items).get("properties").is_given() && !document.resolve(items).get("allOf").is_given()
}

fn collect(document: &Document, record: &str, schema: &Json, members: &mut Vec<(String, Json)>) {
    for part in schema.get("allOf").items() {
        let reference = part.get("$ref").text();
        let name = if reference.is_empty() { record } else { super::document::name_of(reference) };
        collect(document, name, document.resolve(part), members);
    }
    for (name, member) in schema.get("properties").members() {
        if !RARE.contains(&name) {
            members.push((name.to_owned(), of(document, &format!("{record}.{name}"), member)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_of_a_request_has_an_example_with_members_that_there_are() {
        let text = std::fs::read_to_string(crate::environment::root().join("docs/openapi.json")).unwrap();
        let document = Document::parse("openapi.json", &text).unwrap();
        let mut seen = 0;
        for (path, item) in document.root().get("paths").members() {
            for (_, operation) in item.members() {
                let bodies = operation.get("requestBody").get("content").members();
                // A form's example is no JSON.
                for (_, content) in bodies.filter(|(kind, _)| *kind == "application/json") {
                    let name = super::super::document::name_of(content.get("schema").get("$ref").text());
                    let record = document.record(document.schema(name).unwrap());
                    let example: Json = serde_json::from_str(body(name)).unwrap();
                    assert!(example.members().next().is_some(), "{path}: {name} has no example");
                    for (member, _) in example.members() {
                        assert!(record.members.iter().any(|known| known.name == member), "{name}.{member}");
                    }
                    seen += 1;
                }
            }
        }
        assert!(seen > 5);
    }
}
