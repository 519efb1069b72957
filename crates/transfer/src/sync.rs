//! Files and folders made to last, many at once: what is waited for together shares the disk's writes.
//!
//! One call for the whole file system where that is as good, else a few threads. The call waits for what others have
//! written there, too.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, Builder};

use skyhaul_model::FileError;

use crate::durable::{self, Synced};
use crate::trouble::disk_error;
use crate::{OutputRoot, Whole};

/// From this many on, one call for the file system costs less than one for each.
const MANY: usize = 8;

/// So many are waited for at once; the disk puts them together.
const THREADS: usize = 8;

/// Waits until the bytes of these files are on the disk, which small ones are not when their transfer ends.
/// Blocking.
///
/// To be called before they are sealed (invariant I2). One answer for each file, in order. Of what could not be made to
/// last nothing is kept.
#[must_use]
pub fn sync_data<'a>(batch: impl Iterator<Item = &'a Whole> + Clone) -> Vec<Result<(), FileError>> {
    let unsynced = batch.clone().filter(|whole| whole.synced == Synced::Later);
    let failed = sync_all(unsynced.map(|whole| (&*whole.root, &*whole.paths.part)), durable::sync_path);
    let told = |whole: &Whole| {
        let part = &whole.paths.part;
        let Some(error) = failed.get(part) else { return Ok(()) };
        // The kernel may take its bytes for written from now on: the next attempt must not go on from them.
        if let Err(error) = whole.paths.forget() {
            tracing::debug!(%error, "cannot remove a part");
        }
        Err(disk_error("sync", part, error))
    };
    batch.map(told).collect()
}

/// Makes what lies at these paths last, each of them below its root; those that refused.
pub(crate) fn sync_all<'a>(
    paths: impl Iterator<Item = (&'a OutputRoot, &'a Path)>,
    sync: fn(&Path) -> io::Result<()>,
) -> HashMap<PathBuf, io::Error> {
    let mut by_root: BTreeMap<&Path, (&OutputRoot, Vec<&Path>)> = BTreeMap::new();
    for (root, path) in paths {
        by_root.entry(root.path()).or_insert((root, Vec::new())).1.push(path);
    }
    let failed = by_root.into_values().flat_map(|(root, paths)| {
        // Where it fails, it does not say for which file.
        let at_once = paths.len() >= MANY && root.sync_file_system().unwrap_or(false);
        if at_once { Vec::new() } else { sync_each(&paths, sync) }
    });
    failed.collect()
}

fn sync_each(paths: &[&Path], sync: fn(&Path) -> io::Result<()>) -> Vec<(PathBuf, io::Error)> {
    let one = |path: &&Path| Some((path.to_path_buf(), sync(path).err()?));
    let each = |paths: &[&Path]| paths.iter().filter_map(one).collect::<Vec<_>>();
    if paths.len() == 1 {
        return each(paths);
    }
    thread::scope(|scope| {
        let share = paths.len().div_ceil(THREADS).max(1);
        // Where there is no further thread to be had, this one does its work.
        let begin = |paths| Builder::new().spawn_scoped(scope, move || each(paths)).map_err(|_| paths);
        let threads: Vec<_> = paths.chunks(share).map(begin).collect();
        let ended = threads.into_iter().flat_map(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(paths) => each(paths),
        });
        ended.collect()
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::*;
    use crate::tests::Bench;

    #[tokio::test]
    async fn of_a_file_whose_sync_is_refused_nothing_is_kept() {
        let mut bench = Bench::new("a.dat", b"hello");
        let whole = bench.whole().await;
        let part = bench.parts().part;
        fs::remove_file(&part).unwrap();
        // Linux refuses to sync a device.
        std::os::unix::fs::symlink("/dev/null", &part).unwrap();
        sync_data([&whole].into_iter()).remove(0).unwrap_err();
        assert!(!part.is_symlink());
    }
}
