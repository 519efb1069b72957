//! A disk that remembers what was synced: what a power cut may leave of a folder.
//!
//! The rules are those of POSIX at its strictest. A file's bytes and length are safe once the file was synced, a
//! name once its folder was. Of what was not synced any part may be lost, in any order: of bytes by blocks, of names
//! one by one. A rename is lost or kept as a whole. A folder whose own name is lost takes along all in it.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::recording::Call;

/// Bytes that reach the disk together.
const BLOCK: u64 = 4096;

/// How much of what was not synced is there after the cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Share {
    Nothing,
    /// What came first, up to some moment: a file system with a journal.
    First,
    /// Each piece by itself with this probability in percent.
    Percent(u8),
    Everything,
}

/// What survives a cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survival {
    pub(crate) bytes: Share,
    pub(crate) names: Share,
}

/// What lies below a folder after a cut.
pub(crate) struct Image {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    folders: Vec<String>,
}

/// The disk.
#[derive(Clone)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
    /// Who bears an inode's number now: numbers are given out again.
    by_inode: HashMap<u64, NodeId>,
    /// Changes of names in the order in which they were made, those that no sync made safe.
    unsafe_names: Vec<Vec<NameChange>>,
}

type NodeId = usize;

/// The folder that all of this is about.
const ROOT: NodeId = 0;

#[derive(Clone)]
enum Node {
    File { safe: Vec<u8>, since: Vec<ByteChange> },
    Folder { live: Names, safe: Names },
}

type Names = BTreeMap<String, NodeId>;

#[derive(Clone)]
enum ByteChange {
    Write { offset: u64, bytes: Vec<u8> },
    SetLength(u64),
}

#[derive(Clone)]
struct NameChange {
    folder: NodeId,
    name: String,
    node: Option<NodeId>,
}

impl Survival {
    /// All of it: what the death of a process leaves.
    pub(crate) const ALL: Self = Self { bytes: Share::Everything, names: Share::Everything };

    /// None of what was not synced.
    pub(crate) const NONE: Self = Self { bytes: Share::Nothing, names: Share::Nothing };

    /// One of the many things that a power cut may leave.
    pub(crate) fn of_power_cut(random: &mut fastrand::Rng) -> Self {
        let shares = [Share::Nothing, Share::Percent(30), Share::Percent(70), Share::Everything];
        let bytes = shares[random.usize(..shares.len())];
        let names = [Share::Nothing, Share::First, Share::Percent(50), Share::Everything];
        Self { bytes, names: names[random.usize(..names.len())] }
    }
}

impl Share {
    /// Which of `count` pieces survive.
    fn draw(self, count: usize, random: &mut fastrand::Rng) -> Vec<bool> {
        let first = random.usize(..=count);
        let survives = |number| match self {
            Self::Nothing => false,
            Self::First => number < first,
            Self::Percent(percent) => random.u8(..100) < percent,
            Self::Everything => true,
        };
        (0..count).map(survives).collect()
    }
}

impl Disk {
    /// A folder as it lies there, all of it safe.
    pub(crate) fn of(root: &Path) -> Self {
        let mut disk =
            Self { nodes: vec![Node::folder()], by_inode: HashMap::new(), unsafe_names: Vec::new() };
        disk.take_in(root, ROOT);
        disk
    }

