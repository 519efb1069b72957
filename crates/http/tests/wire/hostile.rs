//! Servers that mean harm, or might as well: each ends in an error of ours, in bounded time and memory.

use std::time::Duration;

use skyhaul_http::{Fetch, FetchError, Request};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::server::{Leaves, body_of, client, get, read_head, request};

/// The stall limit of the requests here, the shortest there is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What comes of a request to a server that sends `first`, and then `again` for ever, with a pause between.
async fn flooded(
    first: &'static [u8],
    again: &'static [u8],
    pause: Duration,
) -> (Result<Vec<u8>, FetchError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = Request { stall: PATIENCE, ..request(listener.local_addr().unwrap()) };
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        flood(stream, first, again, pause).await
    });
    let outcome = match client().fetch(request).await {
        Ok(response) => body_of(response).await,
        Err(error) => Err(error),
    };
    (outcome, server.join_next().await.unwrap().unwrap())
}

/// Sends until nobody listens; gives how many bytes went out.
async fn flood(mut stream: TcpStream, first: &[u8], again: &[u8], pause: Duration) -> usize {
    read_head(&mut stream).await.unwrap();
    let mut sent = first.len();
    stream.write_all(first).await.unwrap();
    while stream.write_all(again).await.is_ok() {
        sent += again.len();
        if pause > Duration::ZERO {
            tokio::time::sleep(pause).await;
        }
    }
    sent
}

#[tokio::test]
async fn heads_without_end_are_cut_off() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let table: [(&[u8], &[u8]); 4] = [
        (HEAD, b"x-a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-a: ", &[b'a'; 4096]),
        (b"HTTP/1.1 200 ", &[b'O'; 4096]),
        (HEAD, &[b'a'; 4096]),
    ];
    for (first, again) in table {
        let (outcome, sent) = flooded(first, again, Duration::ZERO).await;
        let what = String::from_utf8_lossy(first);
        assert!(matches!(outcome, Err(FetchError::Protocol { .. })), "{what}: {outcome:?}");
        // What was read, and what the kernel took on both sides.
        assert!(sent < 32 << 20, "{what}: {sent}");
    }
}

#[tokio::test]
async fn what_comes_before_a_head_does_not_come_for_ever() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let (outcome, _) = flooded(hints, hints, Duration::ZERO).await;
    assert!(matches!(outcome, Err(FetchError::Stall { .. } | FetchError::Protocol { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_head_that_drips_has_a_deadline() {
    for again in [&b"x"[..], b"x: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let first = if again[0] == b'H' { again } else { b"HTTP/1.1 200 OK\r\n" };
        let (outcome, _) = flooded(first, again, Duration::from_millis(20)).await;
        assert!(matches!(outcome, Err(FetchError::Stall { .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn chunks_that_make_no_sense_are_never_a_body() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for chunks in [
        "ffffffffffffffffff\r\nhello",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nnot a trailer\r\n\r\n",
    ] {
        let answer: &'static str = format!("{HEAD}{chunks}").leak();
        let outcome = get(answer.as_bytes(), Leaves::Closes).await;
        let honest = matches!(outcome, Err(FetchError::Protocol { .. } | FetchError::Truncated { .. }));
        assert!(honest, "{chunks:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_a_chunk_carries_beside_its_bytes_is_bounded() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1";
    let table: [(&[u8], &[u8]); 3] = [
        (HEAD, &[b';'; 4096]),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-a: bbbbbbbbbbbbbbbbbbbbbbbb\r\n"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-a: ", &[b'a'; 4096]),
    ];
    for (first, again) in table {
        let (outcome, sent) = flooded(first, again, Duration::ZERO).await;
        assert!(outcome.is_err(), "{outcome:?}");
        assert!(sent < 32 << 20, "{sent}");
    }
}
