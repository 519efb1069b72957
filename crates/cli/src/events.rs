//! Events: a CSV file of `start,end[,site]` rows becomes the intervals of a query.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use csv::StringRecord;
use jiff::Timestamp;
use skyhaul_model::{Interval, parse_end, parse_start};

use crate::error::CliError;

/// Which column holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    start: usize,
    end: usize,
    site: Option<usize>,
}

impl Columns {
    /// The order without a header row.
    const PLAIN: Self = Self { start: 0, end: 1, site: Some(2) };
}

/// Reads an events file and widens every event by `margin` on both sides. Blocking.
pub(crate) fn read(path: &Path, margin: Duration) -> Result<Vec<Interval>, CliError> {
    let file = std::fs::File::open(path).map_err(|error| {
        CliError::usage(format!("cannot read the events in {}", path.display())).because(&error)
    })?;
    parse(BufReader::new(file), path, margin)
}

fn parse(reader: impl BufRead, path: &Path, margin: Duration) -> Result<Vec<Interval>, CliError> {
    let mut columns = None;
    let mut intervals = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let wrong = |why: String| wrong(path, index + 1, &why);
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let record = record(line).map_err(wrong)?;
        if columns.is_none() {
            columns = header(&record);
            if columns.is_some() {
                continue;
            }
        }
        let columns = *columns.get_or_insert(Columns::PLAIN);
        intervals.extend(event(&record, columns, margin).map_err(wrong)?);
    }
    if intervals.is_empty() {
        return Err(CliError::usage(format!("{} holds no events", path.display())));
    }
    Ok(intervals)
}

/// One row. Each line is read on its own, so that errors can name it.
fn record(line: &str) -> Result<StringRecord, String> {
    let mut csv = csv::ReaderBuilder::new();
    csv.has_headers(false).trim(csv::Trim::All).delimiter(delimiter(line));
    let mut csv = csv.from_reader(line.as_bytes());
    let first = csv.records().next().transpose().map_err(|error| error.to_string())?;
    Ok(first.unwrap_or_default())
}

/// Spreadsheets write others where the comma stands in numbers, and there it may stand in a time as well.
fn delimiter(line: &str) -> u8 {
    let of = |all: &[u8]| line.bytes().position(|byte| all.contains(&byte));
    let is_time = |text: &str| parse_start(text.trim().trim_matches('"')).is_ok();
    let at = of(b";\t").filter(|&at| is_time(&line[..at])).or_else(|| of(b",;\t"));
    at.map_or(b',', |at| line.as_bytes()[at])
}

/// The columns that a header row names; none when the row is data.
fn header(record: &StringRecord) -> Option<Columns> {
    let names: Vec<String> = record.iter().map(str::to_ascii_lowercase).collect();
    let column = |beginning: &str| names.iter().position(|name| name.starts_with(beginning));
    if let (Some(start), Some(end)) = (column("start"), column("end")) {
        return Some(Columns { start, end, site: column("site") });
    }
    // Any other words: a header all the same, if nothing in it could have been meant as a time.
    let is_word = |name: &String| !name.is_empty() && !name.contains(|c: char| c.is_ascii_digit());
    (names.len() >= 2 && names.iter().take(2).all(is_word)).then_some(Columns::PLAIN)
}

/// A row's interval, once for each of its sites: `gill,atha` in quotes are two.
fn event(record: &StringRecord, columns: Columns, margin: Duration) -> Result<Vec<Interval>, String> {
    let field = |column: usize| record.get(column).filter(|text| !text.is_empty());
    let present = |column, name| field(column).ok_or_else(|| format!("it has no {name}"));
    let start = parse_start(present(columns.start, "start")?).map_err(|error| error.to_string())?;
    let end = parse_end(present(columns.end, "end")?).map_err(|error| error.to_string())?;
    if start > end {
        return Err("it starts after its end".to_owned());
    }
    let (start, end) = widened(start, end, margin);
    let interval = |site| Interval::between(start, end, site);
    let sites = columns.site.and_then(field).unwrap_or_default().split(',').map(str::trim);
    let named: Vec<_> = sites.filter(|site| !site.is_empty()).map(|site| Some(site.to_owned())).collect();
    let sites = if named.is_empty() { vec![None] } else { named };
    Ok(sites.into_iter().filter_map(interval).collect())
}

