//! Every documented route with every kind of token that must not be enough for it.
//!
//! The routes come from the router's own `/openapi.json`, so a new route joins by itself. The rule for it is the
//! strictest that its tag and method allow; a parameter or a body that this file does not know fails the row with words
//! that say what to add.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::http::{Answer, Ask};
use crate::miner::{Hand, key_pair};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command, Target};
use crate::upstream::{Upstream, json as json_answer};

/// A text in every object of the victim. Nobody else may see it.
const MARKER: &str = "victims-own";

/// A managed upstream, which is nobody's own.
const MANAGED: &str = "managed";

/// A limit that the attacks try to give the victim's key.
const LIMIT: u64 = 987_654_321;

/// The rights that a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// A token that counts, whatever its scopes are.
    Token,
    Read,
    Submit,
    ReadOrSubmit,
    ReadAndSubmit,
    Admin,
}

/// A documented route, with the victim's objects in its path and body.
#[derive(Debug)]
struct Route {
    ask: Ask,
    need: Need,
    /// Whether the path or the body names a session, key, task or miner of the victim.
    foreign: bool,
    /// Whether the route ends an object that other requests need.
    deletes: bool,
}

/// A token, and the rights that it has.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    token: Option<String>,
    /// The needs that the token satisfies; `None`: the token is not valid at all.
    rights: Option<&'static [Need]>,
    /// Whether the token is limited to a session that is not the victim's.
    limited: bool,
}

