//! What the system tells of this process: memory, processor time, open files. Nothing where it tells nothing.

/// What was told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// Memory in RAM, in bytes.
    pub(crate) resident_bytes: u64,
    /// User and system time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Open file descriptors.
    pub(crate) open_files: usize,
}

impl Usage {
    /// Of this process, now. Blocking, for a moment.
    #[cfg(target_os = "linux")]
    pub(crate) fn current() -> Option<Self> {
        let (status, stat) = (read("status")?, read("stat")?);
        Some(Self {
            resident_bytes: resident_bytes(&status)?,
            cpu_seconds: cpu_ticks(&stat)? as f64 / rustix::param::clock_ticks_per_second() as f64,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count(),
        })
    }

    /// Other systems have no such files.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn current() -> Option<Self> {
        None
    }
}

#[cfg(target_os = "linux")]
fn read(name: &str) -> Option<String> {
    std::fs::read(format!("/proc/self/{name}")).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// proc(5), `/proc/pid/status`: `VmRSS:     1234 kB`.
#[cfg(target_os = "linux")]
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// proc(5), `/proc/pid/stat`: fields 14 and 15, counted from the state (3), which follows the name in brackets.
#[cfg(target_os = "linux")]
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(14 - 3);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_lines_are_read() {
        assert_eq!(resident_bytes("Name:\tsky\nVmRSS:\t    1234 kB\nThreads:\t3\n"), Some(1234 * 1024));
        let stat = "4711 (a) b) S 1 2 3 4 5 6 7 8 9 10 300 45 0 0 20 0 3 0 812345";
        assert_eq!(cpu_ticks(stat), Some(345));
        assert_eq!((resident_bytes(""), cpu_ticks("")), (None, None));
    }

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::current().unwrap();
        assert!(usage.resident_bytes > 100_000 && usage.open_files > 2, "{usage:?}");
    }
}
