//! Whole attempts against a scripted site, each on a disk of its own.

mod crashes;
mod existing;
mod folders;
mod matrix;
mod meddling;
mod places;
mod proofs;
mod random;
mod receiving;
mod rechecking;
mod resuming;
mod rules;
mod segments;
mod settling;
mod site;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use skyhaul_model::{Query, RelPath, Source};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::ask::{Held, Slot};
use crate::extents::Extents;
use crate::meta::Meta;
use crate::parts::{Kept, PartPaths};
use crate::store::{Resumable, Store};
use crate::validator::Validators;
use crate::{Assignment, End, Failure, Meter, OutputRoot, Whole, publish, transfer};
use site::Site;

/// An output folder and one file to be brought there.
pub(crate) struct Bench {
    dir: TempDir,
    site: Site,
    pub(crate) assignment: Assignment,
}

impl Bench {
    /// A site that serves `bytes`, with a strong tag, at a path that ends in `name`.
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Arc::new(OutputRoot::open(dir.path()).unwrap());
        let source = Source::archive("https://a.example", &[], Vec::new(), &[], &[]);
        let key = Query { source, out: "x".into() }.key();
        let path = RelPath::parse(&format!("D/2020/{name}")).unwrap();
        let assignment = Assignment::new(format!("https://a.example/d/{name}"), path, key, root);
        let assignment = Assignment { boot: "boot-1".into(), ..assignment };
        Self { dir, site: Site::new(bytes), assignment }
    }

    /// One attempt. What it received is carried over to the next, as the queue does.
    async fn attempt(&mut self) -> End {
        let (meter, stop) = (Meter::default(), CancellationToken::new());
        let end = transfer(&self.site, &self.assignment, &meter, &stop).await;
        self.assignment.received = match &end {
            End::Whole(whole) => whole.sealed.received,
            End::Unchanged => self.assignment.received,
            End::Failed(failure) => failure.received,
            End::Stopped { received } => *received,
        };
        end
    }

    pub(crate) async fn whole(&mut self) -> Whole {
        match self.attempt().await {
            End::Whole(whole) => whole,
            other => panic!("{other:?}"),
        }
    }

    async fn failure(&mut self) -> Failure {
        match self.attempt().await {
            End::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    /// An attempt that must succeed and publish these bytes.
    async fn publishes(&mut self, expected: &[u8]) -> Whole {
        let whole = self.whole().await;
        assert_eq!(whole.sealed.size, expected.len() as u64);
        assert_eq!(whole.sealed.sha256, sha256(expected));
        publish(std::slice::from_ref(&whole)).remove(0).unwrap();
        assert!(fs::read(self.place()).unwrap() == expected, "the bytes differ");
        whole
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join(self.assignment.path.as_str())
    }

    /// Lays a file at the final path.
    fn lay(&self, bytes: &[u8]) {
        fs::create_dir_all(self.place().parent().unwrap()).unwrap();
        fs::write(self.place(), bytes).unwrap();
    }

    pub(crate) fn parts(&self) -> PartPaths {
        PartPaths::of(&self.assignment, Slot::One)
    }

    /// A part of the assignment's file that begins now.
    pub(crate) fn store(&self) -> Store {
        let Assignment { url, boot, .. } = &self.assignment;
        let validators = Validators { etag: Some("\"v1\"".into()), ..Validators::default() };
        let mut meta = Meta::new(url, url, validators, boot);
        meta.total = Some(1 << 20);
        Store::begin(self.parts(), meta, Resumable::Yes, None).unwrap()
    }

    /// Lays a part of these bytes, with a record like that of the first part but for this.
    fn lay_part(&self, paths: &PartPaths, bytes: &[u8], change: impl FnOnce(&mut Meta)) {
        let mut meta = Meta::read(&self.parts().meta).unwrap().unwrap();
        meta.written = Extents::prefix_of(bytes.len() as u64, crc32fast::hash(bytes));
        change(&mut meta);
        meta.write(&paths.meta).unwrap();
        fs::write(&paths.part, bytes).unwrap();
    }

    /// What an attempt would go on from now.
    pub(crate) fn held(&self) -> Option<Held> {
        Kept::load(&self.assignment).unwrap().first
    }

    fn part_length(&self) -> Option<u64> {
        fs::metadata(self.parts().part).ok().map(|found| found.len())
    }

    /// The lengths of all parts that lie there.
    fn part_lengths(&self) -> Vec<u64> {
        let parts = [self.parts(), self.parts().other()].map(|paths| fs::metadata(paths.part));
        parts.into_iter().flatten().map(|found| found.len()).collect()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes that do not repeat, so that a byte in a wrong place shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