/// The objects of the victim.
#[derive(Debug)]
struct Victim {
    session: u64,
    task: u64,
    response: String,
    /// A session of the Model Context Protocol.
    conversation: String,
    key: String,
    enrolment: String,
    identity: String,
}

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let upstream = Upstream::new(|request| {
        let choice = r#"{"index":0,"finish_reason":"stop","text":"x","message":{"role":"assistant","content":"x"}}"#;
        match request.split(' ').nth(1).unwrap_or_default() {
            "/v1/models" => json_answer("200 OK", r#"{"object":"list","data":[{"id":"served"}]}"#),
            "/v1/embeddings" => json_answer(
                "200 OK",
                r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"served"}"#,
            ),
            _ => json_answer("200 OK", &format!(r#"{{"choices":[{choice}]}}"#)),
        }
    })?;
    let settings = format!(
        "[[upstream]]\nurl = \"http://{}/v1\"\nalso = [\"responses\"]\n\
         [listen]\nmanage_upstreams = true\nupstream_networks = [\"127.0.0.1\"]\n",
        upstream.address
    );
    let target = command.guarded(&settings)?;
    let mut tally = Tally::default();
    let victim = Victim::new(&target)?;
    let kinds = kinds(&target)?;
    let document = target.send(Ask::get("/openapi.json"))?.json();
    let mut routes = routes(&document, &victim)?;
    for route in &routes {
        for kind in &kinds {
            // A right that the token has would end an object that other tries need.
            if route.deletes && kind.may(route) {
                continue;
            }
            let ask = match &kind.token {
                Some(token) => route.ask.clone().token(token),
                None => route.ask.clone(),
            };
            let answer = target.send(ask)?;
            tally.attack(success(route, kind, &answer));
        }
        if route.need != Need::Nothing {
            let answer = target.send(route.ask.clone().line("X-API-Key", "wrong"))?;
            tally.must(answer.status == 401, || {
                format!("{} with X-API-Key: wrong: {}", route.ask.shown(), answer.told())
            });
        }
    }
    victim.is_unharmed(&target, &mut tally)?;
    // The owner succeeds everywhere; what ends an object comes last, and the session after all else.
    routes.sort_by_key(|route| (route.deletes, route.ask.shown().contains("/sessions/")));
    for route in routes.iter().filter(|route| route.need != Need::Nothing) {
        let answer = target.send(route.ask.clone().token(ADMIN))?;
        // A conflict means that the owner was let through: the victim's task has ended, so nobody can cancel it.
        control(answer.is_success() || answer.status == 409, || {
            format!("{} as the administrator: {}", route.ask.shown(), answer.told())
        })?;
    }
    tally.note(format!("{} routes, {} kinds of token", routes.len(), kinds.len()));
    Ok(tally)
}

impl Kind {
    /// Whether the token is enough for the route and the victim's objects in it.
    fn may(&self, route: &Route) -> bool {
        let has = |rights: &[Need]| route.need == Need::Token || rights.contains(&route.need);
        self.rights.is_some_and(has) && !(self.limited && route.foreign)
    }
}

impl Victim {
    fn new(target: &Target) -> Outcome<Self> {
        let session = target.session(MARKER)?;
        let task = target.task(session, MARKER)?;
        let ask = Ask::new("POST", "/v1/responses").json(&json!({"model": "served", "input": MARKER}));
        let made = target.admin(ask.line("X-Cortensor-Session", &session.to_string()))?;
        let response = made["id"].as_str().unwrap_or_default().to_owned();
        let begun = target.send(Ask::post("/mcp", &hello()).token(ADMIN))?.whole().to_ascii_lowercase();
        let named = begun.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        let conversation = named.ok_or_else(|| format!("/mcp begins no session: {begun}"))?.to_owned();
        let managed = json!({"name": MANAGED, "url": "http://127.0.0.1:9/v1", "models": ["nobody-asks"]});
        target.admin(Ask::post("/api/v1/upstreams", &managed))?;
        let (_, key) = target.key(MARKER, &["submit", "read"], &json!({}))?;
        let spent = target.enrolment(MARKER)?;
        let (_, pair) = key_pair()?;
        let mut hand = Hand::local(target.address)?;
        let greeting = hand.keyed(&pair, "victims", Some(&spent))?;
        hand.send(&greeting);
        hand.expect("welcome")?;
        drop(hand);
        let kept = target.enrolment(MARKER)?;
        let enrolment = kept.split('_').nth(1).unwrap_or_default().to_owned();
        Ok(Self { session, task, response, conversation, key, enrolment, identity: pair.id() })
    }

    /// Checks that the attacks have changed nothing.
    fn is_unharmed(&self, target: &Target, tally: &mut Tally) -> Outcome {
        let session = target.admin(Ask::get(&format!("/api/v1/sessions/{}", self.session)))?;
        tally.must(session["active"] == true && session["name"] == MARKER, || format!("the session is now {session}"));
        let task = target.admin(Ask::get(&format!("/api/v1/tasks/{}/{}", self.session, self.task)))?;
        tally.must(task["prompt"] == MARKER, || format!("the task is now {task}"));
        let keys = target.admin(Ask::get("/api/v1/keys"))?.to_string();
        tally.must(!keys.contains(&LIMIT.to_string()), || format!("the limits of a key have changed: {keys}"));
        for (list, id) in [
            ("/api/v1/upstreams", &MANAGED.to_owned()),
            ("/api/v1/keys", &self.key),
            ("/api/v1/miners/enrolments", &self.enrolment),
            ("/api/v1/miners/identities", &self.identity),
        ] {
            let listed = target.admin(Ask::get(list))?.to_string();
            tally.must(listed.contains(id.as_str()), || format!("{id} is gone from {list}: {listed}"));
        }
        Ok(())
    }
}

fn kinds(target: &Target) -> Outcome<Vec<Kind>> {
    const READ: &[Need] = &[Need::Read, Need::ReadOrSubmit];
    const SUBMIT: &[Need] = &[Need::Submit, Need::ReadOrSubmit];
    const BOTH: &[Need] = &[Need::Read, Need::Submit, Need::ReadOrSubmit, Need::ReadAndSubmit];
    const ALL: &[Need] = &[Need::Read, Need::Submit, Need::ReadOrSubmit, Need::ReadAndSubmit, Need::Admin];
    let own = target.session("the attacker's")?;
    let none = json!({});
    let limited = json!({"sessions": [own]});
    let (expired, _) = target.key("expired", &["admin"], &json!({"ttl_secs": 1}))?;
    let (revoked, id) = target.key("revoked", &["admin"], &none)?;
    target.admin(Ask::new("DELETE", &format!("/api/v1/keys/{id}")))?;
    let (valid, _) = target.key("read", &["read"], &none)?;
    let (other, _) = target.key("submit", &["submit"], &none)?;
    let id = valid.split('_').nth(1).unwrap_or_default();
    let secret = other.split('_').nth(2).unwrap_or_default();
    let mixed = format!("ctr_{id}_{secret}");
    sleep(Duration::from_millis(2_100));
    let kind = |name, token: &str, rights, limited| Kind { name, token: Some(token.to_owned()), rights, limited };
    let mut all = vec![
        Kind { name: "no token", token: None, rights: None, limited: false },
        kind("a wrong token", "wrong", None, false),
        kind("one key's id with another's secret", &mixed, None, false),
        kind("a token cut short", &valid[..valid.len() - 1], None, false),
        kind("the administrator's token and more", &format!("{ADMIN}x"), None, false),
        kind("the development token", "default-dev-token", None, false),
        kind("an expired key", &expired, None, false),
        kind("a revoked key", &revoked, None, false),
        kind("a key that reads", &valid, Some(READ), false),
        kind("a key that submits", &other, Some(SUBMIT), false),
    ];
    for (name, scopes, rights) in [
        ("a key of another session", &["submit", "read"][..], BOTH),
        ("an administrator of another session", &["admin"][..], ALL),
    ] {
        all.push(kind(name, &target.key(name, scopes, &limited)?.0, Some(rights), true));
    }
    for (name, scope) in [("a miner's key", "miner"), ("a key that enrols", "enrol")] {
        all.push(kind(name, &target.key(name, &[scope], &none)?.0, Some(&[]), false));
    }
    Ok(all)
}

/// Says how far the attacker got, if that is more than the token allows.
fn success(route: &Route, kind: &Kind, answer: &Answer) -> Option<String> {
    let told = |what: &str| Some(format!("{} with {}: {what}: {}", route.ask.shown(), kind.name, answer.told()));
    if answer.status >= 500 && route.need != Need::Nothing {
        return told("a fault of the router");
    }
    if route.need == Need::Nothing {
        return answer.text().contains(MARKER).then(|| told("shows the victim's")).flatten();
    }
    if kind.rights.is_none() {
        return if answer.status == 401 { None } else { told("not 401") };
    }
    if !kind.may(route) {
        return if answer.is_refusal() { None } else { told("not refused") };
    }
    (kind.limited && answer.text().contains(MARKER)).then(|| told("shows the victim's")).flatten()
}

fn routes(document: &Value, victim: &Victim) -> Outcome<Vec<Route>> {
    let mut all = Vec::new();
    for (path, operations) in document["paths"].as_object().ok_or("the document has no paths")? {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            all.push(route(path, &method.to_uppercase(), operation, victim)?);
        }
    }
    if all.len() < 30 { Err(format!("the document has only {} routes", all.len())) } else { Ok(all) }
}

