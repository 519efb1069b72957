//! The only place that writes to stdout and stderr.
//!
//! Answers go to stdout; progress, notes, hints and errors to stderr. A reader of stdout that goes away
//! (`| head`) ends the command quietly. Live bars are drawn through here too, so that nothing else
//! writes across them. Words of servers and lists may be among what is told: their control characters are shown, not
//! sent to the terminal.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::error::CliError;
use crate::settings::{Format, Loudness};

/// A stream to write to.
type Sink = Box<dyn Write + Send>;

/// Where a command's words go.
pub(crate) struct Output {
    stdout: Mutex<Sink>,
    stderr: ErrorStream,
    has_answered: AtomicBool,
    format: Format,
    loudness: Loudness,
}

/// Stderr, shared with the log; whole lines are written, above the live bars where there are any.
#[derive(Clone)]
pub(crate) struct ErrorStream {
    sink: Arc<Mutex<Sink>>,
    bars: MultiProgress,
}

impl ErrorStream {
    /// The process's stderr.
    pub(crate) fn process() -> Self {
        Self::new(Box::new(io::stderr()))
    }

    /// Another place for the same words.
    pub(crate) fn to(sink: Sink) -> Self {
        Self::new(sink)
    }

    /// Where live bars are drawn; hidden until somebody shows it.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    fn new(sink: Sink) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { sink: Arc::new(Mutex::new(sink)), bars }
    }

    /// When stderr cannot be written there is nowhere left to say so, and no reason to stop the work.
    fn write_whole(&self, text: &[u8]) {
        self.bars.suspend(|| {
            let mut sink = unpoisoned(&self.sink);
            let _nobody_reads = sink.write_all(text).and_then(|()| sink.flush());
        });
    }
}

impl Write for ErrorStream {
    /// Never fails: the log's own answer to a failure is a message on stderr.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.write_whole(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    /// The process's own streams.
    pub(crate) fn process(stderr: ErrorStream, format: Format, loudness: Loudness) -> Self {
        let stdout: Sink = Box::new(BufWriter::new(io::stdout()));
        Self { stdout: Mutex::new(stdout), stderr, has_answered: AtomicBool::new(false), format, loudness }
    }

    /// Whether answers are for programs.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// How much is told beside answers.
    pub(crate) fn loudness(&self) -> Loudness {
        self.loudness
    }

    /// The stream of notes and bars.
    pub(crate) fn stderr(&self) -> &ErrorStream {
        &self.stderr
    }

    /// Whether somebody watches stderr.
    pub(crate) fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether a part of the answer has been given already.
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Answers with one line of text.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = self.answering();
        answered(stdout.write_all(harmless(text).as_bytes()).and_then(|()| stdout.write_all(b"\n")))
    }

    /// Answers with lines of text.
    pub(crate) fn lines<'a>(&self, lines: impl IntoIterator<Item = &'a String>) -> Result<(), CliError> {
        lines.into_iter().try_for_each(|line| self.line(line))
    }

    /// Answers with one JSON document, or one of many objects, on a line of its own.
    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), CliError> {
        // Whole in memory first: half a document is worse than none.
        let text = serde_json::to_vec(document)
            .map_err(|error| CliError::failed("cannot write the answer as JSON").because(&error))?;
        let mut stdout = self.answering();
        answered(stdout.write_all(&text).and_then(|()| stdout.write_all(b"\n")))
    }

    /// Answers with bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        answered(self.answering().write_all(bytes))
    }

    /// Sends off what was answered so far.
    pub(crate) fn flush(&self) -> Result<(), CliError> {
        answered(unpoisoned(&self.stdout).flush())
    }

    /// Tells something on stderr, unless people want quiet.
    pub(crate) fn note(&self, text: &str) {
        if self.loudness != Loudness::Quiet {
            self.tell(text);
        }
    }

    /// Tells what to do next, unless people want quiet.
    pub(crate) fn hint(&self, text: &str) {
        self.note(&format!("hint: {text}"));
    }

    /// Tells of a failure in a command that goes on.
    pub(crate) fn complaint(&self, text: &str) {
        self.tell(&format!("skyhaul: {text}"));
    }

    /// Tells why the command ended; its causes at `-v`. Nothing when nobody is left to tell.
    pub(crate) fn error(&self, error: &CliError) {
        match error {
            CliError::BrokenPipe => {}
            CliError::Report(report) => {
                self.complaint(&report.message);
                if matches!(self.loudness, Loudness::Verbose | Loudness::Debug) {
                    for cause in &report.causes {
                        self.tell(&format!("  caused by: {cause}"));
                    }
                }
                for hint in &report.hints {
                    self.hint(hint);
                }
            }
        }
    }

    fn answering(&self) -> MutexGuard<'_, Sink> {
        self.has_answered.store(true, Ordering::Relaxed);
        unpoisoned(&self.stdout)
    }

    fn tell(&self, text: &str) {
        // In order where both streams lead to one place; what goes wrong is told by the next write to stdout.
        let _told_later = unpoisoned(&self.stdout).flush();
        self.stderr.write_whole(format!("{}\n", harmless(text)).as_bytes());
    }
}

