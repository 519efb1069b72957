//! The client against raw sockets: what comes over the wire is either whole or an honest error.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

mod hostile;
mod reuse;
mod server;

use http::{HeaderValue, Method, StatusCode, Version};
use server::{Leaves, Server, body_of, client, get, request};
use skyhaul_http::{Fetch, FetchError, Request};
use tokio::net::TcpListener;

/// An answer, how the server leaves, and the body that must come.
type Row = (&'static [u8], Leaves, &'static [u8]);

#[tokio::test]
async fn whole_bodies_come_whole() {
    let table: [Row; 6] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", Leaves::Stays, b"hello"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Leaves::Stays, b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello", Leaves::Stays, b"hello"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Leaves::Stays,
            b"hello",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", Leaves::Closes, b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Leaves::Stays, b""),
    ];
    for (answer, leaves, body) in table {
        assert_eq!(get(answer, leaves).await.unwrap(), body, "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn chunks_win_over_a_length_beside_them() {
    let answer =
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let server = Server::start(answer, Leaves::Closes).await;
    let response = client().fetch(server.request()).await.unwrap();
    assert!(!response.headers.contains_key("content-length"));
    assert_eq!(body_of(response).await.unwrap(), b"hello");
}

#[tokio::test]
async fn fields_behind_the_content_are_told_at_its_end() {
    let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nRepr-Digest: md5=:AAAA:\r\nx: y\r\n\r\n";
    let server = Server::start(answer, Leaves::Stays).await;
    let mut body = client().fetch(server.request()).await.unwrap().body;
    assert_eq!(body.chunk().await.unwrap().as_deref(), Some(b"hello".as_slice()));
    assert!(body.take_trailers().is_empty(), "before the end there are none");
    assert_eq!(body.chunk().await.unwrap(), None);
    let trailers = body.take_trailers();
    assert_eq!((trailers["repr-digest"].to_str().unwrap(), trailers.len()), ("md5=:AAAA:", 2));
}

#[tokio::test]
async fn bodies_that_end_too_early_are_truncated_never_whole() {
    let table: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ];
    for answer in table {
        let text = String::from_utf8_lossy(answer);
        let outcome = get(answer, Leaves::Closes).await;
        assert!(matches!(outcome, Err(FetchError::Truncated { .. })), "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_failed_body_stays_failed() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", Leaves::Closes).await;
    let mut body = client().fetch(server.request()).await.unwrap().body;
    while body.chunk().await.is_ok_and(|piece| piece.is_some()) {}
    assert!(body.chunk().await.is_err());
}

#[tokio::test]
async fn a_reset_is_a_broken_connection() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"",
    ] {
        let outcome = get(answer, Leaves::Resets).await;
        assert!(matches!(outcome, Err(FetchError::Broken { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_close_before_the_head_is_a_broken_connection() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-le"] {
        let outcome = get(answer, Leaves::Closes).await;
        assert!(matches!(outcome, Err(FetchError::Broken { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn nonsense_breaks_the_protocol() {
    let table: [&[u8]; 8] = [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    ];
    for answer in table {
        let text = String::from_utf8_lossy(answer);
        let outcome = get(answer, Leaves::Closes).await;
        assert!(matches!(outcome, Err(FetchError::Protocol { .. })), "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_refused_port_is_a_failure_to_connect() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client().fetch(request(address)).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { answered_before: false, .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot connect to {address}"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_failure_to_connect() {
    let error =
        client().fetch(Request::get("http://no-such-host.invalid/".parse().unwrap())).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { answered_before: false, .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_that_had_answered_and_is_gone_is_away() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Leaves::Closes).await;
    let (client, request) = (client(), server.request());
    client.fetch(request.clone()).await.unwrap();
    drop(server);
    // The first may still meet the dying connection; the gate counts only refusals.
    let error = loop {
        match client.fetch(request.clone()).await {
            Err(error @ FetchError::Connect { .. }) => break error,
            Err(FetchError::Broken { .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(error.is_outage(), "{error:?}");
    assert!(client.hosts()[0].closed.is_some());
}

#[tokio::test]
async fn a_host_may_be_marked_as_having_answered() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (client, request) = (client(), request(address));
    client.mark_answered(&request.url);
    assert!(client.fetch(request).await.unwrap_err().is_outage());
}

#[tokio::test]
async fn requests_are_honest_and_ask_for_no_coding() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Leaves::Stays).await;
    let mut request = server.request();
    request.headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    request.headers.insert("range", HeaderValue::from_static("bytes=5-"));
    request.secret_headers.insert("x-key", HeaderValue::from_static("k"));
    client().fetch(request).await.unwrap();
    let head = server.head(0);
    let agent = format!(
        "user-agent: skyhaul/{} (+https://github.com/skyhaul/skyhaul)\r\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(head.contains(&agent), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n") && !head.contains("gzip"), "{head}");
    assert!(head.contains("range: bytes=5-\r\n") && head.contains("x-key: k\r\n"), "{head}");
}

#[tokio::test]
async fn a_coded_body_is_given_as_it_came() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\n\x1f\x8b\x08oo";
    let server = Server::start(answer, Leaves::Stays).await;
    let response = client().fetch(server.request()).await.unwrap();
    assert_eq!(response.headers["content-encoding"], "gzip");
    assert_eq!(body_of(response).await.unwrap(), b"\x1f\x8b\x08oo");
}

#[tokio::test]
async fn the_length_that_head_tells_is_no_promise() {
    let server = Server::start(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", Leaves::Stays).await;
    let request = Request { method: Method::HEAD, ..server.request() };
    let response = client().fetch(request).await.unwrap();
    assert_eq!((response.status, response.version), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(response.headers["content-length"], "99");
    assert_eq!(body_of(response).await.unwrap(), b"");
}

#[tokio::test]
async fn a_redirect_without_a_place_is_refused_and_a_loop_ends() {
    for (answer, requests) in [
        (&b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"[..], 1),
        (b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", 11),
    ] {
        let server = Server::start(answer, Leaves::Stays).await;
        let client = client();
        let error = client.fetch(server.request()).await.unwrap_err();
        assert!(matches!(error, FetchError::Redirect { .. }), "{error:?}");
        assert_eq!(client.counters().requests, requests);
    }
}
