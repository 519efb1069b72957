//! The bridge from an asynchronous body to a blocking parser: a bounded channel with a proven end.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces under way; with the network's own pieces of some ten kB that is about a megabyte.
const PIECES: usize = 16;

/// A pipe: what is sent comes out of the reader.
pub(crate) fn pipe() -> (Feed, FeedReader) {
    let (sender, receiver) = channel(PIECES);
    (Feed { sender }, FeedReader { receiver, piece: Bytes::new(), ended: false })
}

/// The asynchronous end. Dropping it without [`Feed::end`] tells the reader that the body was cut.
#[derive(Debug)]
pub(crate) struct Feed {
    sender: Sender<Option<Bytes>>,
}

/// The reader is gone: whatever it has to say about it, it says when it is joined.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl Feed {
    pub(crate) async fn send(&self, piece: Bytes) -> Result<(), ReaderGone> {
        self.sender.send(Some(piece)).await.map_err(|_| ReaderGone)
    }

    /// The body came to its proven end.
    pub(crate) async fn end(self) -> Result<(), ReaderGone> {
        self.sender.send(None).await.map_err(|_| ReaderGone)
    }
}

/// The blocking end.
#[derive(Debug)]
pub(crate) struct FeedReader {
    receiver: Receiver<Option<Bytes>>,
    piece: Bytes,
    ended: bool,
}

impl Read for FeedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(pieces: &[&'static [u8]], end: bool) -> io::Result<Vec<u8>> {
        let (feed, mut reader) = pipe();
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).map(|_| text)
        });
        for piece in pieces {
            feed.send(Bytes::from_static(piece)).await.unwrap();
        }
        if end {
            feed.end().await.unwrap();
        } else {
            drop(feed);
        }
        reading.await.unwrap()
    }

    #[tokio::test]
    async fn what_is_sent_is_read_and_only_a_proven_end_is_an_end() {
        assert_eq!(read_all(&[b"he", b"", b"llo"], true).await.unwrap(), b"hello");
        let cut = read_all(&[b"hello"], false).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_reader_that_left_is_noticed() {
        let (feed, reader) = pipe();
        drop(reader);
        assert!(feed.send(Bytes::from_static(b"x")).await.is_err());
    }
}
