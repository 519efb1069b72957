//! Pages of files and windows, and files that were found bad.

use serde::{Deserialize, Serialize};
use skyhaul_model::{FileError, FileRecord, FileSeq, WindowId, WindowRecord};
use skyhaul_queue::{FilePage, WindowPage};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FilePageBody {
    files: Vec<FileRecord>,
    next: Option<FileSeq>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WindowPageBody {
    windows: Vec<WindowRecord>,
    next: Option<WindowId>,
}

/// Done files that were found missing or damaged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvalidateRequest {
    pub(crate) files: Vec<BadFile>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BadFile {
    pub(crate) file: FileSeq,
    pub(crate) error: FileError,
}

impl From<FilePage> for FilePageBody {
    fn from(FilePage { files, next }: FilePage) -> Self {
        Self { files, next }
    }
}

impl From<FilePageBody> for FilePage {
    fn from(FilePageBody { files, next }: FilePageBody) -> Self {
        Self { files, next }
    }
}

impl From<WindowPage> for WindowPageBody {
    fn from(WindowPage { windows, next }: WindowPage) -> Self {
        Self { windows, next }
    }
}

impl From<WindowPageBody> for WindowPage {
    fn from(WindowPageBody { windows, next }: WindowPageBody) -> Self {
        Self { windows, next }
    }
}
