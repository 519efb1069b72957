//! HTTP as it is written on the wire, so that a test can say anything: foreign hosts, foreign origins, other
//! engines' cookies.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::Value;
use skyhaul_tests::DEADLINE;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A question to a port of this machine. `Host` and what else there is must be said.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) port: u16,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: String,
}

impl<'a> Question<'a> {
    pub(crate) fn get(port: u16, path: &'a str) -> Self {
        Self {
            port,
            method: "GET",
            path,
            headers: vec![("Host", format!("127.0.0.1:{port}"))],
            body: String::new(),
        }
    }

    /// The same with another header.
    pub(crate) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name, value.into()));
        self
    }

    /// The same as another method, with a body.
    pub(crate) fn sent_as(mut self, method: &'a str, body: &str) -> Self {
        (self.method, self.body) = (method, body.to_owned());
        self
    }

    /// Asks over a connection of its own.
    pub(crate) fn ask(&self) -> Answer {
        self.try_ask().unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }

    pub(crate) fn try_ask(&self) -> std::io::Result<Answer> {
        read(BufReader::new(self.send()?))
    }

    /// Asks for events, and counts them as they come.
    pub(crate) fn follow(&self) -> Following {
        Following::read(self.send().unwrap_or_else(|error| panic!("{}: {error}", self.path)))
    }

    fn send(&self) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        write!(stream, "{head}Content-Length: {}\r\n\r\n{}", self.body.len(), self.body)?;
        Ok(stream)
    }
}

/// A stream of events that is read by a thread for as long as this lives.
pub(crate) struct Following {
    stream: TcpStream,
    told: Arc<(AtomicU64, AtomicU64)>,
    reader: Option<JoinHandle<()>>,
}

impl Following {
    fn read(stream: TcpStream) -> Self {
        let told = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let (lines, counted) = (BufReader::new(stream.try_clone().unwrap()), Arc::clone(&told));
        let reader = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                counted.0.fetch_add(line.starts_with("data:").into(), Ordering::Relaxed);
                counted.1.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
            }
        });
        Self { stream, told, reader: Some(reader) }
    }

    /// How many events have come, and how many bytes.
    pub(crate) fn told(&self) -> (u64, u64) {
        (self.told.0.load(Ordering::Relaxed), self.told.1.load(Ordering::Relaxed))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }
}

/// Reads an answer of a stated length.
fn read(mut reader: impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