    fn take_in(&mut self, path: &Path, id: NodeId) {
        self.by_inode.insert(std::fs::metadata(path).unwrap().ino(), id);
        for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            let node = if kind.is_dir() {
                Node::folder()
            } else if kind.is_file() {
                Node::File { safe: std::fs::read(entry.path()).unwrap(), since: Vec::new() }
            } else {
                continue;
            };
            let inner = self.add(entry.metadata().unwrap().ino(), node);
            let name = entry.file_name().into_string().unwrap();
            let (live, safe) = self.names(id);
            live.insert(name.clone(), inner);
            safe.insert(name, inner);
            if kind.is_dir() {
                self.take_in(&entry.path(), inner);
            }
        }
    }

    /// Does what the program did.
    pub(crate) fn apply(&mut self, call: &Call) {
        match call {
            Call::Create { inode, path } => {
                let file = self.add(*inode, Node::File { safe: Vec::new(), since: Vec::new() });
                self.rename(&[(path, Some(file))]);
            }
            Call::MakeFolder { inode, path } => {
                let folder = self.add(*inode, Node::folder());
                self.rename(&[(path, Some(folder))]);
            }
            Call::Write { inode, offset, bytes } => self.change(*inode, blocks(*offset, bytes)),
            Call::SetLength { inode, length } => self.change(*inode, vec![ByteChange::SetLength(*length)]),
            Call::Sync { inode } => self.sync(self.by_inode[inode]),
            Call::SyncAll => (0..self.nodes.len()).for_each(|id| self.sync(id)),
            // Sockets and the like are no files, and so unknown here.
            Call::Rename { from, to } => self.rename(&[(from, None), (to, self.find(from))]),
            Call::Link { path, further } => self.rename(&[(further, self.find(path))]),
            Call::Remove { path } => self.rename(&[(path, None)]),
            Call::Say { .. } => {}
        }
    }

    /// What may lie there if the power goes now.
    pub(crate) fn image(&self, survival: Survival, random: &mut fastrand::Rng) -> Image {
        let mut folders: HashMap<NodeId, Names> = HashMap::new();
        for (id, node) in self.nodes.iter().enumerate() {
            if let Node::Folder { safe, .. } = node {
                folders.insert(id, safe.clone());
            }
        }
        let survives = survival.names.draw(self.unsafe_names.len(), random);
        for change in self.unsafe_names.iter().zip(survives).filter(|(_, survives)| *survives) {
            for NameChange { folder, name, node } in change.0 {
                set(folders.get_mut(folder).unwrap(), name, *node);
            }
        }
        let mut image = Image { files: BTreeMap::new(), folders: Vec::new() };
        let mut left = vec![(String::new(), ROOT)];
        while let Some((path, id)) = left.pop() {
            match &self.nodes[id] {
                Node::File { safe, since } => {
                    let mut bytes = safe.clone();
                    let survives = survival.bytes.draw(since.len(), random);
                    let changes = since.iter().zip(survives).filter(|(_, survives)| *survives);
                    changes.for_each(|(change, _)| change.apply(&mut bytes));
                    image.files.insert(path, bytes);
                }
                Node::Folder { .. } => {
                    let inner = folders[&id].iter();
                    left.extend(inner.map(|(name, id)| (format!("{path}/{name}"), *id)));
                    image.folders.push(path);
                }
            }
        }
        image.files = image.files.into_iter().map(|(path, bytes)| (path[1..].to_owned(), bytes)).collect();
        image
    }

    fn add(&mut self, inode: u64, node: Node) -> NodeId {
        self.nodes.push(node);
        self.by_inode.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn change(&mut self, inode: u64, changes: Vec<ByteChange>) {
        let Node::File { since, .. } = &mut self.nodes[self.by_inode[&inode]] else {
            panic!("a folder was written to")
        };
        since.extend(changes);
    }

    fn sync(&mut self, id: NodeId) {
        match &mut self.nodes[id] {
            Node::File { safe, since } => since.drain(..).for_each(|change| change.apply(safe)),
            Node::Folder { .. } => self.sync_names(id),
        }
    }

    /// Changes that touch the folder become safe. What came before them in the same places is history.
    fn sync_names(&mut self, folder: NodeId) {
        let changes = std::mem::take(&mut self.unsafe_names);
        let mut kept: Vec<Vec<NameChange>> = Vec::new();
        for change in changes {
            if change.iter().all(|change| change.folder != folder) {
                kept.push(change);
                continue;
            }
            for NameChange { folder, name, node } in change {
                for earlier in &mut kept {
                    earlier.retain(|earlier| (earlier.folder, &earlier.name) != (folder, &name));
                }
                set(self.names(folder).1, &name, node);
            }
        }
        kept.retain(|change| !change.is_empty());
        self.unsafe_names = kept;
    }

    /// Changes names, all at once.
    fn rename(&mut self, changes: &[(&String, Option<NodeId>)]) {
        let mut made = Vec::new();
        for (path, node) in changes {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let folder = self.find(parent).unwrap_or_else(|| panic!("there is no folder for {path}"));
            set(self.names(folder).0, name, *node);
            made.push(NameChange { folder, name: name.to_owned(), node: *node });
        }
        self.unsafe_names.push(made);
    }

    fn find(&self, path: &str) -> Option<NodeId> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(ROOT, |id, name| match &self.nodes[id] {
            Node::Folder { live, .. } => live.get(name).copied(),
            Node::File { .. } => None,
        })
    }

    fn names(&mut self, folder: NodeId) -> (&mut Names, &mut Names) {
        match &mut self.nodes[folder] {
            Node::Folder { live, safe } => (live, safe),
            Node::File { .. } => panic!("a file is no folder"),
        }
    }
}

