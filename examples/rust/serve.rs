//! A program that embeds a router and serves its REST API until Ctrl-C.
//!
//! `cargo run --example serve`, then call it as it says.

#![allow(clippy::print_stdout)] // an example talks to its reader

use cortensor_router::listener::Listener;
use cortensor_router::{Config, Router};

#[tokio::main]
async fn main() -> cortensor_router::Result<()> {
    let router = Router::open(Config::default().echo(true)).await?;
    let mut listen = router.config().listen.clone();
    listen.port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let listener = Listener::bind(router.clone(), listen).await?;
    println!("curl -H 'Authorization: Bearer default-dev-token' http://{}/api/v1/status", listener.local_addr());
    listener
        .run(async {
            // Without signals there is no way to stop but to end the process.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    router.close().await;
    Ok(())
}
