//! What is in a folder of the archive's tree: the folders that its names imply, and its files with size and time.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::archive::Query;
use crate::catalogue::ROOT;
use crate::names::midnight;
use crate::server::Shared;
use crate::store::Sight;

/// What is in a folder, by name.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// An entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Folder,
    /// A file, and when it was written (seconds since 1970).
    File {
        len: u64,
        modified: i64,
    },
}

/// The entries of a folder (a path that ends in a slash); none if there is no such folder.
pub(crate) fn entries(shared: &Shared, folder: &str) -> Option<Entries> {
    let below = folder.strip_prefix(ROOT)?;
    let mut entries = Entries::new();
    for path in shared.store.archive.overlay.below(folder) {
        enter(shared, folder, path, &mut entries);
    }
    for (index, dataset) in shared.store.archive.catalogue.datasets.iter().enumerate() {
        let tree = format!("{}/", dataset.tree);
        match below.strip_prefix(tree.as_str()) {
            Some(rest) if dataset.is_dated() => dated(shared, index, folder, rest, &mut entries),
            Some(_) => {
                let (start, end) = (i64::MIN / 2, i64::MAX / 2);
                let query = Query { dataset: index, start, end, site: None, device: None };
                collect(shared, &query, folder, &mut entries);
            }
            None => {
                let child = tree.strip_prefix(below).and_then(|rest| rest.split('/').next());
                entries.extend(child.map(|name| (name.to_owned(), Entry::Folder)));
            }
        }
    }
    Some(entries).filter(|entries| !entries.is_empty())
}

/// The entries of a folder in a dated tree; above the day they are numbers, whether there are files or not.
fn dated(shared: &Shared, dataset: usize, folder: &str, rest: &str, entries: &mut Entries) {
    let parts: Vec<_> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let number = |place: usize| parts.get(place).and_then(|part| part.parse::<i16>().ok());
    let year = number(0).filter(|year| (1990..2100).contains(year));
    let month = number(1).and_then(|month| i8::try_from(month).ok()).filter(|month| (1..=12).contains(month));
    let numbers: Vec<String> = match (parts.len(), year, month) {
        (0, _, _) => (2000..=2026).map(|year| format!("{year:04}")).collect(),
        (1, Some(_), _) => (1..=12).map(|month| format!("{month:02}")).collect(),
        (2, Some(year), Some(month)) => {
            let days = Date::new(year, month, 1).map_or(0, Date::days_in_month);
            (1..=days).map(|day| format!("{day:02}")).collect()
        }
        (_, Some(year), Some(month)) => {
            let day = number(2).and_then(|day| Date::new(year, month, i8::try_from(day).ok()?).ok());
            if let Some(day) = day {
                collect(
                    shared,
                    &in_day(dataset, midnight(day), parts.get(3..).unwrap_or_default()),
                    folder,
                    entries,
                );
            }
            return;
        }
        _ => return,
    };
    entries.extend(numbers.into_iter().map(|number| (number, Entry::Folder)));
}

/// The question for the files below a folder of one day: as narrow as the names of the folders allow.
fn in_day(dataset: usize, midnight: i64, folders: &[&str]) -> Query {
    let mut query = Query { dataset, start: midnight, end: midnight + 86_399, site: None, device: None };
    for folder in folders {
        match (folder.strip_prefix("ut").and_then(|hour| hour.parse::<i64>().ok()), folder.split_once('_')) {
            (Some(hour), _) => {
                query.start = midnight + hour * 3600;
                query.end = query.start + 3599;
            }
            (None, Some((site, device))) => {
                query.site = Some(site.to_owned());
                query.device = Some(device.to_owned());
            }
            (None, None) => {}
        }
    }
    query
}

/// Enters what a query lists and has in this folder.
fn collect(shared: &Shared, query: &Query, folder: &str, entries: &mut Entries) {
    let faults = shared.desk.faults();
    for page in 0..shared.store.archive.page_count(query) {
        for path in shared.store.page(query, page, &faults) {
            enter(shared, folder, &path, entries);
        }
    }
}

fn enter(shared: &Shared, folder: &str, path: &str, entries: &mut Entries) {
    let Some(rest) = path.strip_prefix(folder) else { return };
    match rest.split_once('/') {
        Some((child, _)) => {
            entries.entry(child.to_owned()).or_insert(Entry::Folder);
        }
        None => {
            let item =
                shared.store.item(path, &shared.desk.faults(), Sight::Told(shared.desk.attempts(path)));
            let entry = item.map(|item| Entry::File { len: item.len, modified: item.modified });
            entries.extend(entry.map(|entry| (rest.to_owned(), entry)));
        }
    }
}
