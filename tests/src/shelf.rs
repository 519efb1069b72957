//! A server of a few lines whose answers a test writes itself, for what the replica never does: odd paths,
//! redirects to elsewhere, listings that lie.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// What it is told.
#[derive(Clone, Debug)]
pub struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// What is sent in place of all that.
    raw: Option<Vec<u8>>,
}

/// A server that answers each request with what its function says, and remembers what was asked.
#[derive(Debug)]
pub struct Shelf {
    base: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

type Librarian = Box<dyn Fn(&Asked) -> Page + Send + Sync>;

struct Shared {
    librarian: Librarian,
    asked: Mutex<Vec<Asked>>,
    closing: AtomicBool,
}

impl Asked {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Page {
    /// A file's bytes, or any other good answer.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), raw: None }
    }

    /// An answer with a status and no body worth reading.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"no".to_vec(), raw: None }
    }

    /// These bytes and nothing else, head and framing included or not, before the connection is closed.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::status(0) }
    }

    /// The same with another body.
    #[must_use]
    pub fn saying(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Shelf {
    /// Opens at a free port; `librarian` answers.
    ///
    /// # Panics
    /// No port is free.
    pub fn open(librarian: impl Fn(&Asked) -> Page + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let base = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let librarian: Librarian = Box::new(librarian);
        let shared = Arc::new(Shared { librarian, asked: Mutex::default(), closing: AtomicBool::new(false) });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self { base, shared, accepting: Some(accepting) }
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its host and port.
    pub fn host(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the accept loop; if it is gone already, so much the better.
        let _ = TcpStream::connect(self.host());
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Shared {
    /// A thread a connection, so that one which asks nothing holds up no other; all are joined at the end.
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut conversations = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            if self.closing.load(Ordering::SeqCst) {
                break;
            }
            let shared = Arc::clone(&self);
            conversations.push(std::thread::spawn(move || drop(shared.converse(stream))));
        }
        for conversation in conversations {
            let _ = conversation.join();
        }
    }

    /// One request and its answer; then the connection closes.
    fn converse(&self, mut stream: TcpStream) -> std::io::Result<()> {
        // A connection that never asks must not keep the server open for ever.
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let Some(asked) = read_request(&mut BufReader::new(&stream))? else { return Ok(()) };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
        let page = (self.librarian)(&asked);
        if let Some(bytes) = &page.raw {
            stream.write_all(bytes)?;
            return leave(stream);
        }
        let mut head = format!("HTTP/1.1 {} Said\r\nContent-Length: {}\r\n", page.status, page.body.len());
        for (name, value) in &page.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        if asked.method != "HEAD" {
            stream.write_all(&page.body)?;
        }
        leave(stream)
    }
}

fn leave(mut stream: TcpStream) -> std::io::Result<()> {
    stream.shutdown(std::net::Shutdown::Write)?;
    // The client's own end is awaited, so that no byte of the answer is lost to a reset.
    let mut rest = [0; 256];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(Asked { method, target, headers }));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::get;

    #[test]
    fn answers_are_what_the_librarian_says_and_questions_are_remembered() {
        let shelf = Shelf::open(|asked| match asked.path() {
            "/here" => Page::ok(asked.target.clone()).with("X-Said", "yes"),
            _ => Page::status(404),
        });
        let here = get(&format!("{}/here?x=1", shelf.base()));
        assert_eq!((here.status, here.body), (200, b"/here?x=1".to_vec()));
        assert_eq!(get(&format!("{}/there", shelf.base())).status, 404);
        let asked = shelf.asked();
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].header("host"), Some(shelf.host()));
    }
}
