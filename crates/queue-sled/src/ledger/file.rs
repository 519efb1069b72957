//! One job's ledger file: append, sync, read a frame back.
//!
//! Owned by the queue's one thread. The file is opened when it is first needed and may be put away at any
//! time, so that thousands of finished jobs hold no file open. Appended bytes survive the process at once
//! and a power cut only after [`Ledger::sync`].

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use skyhaul_model::JobId;
use skyhaul_queue::{QueueError, Result};

use super::event::Event;
use super::frame::{FRAME_HEAD, Frame, FrameMark, HEADER_LEN, Head, Header, LEDGER_FORMAT, encode_frame};
use super::frame::{encode_header, parse_header};
use crate::disk::{self, io_error};

#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: Option<File>,
    end: u64,
}

impl Ledger {
    /// A new ledger with nothing but its header; it must not be there yet.
    pub(crate) fn create(path: &Path, job: JobId) -> Result<Self> {
        let mut file = disk::create(path)?;
        file.write_all(&encode_header(job)).map_err(io_error("cannot write", path))?;
        Ok(Self { path: path.to_owned(), file: Some(file), end: HEADER_LEN })
    }

    /// A ledger that is there. Whether its header is whole is told, so that what is behind can be saved.
    ///
    /// # Errors
    /// [`QueueError::TooNew`], and [`QueueError::Damaged`] when it is another job's.
    pub(crate) fn open(path: &Path, job: JobId) -> Result<(Self, Header)> {
        let mut file = disk::open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(HEADER_LEN).read_to_end(&mut bytes).map_err(io_error("cannot read", path))?;
        let header = parse_header(&bytes);
        match header {
            Header::Valid { format, .. } if format > LEDGER_FORMAT => {
                return Err(QueueError::TooNew {
                    path: path.to_owned(),
                    found: format,
                    known: LEDGER_FORMAT,
                });
            }
            Header::Valid { job: written, .. } if written != job => {
                let what = format!("it is the ledger of job {written}, not of job {job}");
                return Err(QueueError::Damaged { path: path.to_owned(), what });
            }
            _ => {}
        }
        let end = file.metadata().map_err(io_error("cannot read", path))?.len();
        Ok((Self { path: path.to_owned(), file: Some(file), end }, header))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.end
    }

    /// Appends what happened. Not durable before the next [`Ledger::sync`].
    ///
    /// # Errors
    /// After one the end of the file is not known to be whole: append no more, open it anew.
    pub(crate) fn append(&mut self, event: &Event) -> Result<FrameMark> {
        let payload = event.encode();
        let framed = encode_frame(self.end, event.kind(), Event::newest_version(event.kind()), &payload);
        let (mark, bytes) = framed.ok_or_else(|| {
            let source = io::Error::new(io::ErrorKind::FileTooLarge, "one record would be over 64 MiB");
            QueueError::Io { action: "cannot write", path: self.path.clone(), source }
        })?;
        let (end, path) = (self.end, self.path.clone());
        let file = self.handle()?;
        let written = file.seek(SeekFrom::Start(end)).and_then(|_| file.write_all(&bytes));
        written.map_err(io_error("cannot write", &path))?;
        self.end = mark.end();
        Ok(mark)
    }

