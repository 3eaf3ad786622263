//! Lists of tasks and sessions as clients page through them.

use cortensor_router::config::ListenConfig;
use serde_json::{Value, json};

use super::{DEV, serve, with_words};

fn ids(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_last_task_of_a_list_is_the_newest_however_many_there_are() {
    let server = with_words().await;
    for n in 1..=130 {
        let (_, answer) = server.post_json("/api/v1/completions/1", &json!({"prompt": format!("p{n}")})).await;
        assert_eq!(answer["task_id"], n);
    }
    for (query, wanted) in [
        ("", (31..=130).collect::<Vec<u64>>()),
        ("?limit=3", vec![128, 129, 130]),
        ("?limit=3&state=ended", vec![128, 129, 130]),
        ("?limit=3&offset=0", vec![1, 2, 3]),
        ("?offset=129", vec![130]),
        ("?limit=2&order=asc", vec![1, 2]),
        ("?limit=2&order=desc", vec![130, 129]),
        ("?limit=2&order=desc&offset=2", vec![128, 127]),
        ("?limit=2&offset=130", vec![]),
        ("?limit=&offset=&order=&state=", (31..=130).collect()),
    ] {
        let (status, page) = server.get_json(&format!("/api/v1/tasks/1{query}")).await;
        assert_eq!((status, &page["count"]), (200, &json!(130)), "{query}");
        assert_eq!(ids(&page["tasks"]), wanted, "{query}");
        let join = if query.is_empty() { '?' } else { '&' };
        let (_, bare) = server.get_json(&format!("/api/v1/tasks/1{query}{join}format=array")).await;
        assert_eq!(ids(&bare), wanted, "{query}, as an array");
    }
    let (status, error) = server.get_json("/api/v1/tasks/1?order=sideways").await;
    assert_eq!((status, &error["param"]), (400, &json!("order")));
}

#[tokio::test]
async fn sessions_0_and_1_are_there_and_listed_once_they_are_used() {
    let server = with_words().await;
    assert_eq!(server.get_json("/api/v1/sessions").await.1, json!({"count": 0, "sessions": []}));
    for id in [0, 1] {
        let (status, session) = server.get_json(&format!("/api/v1/sessions/{id}")).await;
        assert_eq!((status, &session["id"], &session["active"]), (200, &json!(id), &json!(true)));
    }
    let (status, answer) = server.post_json("/api/v1/completions", &json!({"prompt": "x", "session_id": 1})).await;
    assert_eq!((status, &answer["session_id"], &answer["task_id"]), (200, &json!(1), &json!(1)));
    assert_eq!(ids(&server.get_json("/api/v1/sessions").await.1["sessions"]), [1]);
    let (status, _, _) = server.parts("PATCH", "/api/v1/sessions/0", DEV, r#"{"weight":2}"#).await;
    assert_eq!(status, 200);
    assert_eq!(ids(&server.get_json("/api/v1/sessions").await.1["sessions"]), [0, 1]);
    let (_, made) = server.post_json("/api/v1/create", &json!({"name": "next"})).await;
    assert_eq!(made["session_id"], 2);
}

#[tokio::test]
async fn only_an_admin_closes_session_1_and_nobody_session_0() {
    let server = serve(ListenConfig::default()).await;
    let (_, key) = server.post_json("/api/v1/keys", &json!({"name": "app", "scopes": ["submit", "read"]})).await;
    let user = format!("X-API-Key: {}\r\n", key["token"].as_str().unwrap());
    let (_, admin) = server.post_json("/api/v1/keys", &json!({"name": "boss", "scopes": ["admin"]})).await;
    let admin = format!("X-API-Key: {}\r\n", admin["token"].as_str().unwrap());
    for (headers, path, status) in [
        (&user, "/api/v1/sessions/1", 403),
        (&user, "/api/v1/sessions/0", 400),
        (&admin, "/api/v1/sessions/0", 400),
        (&admin, "/api/v1/sessions/1", 200),
    ] {
        assert_eq!(server.parts("DELETE", path, headers, "").await.0, status, "{path}");
    }
    let (_, _, list) = server.parts("GET", "/api/v1/sessions", &admin, "").await;
    assert_eq!(ids(&serde_json::from_str::<Value>(&list).unwrap()["sessions"]), [1], "a closed session is shown");
}
