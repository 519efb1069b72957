//! Cuts a query's intervals into windows that the archive's listing accepts. Pure.

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use skyhaul_archive::Resolution;
use skyhaul_model::{Interval, NewWindow, WindowTarget};

/// What the catalogue says of a dataset, as far as planning needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    /// The name as the archive spells it.
    pub(crate) name: String,
    /// The URL below which its files lie.
    pub(crate) prefix: String,
    /// How much time one file covers.
    pub(crate) resolution: Resolution,
}

/// How long one listing may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// Within one UTC day: the archive's limit is 86,399 s for minute files, and hour files are held to the same.
    Day,
    /// Within one UTC month: longer is allowed for day files, but an answer should stay of a handy size.
    Month,
    /// As long as asked: skymaps and calibrations are few.
    Whole,
}

/// The windows of one dataset, in order of time, then site, then device.
pub(crate) fn windows(
    tree: &Tree,
    intervals: &[Interval],
    sites: &[String],
    devices: &[String],
    now: Timestamp,
) -> Vec<NewWindow> {
    let span = match tree.resolution {
        Resolution::Day => Span::Month,
        Resolution::NotApplicable => Span::Whole,
        Resolution::Minute | Resolution::Hour | Resolution::Unknown => Span::Day,
    };
    let devices = wildcards(devices, tree.name.contains("SKYMAP"));
    let mut windows = Vec::new();
    for interval in intervals {
        let sites = match &interval.site {
            None => wildcards(sites, tree.name.contains("CALIBRATION")),
            Some(site) if sites.is_empty() || sites.contains(site) => vec![Some(site.clone())],
            Some(_) => continue,
        };
        for (start, end) in cut(interval.start, end_by(interval, span, now), span) {
            for site in &sites {
                for device in &devices {
                    let (site, device) = (site.clone(), device.clone());
                    windows.push(window(tree, site, device, start, end));
                }
            }
        }
    }
    windows.sort_by_key(start_of);
    windows
}

/// Two halves of a listing that the archive refused as too long; none when it is a single second.
pub(crate) fn halves(target: &WindowTarget) -> Option<[NewWindow; 2]> {
    let WindowTarget::Listing { start, end, .. } = target else { return None };
    let seconds = end.as_second() - start.as_second();
    if seconds < 1 {
        return None;
    }
    let middle = middle_of(*start, *end)?;
    let with_times = |first: Timestamp, last: Timestamp| {
        let mut target = target.clone();
        if let WindowTarget::Listing { start, end, .. } = &mut target {
            (*start, *end) = (first, last);
        }
        NewWindow { target }
    };
    let last_of_first = middle.checked_sub(SignedDuration::from_secs(1)).ok()?;
    Some([with_times(*start, last_of_first), with_times(middle, *end)])
}

/// Where the second half begins: at a midnight where one lies between, so that halves become days.
fn middle_of(start: Timestamp, end: Timestamp) -> Option<Timestamp> {
    let seconds = end.as_second() - start.as_second() + 1;
    let plain = Timestamp::from_second(start.as_second() + seconds / 2).ok()?;
    let midnight = plain.to_zoned(TimeZone::UTC).start_of_day().ok()?.timestamp();
    Some(if midnight > start { midnight } else { plain })
}

/// Every name as a filter of its own; one window for all where there is no name or the archive ignores it
/// (archive fact: `site_uid` does nothing for calibrations, `device_uid` nothing for skymaps).
fn wildcards(names: &[String], ignored: bool) -> Vec<Option<String>> {
    if names.is_empty() || ignored { vec![None] } else { names.iter().cloned().map(Some).collect() }
}

fn window(
    tree: &Tree,
    site: Option<String>,
    device: Option<String>,
    start: Timestamp,
    end: Timestamp,
) -> NewWindow {
    let (dataset, prefix) = (tree.name.clone(), tree.prefix.clone());
    NewWindow { target: WindowTarget::Listing { dataset, prefix, site, device, start, end } }
}

fn start_of(window: &NewWindow) -> Option<Timestamp> {
    match &window.target {
        WindowTarget::Listing { start, .. } => Some(*start),
        WindowTarget::Slice { .. } => None,
    }
}

/// Where an interval ends by `now`: an open one with the piece that `now` lies in.
fn end_by(interval: &Interval, span: Span, now: Timestamp) -> Timestamp {
    let boundary = next_boundary(now, span).filter(|_| interval.is_open());
    let last = boundary.and_then(|next| Timestamp::from_second(next.as_second() - 1).ok());
    last.unwrap_or(interval.end)
}

fn cut(start: Timestamp, end: Timestamp, span: Span) -> Vec<(Timestamp, Timestamp)> {
    let mut pieces = Vec::new();
    let mut first = start;
    while first <= end {
        let next = next_boundary(first, span).filter(|next| *next <= end);
        let Some(next) = next else {
            pieces.push((first, end));
            break;
        };
        let last = Timestamp::from_second(next.as_second() - 1).unwrap_or(end);
        pieces.push((first, last));
        first = next;
    }
    pieces
}

