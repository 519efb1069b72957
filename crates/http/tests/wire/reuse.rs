//! Connections: how many there are, how often they serve, and what their ends cost.

use std::sync::atomic::Ordering;

use http::Method;
use skyhaul_http::{Client, Fetch, FetchError, HttpConfig, Request};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::server::{Leaves, Server, body_of, client, read_head, request};

#[tokio::test]
async fn connections_are_used_again_and_counted() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", Leaves::Stays).await;
    let client = client();
    for _ in 0..5 {
        body_of(client.fetch(server.request()).await.unwrap()).await.unwrap();
    }
    let counters = client.counters();
    assert_eq!((counters.requests, counters.bytes_received, counters.connections), (5, 25, 1));
}

#[tokio::test]
async fn no_more_connections_than_allowed_whether_bodies_are_read_or_dropped() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", Leaves::Stays).await;
    let client = Client::new(HttpConfig { connections: 4, ..HttpConfig::default() }).unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..12 {
        let (client, request) = (client.clone(), server.request());
        tasks.spawn(async move {
            for _ in 0..20 {
                let response = client.fetch(request.clone()).await.unwrap();
                if number % 2 == 0 {
                    body_of(response).await.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(client.counters().requests, 240);
    assert!(client.counters().connections <= 4, "{:?}", client.counters());
}

#[tokio::test]
async fn a_long_body_that_is_dropped_closes_its_connection_first() {
    let server =
        Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\nhello", Leaves::Stays).await;
    let client = Client::new(HttpConfig { connections: 1, ..HttpConfig::default() }).unwrap();
    for _ in 0..5 {
        drop(client.fetch(server.request()).await.unwrap());
    }
    assert_eq!(client.counters().connections, 5);
    assert_eq!(server.most.load(Ordering::Relaxed), 1);
}

/// Answers the first request of each connection, and ends it in this way when the second one comes.
async fn serve_one_each(listener: TcpListener, leaves: Leaves) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            let second = read_head(&mut stream).await;
            if second.is_ok() && matches!(leaves, Leaves::Resets) {
                let _ = stream.set_zero_linger();
            }
        });
    }
}

#[tokio::test]
async fn a_request_that_meets_the_end_of_an_idle_connection_is_sent_again() {
    for leaves in [Leaves::Closes, Leaves::Resets] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_one_each(listener, leaves));
        let client = client();
        for _ in 0..5 {
            assert_eq!(body_of(client.fetch(request(address)).await.unwrap()).await.unwrap(), b"ok");
        }
        let counters = client.counters();
        assert_eq!((counters.requests, counters.replays, counters.connections), (9, 4, 5));
    }
}

#[tokio::test]
async fn what_may_change_something_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_one_each(listener, Leaves::Closes));
    let client = client();
    body_of(client.fetch(request(address)).await.unwrap()).await.unwrap();
    let post = Request { method: Method::POST, ..request(address) };
    let error = client.fetch(post).await.unwrap_err();
    assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
    assert_eq!(client.counters().replays, 0);
}

#[tokio::test]
async fn hosts_are_counted_apart() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let (one, other) =
        (Server::start(answer, Leaves::Stays).await, Server::start(answer, Leaves::Stays).await);
    let client = client();
    for server in [&one, &one, &other] {
        body_of(client.fetch(server.request()).await.unwrap()).await.unwrap();
    }
    let counted = |server: &Server| {
        let name = server.address.to_string();
        client.hosts().into_iter().find(|host| host.host == name).unwrap().counters
    };
    assert_eq!((counted(&one).requests, counted(&one).answers, counted(&one).connections), (2, 2, 1));
    assert_eq!((counted(&other).requests, counted(&other).bytes_received), (1, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_short_answers_open_no_connection_too_many() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Leaves::Stays).await;
    let client = Client::new(HttpConfig { connections: 3, ..HttpConfig::default() }).unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (client, request) = (client.clone(), server.request());
        tasks.spawn(async move {
            for _ in 0..100 {
                body_of(client.fetch(request.clone()).await.unwrap()).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert!(server.most.load(Ordering::Relaxed) <= 3, "{:?}", client.counters());
    assert!(client.counters().connections <= 3, "{:?}", client.counters());
}

#[tokio::test]
async fn connections_that_the_server_closed_are_replaced() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for answer in [&answer[..], b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"] {
        let server = Server::start(answer, Leaves::Closes).await;
        let client = Client::new(HttpConfig { connections: 1, ..HttpConfig::default() }).unwrap();
        for _ in 0..3 {
            assert_eq!(body_of(client.fetch(server.request()).await.unwrap()).await.unwrap(), b"ok");
        }
        assert_eq!(client.counters().connections, 3);
    }
}
