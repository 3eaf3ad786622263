//! The audit log, and who may see it.

use cortensor_router::config::{ListenConfig, TokenConfig};
use cortensor_router::model::{Scope, SessionSpec};
use serde_json::{Value, json};

use super::{DEV, Server, serve};

async fn audit(server: &Server, header: &str, query: &str) -> Value {
    let reply = server.send("GET", &format!("/api/v1/audit{query}"), header, "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

/// The numbers of entries, their kinds, and who made the changes.
fn told(page: &Value) -> Vec<(u64, &str, &str)> {
    let entries = page["audit"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            (entry["number"].as_u64().unwrap(), entry["act"].as_str().unwrap(), entry["key_id"].as_str().unwrap())
        })
        .collect()
}

/// A server with the configured token `ops`, and the head line of that token.
async fn with_ops() -> (Server, &'static str) {
    let token = TokenConfig::default().name(Some("ops".into())).value(Some("secret-of-ops".into()));
    let server = serve(ListenConfig::default().tokens(vec![token]).dev_token(Some(true))).await;
    (server, "Authorization: Bearer secret-of-ops\r\n")
}

#[tokio::test]
async fn every_change_is_recorded_with_its_maker() {
    let (server, ops) = with_ops().await;
    let body = json!({"name": "app", "limits": {"tasks_per_minute": 5}}).to_string();
    let made = server.send("POST", "/api/v1/keys", ops, &body).await.json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let path = format!("/api/v1/keys/{id}");
    let limits = r#"{"limits": {"tasks_per_minute": null, "tokens_per_day": 100}}"#;
    assert_eq!(server.send("PATCH", &path, ops, limits).await.status, 200);
    assert_eq!(server.send("DELETE", &path, DEV, "").await.status, 200);
    assert_eq!(server.send("DELETE", &path, DEV, "").await.status, 404);
    let enrolment = server.send("POST", "/api/v1/miners/enrolments", ops, r#"{"name":"gpu"}"#).await.json();
    let withdraw = format!("/api/v1/miners/enrolments/{}", enrolment["id"].as_str().unwrap());
    assert_eq!(server.send("DELETE", &withdraw, ops, "").await.status, 200);
    let session = server.router.create_session(SessionSpec::default().name("chat")).await.unwrap().id;
    for _ in 0..2 {
        let path = format!("/api/v1/sessions/{session}");
        assert_eq!(server.send("DELETE", &path, ops, "").await.status, 200);
    }
    let page = audit(&server, ops, "").await;
    assert_eq!(
        told(&page),
        [
            (1, "key_created", "ops"),
            (2, "key_limited", "ops"),
            (3, "key_revoked", "dev"),
            (4, "key_created", "ops"),
            (5, "key_revoked", "ops"),
            (6, "session_closed", "ops"),
        ]
    );
    assert_eq!(page["count"], 6);
    let entries = page["audit"].as_array().unwrap();
    assert!(entries[..3].iter().all(|entry| entry["subject"] == id), "{page}");
    assert!(entries[0]["at"].as_u64().unwrap() > 1_600_000_000_000, "{page}");
    assert_eq!(entries[1]["detail"]["before"], json!({"tasks_per_minute": 5}));
    assert_eq!(entries[1]["detail"]["limits"], json!({"tokens_per_day": 100}));
    assert_eq!(entries[3]["detail"]["scopes"], json!(["enrol"]));
    assert_eq!((&entries[5]["subject"], &entries[5]["detail"]["name"]), (&json!(session.to_string()), &json!("chat")));
    assert!(!page.to_string().contains(token.rsplit('_').next().unwrap()), "{page}");
    // Pages and kinds.
    assert_eq!(told(&audit(&server, ops, "?limit=1").await), [(6, "session_closed", "ops")]);
    let second = audit(&server, ops, "?limit=2&after=1").await;
    assert_eq!((told(&second).len(), told(&second)[0].0, second["count"].as_u64()), (2, 2, Some(6)));
    assert_eq!(told(&audit(&server, ops, "?act=key_revoked&after=3").await), [(5, "key_revoked", "ops")]);
    assert_eq!(audit(&server, ops, "?after=6").await["audit"], json!([]));
}

#[tokio::test]
async fn the_host_program_is_recorded_and_its_sessions_are_not() {
    let server = serve(ListenConfig::default()).await;
    let made = server.router.create_key(&cortensor_router::KeySpec::new("host's")).await.unwrap();
    assert!(server.router.delete_key(&made.key.id).await.unwrap());
    let session = server.router.create_session(SessionSpec::default().name("chat")).await.unwrap().id;
    server.router.close_session(session).await.unwrap();
    let page = audit(&server, DEV, "").await;
    assert_eq!(told(&page), [(1, "key_created", "host"), (2, "key_revoked", "host")]);
}

#[tokio::test]
async fn only_administrators_of_the_whole_router_see_it() {
    let (server, ops) = with_ops().await;
    let key = async |body: Value| {
        let made = server.send("POST", "/api/v1/keys", ops, &body.to_string()).await.json();
        format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap())
    };
    for scope in [Scope::Submit, Scope::Read, Scope::Miner, Scope::Enrol] {
        let header = key(json!({"name": "x", "scopes": [scope]})).await;
        let status = server.send("GET", "/api/v1/audit", &header, "").await.status;
        assert!(matches!(status, 401 | 403), "{scope}: {status}");
    }
    let limited = key(json!({"name": "x", "scopes": ["admin"], "sessions": [1]})).await;
    assert_eq!(server.send("GET", "/api/v1/audit", &limited, "").await.status, 403);
    assert_eq!(server.send("GET", "/api/v1/audit", "", "").await.status, 401);
    assert_eq!(server.send("GET", "/api/v1/audit", "Authorization: Bearer wrong\r\n", "").await.status, 401);
    let admin = key(json!({"name": "x", "scopes": ["admin"]})).await;
    for header in [admin.as_str(), ops, DEV] {
        assert_eq!(audit(&server, header, "").await["count"], 6);
    }
}

#[tokio::test]
async fn a_session_that_a_submitter_closes_is_not_recorded() {
    let (server, ops) = with_ops().await;
    let made = server.send("POST", "/api/v1/keys", ops, r#"{"name":"app"}"#).await.json();
    let header = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    let session = server.send("POST", "/api/v1/sessions", &header, r#"{"name":"own"}"#).await.json()["id"].clone();
    assert_eq!(server.send("DELETE", &format!("/api/v1/sessions/{session}"), &header, "").await.status, 200);
    assert_eq!(told(&audit(&server, ops, "").await), [(1, "key_created", "ops")]);
}

#[tokio::test]
async fn what_cannot_be_selected_is_refused_by_name() {
    let server = serve(ListenConfig::default()).await;
    for (query, param) in
        [("?act=reboot", "act"), ("?after=x", "after"), ("?after=-1", "after"), ("?limit=0x", "limit")]
    {
        let (status, error) = server.get_json(&format!("/api/v1/audit{query}")).await;
        assert_eq!((status, error["param"].as_str()), (400, Some(param)), "{query}: {error}");
    }
}
