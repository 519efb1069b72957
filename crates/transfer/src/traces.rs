//! What else was kept of a file until it is published: its parts and what was recorded beside them, and its damaged
//! copy. Left behind, it does no harm.
//!
//! Mostly there is nothing. A look into the folder tells that for a whole batch, where a question for each name of each
//! file would cost more than the rename that publishes it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Whole;
use crate::durable;
use crate::parts::stem_of;
use crate::report;

/// Removes what is left of files that are published. Nobody may be at work on them.
pub(crate) fn forget<'a>(published: impl Iterator<Item = &'a Whole>) {
    let mut parts: HashMap<&Path, Leftovers> = HashMap::new();
    let mut damaged: HashMap<&Path, Option<PathBuf>> = HashMap::new();
    for whole in published {
        let folder = &*whole.paths.folder;
        let left = parts.entry(folder).or_insert_with(|| list(folder));
        for name in left.remove(whole.paths.stem()).into_iter().flatten() {
            let path = folder.join(name);
            if let Err(error) = durable::remove(&path) {
                tracing::debug!(path = %path.display(), %error, "cannot remove");
            }
        }
        let damaged = damaged.entry(whole.root.path()).or_insert_with(|| report::folder(&whole.root));
        if let Some(folder) = damaged {
            report::withdraw(folder, &whole.path);
        }
    }
}

/// Names in a folder of parts, by what they begin with.
type Leftovers = HashMap<String, Vec<OsString>>;

fn list(folder: &Path) -> Leftovers {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::debug!(path = %folder.display(), %error, "cannot look for what is left of files");
            }
            return Leftovers::new();
        }
    };
    let mut left = Leftovers::new();
    for name in entries.flatten().map(|entry| entry.file_name()) {
        if let Some(stem) = name.to_str().and_then(stem_of) {
            left.entry(stem.to_owned()).or_default().push(name);
        }
    }
    left
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
        let rests = ["part", "meta", "meta.tmp", "2.part", "2.meta", "bad", "wrong"];
        let own = rests.map(|rest| lay(whole.paths.stem(), rest));
        let others = rests.map(|rest| lay("0123456789abcdef", rest));
        forget(std::iter::once(&whole));
        assert!(!own.iter().any(|path| path.exists()));
        assert!(others.iter().all(|path| path.exists()));
    }
}
