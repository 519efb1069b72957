//! A job as the archive gives it: windows of a day of all sites, a file for each site and minute, digests that
//! do not compress.

use jiff::{SignedDuration, Timestamp};
use skyhaul_model::{
    FileSeq, FileSpec, JobPolicy, NewWindow, Proof, Query, RelPath, Sealed, Source, Verified, WindowTarget,
};
use skyhaul_queue::NewJob;

/// Sites that look at the sky in the same night.
const SITES: [&str; 12] =
    ["atha", "fsim", "fsmi", "gako", "gill", "inuv", "kapu", "kuuj", "mcgr", "pina", "rank", "snkq"];

/// The tree that the files lie in.
pub const PREFIX: &str = "https://data.example/sort_by_project/THEMIS/asi/stream0";

/// Minutes of a day.
const MINUTES: u64 = 1_440;

/// Files of a window.
pub const FILES: u64 = SITES.len() as u64 * MINUTES;

/// One window, by number.
#[derive(Clone, Copy, Debug)]
pub struct Night(pub u64);

/// A job without windows.
#[must_use]
pub fn job() -> NewJob {
    let source = Source::archive("https://archive.example", &["THEMIS_ASI_RAW".to_owned()], vec![], &[], &[]);
    NewJob {
        query: Query { source, out: "/data".to_owned() },
        policy: JobPolicy::default(),
        name: None,
        priority: 0,
        headers: Vec::new(),
        input: None,
    }
}

/// What became of a file: sizes as the archive has them, a digest that is noise.
#[must_use]
pub fn sealed(seq: FileSeq) -> Sealed {
    let mut state = seq.0;
    let mut sha256 = [0; 32];
    for part in sha256.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    let size = 1_900_000 + u64::from(u32::from_le_bytes([sha256[0], sha256[1], sha256[2], 0])) % 500_000;
    Sealed { size, sha256, verified: Verified::Container, proof: Proof::Fetched, received: size }
}

impl Night {
    /// The window that asks for it.
    #[must_use]
    pub fn window(self) -> NewWindow {
        let start = self.start();
        let target = WindowTarget::Listing {
            dataset: "THEMIS_ASI_RAW".to_owned(),
            prefix: PREFIX.to_owned(),
            site: None,
            device: None,
            start,
            end: start + SignedDuration::from_secs(86_399),
        };
        NewWindow { target }
    }

    /// One of its files: site by site, minute by minute.
    #[must_use]
    pub fn file(self, number: u64) -> FileSpec {
        let (site, minute) = ((number / MINUTES) as usize % SITES.len(), number % MINUTES);
        let (name, device) = (SITES[site], site + 1);
        let day = self.start().strftime("%Y/%m/%d").to_string();
        let date = day.replace('/', "");
        let (hour, minute) = (minute / 60, minute % 60);
        let file = format!(
            "{day}/{name}_themis{device:02}/ut{hour:02}/{date}_{hour:02}{minute:02}_{name}_themis{device:02}_full.pgm.gz"
        );
        FileSpec {
            url: format!("{PREFIX}/{file}"),
            path: RelPath::parse(&format!("THEMIS_ASI_RAW/{file}")).map_err(|error| {
                skyhaul_model::FileError::new(skyhaul_model::ErrorKind::Path, error.to_string())
            }),
            size: None,
            sha256: None,
        }
    }

    fn start(self) -> Timestamp {
        // 2005-12-01, when the cameras' record begins.
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_133_395_200 + self.0 as i64 * 86_400)
    }
}
