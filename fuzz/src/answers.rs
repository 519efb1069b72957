//! A server that says what it likes: what is published is what was sealed, and nothing else is at its place.

use std::fs;
use std::sync::Arc;

use skyhaul_model::{Query, RelPath, Source};
use skyhaul_transfer::{Assignment, End, Meter, OutputRoot, publish, transfer};
use skyhaul_verify::{Digest, Hashers};
use tokio_util::sync::CancellationToken;

use crate::block_on;
use crate::scripted::Site;

/// Attempts at most; after those a queue would wait for long.
const MOST_ATTEMPTS: usize = 6;

/// Answers, in the form that [`Site::parse`] reads.
pub(crate) fn answers(input: &[u8]) {
    let site = Site::parse(input);
    let dir = tempfile::tempdir().unwrap();
    let mut assignment = assignment(Arc::new(OutputRoot::open(dir.path()).unwrap()));
    let place = dir.path().join(assignment.path.as_str());
    for _ in 0..MOST_ATTEMPTS {
        let (meter, stop) = (Meter::default(), CancellationToken::new());
        let end = block_on(transfer(&site, &assignment, &meter, &stop));
        assert!(!place.exists(), "a file is at its place that was not published");
        match end {
            End::Whole(whole) => {
                publish(std::slice::from_ref(&whole)).remove(0).unwrap();
                let bytes = fs::read(&place).unwrap();
                let mut hashers = Hashers::default();
                hashers.feed(&bytes);
                let sealed = Digest::sha256(whole.sealed.sha256);
                assert_eq!(hashers.finish().agree_with(&sealed), Some(true));
                assert_eq!(bytes.len() as u64, whole.sealed.size);
                return;
            }
            End::Failed(failure) => {
                assert!(failure.received >= assignment.received, "bytes that came are forgotten");
                assignment.received = failure.received;
            }
            other => panic!("{other:?}"),
        }
        if site.left() == 0 {
            return;
        }
    }
}

fn assignment(root: Arc<OutputRoot>) -> Assignment {
    let source = Source::archive("https://a.example", &[], Vec::new(), &[], &[]);
    let (path, key) = (RelPath::parse("D/a.dat").unwrap(), Query { source, out: "x".into() }.key());
    let assignment = Assignment::new("https://a.example/d/a.dat".into(), path, key, root);
    Assignment { boot: "boot".into(), ..assignment }
}
