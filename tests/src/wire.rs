//! A client of a few lines, to fetch what a server serves without anything of ours in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::DEADLINE;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// Fetches an `http://` URL over a connection of its own.
///
/// # Panics
/// The server does not answer in time, or not in HTTP.
pub fn get(url: &str) -> Answer {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url} is no http URL"));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    try_get(host, &format!("/{path}")).unwrap_or_else(|error| panic!("cannot fetch {url}: {error}"))
}

fn try_get(host: &str, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
    }
    // The replica promises lengths and closes behind each answer that asks for it: the rest is the body.
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(Answer { status, body })
}
