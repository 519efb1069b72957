//! `coverage`: what of a job is there and what is not, a row for each dataset, site and day.
//!
//! Windows and files pass by page by page. When a site could take images is asked of the archive; where it does not
//! say, that column stays empty.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use skyhaul_archive::Archive;
use skyhaul_model::{Interval, JobRecord, Source};
use skyhaul_queue::{FileQuery, WindowQuery};

use crate::access::with_queue;
use crate::args::{CoverageArgs, CoverageFormat};
use crate::asking::{archive, ask};
use crate::context::{Context, blocking};
use crate::coverage::{Coverage, Place, Row};
use crate::desk::Desk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::human;
use crate::jobs::find;
use crate::table::{Align, Table};

/// Files or windows read from the queue at once.
const PAGE: usize = 1_000;

/// The most days that the archive is asked about: each is a question.
const MOST_DAYS: usize = 400;

/// The sun's zenith angle in degrees above which the archive's instruments work: nautical twilight.
const DARK_DEGREES: f64 = 102.0;

/// When each site could take images.
type Nights = BTreeMap<String, Vec<(Timestamp, Timestamp)>>;

/// A row as programs read it.
#[derive(Debug, Serialize)]
struct RowDocument {
    dataset: Option<String>,
    site: Option<String>,
    day: Option<String>,
    listed: u64,
    held: u64,
    bad: u64,
    missing: u64,
    bytes_held: u64,
    bytes_total: Option<u64>,
    minutes_expected: Option<u64>,
}

/// Runs the command.
pub(crate) async fn run(args: CoverageArgs, context: &Context) -> Result<Exit, CliError> {
    let (job, mut coverage) = with_queue(context, async |desk: &Desk| {
        let job = find(desk.jobs(), &args.job.job).await?;
        let coverage = count(desk, &job).await?;
        Ok((job, coverage))
    })
    .await?;
    if let (Source::Archive { api, intervals, .. }, false) = (&job.query.source, args.offline) {
        expect(context, api, intervals, &mut coverage).await;
    }
    let usual = if context.is_json() { CoverageFormat::Json } else { CoverageFormat::Table };
    write(context, args.format.unwrap_or(usual), coverage)?;
    let open = job.windows.open() + job.windows.failed;
    if open > 0 {
        let windows = human::counted(job.windows.total, "window");
        context
            .output
            .note(&format!("note: {} of {windows} are not listed: more may be missing", human::count(open)));
    }
    Ok(Exit::Done)
}

async fn count(desk: &Desk, job: &JobRecord) -> Result<Coverage, CliError> {
    let mut coverage = Coverage::default();
    let mut after = None;
    loop {
        let page = desk.windows(job.id, WindowQuery { after, limit: PAGE }).await?;
        page.windows.iter().for_each(|window| coverage.add_window(window));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut after = None;
    loop {
        let page = desk.files(job.id, FileQuery { state: None, after, limit: PAGE }).await?;
        page.files.iter().for_each(|file| coverage.add_file(file));
        after = page.next;
        if after.is_none() {
            return Ok(coverage);
        }
    }
}

/// Fills in how many minutes could be imaged, as far as the archive tells.
async fn expect(context: &Context, api: &str, intervals: &[Interval], coverage: &mut Coverage) {
    let days: BTreeSet<Date> = coverage.places().filter_map(|place| place.day).collect();
    let sites: BTreeSet<String> = coverage.places().filter_map(|place| place.site.clone()).collect();
    if days.is_empty() || sites.is_empty() {
        return;
    }
    if days.len() > MOST_DAYS {
        context.output.note(&format!("note: the minutes expected are told for at most {MOST_DAYS} days"));
        return;
    }
    match nights(context, api, days, sites).await {
        Ok(nights) => {
            for (site, nights) in &nights {
                coverage.expect(site, nights, intervals);
            }
        }
        Err(error) => context.output.note(&format!("note: the minutes expected are not known: {error}")),
    }
}

async fn nights(
    context: &Context,
    api: &str,
    days: BTreeSet<Date>,
    sites: BTreeSet<String>,
) -> Result<Nights, CliError> {
    let (base, transfer) = (api.to_owned(), context.settings.transfer.clone());
    let archive = blocking(move || archive(&base, &transfer)).await?;
    // The night of a midnight is the one that it lies in or that comes next: a day has parts of two.
    let next = |day: &Date| day.checked_add(1.day()).ok();
    let midnights: BTreeSet<Date> = days.iter().copied().chain(days.iter().filter_map(next)).collect();
    let Some(first) = midnights.first() else { return Ok(Nights::new()) };
    let known = known_sites(&archive, *first, sites).await?;
    let mut nights = Nights::new();
    for day in midnights {
        let sites: Vec<&str> = known.iter().map(String::as_str).collect();
        for frame in
            ask(|| archive.imaging_timeframes(midnight(day), &sites, DARK_DEGREES)).await.map_err(told)?
        {
            let Some(site) = frame.site_uid else { continue };
            let of_site = nights.entry(site).or_default();
            of_site.extend(frame.imaging_start.zip(frame.imaging_end));
        }
    }
    Ok(nights)
}

/// The sites that the archive knows: a question that names another is refused as a whole.
async fn known_sites(
    archive: &Archive,
    day: Date,
    sites: BTreeSet<String>,
) -> Result<BTreeSet<String>, CliError> {
    let mut known = BTreeSet::new();
    for site in sites {
        let alone = [site.as_str()];
        match ask(|| archive.imaging_timeframes(midnight(day), &alone, DARK_DEGREES)).await {
            Ok(_) => drop(known.insert(site)),
            Err(error) if error.is_transient() => return Err(told(error)),
            Err(error) => tracing::info!(site, %error, "no nights are known of the site"),
        }
    }
    Ok(known)
}

fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |midnight| midnight.timestamp())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err wants")]
fn told(error: skyhaul_archive::ArchiveError) -> CliError {
    CliError::from_error(Exit::Unlisted, &error)
}

