//! HTTP/2 on the wire: a few connections, ends that lose no request, and windows that fill a long path.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test does")]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, server};
use http::{Response, Version};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use skyhaul_http::{Client, Counters, Fetch, FetchError, HttpConfig, Request};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How the server treats its guests.
#[derive(Clone, Copy)]
enum Manner {
    /// Well.
    Serves,
    /// Says goodbye to a connection after so many requests (GOAWAY), and ends those in flight.
    SaysGoodbyeAfter(usize),
    /// Closes a connection without a word instead of answering its request of this number.
    VanishesAt(usize),
    /// Refuses every so many-th stream.
    RefusesEvery(usize),
    /// Allows so many streams at once.
    AllowsAtOnce(u32),
    /// Sends one body for ever.
    Floods,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// Open at this moment, and the most that ever were.
    open: AtomicUsize,
    most_open: AtomicUsize,
    goodbyes: AtomicUsize,
    requests: AtomicUsize,
    /// Bytes of endless bodies that there was a window for.
    flooded: AtomicUsize,
}

/// Ends when dropped.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

const BODY: &[u8] = &[7; 10_000];

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls()));
        let seen = Arc::<Seen>::default();
        let counted = Arc::clone(&seen);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                counted.connections.fetch_add(1, Ordering::Relaxed);
                let open = counted.open.fetch_add(1, Ordering::Relaxed) + 1;
                counted.most_open.fetch_max(open, Ordering::Relaxed);
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                connections.spawn(async move {
                    serve(socket, acceptor, manner, Arc::clone(&counted)).await;
                    counted.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    fn request(&self) -> Request {
        Request::get(format!("https://{}/x", self.address).parse().unwrap())
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, manner: Manner, seen: Arc<Seen>) {
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let mut builder = server::Builder::new();
    if let Manner::AllowsAtOnce(streams) = manner {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let mut floods = JoinSet::new();
    let mut count = 0;
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        count += 1;
        let number = seen.requests.fetch_add(1, Ordering::Relaxed) + 1;
        match manner {
            Manner::VanishesAt(last) if count == last => return,
            Manner::RefusesEvery(nth) if number.is_multiple_of(nth) => {
                respond.send_reset(Reason::REFUSED_STREAM);
            }
            Manner::Floods => drop(floods.spawn(flood(respond, Arc::clone(&seen)))),
            // Answers without a body cannot be cut in the middle.
            Manner::VanishesAt(_) => drop(respond.send_response(Response::new(()), true)),
            _ => {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(BODY), true).unwrap();
            }
        }
        if matches!(manner, Manner::SaysGoodbyeAfter(last) if count == last) {
            seen.goodbyes.fetch_add(1, Ordering::Relaxed);
            connection.graceful_shutdown();
        }
    }
}

/// Sends as long as there is a window.
async fn flood(mut respond: SendResponse<Bytes>, seen: Arc<Seen>) {
    const PIECE: usize = 64 << 10;
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    loop {
        body.reserve_capacity(PIECE);
        let Some(Ok(window)) = poll_fn(|context| body.poll_capacity(context)).await else { return };
        let piece = window.min(PIECE);
        if body.send_data(Bytes::from(vec![0; piece]), false).is_err() {
            return;
        }
        seen.flooded.fetch_add(piece, Ordering::Relaxed);
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tls() -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain =
        CertificateDer::pem_file_iter(fixture("server.pem")).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn client(config: HttpConfig) -> Client {
    Client::new(HttpConfig { cacert: Some(fixture("ca.pem")), ..config }).unwrap()
}

async fn whole(client: &Client, request: Request) -> Result<(Version, usize), FetchError> {
    let mut response = client.fetch(request).await?;
    let mut length = 0;
    while let Some(piece) = response.body.chunk().await? {
        length += piece.len();
    }
    Ok((response.version, length))
}

/// Asks so many times, thirty at once, for bodies of this length; none may be lost.
async fn ask(manner: Manner, count: usize, length: usize) -> (Counters, Arc<Seen>) {
    let server = Server::start(manner).await;
    // Too few for a pool of HTTP/1.1 to be worth a trial, however slow the machine is.
    let client = client(HttpConfig { connections: 8, ..HttpConfig::default() });
    let mut tasks = JoinSet::new();
    for _ in 0..30 {
        let (client, request) = (client.clone(), server.request());
        tasks.spawn(async move {
            for _ in 0..count / 30 {
                let answer = whole(&client, request.clone()).await;
                assert_eq!(answer.unwrap(), (Version::HTTP_2, length));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    (client.counters(), Arc::clone(&server.seen))
}

fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_a_few_connections_and_never_one() {
    let (counters, seen) = ask(Manner::Serves, 600, BODY.len()).await;
    let requests = count(&seen.requests);
    assert_eq!((counters.requests, requests, counters.bytes_received), (600, 600, 600 * BODY.len() as u64));
    assert!((2..=4).contains(&counters.connections), "{counters:?}");
    assert!(count(&seen.most_open) <= 8, "{} at once", count(&seen.most_open));
    // Where the first answer takes long, others are opened meanwhile, left when it has come, and now and then replaced.
    assert!(count(&seen.connections) <= 2 * 8, "{}", count(&seen.connections));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_loses_no_request() {
    let (counters, seen) = ask(Manner::SaysGoodbyeAfter(20), 600, BODY.len()).await;
    assert!(counters.connections > 10, "{counters:?}");
    // Each is replaced by one, not by one for each request that it leaves behind.
    let (opened, ended) = (count(&seen.connections), count(&seen.goodbyes));
    assert!(opened <= ended * 2 + 8, "{opened} for {ended} that ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_vanishes_costs_its_unanswered_requests_nothing() {
    let (counters, _) = ask(Manner::VanishesAt(100), 600, 0).await;
    assert!(counters.replays > 0 && counters.connections > 4, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_streams_are_asked_for_again() {
    let (counters, seen) = ask(Manner::RefusesEvery(40), 600, BODY.len()).await;
    let seen = count(&seen.requests);
    assert!(seen > 600, "{seen}");
    assert_eq!((counters.requests, counters.replays), (seen as u64, seen as u64 - 600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_few_streams_is_waited_for() {
    let (counters, seen) = ask(Manner::AllowsAtOnce(2), 600, BODY.len()).await;
    assert_eq!(count(&seen.requests), 600, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_body_may_be_far_ahead_of_its_reader_but_not_without_end() {
    const WINDOW: usize = 16 << 20;
    let server = Server::start(Manner::Floods).await;
    let client = client(HttpConfig::default());
    let held = client.fetch(server.request()).await.unwrap();
    let full = async {
        while server.seen.flooded.load(Ordering::Relaxed) < WINDOW {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), full).await.unwrap();
    assert_eq!(server.seen.flooded.load(Ordering::Relaxed), WINDOW);
    drop(held);
}
