//! Publishing: whole files get their final names, and the folders that hold those names are synced
//! (the last steps of invariant I2).
//!
//! A crash may leave some files of a batch published and some not; `recover` tells which.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::PathBuf;

use skyhaul_model::FileError;

use crate::durable;
use crate::end::Lies;
use crate::place::{Folders, folders_up};
use crate::sync::sync_all;
use crate::traces;
use crate::trouble::{Blow, disk_error};
use crate::{OutputRoot, Whole};

/// Puts whole files at their final paths and syncs each folder on the way once. Blocking.
///
/// To be called only when the seals are durable in the queue (invariant I2). A symbolic link at a final
/// path is replaced, never followed. One answer for each file, in order.
#[must_use]
pub fn publish(batch: &[Whole]) -> Vec<Result<(), FileError>> {
    let mut results = put_all(batch);
    let failed =
        sync_folders(batch.iter().zip(&results).filter(|(_, put)| put.is_ok()).map(|(whole, _)| whole));
    let refused = if failed.is_empty() { &[] } else { batch };
    for (whole, result) in refused.iter().zip(&mut results) {
        let up = folders_up(whole.root.path(), &whole.path);
        if let (Ok(()), Some(error)) = (&*result, up.iter().find_map(|folder| failed.get(folder))) {
            *result = Err(error.clone());
        }
    }
    traces::forget(batch.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(whole, _)| whole));
    results
}

/// Syncs the folders of a file that lies at its final path, up to the root.
pub(crate) fn sync_place(whole: &Whole) -> Result<(), FileError> {
    match sync_folders(std::iter::once(whole)).into_values().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Puts files at their places, folder by folder; one answer for each, in the batch's order.
fn put_all(batch: &[Whole]) -> Vec<Result<(), FileError>> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|&at| (batch[at].root.path(), &batch[at].path));
    let mut folders = Folders::default();
    let mut results = vec![Ok(()); batch.len()];
    for at in order {
        results[at] = put(&batch[at], &mut folders);
    }
    results
}

fn put(whole: &Whole, folders: &mut Folders) -> Result<(), FileError> {
    let told = |blow: Blow| blow.error;
    let folder = folders.prepare(whole.root.path(), &whole.path, whole.root.names()).map_err(told)?;
    if whole.lies == Lies::InPlace {
        return Ok(());
    }
    let taken = folder.take(&whole.paths.part, whole.path.file_name());
    taken.map_err(|error| disk_error("publish", &whole.root.final_path(&whole.path), &error))
}

/// Syncs all folders from those of the files up to their roots; those that refused.
///
/// Folders that stood before are synced as well: nobody knows whether they were when they were made.
fn sync_folders<'a>(files: impl Iterator<Item = &'a Whole>) -> HashMap<PathBuf, FileError> {
    let mut folders: BTreeMap<PathBuf, &OutputRoot> = BTreeMap::new();
    let mut seen = HashSet::new();
    let folder = |whole: &'a Whole| whole.path.as_str().rsplit_once('/').map(|(folder, _)| folder);
    for whole in files.filter(|whole| seen.insert((whole.root.path(), folder(whole)))) {
        let up = folders_up(whole.root.path(), &whole.path);
        folders.extend(up.into_iter().map(|folder| (folder, &*whole.root)));
    }
    let failed = sync_all(folders.iter().map(|(folder, root)| (*root, &**folder)), durable::sync_dir);
    let told = |(folder, error): (PathBuf, io::Error)| {
        let told = disk_error("sync the folder", &folder, &error);
        (folder, told)
    };
    failed.into_iter().map(told).collect()
}
