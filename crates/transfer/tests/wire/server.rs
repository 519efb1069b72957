//! A server that writes raw bytes, one to twenty at a time.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How the server leaves after its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Waits for the next request.
    Stays,
    /// Closes cleanly.
    Closes,
    /// Resets the connection.
    Resets,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// The path without its first slash.
    pub(super) path: String,
    /// How often the path had been asked for before.
    pub(super) times: usize,
    head: String,
}

/// What is answered: all of it, head and framing included.
#[derive(Clone, Debug)]
pub(super) struct Says {
    pub(super) bytes: Vec<u8>,
    pub(super) leaves: Leaves,
}

/// A server that answers as its function says. Ends when dropped.
pub(super) struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

type Teller = Box<dyn Fn(&Asked) -> Says + Send + Sync>;

impl Asked {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The first byte that is wanted, where a Range says so.
    pub(super) fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

impl Says {
    /// An answer with a head of these lines.
    pub(super) fn with(head: &str, body: &[u8], leaves: Leaves) -> Self {
        let bytes = [head.replace('\n', "\r\n").as_bytes(), b"\r\n\r\n", body].concat();
        Self { bytes, leaves }
    }

    /// What a server in good order answers that has `bytes` with these validators.
    pub(super) fn honest(asked: &Asked, bytes: &[u8], validators: &str, strong: Option<&str>) -> Self {
        let applies = |name: &str| asked.header(name).is_none_or(|told| strong == Some(told));
        if !applies("if-match") {
            return Self::with("HTTP/1.1 412 No\ncontent-length: 0", b"", Leaves::Stays);
        }
        let all = bytes.len();
        let (head, body) = match asked.from().filter(|_| applies("if-range")) {
            Some(from) if from >= all => {
                (format!("HTTP/1.1 416 No\ncontent-length: 0\ncontent-range: bytes */{all}"), &bytes[..0])
            }
            Some(from) => {
                let range = format!("content-range: bytes {from}-{}/{all}", all - 1);
                (format!("HTTP/1.1 206 Part\ncontent-length: {}\n{range}", all - from), &bytes[from..])
            }
            None => (format!("HTTP/1.1 200 OK\ncontent-length: {all}"), bytes),
        };
        Self::with(&format!("{head}{validators}"), body, Leaves::Stays)
    }
}

impl Server {
    pub(super) async fn start(teller: impl Fn(&Asked) -> Says + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let teller: Arc<Teller> = Arc::new(Box::new(teller));
        let times = Arc::new(Mutex::new(HashMap::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while conversations.try_join_next().is_some() {}
                let (teller, times) = (Arc::clone(&teller), Arc::clone(&times));
                // A client that leaves is no failure of the server's.
                conversations.spawn(async move { drop(converse(stream, &teller, &times).await) });
            }
        });
        Self { address, _tasks: tasks }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn converse(
    mut stream: TcpStream,
    teller: &Teller,
    times: &Mutex<HashMap<String, usize>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let head = read_head(&mut stream).await?;
        let path = head.split(' ').nth(1).unwrap_or("").trim_start_matches('/').to_owned();
        let times = {
            let mut times = times.lock().unwrap();
            let count = times.entry(path.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let Says { bytes, leaves } = teller(&Asked { path, times, head });
        let mut left = bytes.as_slice();
        let mut size = bytes.len();
        while !left.is_empty() {
            // Any sequence does that visits all sizes.
            size = (size * 7 + 3) % 20;
            let (piece, rest) = left.split_at(left.len().min(size + 1));
            stream.write_all(piece).await?;
            tokio::task::yield_now().await;
            left = rest;
        }
        match leaves {
            Leaves::Stays => {}
            Leaves::Closes => return stream.shutdown().await,
            Leaves::Resets => return stream.set_zero_linger(),
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
