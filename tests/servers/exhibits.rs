//! The files that every server serves, and the comparison of two trees.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// The length of the largest file.
pub(crate) const LARGE: u64 = 200_000_000;

const FILES: [(&str, u64); 5] = [
    ("empty.dat", 0),
    ("one byte.dat", 1),
    ("deep/er/small.dat", 20_000),
    ("deep/medium.dat", 2_000_000),
    ("large.dat", LARGE),
];

/// A folder of files that any user may read, written long ago.
#[derive(Debug)]
pub(crate) struct Exhibits {
    folder: TempDir,
}

impl Exhibits {
    /// Writes the files.
    pub(crate) fn lay_out() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, len) in FILES {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            lay_out(&path, len);
        }
        // Some servers give up being root before they read.
        for below in ["", "deep", "deep/er"] {
            fs::set_permissions(folder.path().join(below), Permissions::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Their paths as URLs spell them.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        FILES.iter().map(|(name, _)| name.replace(' ', "%20"))
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> u64 {
        FILES.iter().map(|(_, len)| len).sum()
    }
}

/// Random pieces with holes between them: quick to write, and still every megabyte is unlike the others.
fn lay_out(path: &Path, len: u64) {
    const STEP: u64 = 1_000_000;
    let mut random = fastrand::Rng::with_seed(len);
    let mut file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    for at in (0..len).step_by(usize::try_from(STEP).unwrap()) {
        let mut piece = vec![0; usize::try_from((len - at).min(30_000)).unwrap()];
        random.fill(&mut piece);
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&piece).unwrap();
    }
    file.set_permissions(Permissions::from_mode(0o644)).unwrap();
    // A date of this very second would not be a strong validator.
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
}

/// Asserts that two folders hold the same files.
pub(crate) fn assert_same_tree(expected: &Path, found: &Path) {
    assert_eq!(names_below(found), names_below(expected));
    for name in names_below(expected) {
        assert!(is_same(&expected.join(&name), &found.join(&name)), "{name} differs");
    }
}

/// The length of the largest file below a folder; 0 if there is none.
pub(crate) fn largest_below(folder: &Path) -> u64 {
    // What is renamed or removed meanwhile is not there.
    let lengths = names_below(folder).into_iter().map(|name| fs::metadata(folder.join(name)));
    lengths.filter_map(|metadata| metadata.ok().map(|metadata| metadata.len())).max().unwrap_or(0)
}

fn names_below(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Ok(entries) = fs::read_dir(folder) else { return names };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                names.extend(names_below(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
            }
            Ok(_) => drop(names.insert(name)),
            Err(_) => {}
        }
    }
    names
}

fn is_same(one: &Path, other: &Path) -> bool {
    let mut files = [one, other].map(|path| BufReader::new(File::open(path).unwrap()));
    let mut pieces = [vec![0; 1 << 20], vec![0; 1 << 20]];
    loop {
        let mut lengths = [0, 0];
        for ((file, piece), len) in files.iter_mut().zip(&mut pieces).zip(&mut lengths) {
            *len = fill(file, piece);
        }
        if lengths[0] != lengths[1] || pieces[0][..lengths[0]] != pieces[1][..lengths[1]] {
            return false;
        }
        if lengths[0] == 0 {
            return true;
        }
    }
}

/// Reads until `piece` is full or the file ends.
fn fill(file: &mut impl Read, piece: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < piece.len() {
        match file.read(&mut piece[filled..]).unwrap() {
            0 => break,
            count => filled += count,
        }
    }
    filled
}
