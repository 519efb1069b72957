//! What else was kept of a file until it is published: its parts and what was recorded beside them, and its damaged
//! copy. Left behind, it does no harm.
//!
//! Mostly there is nothing. A look into the folder tells that for a whole batch, where a question for each name of each
//! file would cost more than the rename that publishes it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Whole;
use crate::durable;
use crate::parts::{PartPaths, stem_of};
use crate::report;

/// Looking at so many entries of a folder costs what asking for each name of a file does.
const ENTRIES_WORTH_A_FILE: usize = 16;

/// Removes what is left of files that are published. Nobody may be at work on them.
pub(crate) fn forget<'a>(published: impl Iterator<Item = &'a Whole>) {
    let mut by_folder: HashMap<&Path, HashMap<&str, &PartPaths>> = HashMap::new();
    let mut damaged: HashMap<&Path, Option<PathBuf>> = HashMap::new();
    for whole in published {
        by_folder.entry(&whole.paths.folder).or_default().insert(whole.paths.stem(), &whole.paths);
        let damaged = damaged.entry(whole.root.path()).or_insert_with(|| report::folder(&whole.root));
        if let Some(folder) = damaged {
            report::withdraw(folder, &whole.path);
        }
    }
    for (folder, files) in by_folder {
        let left =
            list(folder, &files).unwrap_or_else(|| files.values().flat_map(|paths| paths.names()).collect());
        for path in left {
            if let Err(error) = durable::remove(&path) {
                tracing::debug!(path = %path.display(), %error, "cannot remove");
            }
        }
    }
}

/// What lies in a folder of parts for these files, by what the names begin with; none where more lies there than is
/// worth looking at: a job may have as much to remember as it has files.
fn list(folder: &Path, files: &HashMap<&str, &PartPaths>) -> Option<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!(path = %folder.display(), %error, "cannot look for what is left of files");
            }
            return Some(Vec::new());
        }
    };
    let mut left = Vec::new();
    let most = ENTRIES_WORTH_A_FILE * files.len();
    for (looked_at, name) in entries.flatten().map(|entry| entry.file_name()).enumerate() {
        if looked_at == most {
            return None;
        }
        if name.to_str().and_then(stem_of).is_some_and(|stem| files.contains_key(stem)) {
            left.push(folder.join(name));
        }
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Bench;

    #[tokio::test]
    async fn all_that_was_kept_of_a_published_file_goes_and_nothing_of_another() {
        let mut bench = Bench::new("a.dat", b"hello");
        let whole = bench.whole().await;
        let lay = |stem: &str, rest: &str| {
            let path = whole.paths.folder.join(format!("{stem}.{rest}"));
            fs::write(&path, "").unwrap();
            path
        };
        let rests = ["part", "meta", "2.part", "2.meta", "bad", "wrong"];
        for crowd in [1, ENTRIES_WORTH_A_FILE] {
            let own = rests.map(|rest| lay(whole.paths.stem(), rest));
            let others: Vec<_> = (0..crowd).map(|number| lay(&format!("{number:016x}"), "bad")).collect();
            forget(std::iter::once(&whole));
            assert!(!own.iter().any(|path| path.exists()), "{crowd} others");
            assert!(others.iter().all(|path| path.exists()));
        }
    }
}
