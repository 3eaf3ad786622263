//! Two routers on one PostgreSQL, linked over this machine's network: one of them has few miners or none, and borrows slots
//! of the other one's.

use cortensor_router::config::UpstreamConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, RequestKind, SessionId, SessionSpec, TaskRequest};
use cortensor_router::{Config, Router, SubmitOptions};
use cortensor_router_testkit::upstream::{Say, Upstream};
use cortensor_router_testkit::{Postgres, until, within};

/// A miner that gives its name, but to prompts with that word: it works on them until they are cancelled.
fn miner(name: &'static str, stuck: &'static str) -> impl Fn(Job) + Send + Sync + 'static {
    move |job: Job| {
        tokio::spawn(async move {
            if job.prompt().contains(stuck) {
                job.cancelled().await;
            } else {
                job.emit(name.to_owned());
                job.finish(Answer::default());
            }
        });
    }
}

async fn open(server: &Postgres, name: &str) -> Router {
    let mut config = Config::default();
    config.name = name.to_owned();
    config.storage.url = Some(server.url());
    config.storage.lease_ms = 2_000;
    config.dispatch.hedge_after_p95 = true;
    config.dispatch.hedge_budget = 1.0;
    Router::open(config).await.unwrap()
}

async fn ask(router: &Router, session: SessionId, prompt: &str) -> String {
    let request = TaskRequest::completion(prompt).stream(true);
    let task = router.submit(session, request, SubmitOptions::default()).await.unwrap();
    within(task.result()).await.unwrap().text().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_are_borrowed_for_races_for_requests_that_pass_and_for_sessions_that_keep_miners() {
    let Some(server) = Postgres::start() else { return };
    let (owner, host) = (open(&server, "owner").await, open(&server, "host").await);
    // A race.
    let near = owner.add_miner(MinerSpec::new("near", 1), miner("near", "slow")).unwrap();
    host.add_miner(MinerSpec::new("far", 1), miner("far", "stuck")).unwrap();
    until(|| owner.miners().len() == 2).await;
    for _ in 0..20 {
        ask(&owner, SessionId(0), "quick").await;
    }
    assert_eq!(ask(&owner, SessionId(0), "slow").await, "far");
    near.remove();
    // A request that passes to an upstream, and an answer that is no text.
    let sound: Vec<u8> = (0..600_000_u32).map(|at| (at * 7 % 256) as u8).collect();
    let said = sound.clone();
    let upstream = Upstream::new(move |path, body| {
        let is_as_sent = body.contains(r#""speed":1.50"#) && body.contains(r#""input":"hi""#);
        if path == "/v1/audio/speech" && is_as_sent {
            Say::Body("audio/mpeg", said.clone())
        } else {
            Say::Json(400, "{}".to_owned())
        }
    })
    .await;
    let config = UpstreamConfig::new(&upstream.url).name(Some("speaker".into())).models(vec!["voice".into()]);
    host.add_upstream(config).unwrap();
    until(|| owner.miners().iter().any(|miner| miner.id == "speaker" && miner.active)).await;
    let request: TaskRequest = serde_json::from_str(r#"{"model":"voice","speed":1.50,"input":"hi"}"#).unwrap();
    let request = request.kind(RequestKind::Speech);
    let task = owner.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
    let answer = within(task.result()).await.unwrap().answer;
    assert_eq!(answer.content_type.as_deref(), Some("audio/mpeg"));
    assert!(answer.raw.as_deref() == Some(&*sound), "it comes byte for byte");
    host.remove_miner("speaker").unwrap();
    // A session that has a miner for itself.
    host.add_miner(MinerSpec::new("other", 1), miner("other", "stuck")).unwrap();
    let spec = SessionSpec::default().name("kept").reserve_ephemeral_nodes(true);
    let session = owner.create_session(spec).await.unwrap().id;
    let kept = |router: &Router| {
        let miners = router.miners();
        miners.into_iter().find(|miner| miner.reserved_for == Some(session)).map(|miner| miner.id)
    };
    until(|| owner.miners().iter().filter(|miner| miner.active).count() == 2 && kept(&owner).is_some()).await;
    // Others have the other miner, and wait for it.
    let requests = (0..2).map(|n| TaskRequest::completion(format!("stuck {n}")).stream(true));
    let mut held = Vec::new();
    for request in requests {
        held.push(owner.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap());
    }
    let kept = kept(&host).unwrap();
    let busy = || host.miners().iter().filter(|miner| miner.in_flight > 0).map(|miner| miner.id.clone()).collect();
    until(|| {
        let busy: Vec<String> = busy();
        busy.len() == 1 && busy[0] != kept
    })
    .await;
    assert_eq!(ask(&owner, session, "quick").await, kept);
    drop(held);
    owner.close().await;
    host.close().await;
}
