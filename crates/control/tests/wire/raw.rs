//! Requests written by hand, for what our own client never sends.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::stage::Stage;

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["code"].as_str().unwrap().to_owned()
    }
}

/// Connects to where `engine.json` says.
pub(crate) async fn connect(stage: &Stage) -> Box<dyn Duplex> {
    let told = stage.told();
    match told["socket"].as_str() {
        Some(socket) => Box::new(UnixStream::connect(socket).await.unwrap()),
        None => Box::new(TcpStream::connect(told["tcp"].as_str().unwrap()).await.unwrap()),
    }
}

/// The header that proves knowledge of the token.
pub(crate) fn proof(stage: &Stage) -> String {
    format!("Authorization: Bearer {}", stage.told()["token"].as_str().unwrap())
}

/// Asks with these header lines and no others.
pub(crate) async fn ask(stage: &Stage, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut stream = connect(stage).await;
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers {
        text = format!("{text}{header}\r\n");
    }
    if !body.is_empty() {
        text = format!("{text}Content-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
    answer(&mut *stream).await
}

/// Asks as our own client would.
pub(crate) async fn ask_properly(stage: &Stage, line: &str, body: &str) -> Answer {
    ask(stage, line, &["Host: skyhaul", &proof(stage)], body).await
}

/// Reads to the end of the connection.
pub(crate) async fn answer(stream: &mut dyn Duplex) -> Answer {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
