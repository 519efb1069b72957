//! Whether the process that a file names still runs, and is still the same one.

use serde::{Deserialize, Serialize};

/// A process, and what tells it from a later one that was given the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessMark {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since boot, where the system tells (Linux).
    pub(crate) start_time: Option<u64>,
}

impl ProcessMark {
    /// This process. Blocking, for a moment.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        Self { pid, start_time: stat(pid).map(|stat| stat.start_time) }
    }

    /// Whether it runs. Where the system does not tell, it is taken to run: asking it will show.
    pub(crate) fn is_alive(self) -> bool {
        let Some(started) = self.start_time else { return exists(self.pid) };
        stat(self.pid).is_some_and(|stat| stat.start_time == started && stat.is_running)
    }
}

/// What is used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    is_running: bool,
    start_time: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

/// proc(5), `/proc/pid/stat`: the second field is the program's name in brackets and may hold anything,
/// brackets too; field 3 is the state, field 22 the start time.
fn parse(text: &str) -> Option<Stat> {
    let (_, behind_name) = text.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace();
    let state = fields.next()?;
    let start_time = fields.nth(22 - 4)?.parse().ok()?;
    Some(Stat { is_running: !matches!(state, "Z" | "X" | "x"), start_time })
}

#[cfg(unix)]
fn exists(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // Another user's process refuses the signal, but it is there.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn exists(_pid: u32) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_brackets_does_not_mislead() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 424242 20";
        let text = format!("77 (a ) S (b) {rest}");
        assert_eq!(parse(&text), Some(Stat { is_running: true, start_time: 424_242 }));
        assert_eq!(parse(&text.replace(") S 1", ") Z 1")).map(|stat| stat.is_running), Some(false));
    }

    #[test]
    fn nonsense_is_no_process() {
        for text in
            ["", "77", "77 (x)", "77 (x) S 1 2", "77 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn we_run_and_one_that_started_at_another_time_is_not_us() {
        let us = ProcessMark::current();
        assert!(us.is_alive());
        if let Some(started) = us.start_time {
            assert!(!ProcessMark { start_time: Some(started + 1), ..us }.is_alive());
        }
        assert!(ProcessMark { start_time: None, ..us }.is_alive());
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_has_ended_does_not_run() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(!ProcessMark { pid, start_time: None }.is_alive());
        assert!(!ProcessMark { pid: u32::MAX, start_time: None }.is_alive());
    }
}
