//! Server-sent events taken apart (WHATWG HTML, section 9.2.6), as far as ours go: names and data.

use std::collections::VecDeque;

use crate::error::{ControlError, Result};

/// The most bytes of one event.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

/// Takes bytes as they come and gives whole events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The bytes of a line whose end has not come.
    line: Vec<u8>,
    name: String,
    data: Vec<String>,
    data_bytes: usize,
    events: VecDeque<Event>,
}

impl Parser {
    /// Takes some bytes.
    ///
    /// # Errors
    /// [`ControlError::Garbled`] when an event grows beyond all bounds.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            self.line.extend_from_slice(head);
            bytes = rest.get(1..).unwrap_or_default();
            let line = std::mem::take(&mut self.line);
            self.take_line(&String::from_utf8_lossy(&line));
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.data_bytes > EVENT_BYTES_MAX {
            return Err(ControlError::Garbled(format!("an event of over {EVENT_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// The next whole event.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn take_line(&mut self, line: &str) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            self.end_event();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data_bytes += value.len();
                self.data.push(value.to_owned());
            }
            // A comment has no field's name; other fields are not used here.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        self.data_bytes = 0;
        if !data.is_empty() {
            self.events.push_back(Event { name, data: data.join("\n") });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = ": hello\n\nevent: progress\ndata: {\"a\":1}\n\nevent: other\r\ndata:x\r\ndata: y\r\n\r\nid: 3\n\ndata\n\n";

    fn events(parser: &mut Parser) -> Vec<(String, String)> {
        std::iter::from_fn(|| parser.next()).map(|event| (event.name, event.data)).collect()
    }

    fn expected() -> Vec<(String, String)> {
        let event = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        vec![event("progress", "{\"a\":1}"), event("other", "x\ny"), event("", "")]
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_events_are_the_same(cuts in prop::collection::vec(0..TEXT.len(), 0..9)) {
            let mut cuts = cuts;
            cuts.extend([0, TEXT.len()]);
            cuts.sort_unstable();
            let mut parser = Parser::default();
            for pair in cuts.windows(2) {
                parser.feed(&TEXT.as_bytes()[pair[0]..pair[1]]).unwrap();
            }
            prop_assert_eq!(events(&mut parser), expected());
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_kept_for_ever() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX / 2];
        parser.feed(&piece).unwrap();
        parser.feed(b"\n").unwrap();
        assert_eq!(events(&mut parser), []);
        parser.feed(b"data: ").unwrap();
        parser.feed(&piece).unwrap();
        assert!(matches!(parser.feed(&piece), Err(ControlError::Garbled(_))));
    }
}