/// The first midnight, or first of a month, after `time`; none where the piece is the whole or time ends.
fn next_boundary(time: Timestamp, span: Span) -> Option<Timestamp> {
    let day = time.to_zoned(TimeZone::UTC).start_of_day().ok()?;
    let next = match span {
        Span::Whole => return None,
        Span::Day => day.checked_add(1.day()),
        Span::Month => day.first_of_month().and_then(|first| first.checked_add(1.month())),
    };
    next.ok().map(|next| next.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn now() -> Timestamp {
        "2022-02-10T12:00:00Z".parse().unwrap()
    }

    fn tree(resolution: Resolution) -> Tree {
        Tree { name: "THEMIS_ASI_RAW".into(), prefix: "https://h/p".into(), resolution }
    }

    fn interval(start: &str, end: &str, site: Option<&str>) -> Interval {
        Interval {
            start: skyhaul_model::parse_start(start).unwrap(),
            end: skyhaul_model::parse_end(end).unwrap(),
            site: site.map(str::to_owned),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn shown(window: &NewWindow) -> String {
        match &window.target {
            WindowTarget::Listing { site, start, end, .. } => {
                format!("{start}..{end} {}", site.as_deref().unwrap_or("*"))
            }
            WindowTarget::Slice { .. } => String::new(),
        }
    }

    #[test]
    fn minute_files_are_listed_by_day_and_site() {
        let windows = windows(
            &tree(Resolution::Minute),
            &[interval("2022-01-01T06", "2022-01-02", None)],
            &names(&["fsmi", "gill"]),
            &[],
            now(),
        );
        let shown: Vec<_> = windows.iter().map(shown).collect();
        assert_eq!(
            shown,
            [
                "2022-01-01T06:00:00Z..2022-01-01T23:59:59Z fsmi",
                "2022-01-01T06:00:00Z..2022-01-01T23:59:59Z gill",
                "2022-01-02T00:00:00Z..2022-01-02T23:59:59Z fsmi",
                "2022-01-02T00:00:00Z..2022-01-02T23:59:59Z gill",
            ]
        );
    }

    #[test]
    fn the_resolution_decides_the_length() {
        let year = [interval("2022", "2022", None)];
        for (resolution, count) in [
            (Resolution::Minute, 365),
            (Resolution::Hour, 365),
            (Resolution::Unknown, 365),
            (Resolution::Day, 12),
            (Resolution::NotApplicable, 1),
        ] {
            assert_eq!(windows(&tree(resolution), &year, &[], &[], now()).len(), count, "{resolution:?}");
        }
    }

    #[test]
    fn an_event_of_one_site_asks_for_that_site_alone() {
        let events = [
            interval("2022-01-01T06", "2022-01-01T06", Some("gill")),
            interval("2022-01-01T07", "2022-01-01T07", Some("rank")),
        ];
        let minute = tree(Resolution::Minute);
        assert_eq!(windows(&minute, &events, &[], &[], now()).len(), 2);
        assert_eq!(windows(&minute, &events, &names(&["gill", "fsmi"]), &[], now()).len(), 1);
    }

    #[test]
    fn filters_that_the_archive_ignores_do_not_multiply_windows() {
        let mut skymap = tree(Resolution::NotApplicable);
        skymap.name = "REGO_SKYMAP_IDLSAV".into();
        let mut calibration = tree(Resolution::NotApplicable);
        calibration.name = "REGO_CALIBRATION_FLATFIELD_IDLSAV".into();
        let (year, two) = ([interval("2022", "2022", None)], names(&["a", "b"]));
        assert_eq!(windows(&skymap, &year, &two, &two, now()).len(), 2);
        assert_eq!(windows(&calibration, &year, &two, &two, now()).len(), 2);
    }

    #[test]
    fn an_open_end_goes_as_far_as_the_piece_of_now() {
        let open = [Interval { end: Interval::OPEN_END, ..interval("2022-01-30", "2022-01-30", None) }];
        let last = |resolution| {
            let windows = windows(&tree(resolution), &open, &[], &[], now());
            (windows.len(), shown(windows.last().unwrap()))
        };
        assert_eq!(last(Resolution::Minute), (12, "2022-02-10T00:00:00Z..2022-02-10T23:59:59Z *".to_owned()));
        assert_eq!(last(Resolution::Day), (2, "2022-02-01T00:00:00Z..2022-02-28T23:59:59Z *".to_owned()));
        let whole = "2022-01-30T00:00:00Z..2099-12-31T23:59:59Z *".to_owned();
        assert_eq!(last(Resolution::NotApplicable), (1, whole));
        let future = [Interval { start: Interval::OPEN_END, ..open[0].clone() }];
        assert!(windows(&tree(Resolution::Minute), &future, &[], &[], now()).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_cover_the_interval_once_and_obey_the_limit(start in 0i64..4_000_000_000, length in 0i64..40_000_000) {
            let (start, end) = (at(start), at(start + length));
            for (span, limit) in [(Span::Day, 86_400), (Span::Month, 31 * 86_400), (Span::Whole, i64::MAX)] {
                let mut next = start.as_second();
                for (first, last) in cut(start, end, span) {
                    prop_assert_eq!(first.as_second(), next);
                    prop_assert!(last >= first && last.as_second() - first.as_second() < limit);
                    next = last.as_second() + 1;
                }
                prop_assert_eq!(next, end.as_second() + 1);
            }
        }

        #[test]
        fn halves_are_the_whole(start in 0i64..4_000_000_000, length in 0i64..40_000_000) {
            let whole = window(&tree(Resolution::Unknown), None, None, at(start), at(start + length)).target;
            match halves(&whole) {
                None => prop_assert_eq!(length, 0),
                Some([a, b]) => {
                    let (WindowTarget::Listing { start: s1, end: e1, .. }, WindowTarget::Listing { start: s2, end: e2, .. }) =
                        (a.target, b.target) else { unreachable!() };
                    prop_assert_eq!((s1, e2), (at(start), at(start + length)));
                    prop_assert!(s1 <= e1 && s2 <= e2);
                    prop_assert_eq!(e1.as_second() + 1, s2.as_second());
                }
            }
        }
    }
}