impl Node {
    fn folder() -> Self {
        Self::Folder { live: BTreeMap::new(), safe: BTreeMap::new() }
    }
}

impl ByteChange {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(file, *offset, bytes),
            Self::SetLength(length) => file.resize(usize::try_from(*length).unwrap(), 0),
        }
    }
}

/// A write in pieces, each of which reaches the disk by itself.
fn blocks(mut offset: u64, mut bytes: &[u8]) -> Vec<ByteChange> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let room = usize::try_from(BLOCK - offset % BLOCK).unwrap();
        let (block, rest) = bytes.split_at(room.min(bytes.len()));
        blocks.push(ByteChange::Write { offset, bytes: block.to_vec() });
        offset += block.len() as u64;
        bytes = rest;
    }
    blocks
}

impl Image {
    /// Puts it into an empty folder.
    pub(crate) fn write_to(&self, root: &Path) {
        for folder in &self.folders {
            std::fs::create_dir_all(root.join(folder.trim_start_matches('/'))).unwrap();
        }
        for (path, bytes) in &self.files {
            std::fs::write(root.join(path), bytes).unwrap();
        }
    }
}

fn set(names: &mut Names, name: &str, node: Option<NodeId>) {
    match node {
        Some(node) => drop(names.insert(name.to_owned(), node)),
        None => drop(names.remove(name)),
    }
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (usize::try_from(offset).unwrap(), usize::try_from(offset).unwrap() + bytes.len());
    if file.len() < to {
        file.resize(to, 0);
    }
    file[from..to].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(inode: u64, path: &str) -> Call {
        Call::Create { inode, path: path.to_owned() }
    }

    fn write(inode: u64, offset: u64, bytes: &[u8]) -> Call {
        Call::Write { inode, offset, bytes: bytes.to_vec() }
    }

    fn rename(from: &str, to: &str) -> Call {
        Call::Rename { from: from.to_owned(), to: to.to_owned() }
    }

    /// A disk with the folder `d` (inode 2) and in it `a` (inode 3), which holds `old`; the root is inode 1.
    fn disk() -> Disk {
        let by_inode = HashMap::from([(1, ROOT)]);
        let mut disk = Disk { nodes: vec![Node::folder()], by_inode, unsafe_names: Vec::new() };
        let folder = Call::MakeFolder { inode: 2, path: "d".to_owned() };
        let calls = [folder, create(3, "d/a"), write(3, 0, b"old")];
        calls.iter().for_each(|call| disk.apply(call));
        [3, 2, 1].into_iter().for_each(|inode| disk.apply(&Call::Sync { inode }));
        disk
    }

    /// What is left after these calls, as `path=content` in order.
    fn left(calls: &[Call], survival: Survival) -> String {
        let mut disk = disk();
        calls.iter().for_each(|call| disk.apply(call));
        let files = disk.image(survival, &mut fastrand::Rng::with_seed(1)).files;
        let shown = files.iter().map(|(path, bytes)| format!("{path}={}", String::from_utf8_lossy(bytes)));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn bytes_are_safe_once_the_file_was_synced() {
        let calls = [write(3, 0, b"new"), Call::Sync { inode: 3 }, write(3, 3, b"er")];
        for (count, lost, kept) in
            [(1, "d/a=old", "d/a=new"), (2, "d/a=new", "d/a=new"), (3, "d/a=new", "d/a=newer")]
        {
            assert_eq!(left(&calls[..count], Survival::NONE), lost);
            assert_eq!(left(&calls[..count], Survival::ALL), kept);
        }
    }

    #[test]
    fn a_new_name_is_safe_once_its_folder_was_synced() {
        let calls = [create(4, "d/b"), write(4, 0, b"x"), Call::Sync { inode: 4 }, Call::Sync { inode: 2 }];
        assert_eq!(left(&calls[..3], Survival::NONE), "d/a=old");
        assert_eq!(left(&calls, Survival::NONE), "d/a=old d/b=x");
    }

    #[test]
    fn a_file_put_in_the_place_of_another_is_lost_or_kept_as_a_whole() {
        let calls = [create(4, "d/b"), write(4, 0, b"new"), rename("d/b", "d/a"), Call::Sync { inode: 2 }];
        assert_eq!(left(&calls[..3], Survival::NONE), "d/a=old");
        assert_eq!(left(&calls[..3], Survival::ALL), "d/a=new");
        // The name is safe and the bytes are not: this is why a file is synced before it is renamed.
        assert_eq!(left(&calls, Survival::NONE), "d/a=");
    }

    #[test]
    fn all_is_safe_once_all_was_synced() {
        let calls = [create(4, "b"), write(4, 0, b"x"), rename("d/a", "a"), Call::SyncAll, write(4, 0, b"y")];
        assert_eq!(left(&calls[..3], Survival::NONE), "d/a=old");
        assert_eq!(left(&calls, Survival::NONE), "a=old b=x");
    }

    #[test]
    fn a_rename_between_folders_is_safe_with_either() {
        let move_up = [rename("d/a", "a"), Call::Sync { inode: 1 }];
        assert_eq!(left(&move_up[..1], Survival::NONE), "d/a=old");
        assert_eq!(left(&move_up, Survival::NONE), "a=old");
    }

    #[test]
    fn what_was_done_to_a_name_before_it_was_made_safe_does_not_come_back() {
        let calls = [create(4, "d/b"), rename("d/b", "b"), Call::Sync { inode: 1 }];
        let names_alone = Survival { bytes: Share::Nothing, names: Share::Everything };
        assert_eq!(left(&calls, names_alone), "b= d/a=old");
    }

    #[test]
    fn a_removed_file_may_come_back() {
        let calls = [Call::Remove { path: "d/a".to_owned() }, Call::Sync { inode: 2 }];
        assert_eq!(left(&calls[..1], Survival::NONE), "d/a=old");
        assert_eq!(left(&calls, Survival::NONE), "");
    }

    #[test]
    fn blocks_are_lost_one_by_one() {
        let calls = [write(3, 0, &[b'x'; 10 * BLOCK as usize])];
        let half = Survival { bytes: Share::Percent(50), names: Share::Nothing };
        let left = left(&calls, half);
        let blocks: Vec<&[u8]> = left.as_bytes()[4..].chunks(BLOCK as usize).collect();
        let kept = blocks.iter().filter(|block| block.iter().all(|&byte| byte == b'x')).count();
        assert!(kept > 0 && kept < 10, "{kept} of 10 blocks were kept");
    }
}