/// The text with its control characters as `\u{1b}`, all but those that lay out lines and columns.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_harmful = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let shown = |text: String, character: char| match character {
        harmful if is_harmful(harmful) => text + &harmful.escape_default().to_string(),
        harmless => text + harmless.encode_utf8(&mut [0; 4]),
    };
    Cow::Owned(text.chars().fold(String::with_capacity(text.len()), shown))
}

fn answered(result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::BrokenPipe,
        _ => CliError::failed("cannot write the answer to stdout").because(&error),
    })
}

/// A stream is whole after every write, so a writer that panicked left nothing half done.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Streams that tests read back.
#[cfg(test)]
pub(crate) mod capture {
    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Buffer {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output and its two streams.
    pub(crate) fn output(format: Format, loudness: Loudness) -> (Output, Buffer, Buffer) {
        let (out, err) = (Buffer::default(), Buffer::default());
        let stderr = ErrorStream::new(Box::new(err.clone()));
        let has_answered = AtomicBool::new(false);
        (
            Output { stdout: Mutex::new(Box::new(out.clone())), stderr, has_answered, format, loudness },
            out,
            err,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn an_error_is_a_sentence_with_hints_and_causes_only_when_asked() {
        let cause = io::Error::from(io::ErrorKind::NotFound);
        let error = || CliError::new(Exit::Failed, "cannot read /x").because(&cause).hint("look again");
        let table = [
            (Loudness::Quiet, "skyhaul: cannot read /x: entity not found\n"),
            (Loudness::Normal, "skyhaul: cannot read /x: entity not found\nhint: look again\n"),
            (
                Loudness::Verbose,
                "skyhaul: cannot read /x: entity not found\n  caused by: entity not found\nhint: look again\n",
            ),
        ];
        for (loudness, told) in table {
            let (output, answer, stderr) = capture::output(Format::Human, loudness);
            output.error(&error());
            assert_eq!((stderr.text().as_str(), answer.text().as_str()), (told, ""), "{loudness:?}");
        }
    }

    #[test]
    fn quiet_keeps_notes_back_and_answers_not() {
        let (output, answer, stderr) = capture::output(Format::Human, Loudness::Quiet);
        output.note("beside the point");
        output.line("the answer").unwrap();
        assert_eq!((answer.text().as_str(), stderr.text().as_str()), ("the answer\n", ""));
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        let (output, answer, stderr) = capture::output(Format::Human, Loudness::Normal);
        output.line("a\tü \u{1b}[2J\u{9b}31m\0\r").unwrap();
        output.note("two\nlines\u{7}");
        let told = (answer.text(), stderr.text());
        assert_eq!(
            (told.0.as_str(), told.1.as_str()),
            ("a\tü \\u{1b}[2J\\u{9b}31m\\u{0}\\r\n", "two\nlines\\u{7}\n")
        );
    }

    /// A stream whose reader has gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_is_no_failure() {
        let mut stderr = ErrorStream::new(Box::new(Gone));
        assert_eq!(stderr.write(b"line\n").unwrap(), 5);
    }

    #[test]
    fn a_reader_that_has_gone_is_told_apart() {
        let (mut output, _, stderr) = capture::output(Format::Json, Loudness::Normal);
        output.stdout = Mutex::new(Box::new(Gone));
        let error = output.json(&1).unwrap_err();
        assert!(matches!(error, CliError::BrokenPipe));
        output.error(&error);
        assert_eq!(stderr.text(), "");
    }
}
