//! Pages of files and windows: bounded whatever the size of the job.

use skyhaul_model::{FileRecord, FileSeq, FileState, WindowId, WindowRecord};

/// Which files are wanted.
#[derive(Clone, Copy, Debug)]
pub struct FileQuery {
    /// Only those in this state.
    pub state: Option<FileState>,
    /// Only those behind this one.
    pub after: Option<FileSeq>,
    /// At most this many; zero counts as one. A page may hold fewer and still have a next one.
    pub limit: usize,
}

/// Some files.
#[derive(Clone, Debug, Default)]
pub struct FilePage {
    /// In listing order.
    pub files: Vec<FileRecord>,
    /// Where the next page begins; none at the end. May be set when the next page turns out empty.
    pub next: Option<FileSeq>,
}

/// Which windows are wanted.
#[derive(Clone, Copy, Debug)]
pub struct WindowQuery {
    /// Only those behind this one.
    pub after: Option<WindowId>,
    /// At most this many; zero counts as one. A page may hold fewer and still have a next one.
    pub limit: usize,
}

/// Some windows.
#[derive(Clone, Debug, Default)]
pub struct WindowPage {
    /// In planned order; split ones are left out.
    pub windows: Vec<WindowRecord>,
    /// Where the next page begins; none at the end.
    pub next: Option<WindowId>,
}
