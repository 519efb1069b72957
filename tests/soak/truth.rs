//! What each file may hold and how it must end, learnt from a replica that has the faults of the source and none of
//! the line.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use skyhaul_tests::{Replica, Sky, hex_sha256};

use crate::profile::{DATASETS, Profile, Source};

/// Digests that the file at a path below the output root may have; paths that are not here may have none.
pub(crate) type Allowed = HashMap<String, Vec<String>>;

/// How every file must end, by its path below the output root.
#[derive(Debug)]
pub(crate) struct Truth {
    files: BTreeMap<String, Expected>,
}

#[derive(Debug)]
struct Expected {
    ending: Ending,
    /// The digests of what the archive has of it, now or after a replacement.
    digests: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Done,
    /// Done, or never listed.
    DoneIfListed,
    NeverListed,
    /// Failed, with one of these kinds, and nothing at its path.
    Failed(&'static [&'static str]),
}

impl Truth {
    /// Asks a replica of its own.
    pub(crate) fn learn(profile: &Profile) -> Self {
        let source = Replica::start(&profile.source());
        // An archive of the same files, that lists all of them.
        let all = Replica::start("--small-files");
        let mut files = BTreeMap::new();
        for (dataset, tree) in DATASETS {
            let window = profile.query();
            let (start, end) = window_of(&window);
            for url in all.listing(&format!("name={dataset}&start={start}&end={end}")) {
                let path = &url[all.base().len()..];
                let landing = format!("{dataset}/{}", path.strip_prefix(tree).unwrap());
                files.insert(landing, Expected::learn(profile, &source, path));
            }
        }
        Self { files }
    }

    /// What the watcher goes by.
    pub(crate) fn allowed(&self) -> Allowed {
        let held = self.files.iter().filter(|(_, expected)| !matches!(expected.ending, Ending::Failed(_)));
        held.map(|(path, expected)| (path.clone(), expected.digests.clone())).collect()
    }

    /// How many files there are in the end at least.
    pub(crate) fn least_held(&self) -> usize {
        self.files.values().filter(|expected| expected.ending == Ending::Done).count()
    }

    /// In what the job differs from how it must end, by path.
    pub(crate) fn unmet(&self, sky: &Sky) -> BTreeMap<String, String> {
        let told: HashMap<String, Value> = sky
            .files("1")
            .into_iter()
            .map(|file| (file["path"].as_str().unwrap().to_owned(), file))
            .collect();
        let unknown = told.keys().filter(|path| !self.files.contains_key(*path));
        let unknown = unknown.map(|path| (path.clone(), "in no listing".to_owned()));
        let wrong = self.files.iter().filter_map(|(path, expected)| {
            let complaint = expected.complaint(told.get(path))?;
            Some((path.clone(), format!("{complaint}: {}", told.get(path).unwrap_or(&Value::Null))))
        });
        unknown.chain(wrong).collect()
    }
}

impl Expected {
    fn learn(profile: &Profile, source: &Replica, path: &str) -> Self {
        let fault = profile.of(path);
        // Text has no check of its own: damage shows in it to nobody.
        let has_check = !path.ends_with(".txt");
        let ending = match fault {
            Source::Sound | Source::Replaced | Source::Outdated => Ending::Done,
            Source::Missing => Ending::Failed(profile.kinds_of_missing()),
            Source::Empty | Source::Truncated | Source::Damaged if has_check => {
                Ending::Failed(&["corrupt_at_source"])
            }
            Source::Empty | Source::Truncated | Source::Damaged => Ending::Done,
            Source::Unlisted => Ending::NeverListed,
            Source::Late => Ending::DoneIfListed,
        };
        // A replaced file is another one from its second GET on.
        let looks = if fault == Source::Replaced { 2 } else { 1 };
        let digests = (0..looks).map(|_| hex_sha256(&source.fetch(path).body)).collect();
        Self { ending, digests }
    }

    /// What is wrong with the file object of a file, or with there being none.
    fn complaint(&self, file: Option<&Value>) -> Option<&'static str> {
        let Some(file) = file else {
            let must_be = matches!(self.ending, Ending::Done | Ending::Failed(_));
            return must_be.then_some("not listed");
        };
        match self.ending {
            Ending::NeverListed => Some("listed"),
            Ending::Failed(kinds) => {
                let kind = file["error"]["kind"].as_str().unwrap_or("");
                let is_right = file["state"] == "failed" && kinds.contains(&kind);
                (!is_right).then_some("not failed as it must")
            }
            Ending::Done | Ending::DoneIfListed if file["state"] != "done" => Some("not done"),
            Ending::Done | Ending::DoneIfListed => {
                let is_true = self.digests.iter().any(|digest| file["sha256"] == digest.as_str());
                (!is_true).then_some("another digest")
            }
        }
    }
}

/// The values of `--start` and `--end`.
fn window_of(query: &str) -> (&str, &str) {
    let after = |flag| query.split(' ').skip_while(|word| *word != flag).nth(1).unwrap();
    (after("--start"), after("--end"))
}
