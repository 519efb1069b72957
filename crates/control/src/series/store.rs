//! `series.json`: read leniently, replaced whole. Everything here blocks.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Series;
use crate::error::{Result, io_error};
use crate::private;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    series: Series,
}

/// What is there; nothing when it is not there, or cannot be understood.
pub(super) fn read(path: &Path) -> Series {
    let document = std::fs::read(path).ok().and_then(|text| serde_json::from_slice::<Document>(&text).ok());
    document.filter(|document| document.format == FORMAT).map(|document| document.series).unwrap_or_default()
}

/// Replaces what is there. A crash leaves the old one or the new one.
pub(super) fn write(path: &Path, series: Series) -> Result<()> {
    let fresh = path.with_extension("json.new");
    private::remove(&fresh)?;
    let content = serde_json::to_vec(&Document { format: FORMAT, series }).map_err(io::Error::from);
    let mut file = private::create_file(&fresh)?;
    content.and_then(|content| file.write_all(&content)).map_err(io_error("cannot write", &fresh))?;
    std::fs::rename(&fresh, path).map_err(io_error("cannot rename", &fresh))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::Sample;
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_damage_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("series.json");
        assert_eq!(read(&path), Series::default());
        let mut series = Series::default();
        for second in 0..100 {
            let at = Timestamp::from_second(1_700_000_000 + second * 7).unwrap();
            series.add(at, Sample { bytes: 3, files: 2, errors: 1 });
        }
        std::fs::write(path.with_extension("json.new"), "left by a crash").unwrap();
        for _ in 0..2 {
            write(&path, series.clone()).unwrap();
            assert_eq!(read(&path), series);
        }
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], b"{}", b"", b"{\"format\":2,\"series\":{}}"] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path), Series::default());
        }
    }
}
