//! A client that shows everything: one request per connection, the answer as it came, broken or not.

use serde_json::Value;
use skyhaul_replica::{Config, Faults, FileScale, Replica, RunningReplica};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A file of 60 in the hour that most tests look at.
pub(crate) const FILE: &str = "/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19/ut06/20220101_0630_gill_themis19_full.pgm.gz";

/// Another one.
pub(crate) const OTHER: &str = "/sort_by_project/THEMIS/asi/stream0/2022/01/01/gill_themis19/ut06/20220101_0631_gill_themis19_full.pgm.gz";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether all that Content-Length promised came.
    pub(crate) fn is_complete(&self) -> bool {
        self.header("content-length").and_then(|len| len.parse().ok()) == Some(self.body.len())
    }

    pub(crate) fn is_html(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Starts a replica of small files with these faults.
pub(crate) async fn start(faults: Faults) -> RunningReplica {
    let config = Config { file_scale: FileScale::Small, faults, ..Config::default() };
    Replica::start(config).await.unwrap()
}

/// A GET without further headers.
pub(crate) async fn get(replica: &RunningReplica, target: &str) -> Answer {
    request(replica, "GET", target, &[]).await
}

/// A GET of a range.
pub(crate) async fn get_range(replica: &RunningReplica, target: &str, range: &str) -> Answer {
    request(replica, "GET", target, &[("range", range)]).await
}

/// The API's answer to a GET.
pub(crate) async fn api(replica: &RunningReplica, target: &str) -> Answer {
    get(replica, &format!("/api/v1/data_distribution/{target}")).await
}

/// Any request, its answer read until the connection ends.
pub(crate) async fn request(
    replica: &RunningReplica,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut socket = send(replica, method, target, headers, "").await;
    let mut bytes = Vec::new();
    // A reset ends the reading too; what came before it counts.
    let _ = socket.read_to_end(&mut bytes).await;
    parse(&bytes)
}

/// Sends a request and leaves the reading to the caller.
pub(crate) async fn send(
    replica: &RunningReplica,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TcpStream {
    let address = replica.base_url().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

/// Takes an answer apart; one of no bytes has status 0.
pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Answer { status: 0, headers: Vec::new(), body: bytes.to_vec() };
    };
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}
