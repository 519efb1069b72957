//! A list of digests: what is taken in is sorted, and every row of it is found again.

use skyhaul_model::RelPath;
use skyhaul_verify::{Digest, Found, Search, normalise};

/// The list.
pub(crate) fn checksum_lists(mut input: &[u8]) {
    let mut rows = Vec::new();
    let Ok(summary) = normalise(&mut input, &mut rows, &std::env::temp_dir()) else { return };
    let text = std::str::from_utf8(&rows).unwrap();
    assert!(text.lines().is_sorted());
    assert_eq!(text.lines().count() as u64, summary.digests);
    // Searching is quick, reading a list through for each of its rows is not.
    for row in text.lines().take(20) {
        let (path, digest) = row.split_once('\t').unwrap();
        let digest: Digest = digest.parse().unwrap();
        match find(&rows, path) {
            Found::ByPath(digests) => assert!(digests.contains(&digest), "{row}"),
            other => panic!("{row}: {other:?}"),
        }
    }
}

fn find(rows: &[u8], path: &str) -> Found {
    let mut search = Search::new(rows.len() as u64, &RelPath::parse(path).unwrap());
    while let Some(wanted) = search.wants() {
        let at = |offset: u64| usize::try_from(offset).unwrap();
        search.take(&rows[at(wanted.start)..at(wanted.end)]);
    }
    search.found()
}
