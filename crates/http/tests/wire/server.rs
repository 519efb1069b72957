//! A raw server that answers every request with the same bytes, and what asks it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use skyhaul_http::{Client, Fetch, FetchError, HttpConfig, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How the server leaves after its bytes.
#[derive(Clone, Copy)]
pub(crate) enum Leaves {
    /// Waits for the next request.
    Stays,
    /// Closes cleanly.
    Closes,
    /// Resets the connection.
    Resets,
}

/// A server that answers every request with the same bytes. Ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    /// The most connections that were open at once.
    pub(crate) most: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(answer: &'static [u8], leaves: Leaves) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let most = Arc::new(AtomicUsize::new(0));
        let open = Arc::clone(&most);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                open.fetch_max(connections.len() + 1, Ordering::Relaxed);
                connections.spawn(serve(stream, answer, leaves, Arc::clone(&seen)));
            }
        });
        Self { address, heads, most, _tasks: tasks }
    }

    pub(crate) fn request(&self) -> Request {
        request(self.address)
    }

    pub(crate) fn head(&self, index: usize) -> String {
        self.heads.lock().unwrap()[index].to_ascii_lowercase()
    }
}

async fn serve(mut stream: TcpStream, answer: &[u8], leaves: Leaves, seen: Arc<Mutex<Vec<String>>>) {
    while let Ok(head) = read_head(&mut stream).await {
        seen.lock().unwrap().push(head);
        if stream.write_all(answer).await.is_err() {
            return;
        }
        match leaves {
            Leaves::Stays => {}
            Leaves::Closes => return,
            Leaves::Resets => {
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }
}

pub(crate) async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

pub(crate) fn request(address: SocketAddr) -> Request {
    Request::get(format!("http://{address}/x").parse().unwrap())
}

pub(crate) fn client() -> Client {
    Client::new(HttpConfig::default()).unwrap()
}

pub(crate) async fn body_of(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(piece) = response.body.chunk().await? {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

pub(crate) async fn get(answer: &'static [u8], leaves: Leaves) -> Result<Vec<u8>, FetchError> {
    let server = Server::start(answer, leaves).await;
    body_of(client().fetch(server.request()).await?).await
}
