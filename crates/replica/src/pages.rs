//! The HTML a web server sends: the home page, error pages, folder pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::StatusCode;
use jiff::civil::Date;

use crate::archive::Query;
use crate::catalogue::ROOT;
use crate::dates;
use crate::names::midnight;
use crate::server::Shared;

/// The home page, which also turns up where a file should be.
pub(crate) const HOME: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Data archive</title></head>\n\
    <body>\n<h1>Data archive</h1>\n<p>This is a test server. Its files are in \
    <a href=\"/sort_by_project/\">sort_by_project</a>.</p>\n</body>\n</html>\n";

/// An error page.
pub(crate) fn error(status: StatusCode, text: &str) -> String {
    let title = format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or(""));
    format!(
        "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>{title}</title>\n</head>\
         <body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body></html>\n"
    )
}

/// An entry of a folder: a folder, or a file with its size and time.
type Entry = Option<(u64, i64)>;

/// The page of a folder (a path that ends in a slash); none if there is no such folder.
pub(crate) fn folder(shared: &Shared, path: &str) -> Option<String> {
    let entries = entries(shared, path)?;
    if entries.is_empty() {
        return None;
    }
    let mut page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n <head>\n  <title>Index of {path}</title>\n \
         </head>\n <body>\n<h1>Index of {path}</h1>\n  <table>\n   <tr><th><a href=\"?C=N;O=D\">Name</a></th>\
         <th><a href=\"?C=M;O=A\">Last modified</a></th><th><a href=\"?C=S;O=A\">Size</a></th></tr>\n   \
         <tr><td><a href=\"../\">Parent Directory</a></td><td>&nbsp;</td><td align=\"right\">  - </td></tr>\n"
    );
    for (name, entry) in &entries {
        let (slash, date, size) = match entry {
            None => ("/", "&nbsp;".to_owned(), "  - ".to_owned()),
            Some((len, modified)) => ("", dates::page(*modified), len.to_string()),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{name}{slash}\">{name}{slash}</a></td><td align=\"right\">{date}  </td>\
             <td align=\"right\">{size}</td></tr>"
        );
    }
    page.push_str("</table>\n</body></html>\n");
    Some(page)
}

fn entries(shared: &Shared, folder: &str) -> Option<BTreeMap<String, Entry>> {
    let below = folder.strip_prefix(ROOT)?;
    let mut entries = BTreeMap::new();
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
                entries.extend(child.map(|name| (name.to_owned(), None)));
            }
        }
    }
    Some(entries)
}

/// The entries of a folder in a dated tree; above the day they are numbers, whether there are files or not.
fn dated(shared: &Shared, dataset: usize, folder: &str, rest: &str, entries: &mut BTreeMap<String, Entry>) {
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
    entries.extend(numbers.into_iter().map(|number| (number, None)));
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
fn collect(shared: &Shared, query: &Query, folder: &str, entries: &mut BTreeMap<String, Entry>) {
    let archive = &shared.store.archive;
    for page in 0..archive.page_count(query) {
        for path in archive.page(query, page) {
            enter(shared, folder, &path, entries);
        }
    }
}

fn enter(shared: &Shared, folder: &str, path: &str, entries: &mut BTreeMap<String, Entry>) {
    let Some(rest) = path.strip_prefix(folder) else { return };
    match rest.split_once('/') {
        Some((child, _)) => {
            entries.entry(child.to_owned()).or_insert(None);
        }
        None => {
            let item = shared.store.item(path, &shared.desk.faults(), shared.desk.attempts(path));
            entries.extend(item.map(|item| (rest.to_owned(), Some((item.len, item.modified)))));
        }
    }
}
