//! Counting what really goes into the socket.
//!
//! The HTTP library buffers, so what a body has handed out is not what was sent. The meter sits between it and
//! the socket: it finds the end of each answer's head in the written bytes and counts the body from there. A
//! request's record is written when the last promised byte was accepted by the socket, or when the connection ends.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::CutStyle;
use crate::log::{RequestLog, RequestRecord};

/// One connection, as its requests see it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) peer: IpAddr,
    log: Arc<RequestLog>,
    state: Mutex<State>,
    progress: Notify,
}

#[derive(Debug, Default)]
struct State {
    exchange: Option<Exchange>,
    reset: bool,
}

/// The request in hand.
#[derive(Debug)]
struct Exchange {
    record: RequestRecord,
    begun: Instant,
    head: Head,
}

/// How much of the answer's head was written.
#[derive(Debug)]
enum Head {
    /// There is no answer yet.
    Awaited,
    /// So many bytes of the empty line that ends it were seen last.
    Writing(usize),
    /// All of it.
    Written,
}

impl Connection {
    /// A connection without a request.
    pub(crate) fn new(number: u64, peer: IpAddr, log: Arc<RequestLog>) -> Self {
        Self { number, peer, log, state: Mutex::default(), progress: Notify::new() }
    }

    /// A request has come.
    pub(crate) fn begin(&self, record: RequestRecord) {
        let exchange = Exchange { record, begun: Instant::now(), head: Head::Awaited };
        let earlier = self.lock().exchange.replace(exchange);
        // Only a client that sends its next request ahead of the answer leaves one behind here.
        self.finish(earlier);
    }

    /// The answer is known and about to be written.
    pub(crate) fn answer(&self, status: u16, promised: u64) {
        if let Some(exchange) = &mut self.lock().exchange {
            exchange.record.status = status;
            exchange.record.promised = promised;
            exchange.head = Head::Writing(0);
        }
    }

    /// Waits until the head and `bytes` of the body went into the socket.
    pub(crate) async fn sent(&self, bytes: u64) {
        loop {
            // The waiting is announced before the look, so that no progress between them is missed.
            let progress = self.progress.notified();
            if self.lock().exchange.as_ref().is_none_or(|exchange| exchange.has_sent(bytes)) {
                return;
            }
            progress.await;
        }
    }

    /// Chooses how the connection will end.
    pub(crate) fn end_by(&self, style: CutStyle) {
        self.lock().reset = style == CutStyle::Reset;
    }

    /// Writes the record of a request whose answer did not end.
    fn finish(&self, exchange: Option<Exchange>) {
        if let Some(exchange) = exchange {
            self.log.lock().append(exchange.closed());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Whether writing `len` more bytes could be the last of the answer.
    fn could_end_with(&self, len: usize) -> bool {
        match self.head {
            Head::Awaited => false,
            Head::Writing(_) | Head::Written => self.record.sent + len as u64 >= self.record.promised,
        }
    }

    /// Takes note of written bytes.
    fn note(&mut self, bytes: &[u8]) {
        let body = match &mut self.head {
            Head::Awaited => return,
            Head::Written => bytes.len(),
            Head::Writing(seen) => match end_of_head(bytes, seen) {
                Some(end) => {
                    self.head = Head::Written;
                    bytes.len() - end
                }
                None => return,
            },
        };
        // More than was promised can only belong to a next answer.
        self.record.sent = (self.record.sent + body as u64).min(self.record.promised);
    }

    fn has_sent(&self, bytes: u64) -> bool {
        matches!(self.head, Head::Written) && self.record.sent >= bytes
    }

    fn is_over(&self) -> bool {
        self.has_sent(self.record.promised)
    }

    fn closed(mut self) -> RequestRecord {
        self.record.complete = self.is_over();
        self.record.elapsed_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.record
    }
}

/// Looks for the empty line; `seen` remembers how much of it stood at the end of earlier bytes.
fn end_of_head(bytes: &[u8], seen: &mut usize) -> Option<usize> {
    const EMPTY_LINE: &[u8; 4] = b"\r\n\r\n";
    for (index, &byte) in bytes.iter().enumerate() {
        *seen = if byte == EMPTY_LINE[*seen] { *seen + 1 } else { usize::from(byte == b'\r') };
        if *seen == EMPTY_LINE.len() {
            return Some(index + 1);
        }
    }
    None
}

/// A socket whose writing is counted.
#[derive(Debug)]
pub(crate) struct Metered {
    socket: TcpStream,
    connection: Arc<Connection>,
}

impl Metered {
    /// Counts the writing on `socket` for `connection`.
    pub(crate) fn new(socket: TcpStream, connection: Arc<Connection>) -> Self {
        Self { socket, connection }
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let connection = Arc::clone(&self.connection);
        let mut state = connection.lock();
        // A client can have its last byte before this function returns, and look at the log at once: so the log
        // is held while a byte that may be the last is on its way.
        let could_end = state.exchange.as_ref().is_some_and(|exchange| exchange.could_end_with(offered));
        let mut journal = could_end.then(|| connection.log.lock());
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, slices))?;
        if let Some(exchange) = &mut state.exchange {
            let mut left = written;
            for slice in slices {
                let part = left.min(slice.len());
                exchange.note(&slice[..part]);
                left -= part;
            }
        }
        if let (Some(exchange), Some(journal)) =
            (state.exchange.take_if(|exchange| exchange.is_over()), &mut journal)
        {
            journal.append(exchange.closed());
        }
        drop(state);
        connection.progress.notify_one();
        Poll::Ready(Ok(written))
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let mut state = self.connection.lock();
        let (unfinished, reset) = (state.exchange.take(), state.reset);
        drop(state);
        self.connection.finish(unfinished);
        if reset {
            // If the option is refused, the connection closes instead; the client sees a broken body either way.
            let _ = self.socket.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_across_writes() {
        let mut seen = 0;
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\r\nA: b\r\n\r", &mut seen), None);
        assert_eq!(end_of_head(b"\nbody", &mut seen), Some(1));
        let mut seen = 0;
        assert_eq!(end_of_head(b"a\r\r\n\r\nbody", &mut seen), Some(6));
    }
}
