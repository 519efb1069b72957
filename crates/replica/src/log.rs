//! The request log: a record per request, kept in memory and appended to a file when the answer has ended.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// When the request came, RFC 3339 with milliseconds.
    pub t: String,
    /// The method.
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The query, without the question mark.
    pub query: Option<String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// The `If-Range` header.
    pub if_range: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The status of the answer; 0 if the client left before there was one.
    pub status: u16,
    /// How many bytes of the body were handed to the socket.
    pub sent: u64,
    /// How many bytes of the body were promised.
    pub promised: u64,
    /// Whether the whole answer was handed to the socket.
    pub complete: bool,
    /// The number of the connection, from 1.
    pub conn: u64,
    /// From the request to the end of the answer.
    pub elapsed_ms: u64,
}

/// All requests so far, the oldest forgotten when there are too many.
#[derive(Debug)]
pub(crate) struct RequestLog {
    journal: Mutex<Journal>,
    /// How many records are in memory, for those who wait for one.
    count: watch::Receiver<usize>,
}

/// The log while one has hold of it.
#[derive(Debug)]
pub(crate) struct Journal {
    records: VecDeque<RequestRecord>,
    records_max: usize,
    file: Option<File>,
    count: watch::Sender<usize>,
}

impl RequestLog {
    /// A log that keeps `records_max` records in memory and all of them in the file, if there is to be one.
    pub(crate) fn open(path: Option<&Path>, records_max: usize) -> io::Result<Self> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        let file = path.map(open).transpose()?;
        let (sender, count) = watch::channel(0);
        let journal = Journal { records: VecDeque::new(), records_max, file, count: sender };
        Ok(Self { journal: Mutex::new(journal), count })
    }

    /// Takes hold of the log; nobody sees it until that is let go.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the records in memory, in the order in which the answers ended.
    pub(crate) fn snapshot(&self) -> Vec<RequestRecord> {
        self.lock().records.iter().cloned().collect()
    }

    /// Waits until there are at least `count` records in memory.
    pub(crate) async fn reaches(&self, count: usize) {
        // The sender lives in the journal beside this receiver, so the wait ends only when the count is reached.
        let _ = self.count.clone().wait_for(|known| *known >= count).await;
    }

    /// Forgets the records in memory.
    pub(crate) fn clear(&self) {
        let mut journal = self.lock();
        journal.records.clear();
        journal.count.send_replace(0);
    }
}

impl Journal {
    /// Adds a record.
    pub(crate) fn append(&mut self, record: RequestRecord) {
        if let (Some(file), Ok(mut line)) = (&mut self.file, serde_json::to_vec(&record)) {
            line.push(b'\n');
            // One write a line, so that lines never mix; a full disk must not stop the server.
            let _ = file.write_all(&line);
        }
        self.records.push_back(record);
        if self.records.len() > self.records_max {
            self.records.pop_front();
        }
        self.count.send_replace(self.records.len());
    }
}