fn route(path: &str, method: &str, operation: &Value, victim: &Victim) -> Outcome<Route> {
    let mut target = path.to_owned();
    let mut foreign = path.contains('{') && !path.starts_with("/v1/models/");
    if path == "/api/v1/events" {
        // Without a number the stream goes on.
        target.push_str("?count=1");
    }
    for (start, parameter, value) in [
        ("", "{session_id}", victim.session.to_string()),
        ("", "{task_id}", victim.task.to_string()),
        ("", "{response_id}", victim.response.clone()),
        ("/api/v1/sessions/", "{id}", victim.session.to_string()),
        ("/api/v1/keys/", "{id}", victim.key.clone()),
        ("/api/v1/miners/enrolments/", "{id}", victim.enrolment.clone()),
        ("/api/v1/miners/identities/", "{id}", victim.identity.clone()),
        ("/api/v1/upstreams/", "{name}", MANAGED.to_owned()),
        ("/v1/models/", "{id}", "served".to_owned()),
        ("/console/", "{version}", "0".to_owned()),
        ("/console/", "{file}", "main.js".to_owned()),
    ] {
        if path.starts_with(start) {
            target = target.replace(parameter, &value);
        }
    }
    if target.contains('{') {
        return Err(format!("{path}: say in core/attack/src/rows/access.rs which object of the victim this is"));
    }
    let mut ask = Ask::new(method, &target);
    let content = &operation["requestBody"]["content"];
    if let Some(schema) = content.as_object().and_then(|content| content.values().next()) {
        let name = schema["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        let names_session = if name == "TranscriptionForm" {
            let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nserved\r\n\
                        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nx\r\n--b--\r\n";
            ask = ask.line("Content-Type", "multipart/form-data; boundary=b").body(form.into());
            true
        } else {
            let (body, names_session) = body(name, victim)
                .ok_or_else(|| format!("{method} {path}: say in core/attack/src/rows/access.rs what a {name} is"))?;
            ask = ask.json(&body);
            names_session
        };
        // A session in the path wins over the one in the body, and both are the victim's.
        foreign |= names_session;
        if path.starts_with("/v1/") {
            ask = ask.line("X-Cortensor-Session", &victim.session.to_string());
        }
    }
    let tag = operation["tags"][0].as_str().unwrap_or_default();
    let public = operation["security"].as_array().is_some_and(|all| all.contains(&json!({})));
    let need = match (tag, method) {
        _ if public => Need::Nothing,
        _ if path == "/api/v1/whoami" => Need::Token,
        // The log and the record of changes are about everybody.
        ("Audit", _) => Need::Admin,
        _ if path == "/api/v1/logs" => Need::Admin,
        // A session of the Model Context Protocol is its own token's.
        ("Keys" | "Miners" | "Upstreams" | "Webhooks", _) | ("MCP", "DELETE") => Need::Admin,
        // A response is seen by its own key, which is none of the attacker's, and by administrators.
        ("Responses", _) if path.contains('{') => Need::Admin,
        ("OpenAI", "GET") | ("MCP", _) => Need::ReadOrSubmit,
        (_, "GET") => Need::Read,
        // The body names a task of the victim, which takes the scope `read` as well.
        ("Agents", _) if path == "/api/v1/validate" => Need::ReadAndSubmit,
        ("Completions" | "Agents" | "OpenAI" | "Responses" | "Anthropic" | "Sessions" | "Tasks", _) => Need::Submit,
        _ => Need::Admin,
    };
    // A key limited to sessions makes none, enrols no miner, and changes nothing that all sessions share, so these
    // routes are foreign to it as well.
    foreign |= matches!(tag, "Miners" | "Audit" | "Upstreams" | "Webhooks") || (tag == "Sessions" && method == "POST");
    foreign |= matches!(path, "/api/v1/logs" | "/api/v1/reload");
    if (tag, method) == ("MCP", "DELETE") {
        foreign = true;
        ask = ask.line("Mcp-Session-Id", &victim.conversation);
    }
    Ok(Route { ask, need, foreign, deletes: method == "DELETE" })
}

