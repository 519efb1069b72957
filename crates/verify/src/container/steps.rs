//! Formats that are read in steps: so many bytes to look at, so many to let pass, and so on to the end.
//!
//! What the steps of a format have in common is here: collecting a field that comes in pieces, and
//! noticing that the file ends in the midst of one.

use super::{Check, Damage};

/// A format that is read in steps.
pub(super) trait Structure: Send + Sync {
    /// The step that a file begins with.
    fn first(&self) -> Step;

    /// A field is complete; what follows it?
    fn take(&mut self, field: &[u8]) -> Result<Step, Damage>;

    /// Bytes that pass.
    fn pass(&mut self, _bytes: &[u8]) -> Result<(), Damage> {
        Ok(())
    }

    /// All that was to pass has; what follows it?
    fn passed(&mut self) -> Result<Step, Damage>;

    /// The file ends.
    fn end(&mut self, end: End) -> Result<(), Damage>;
}

/// What a format wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of so many bytes, at least one, to be looked at as a whole.
    Take(usize),
    /// So many bytes to pass.
    Pass(u64),
    /// Nothing: whatever still comes is not the format's.
    Over,
}

/// Where a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Before its first byte.
    Empty,
    /// Before the first byte of a field.
    Between,
    /// Within a field, or within what should pass.
    Within,
    /// After the format was over.
    Over,
}

/// A file as far as it was read.
#[derive(Debug)]
pub(super) struct Steps<S> {
    structure: S,
    step: Step,
    /// The field's bytes so far.
    field: Vec<u8>,
    length: u64,
}

impl<S: Structure> Steps<S> {
    pub(super) fn new(structure: S) -> Self {
        let step = structure.first();
        Self { structure, step, field: Vec::new(), length: 0 }
    }

    fn collect(&mut self, wanted: usize, bytes: &mut &[u8]) -> Result<(), Damage> {
        // A field that lies in one piece is looked at where it lies.
        if self.field.is_empty()
            && let Some((field, rest)) = bytes.split_at_checked(wanted)
        {
            *bytes = rest;
            self.step = self.structure.take(field)?;
            return Ok(());
        }
        let missing = wanted.saturating_sub(self.field.len());
        let (taken, rest) = bytes.split_at(bytes.len().min(missing));
        self.field.extend(taken);
        *bytes = rest;
        if self.field.len() == wanted {
            self.step = self.structure.take(&self.field)?;
            self.field.clear();
        }
        Ok(())
    }

    fn pass(&mut self, left: u64, bytes: &mut &[u8]) -> Result<(), Damage> {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let (passing, rest) = bytes.split_at(bytes.len().min(most));
        self.structure.pass(passing)?;
        *bytes = rest;
        self.step = Step::Pass(left - passing.len() as u64);
        self.settle()
    }

    /// Goes on from passes that are complete, those of no bytes among them.
    fn settle(&mut self) -> Result<(), Damage> {
        while self.step == Step::Pass(0) {
            self.step = self.structure.passed()?;
        }
        Ok(())
    }
}

impl<S: Structure> Check for Steps<S> {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            match self.step {
                Step::Take(wanted) => self.collect(wanted, &mut bytes)?,
                Step::Pass(left) => self.pass(left, &mut bytes)?,
                Step::Over => return Ok(()),
            }
            self.settle()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Damage> {
        let end = match self.step {
            _ if self.length == 0 => End::Empty,
            Step::Over => End::Over,
            Step::Take(_) if self.field.is_empty() => End::Between,
            Step::Take(_) | Step::Pass(_) => End::Within,
        };
        self.structure.end(end)
    }
}