    /// Makes durable what was appended.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let path = self.path.clone();
        self.handle()?.sync_data().map_err(io_error("cannot sync", &path))
    }

    /// Cuts off a torn end, durably.
    pub(crate) fn cut(&mut self, end: u64) -> Result<()> {
        let path = self.path.clone();
        let file = self.handle()?;
        file.set_len(end).and_then(|()| file.sync_all()).map_err(io_error("cannot shorten", &path))?;
        self.end = end;
        Ok(())
    }

    /// Writes the header anew, durably.
    pub(crate) fn mend_header(&mut self, job: JobId) -> Result<()> {
        let path = self.path.clone();
        let file = self.handle()?;
        let written = file.rewind().and_then(|()| file.write_all(&encode_header(job)));
        written.and_then(|()| file.sync_all()).map_err(io_error("cannot write", &path))?;
        self.end = self.end.max(HEADER_LEN);
        Ok(())
    }

    /// Opens the file that lies there by now.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        self.file = None;
        let path = self.path.clone();
        self.end = self.handle()?.metadata().map_err(io_error("cannot read", &path))?.len();
        Ok(())
    }

    /// Closes the file until it is needed again.
    pub(crate) fn put_away(&mut self) {
        self.file = None;
    }

    /// Whether the frame that lies at the mark is the one that was written there.
    pub(crate) fn has(&mut self, mark: FrameMark) -> Result<bool> {
        if mark.end() > self.end {
            return Ok(false);
        }
        Ok(Head::parse(&self.bytes(mark.offset, FRAME_HEAD)?)
            .is_some_and(|head| head.mark(mark.offset) == mark))
    }

    /// What the frame at `offset` says.
    ///
    /// # Errors
    /// [`QueueError::Damaged`] when there is no whole frame.
    pub(crate) fn read(&mut self, offset: u64) -> Result<Event> {
        let parsed = self.frame(offset)?.and_then(|frame| Event::decode(&frame).ok());
        parsed.ok_or_else(|| QueueError::Damaged {
            path: self.path.clone(),
            what: format!(
                "there is no whole record at byte {offset}; it is mended when the queue is opened again"
            ),
        })
    }

    fn frame(&mut self, offset: u64) -> Result<Option<Frame>> {
        if offset.saturating_add(FRAME_HEAD as u64) > self.end {
            return Ok(None);
        }
        let Some(head) = Head::parse(&self.bytes(offset, FRAME_HEAD)?) else { return Ok(None) };
        let mark = head.mark(offset);
        if mark.end() > self.end {
            return Ok(None);
        }
        let payload = self.bytes(offset + FRAME_HEAD as u64, head.payload_length)?;
        let whole = head.fits(offset, &payload);
        Ok(whole.then_some(Frame { mark, kind: head.kind, version: head.version, payload }))
    }

    fn bytes(&mut self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let path = self.path.clone();
        let file = self.handle()?;
        let mut bytes = vec![0; length];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(io_error("cannot read", &path))?;
        Ok(bytes)
    }

    fn handle(&mut self) -> Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            closed => Ok(closed.insert(disk::open(&self.path)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use skyhaul_model::FileSeq;

    use super::super::event::DoneFile;
    use super::*;

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&dir.path().join("ledger"), JobId(3)).unwrap();
        (dir, ledger)
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let (dir, mut ledger) = ledger();
        let first = ledger.append(&Event::Requeued).unwrap();
        let done = Event::Done {
            files: vec![DoneFile { seq: FileSeq(9), seal_at: 24 }],
            at: jiff::Timestamp::UNIX_EPOCH.into(),
        };
        let second = ledger.append(&done).unwrap();
        assert_eq!((first.offset, second.offset, second.end()), (HEADER_LEN, first.end(), ledger.end));
        ledger.put_away();
        assert_eq!(ledger.read(second.offset).unwrap(), done);
        let (mut again, header) = Ledger::open(&dir.path().join("ledger"), JobId(3)).unwrap();
        assert_eq!(header, Header::Valid { format: 1, job: JobId(3) });
        assert!(again.has(second).unwrap() && !again.has(FrameMark { crc: 1, ..second }).unwrap());
        assert_eq!(again.read(first.offset).unwrap(), Event::Requeued);
        assert!(matches!(again.read(first.offset + 1), Err(QueueError::Damaged { .. })));
        again.cut(first.end()).unwrap();
        assert!(!again.has(second).unwrap());
    }

    #[test]
    fn another_jobs_ledger_is_refused() {
        let (dir, _ledger) = ledger();
        let error = Ledger::open(&dir.path().join("ledger"), JobId(4)).unwrap_err();
        assert!(error.to_string().contains("job 3, not of job 4"), "{error}");
    }
}
