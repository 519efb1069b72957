//! What a process takes of memory and disk, as far as the system tells.

use std::path::Path;

/// The most memory held since the last [`forget_peak`], in MB of 10^6 bytes (proc(5), `VmHWM`); 0 where the
/// system does not tell.
#[must_use]
pub fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024 / 1_000_000
}

/// Begins to measure anew (proc(5), `clear_refs`: 5).
pub fn forget_peak() {
    // Where the system does not offer it, the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes that a folder takes on disk, with all below it.
#[must_use]
pub fn disk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            entry.metadata().map_or(0, |of| if of.is_dir() { disk(&entry.path()) } else { of.len() })
        })
        .sum()
}
