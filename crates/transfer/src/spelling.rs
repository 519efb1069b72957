//! Two spellings of one name: where a file system takes `Gill` and `gill`, or the two Unicode forms of `é`, for one
//! name, what lies at a path may be another path's, and a file that is put there would take its place.
//!
//! Whoever comes first keeps the place. Which names are one the file system alone knows: it is asked, and no name is
//! folded here. It answers to either spelling, and lists the one that it was given.

use std::fs;
use std::io;
use std::path::Path;

use skyhaul_model::{Backoff, ErrorKind};

use crate::trouble::Blow;

/// How the file system of a tree tells names apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// By every byte.
    Exact,
    /// Not by their case, or not by their Unicode form.
    Folded,
}

/// Makes sure that what lies at `path` bears that very name, and not another spelling of it.
///
/// Where names are folded that takes a look at its whole folder.
pub(crate) fn must_be_spelled_so(path: &Path, names: Names) -> Result<(), Blow> {
    if names == Names::Exact || is_listed(path).map_err(|error| Blow::of_disk("find", path, &error))? {
        return Ok(());
    }
    let message = format!(
        "{} cannot be kept apart from what lies there under another spelling: this file system takes both for one name",
        path.display()
    );
    Err(Blow::new(ErrorKind::Path, message, Backoff::Never))
}

fn is_listed(path: &Path) -> io::Result<bool> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(true) };
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() == name {
            return Ok(true);
        }
    }
    Ok(false)
}
