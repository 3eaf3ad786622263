//! The answers of `/readyz` to a load balancer.

use cortensor_router::config::Durability;
use cortensor_router::config::StorageConfig;

use super::*;

async fn ready(server: &Server) -> (u16, String, u64) {
    let (status, _, body) = server.parts("GET", "/readyz", "", "").await;
    let said: Value = serde_json::from_str(&body).unwrap();
    let counts = ["miners", "active_miners", "queued_tasks", "running_tasks"];
    assert!(counts.iter().all(|count| said[count].is_u64()), "{body}");
    (status, said["status"].as_str().unwrap().to_owned(), said["active_miners"].as_u64().unwrap())
}

fn words(job: Job) {
    job.emit("a word");
    job.finish(Answer::default());
}

#[tokio::test]
async fn a_store_that_refuses_to_write_makes_the_router_unready() {
    for file in ["router.db", "router.lock"] {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageConfig::default().data_dir(Some(dir.path().to_owned())).durability(Durability::Full);
        let server = serve_with(Config::default().storage(storage), ListenConfig::default()).await;
        server.router.add_miner(MinerSpec::new("words", 8), words).unwrap();
        let prompt = json!({"prompt": "hi"});
        assert_eq!(server.post_json("/api/v1/completions", &prompt).await.0, 200);
        assert_eq!(ready(&server).await, (200, "ready".to_owned(), 1));
        let (path, away) = (dir.path().join(file), dir.path().join("away"));
        std::fs::rename(&path, &away).unwrap();
        let later = json!({"prompt": "hi", "async": true});
        for body in [&prompt, &later, &json!({"prompt": "hi", "stream": true})] {
            let (status, _, answer) = server.parts("POST", "/api/v1/completions", DEV, &body.to_string()).await;
            assert_eq!(status, 503, "{answer}");
            assert!(answer.contains("store_unavailable") && answer.contains(file), "{answer}");
        }
        let chat = json!({"model": "tiny", "messages": [{"role": "user", "content": "hi"}]});
        let (status, answer) = server.post_json("/v1/chat/completions", &chat).await;
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("store_unavailable")), "{answer}");
        assert_eq!(server.post_json("/api/v1/sessions", &json!({"name": "s"})).await.0, 503);
        assert_eq!(ready(&server).await.1, "store_unavailable");
        assert_eq!(server.get_json("/api/v1/status").await.1["status"], "store_unavailable");
        std::fs::rename(&away, &path).unwrap();
        let back = async {
            while ready(&server).await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), back).await.expect("the store finds out by itself");
        server.router.close().await;
    }
}

#[tokio::test]
async fn a_router_without_miners_is_ready_unless_one_is_asked_for() {
    for (asked, status, word) in [(false, 200, "ready"), (true, 503, "no_miner")] {
        let server = serve(ListenConfig::default().ready_needs_miner(asked)).await;
        assert_eq!(ready(&server).await, (status, word.to_owned(), 0));
        let miner = server.router.add_miner(MinerSpec::new("words", 8), words).unwrap();
        assert_eq!(ready(&server).await, (200, "ready".to_owned(), 1));
        miner.set_up(false);
        assert_eq!(ready(&server).await, (status, word.to_owned(), 0));
        server.router.drain(Duration::ZERO).await;
        assert_eq!(ready(&server).await, (503, "draining".to_owned(), 0));
    }
}