/// Times at the ends of what a calendar holds stay where they are.
fn widened(start: Timestamp, end: Timestamp, margin: Duration) -> (Timestamp, Timestamp) {
    (start.checked_sub(margin).unwrap_or(Timestamp::MIN), end.checked_add(margin).unwrap_or(Timestamp::MAX))
}

fn wrong(path: &Path, line: usize, why: &str) -> CliError {
    CliError::usage(format!("line {line} of {} is no event: {why}", path.display()))
        .hint("each row is start,end or start,end,site")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, margin_s: u64) -> Result<Vec<String>, String> {
        let intervals = parse(text.as_bytes(), Path::new("e.csv"), Duration::from_secs(margin_s));
        let shown = |i: &Interval| format!("{}..{} {}", i.start, i.end, i.site.as_deref().unwrap_or("*"));
        intervals.map(|all| all.iter().map(shown).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_times_and_perhaps_a_site() {
        let plain = "2022-01-01T06:00,2022-01-01T06:10,gill\n# a comment\n\n2022-02, 2022-02 \n";
        let expected = [
            "2022-01-01T06:00:00Z..2022-01-01T06:10:59Z gill",
            "2022-02-01T00:00:00Z..2022-02-28T23:59:59Z *",
        ];
        assert_eq!(read(plain, 0).unwrap(), expected);
        for header in ["start,end,site\n", "\u{feff}Start,End,Site\n", "onset,offset,station\n"] {
            assert_eq!(read(&format!("{header}{plain}"), 0).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn a_header_may_order_the_columns() {
        let text = "id,site_uid,start_time,end_time\n1,gill,2022-01-01,2022-01-01\n";
        assert_eq!(read(text, 0).unwrap(), ["2022-01-01T00:00:00Z..2022-01-01T23:59:59Z gill"]);
    }

    #[test]
    fn spreadsheets_of_all_countries_are_read() {
        for separator in [",", ";", "\t", ", "] {
            let text = ["start", "end", "site\n2022-01-01", "2022-01-01", "gill\r\n"].join(separator);
            assert_eq!(
                read(&text, 0).unwrap(),
                ["2022-01-01T00:00:00Z..2022-01-01T23:59:59Z gill"],
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_comma_in_a_time_separates_nothing_and_other_separators_in_a_remark_neither() {
        let second = ["2022-01-01T06:00:00Z..2022-01-01T06:10:00Z gill"];
        let rows = [
            "2022-01-01T06:00:00,5Z;2022-01-01T06:10:00,5Z;gill",
            "\"2022-01-01T06:00:00,5Z\"\t2022-01-01T06:10:00,5Z\tgill",
            "2022-01-01T06:00:00Z,2022-01-01T06:10:00Z,gill,bright; fast",
        ];
        for row in rows {
            assert_eq!(read(row, 0).unwrap(), second, "{row:?}");
        }
    }

    #[test]
    fn a_row_may_be_of_several_sites() {
        let rows = ["2022-01-01,2022-01-01,\"gill, atha\"\n", "2022-01-01;2022-01-01;gill,atha\n"];
        for text in rows {
            let sites =
                ["gill", "atha"].map(|site| format!("2022-01-01T00:00:00Z..2022-01-01T23:59:59Z {site}"));
            assert_eq!(read(text, 0).unwrap(), sites, "{text:?}");
        }
    }

    #[test]
    fn a_margin_widens_both_sides() {
        let text = "2022-01-01T06:00:00,2022-01-01T06:10:00\n";
        assert_eq!(read(text, 600).unwrap(), ["2022-01-01T05:50:00Z..2022-01-01T06:20:00Z *"]);
    }

    #[test]
    fn bad_rows_are_named_by_their_line() {
        let table = [
            ("2022-01-01,2022-01-02\nyesterday,2022\n", "line 2 of e.csv", "yesterday"),
            ("start,end\n2022-01-02,2022-01-01\n", "line 2", "after its end"),
            ("start,end\n\n# x\n2022-01-02\n", "line 4", "no end"),
            ("2022-13-01,2022\n", "line 1", "2022-13-01"),
            ("start,end\n2022-01-01,\n", "line 2", "no end"),
        ];
        for (text, line, why) in table {
            let error = read(text, 0).unwrap_err();
            assert!(error.contains(line) && error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_without_events_is_refused() {
        for text in ["", "start,end\n", "# only a comment\n"] {
            assert!(read(text, 0).unwrap_err().contains("holds no events"), "{text:?}");
        }
    }
}
