//! From the query flags to a source: what is to be pulled, in canonical form.
//!
//! Lists and manifests are read to their end here; what is read lies in a temporary file that goes with
//! the value. Nothing else is kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use skyhaul_model::{Interval, Source};
use skyhaul_planner::{Intake, IntakeError, ListForm, take_in};

use crate::args::QueryArgs;
use crate::error::CliError;
use crate::exit::Exit;

/// What is to be pulled.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Where the list of files comes from.
    pub(crate) source: Source,
    /// The list itself, where the command line brought it.
    pub(crate) list: Option<Intake>,
}

/// Reads what the query flags name. Blocking.
pub(crate) fn read(args: &QueryArgs, api: &str) -> Result<Wanted, CliError> {
    if let Some(path) = &args.urls {
        let list = read_list(path, &ListForm::Urls { base: args.base.clone() })?;
        let source = Source::Urls { digest: list.digest.clone(), base: args.base.clone() };
        return Ok(Wanted { source, list: Some(list) });
    }
    if let Some(path) = &args.manifest {
        let list = read_list(path, &ListForm::Manifest)?;
        return Ok(Wanted { source: Source::Manifest { digest: list.digest.clone() }, list: Some(list) });
    }
    let source = Source::archive(api, &args.datasets, intervals(args)?, &args.site, &args.device);
    Ok(Wanted { source, list: None })
}

fn intervals(args: &QueryArgs) -> Result<Vec<Interval>, CliError> {
    if let Some(path) = &args.events {
        return crate::events::read(path, args.margin.unwrap_or(Duration::ZERO));
    }
    let open = args.follow.then_some(Interval::OPEN_END);
    let (Some(start), Some(end)) = (args.start, args.end.or(open)) else {
        return Err(CliError::usage("an archive query needs --start and --end, or --events"));
    };
    match Interval::between(start, end, None) {
        Some(interval) => Ok(vec![interval]),
        None => Err(CliError::usage(format!("--start {start} is after --end {end}"))),
    }
}

fn read_list(path: &Path, form: &ListForm) -> Result<Intake, CliError> {
    let shown = if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() };
    let mut reader: Box<dyn BufRead> = if is_stdin(path) {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path)
            .map_err(|error| CliError::usage(format!("cannot read {shown}")).because(&error))?;
        Box::new(BufReader::new(file))
    };
    take_in(&mut *reader, form, &std::env::temp_dir()).map_err(|error| unreadable(&shown, &error))
}

fn unreadable(shown: &str, error: &IntakeError) -> CliError {
    match error {
        IntakeError::Manifest(cause) => CliError::usage(format!("{shown}: {error}")).because(cause),
        IntakeError::Utf16 => CliError::usage(format!("{shown}: {error}")),
        IntakeError::Io(_, cause) => CliError::new(Exit::Failed, format!("{shown}: {error}")).because(cause),
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive_args(start: &str, end: &str) -> QueryArgs {
        QueryArgs {
            datasets: vec!["b".into(), "A".into()],
            start: skyhaul_model::parse_start(start).ok(),
            end: skyhaul_model::parse_end(end).ok(),
            site: vec!["GILL".into()],
            ..QueryArgs::default()
        }
    }

    #[test]
    fn an_archive_query_is_canonical() {
        let wanted = read(&archive_args("2022", "2022"), "https://api/").unwrap();
        let Source::Archive { api, datasets, intervals, sites, .. } = wanted.source else { panic!() };
        assert_eq!(
            (api.as_str(), datasets.as_slice()),
            ("https://api", &["A".to_owned(), "B".to_owned()][..])
        );
        assert_eq!((intervals.len(), sites), (1, vec!["gill".to_owned()]));
    }

    #[test]
    fn an_end_before_the_start_is_a_wrong_command_line() {
        let error = read(&archive_args("2022-01-02", "2022-01-01"), "https://api").unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(error.to_string(), "--start 2022-01-02T00:00:00Z is after --end 2022-01-01T23:59:59Z");
    }

    #[test]
    fn a_standing_job_without_an_end_goes_on() {
        let args = QueryArgs { end: None, follow: true, ..archive_args("2022", "2022") };
        let Source::Archive { intervals, .. } = read(&args, "https://api").unwrap().source else { panic!() };
        assert!(intervals[0].is_open());
        let args = QueryArgs { follow: true, ..archive_args("2022", "2022") };
        let Source::Archive { intervals, .. } = read(&args, "https://api").unwrap().source else { panic!() };
        assert!(!intervals[0].is_open());
    }

    #[test]
    fn a_list_is_known_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, "https://h/a\nhttps://h/b\n").unwrap();
        let args = QueryArgs { urls: Some(path.clone()), ..QueryArgs::default() };
        let first = read(&args, "https://api").unwrap();
        assert_eq!(first.list.as_ref().map(|list| list.files), Some(2));
        std::fs::write(&path, "https://h/a\n").unwrap();
        assert_ne!(first.source, read(&args, "https://api").unwrap().source);
    }

    #[test]
    fn a_missing_or_senseless_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        let args = QueryArgs { manifest: Some(path.clone()), ..QueryArgs::default() };
        for content in [None, Some("<html>")] {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let error = read(&args, "https://api").unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().contains("m.json"), "{error}");
        }
    }
}
