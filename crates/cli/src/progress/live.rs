//! Bars on a terminal: one for everything, one for each of a few files in flight.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use skyhaul_engine::{InFlight, Progress};

use super::snapshot::Snapshot;
use crate::human;

/// Files that are shown; more would push the rest of the terminal away.
const MOST_FILES: usize = 8;

/// The longest name shown, in characters.
const MOST_NAME: usize = 48;

/// Redraws a second at most.
const REDRAWS_PER_S: u8 = 8;

/// Bars, until dropped.
pub(super) struct Live<'a> {
    bars: &'a MultiProgress,
    overall: ProgressBar,
    files: Vec<ProgressBar>,
}

impl<'a> Live<'a> {
    /// Shows empty bars.
    pub(super) fn new(bars: &'a MultiProgress) -> Self {
        bars.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S));
        let overall = bars.add(ProgressBar::new(0).with_style(style("[{bar:24}] {wide_msg}")));
        Self { bars, overall, files: Vec::new() }
    }

    /// Draws a snapshot.
    pub(super) fn draw(&mut self, progress: &Progress) {
        let snapshot = Snapshot::of(progress);
        // By bytes where they are known: the last files may be the largest.
        let (length, position) = match snapshot.bytes_total {
            Some(total) if total > 0 => (total, snapshot.bytes.min(total)),
            _ => (snapshot.files_total, snapshot.files_done),
        };
        self.overall.set_length(length);
        self.overall.set_position(position);
        self.overall.set_message(snapshot.line());
        self.draw_files(&progress.in_flight);
    }

    fn draw_files(&mut self, in_flight: &[InFlight]) {
        let shown = in_flight.len().min(MOST_FILES);
        while self.files.len() < shown {
            let bar = ProgressBar::new(0).with_style(style("  {bar:12} {wide_msg}"));
            self.files.push(self.bars.add(bar));
        }
        while self.files.len() > shown {
            if let Some(bar) = self.files.pop() {
                self.bars.remove(&bar);
            }
        }
        for (bar, file) in self.files.iter().zip(in_flight) {
            bar.set_length(file.total.unwrap_or_default());
            bar.set_position(file.received);
            bar.set_message(file_line(file));
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        for bar in &self.files {
            bar.finish_and_clear();
        }
        self.overall.finish_and_clear();
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// Plain characters and no colours: `NO_COLOR` needs no special case. Bars without a style of ours are
/// still bars, so a template that could not be read costs only looks.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn file_line(file: &InFlight) -> String {
    let name = short_name(&file.path);
    match file.total {
        Some(total) => format!("{name} {} of {}", human::bytes(file.received), human::bytes(total)),
        None => format!("{name} {}", human::bytes(file.received)),
    }
}

/// The end of a long path: the beginnings of one job's paths are all alike.
fn short_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let length = name.chars().count();
    if length <= MOST_NAME {
        return name.to_owned();
    }
    format!("…{}", name.chars().skip(length - MOST_NAME + 1).collect::<String>())
}

#[cfg(test)]
mod tests {
    use skyhaul_model::JobId;

    use super::*;

    #[test]
    fn templates_can_be_read() {
        for template in ["[{bar:24}] {wide_msg}", "  {bar:12} {wide_msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_file_is_told_by_the_end_of_its_name() {
        let file =
            |path: &str, total| InFlight { job: JobId(1), path: path.into(), received: 500_000, total };
        assert_eq!(file_line(&file("D/x/a.gz", Some(2_000_000))), "a.gz 500 kB of 2.00 MB");
        assert_eq!(file_line(&file("a.gz", None)), "a.gz 500 kB");
        let long = short_name(&format!("D/{}.gz", "x".repeat(80)));
        assert_eq!((long.chars().count(), long.ends_with(".gz")), (MOST_NAME, true));
    }

    #[test]
    fn bars_follow_the_files_in_flight() {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut live = Live::new(&bars);
        live.bars.set_draw_target(ProgressDrawTarget::hidden());
        let file = |n: u64| InFlight { job: JobId(1), path: format!("f{n}"), received: n, total: None };
        for count in [0u64, 3, 20, 1, 0] {
            let in_flight = (0..count).map(file).collect();
            live.draw(&Progress { in_flight, ..Progress::default() });
            assert_eq!(live.files.len() as u64, count.min(MOST_FILES as u64));
        }
    }
}
