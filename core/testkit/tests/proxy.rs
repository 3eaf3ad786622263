//! The proxy does to bytes what it says.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cortensor_router_testkit::proxy::{Faults, Way};
use cortensor_router_testkit::{Proxy, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that sends everything back.
async fn echo() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    address
}

/// A proxy with those faults in front of the server, and a connection to it.
async fn through(faults: Faults) -> (Proxy, TcpStream) {
    let proxy = Proxy::to(echo().await).await;
    proxy.set(faults);
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    (proxy, stream)
}

/// Sends the bytes, and reads as many.
async fn back(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).await.unwrap();
    let mut read = vec![0; bytes.len()];
    within(stream.read_exact(&mut read)).await.unwrap();
    read
}

/// Whether nothing arrives for a moment.
async fn is_silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn without_faults_bytes_pass_and_an_end_passes_one_way() {
    let (_proxy, mut stream) = through(Faults::default()).await;
    assert_eq!(back(&mut stream, b"hello").await, b"hello");
    stream.write_all(b"last").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    within(stream.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "last");
}

#[tokio::test]
async fn latency_delays_each_way_and_pieces_overlap() {
    let slow = Way::slow(Duration::from_millis(60), Duration::from_millis(20));
    let (_proxy, mut stream) = through(Faults::both(slow)).await;
    let asked = Instant::now();
    for piece in [b"a", b"b", b"c"] {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut read = [0; 3];
    within(stream.read_exact(&mut read)).await.unwrap();
    let took = asked.elapsed();
    assert_eq!(&read, b"abc");
    assert!(took >= Duration::from_millis(120), "{took:?}");
}

#[tokio::test]
async fn bandwidth_bounds_the_bytes_of_a_second() {
    let down = Way { bytes_per_sec: Some(20_000), ..Way::default() };
    let (_proxy, mut stream) = through(Faults { down, ..Faults::default() }).await;
    let asked = Instant::now();
    back(&mut stream, &[7; 4_000]).await;
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(180), "{took:?}");
}

#[tokio::test]
async fn slices_arrive_one_by_one_and_whole() {
    let down = Way { slice: Some(1), bytes_per_sec: Some(1_000), ..Way::default() };
    let (_proxy, mut stream) = through(Faults { down, ..Faults::default() }).await;
    stream.write_all(b"in small bits").await.unwrap();
    let (mut read, mut reads) = (Vec::new(), 0);
    while read.len() < 13 {
        within(stream.read_buf(&mut read)).await.unwrap();
        reads += 1;
    }
    assert_eq!(read, b"in small bits");
    assert!(reads > 3, "{reads} reads");
}

#[tokio::test]
async fn a_connection_is_reset_after_its_bytes() {
    let down = Way { reset_after: Some(4), ..Way::default() };
    let (_proxy, mut stream) = through(Faults { down, ..Faults::default() }).await;
    stream.write_all(b"too much").await.unwrap();
    let mut read = Vec::new();
    let error = within(stream.read_to_end(&mut read)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(b"too ".starts_with(&read), "{read:?}");
}

#[tokio::test]
async fn a_half_that_is_closed_leaves_the_other_half_open() {
    let down = Way { close_after: Some(2), ..Way::default() };
    let (_proxy, mut stream) = through(Faults { down, ..Faults::default() }).await;
    stream.write_all(b"hello").await.unwrap();
    let mut read = Vec::new();
    within(stream.read_to_end(&mut read)).await.unwrap();
    assert_eq!(read, b"he");
    stream.write_all(b"still taken").await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_held_one_way_pass_later() {
    let (proxy, mut stream) = through(Faults { down: Way::held(), ..Faults::default() }).await;
    stream.write_all(b"x").await.unwrap();
    assert!(is_silent(&mut stream).await);
    proxy.mend();
    assert_eq!(within(stream.read_u8()).await.unwrap(), b'x');
}

#[tokio::test]
async fn a_black_hole_takes_connections_and_answers_nothing() {
    let (proxy, mut stream) = through(Faults::black_hole()).await;
    stream.write_all(b"y").await.unwrap();
    assert!(is_silent(&mut stream).await);
    proxy.mend();
    assert_eq!(within(stream.read_u8()).await.unwrap(), b'y');
}

#[tokio::test]
async fn connections_are_refused_until_the_proxy_is_mended() {
    let (proxy, mut stream) = through(Faults::default()).await;
    back(&mut stream, b"before").await;
    proxy.set(Faults::refused());
    // Connections that the proxy had not taken yet end in other ways.
    within(async {
        let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
        while !TcpStream::connect(proxy.address).await.is_err_and(refused) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // A connection that was there before goes on.
    assert_eq!(back(&mut stream, b"old").await, b"old");
    proxy.mend();
    let mut stream = within(async {
        loop {
            match TcpStream::connect(proxy.address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(back(&mut stream, b"new").await, b"new");
}

#[tokio::test]
async fn connections_are_cut_and_new_ones_go_to_the_new_target() {
    let (proxy, mut stream) = through(Faults::default()).await;
    back(&mut stream, b"first").await;
    proxy.cut();
    assert!(within(stream.read_u8()).await.is_err());
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    proxy.aim(target.local_addr().unwrap());
    proxy.mend();
    let _new = TcpStream::connect(proxy.address).await.unwrap();
    within(target.accept()).await.unwrap();
}
