//! How far a compressed file is unfolded: one made for it fills years with what a few bytes unfold into.

/// What every file may unfold into.
const FREE_BYTES: u64 = 1 << 30;

/// What it may unfold into beyond that, for each of its own bytes. Pictures and text stay far below it.
const BYTES_PER_BYTE: u64 = 100;

/// What unpacking has cost so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    packed: u64,
    unfolded: u64,
}

impl Budget {
    /// So many bytes unfolded into so many.
    pub(super) fn spend(&mut self, packed: u64, unfolded: u64) {
        self.packed = self.packed.saturating_add(packed);
        self.unfolded = self.unfolded.saturating_add(unfolded);
    }

    /// Whether looking further would take longer than the file is worth.
    pub(super) fn is_spent(&self) -> bool {
        self.unfolded > self.packed.saturating_mul(BYTES_PER_BYTE).saturating_add(FREE_BYTES)
    }
}
