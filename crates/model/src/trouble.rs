//! Troubles: what failed so far in a job, counted by kind and host. History, not state: a retry that succeeds
//! takes nothing away.
//!
//! Bounded whatever happens: at most [`Troubles::ROWS`] rows, since an archive of a thousand mirrors must not
//! make a status of a thousand lines; texts are cut.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{ErrorKind, FileError};

/// Failures of one kind at one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The host asked, with its port where the URL has one; [`Trouble::OTHER_HOSTS`] where hosts are counted
    /// together, [`Trouble::NO_HOST`] where none was asked.
    pub host: String,
    /// Attempts that failed so.
    pub count: u64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
    /// The last one of them.
    pub example: TroubleExample,
}

/// One failure, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleExample {
    /// The file's path below the output root, or what the window asked for.
    pub path: String,
    /// What was said of it.
    pub message: String,
}

/// A job's troubles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Troubles(Vec<Trouble>);

impl Trouble {
    /// The host of rows that stand for all hosts beyond the first ones.
    pub const OTHER_HOSTS: &'static str = "other hosts";

    /// The host of failures that no host had a part in.
    pub const NO_HOST: &'static str = "this machine";

    /// Texts are cut at this length, in bytes.
    const TEXT_MAX: usize = 240;

    /// One failure of `path` at the host of `url`.
    #[must_use]
    pub fn once(error: &FileError, url: &str, path: &str, at: Timestamp) -> Self {
        let example = TroubleExample { path: cut(path), message: cut(&error.message) };
        Self { kind: error.kind, host: host_of(url), count: 1, first_at: at, last_at: at, example }
    }

    /// Whether both are of one kind and host, and so counted together.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && self.host == other.host
    }

    /// Counts another one in, which came later.
    pub fn absorb(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        self.first_at = self.first_at.min(later.first_at);
        self.last_at = self.last_at.max(later.last_at);
        self.example = later.example;
    }
}

impl Troubles {
    /// Rows, at most.
    pub const ROWS: usize = 64;

    /// Rows for hosts of their own; the others are kept for [`Trouble::OTHER_HOSTS`], one a kind.
    const OWN_ROWS: usize = Self::ROWS - ErrorKind::ALL.len();

    /// Counts a trouble in. Beyond the first hosts, hosts are counted together.
    pub fn note(&mut self, mut trouble: Trouble) {
        let own = self.0.iter().filter(|row| row.host != Trouble::OTHER_HOSTS).count();
        if own >= Self::OWN_ROWS && !self.0.iter().any(|row| row.is_like(&trouble)) {
            Trouble::OTHER_HOSTS.clone_into(&mut trouble.host);
        }
        match self.0.iter_mut().find(|row| row.is_like(&trouble)) {
            Some(row) => row.absorb(trouble),
            None => self.0.push(trouble),
        }
    }

    /// All rows, in the order in which they first came.
    #[must_use]
    pub fn rows(&self) -> &[Trouble] {
        &self.0
    }

    /// All rows, the latest trouble first.
    #[must_use]
    pub fn latest_first(&self) -> Vec<Trouble> {
        let mut rows = self.0.clone();
        rows.sort_by(|a, b| b.last_at.cmp(&a.last_at).then(a.kind.cmp(&b.kind)).then(a.host.cmp(&b.host)));
        rows
    }
}

/// The host of a URL, with its port where it has one of its own, as troubles, logs and metrics name it.
#[must_use]
pub fn host_of(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return Trouble::NO_HOST.to_owned() };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => Trouble::NO_HOST.to_owned(),
    }
}

fn cut(text: &str) -> String {
    if text.len() <= Trouble::TEXT_MAX {
        return text.to_owned();
    }
    let mut end = Trouble::TEXT_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trouble(kind: usize, host: u32, second: i64) -> Trouble {
        let error = FileError::new(ErrorKind::ALL[kind], "status 503");
        let at = Timestamp::from_second(second).unwrap();
        Trouble::once(&error, &format!("https://h{host}.example/a/b"), "D/b", at)
    }

    #[test]
    fn a_host_is_told_with_a_port_of_its_own_only() {
        let host = |url| Trouble::once(&FileError::new(ErrorKind::Http, ""), url, "", Timestamp::MIN).host;
        assert_eq!(host("https://User:secret@Data.Example:443/x?key=1"), "data.example");
        assert_eq!(host("http://127.0.0.1:8080/x"), "127.0.0.1:8080");
        assert_eq!(host("http://[::1]:8080/x"), "[::1]:8080");
        assert_eq!((host("no url"), host("data:x")), (Trouble::NO_HOST.into(), Trouble::NO_HOST.into()));
    }

    #[test]
    fn long_texts_are_cut_where_a_character_begins() {
        let long = "é".repeat(500);
        let cut = Trouble::once(&FileError::new(ErrorKind::Http, &*long), "", &long, Timestamp::MIN).example;
        assert_eq!((cut.path.len(), cut.message), (243, format!("{}…", "é".repeat(120))));
    }

    #[test]
    fn the_latest_comes_first_and_tells_the_last_example() {
        let mut troubles = Troubles::default();
        for (kind, host, second) in [(1, 1, 50), (0, 2, 70), (1, 1, 60)] {
            troubles.note(trouble(kind, host, second));
        }
        let rows = troubles.latest_first();
        let told: Vec<_> = rows.iter().map(|row| (row.host.as_str(), row.count)).collect();
        assert_eq!(told, [("h2.example", 1), ("h1.example", 2)]);
        assert_eq!((rows[1].first_at.as_second(), rows[1].last_at.as_second()), (50, 60));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_grows(
            notes in prop::collection::vec((0..ErrorKind::ALL.len(), 0..200u32, 0..999i64), 0..400),
        ) {
            let mut troubles = Troubles::default();
            for &(kind, host, second) in &notes {
                troubles.note(trouble(kind, host, second));
            }
            prop_assert!(troubles.rows().len() <= Troubles::ROWS);
            for (kind, of_kind) in ErrorKind::ALL.into_iter().enumerate() {
                let rows = || troubles.rows().iter().filter(|row| row.kind == of_kind);
                let noted = || notes.iter().filter(|note| note.0 == kind);
                prop_assert_eq!(rows().map(|row| row.count).sum::<u64>(), noted().count() as u64);
                let last = rows().map(|row| row.last_at.as_second()).max();
                prop_assert_eq!(last, noted().map(|note| note.2).max());
            }
        }
    }
}