fn write(context: &Context, format: CoverageFormat, coverage: Coverage) -> Result<(), CliError> {
    let rows = coverage.into_rows().map(|(place, row)| document(place, row));
    match format {
        CoverageFormat::Json => context.output.json(&rows.collect::<Vec<_>>()),
        CoverageFormat::Csv => context.output.raw(&csv_of(rows)?),
        CoverageFormat::Table => context.output.lines(&table(rows)),
    }
}

fn document(place: Place, row: Row) -> RowDocument {
    let Row { listed, held, bad, missing, bytes_held, bytes_total, minutes_expected } = row;
    let day = place.day.map(|day| day.to_string());
    let (dataset, site) = (place.dataset, place.site);
    RowDocument { dataset, site, day, listed, held, bad, missing, bytes_held, bytes_total, minutes_expected }
}

fn csv_of(rows: impl Iterator<Item = RowDocument>) -> Result<Vec<u8>, CliError> {
    let unwritable =
        |error: &(dyn std::error::Error + 'static)| CliError::failed("cannot write CSV").because(error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = "dataset,site,day,listed,held,bad,missing,bytes_held,bytes_total,minutes_expected";
    writer.write_record(head.split(',')).map_err(|error| unwritable(&error))?;
    for row in rows {
        let optional = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let fields = [
            row.dataset.unwrap_or_default(),
            row.site.unwrap_or_default(),
            row.day.unwrap_or_default(),
            row.listed.to_string(),
            row.held.to_string(),
            row.bad.to_string(),
            row.missing.to_string(),
            row.bytes_held.to_string(),
            optional(row.bytes_total),
            optional(row.minutes_expected),
        ];
        writer.write_record(fields).map_err(|error| unwritable(&error))?;
    }
    writer.into_inner().map_err(|error| unwritable(&error))
}

fn table(rows: impl Iterator<Item = RowDocument>) -> Vec<String> {
    use Align::{Left, Right};
    let mut table = Table::new([
        ("DATASET", Left),
        ("SITE", Left),
        ("DAY", Left),
        ("LISTED", Right),
        ("HELD", Right),
        ("BAD", Right),
        ("MISSING", Right),
        ("SIZE", Right),
        ("OF", Right),
        ("MINUTES", Right),
    ]);
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for row in rows {
        table.row([
            dash(row.dataset),
            dash(row.site),
            dash(row.day),
            human::count(row.listed),
            human::count(row.held),
            human::count(row.bad),
            human::count(row.missing),
            human::bytes(row.bytes_held),
            human::bytes_or_dash(row.bytes_total),
            dash(row.minutes_expected.map(human::count)),
        ]);
    }
    table.lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> impl Iterator<Item = RowDocument> {
        let place = |site: Option<&str>, day: Option<&str>| Place {
            dataset: Some("THEMIS_ASI_RAW".into()),
            site: site.map(str::to_owned),
            day: day.map(|day| day.parse().unwrap()),
        };
        let row = Row {
            listed: 60,
            held: 58,
            bad: 1,
            missing: 1,
            bytes_held: 124_000_000,
            bytes_total: Some(129_000_000),
            minutes_expected: Some(60),
        };
        let known = document(place(Some("gill"), Some("2022-01-01")), row);
        [known, document(place(None, None), Row { listed: 1, missing: 1, ..Row::default() })].into_iter()
    }

    #[test]
    fn rows_are_columns_for_people() {
        insta::assert_snapshot!(table(rows()).join("\n"), @r"
        DATASET         SITE  DAY         LISTED  HELD  BAD  MISSING    SIZE      OF  MINUTES
        THEMIS_ASI_RAW  gill  2022-01-01      60    58    1        1  124 MB  129 MB       60
        THEMIS_ASI_RAW  -     -                1     0    0        1     0 B       -        -
        ");
    }

    #[test]
    fn rows_are_csv_and_json_for_programs() {
        let text = String::from_utf8(csv_of(rows()).unwrap()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "THEMIS_ASI_RAW,gill,2022-01-01,60,58,1,1,124000000,129000000,60");
        assert_eq!(lines[2], "THEMIS_ASI_RAW,,,1,0,0,1,0,,");
        let json = serde_json::to_value(rows().collect::<Vec<_>>()).unwrap();
        let head: Vec<_> = lines[0].split(',').collect();
        assert!(head.iter().all(|key| json[0].get(key).is_some()), "{json}");
        assert_eq!(json[0].as_object().unwrap().len(), head.len());
    }
}