/// The handshake of the Model Context Protocol.
fn hello() -> Value {
    let client = json!({"name": "attack", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

/// A body of that schema, and whether it names the victim's session.
fn body(schema: &str, victim: &Victim) -> Option<(Value, bool)> {
    let chat = json!([{"role": "user", "content": "hi"}]);
    Some(match schema {
        "ChatRequest" => (json!({"messages": chat, "session_id": victim.session}), true),
        "PromptRequest" | "DelegateBody" => (json!({"prompt": "hi", "session_id": victim.session}), true),
        "ChatCompletionRequest" => (json!({"model": "served", "messages": chat}), true),
        "CompletionRequest" | "ImageBody" => (json!({"model": "served", "prompt": "hi"}), true),
        "MessagesBody" => (json!({"model": "served", "max_tokens": 9, "messages": chat}), true),
        "CountBody" => (json!({"model": "served", "messages": chat}), false),
        "EmbeddingRequest" | "ResponsesBody" | "CompactBody" | "SpeechBody" | "ModerationBody" => {
            (json!({"model": "served", "input": "hi"}), true)
        }
        "ObjectiveBody" => (json!({"objective": "hi", "session_id": victim.session}), true),
        "ConsentedBody" => {
            let pool = json!({"replicas": 1, "session_pool": [victim.session]});
            (json!({"objective": "hi", "consensus": pool}), true)
        }
        // Several miners are asked, and the victim's own, which has gone, has another model.
        "ResultBody" => (json!({"session_id": victim.session, "task_id": victim.task, "model": "served"}), true),
        "ClaimBody" | "FactBody" => (json!({"claim": "hi", "session_id": victim.session, "model": "served"}), true),
        "ClaimReplicasBody" => {
            (json!({"claim": "hi", "consensus": {"replicas": 1, "session_pool": [victim.session]}}), true)
        }
        "RerankBody" => (json!({"model": "served", "query": "hi", "documents": ["hi"]}), true),
        "McpMessage" => (hello(), false),
        "SessionPatch" => (json!({"name": MARKER}), true),
        "UpstreamSpec" => (json!({"name": "made-by-an-attack", "url": "http://127.0.0.1:9/v1"}), false),
        "UpstreamPatch" => (json!({"weight": 1}), false),
        "KeySpec" => (json!({"name": "made by an attack", "scopes": ["admin"]}), false),
        "KeyPatch" => (json!({"limits": {"concurrent_tasks": LIMIT}}), false),
        "SessionSpec" | "Enrolment" => (json!({"name": "made by an attack"}), false),
        _ => return None,
    })
}
