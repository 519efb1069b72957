//! The verdict on a file whose bytes have all come. Pure.

use skyhaul_model::{Backoff, ErrorKind, Verified};
use url::Url;

use crate::checks::{Facts, FirstBytes};
use crate::content::page_instead;
use crate::trouble::Blow;

/// What the bytes are held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demands {
    /// The URL that was asked.
    pub(crate) asked: Url,
    /// The URL that answered.
    pub(crate) answered: Url,
    /// How long the file must be, where that is known.
    pub(crate) total: Option<u64>,
    /// The SHA-256 that the user demands.
    pub(crate) sha256: Option<[u8; 32]>,
    /// The SHA-256 that the server told.
    pub(crate) server_sha256: Option<[u8; 32]>,
}

/// What is to be done with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are the file.
    Good(Verified),
    /// They fail their format's own check: perhaps the archive's copy does.
    Damaged(String),
    /// They are not the file.
    Wrong(Blow),
    /// Some are missing: go on from here.
    Short(Blow),
}

/// Judges a whole body's bytes.
pub(crate) fn verdict(facts: &Facts, demands: &Demands) -> Verdict {
    let asked = &demands.asked;
    match demands.total {
        Some(total) if facts.size < total => return Verdict::Short(too_short(asked, facts.size, total)),
        Some(total) if facts.size > total => {
            let message = format!("{asked} sent {} bytes where {total} were promised", facts.size);
            return Verdict::Wrong(Blow::new(ErrorKind::Changed, message, Backoff::Doubtful));
        }
        _ => {}
    }
    // What the user demands is right, whatever it looks like.
    if demands.sha256 == Some(facts.sha256) {
        return Verdict::Good(Verified::Digest);
    }
    if facts.first == FirstBytes::Page {
        return Verdict::Wrong(page_instead(asked, &demands.answered));
    }
    if demands.sha256.is_some() {
        return Verdict::Wrong(other_digest(asked, "the one that was given"));
    }
    if demands.server_sha256.is_some_and(|told| told != facts.sha256) {
        return Verdict::Wrong(other_digest(asked, "the one that the server told"));
    }
    match &facts.container {
        Some(Err(why)) => Verdict::Damaged(why.clone()),
        _ => on_whose_word(facts, demands),
    }
}

fn on_whose_word(facts: &Facts, demands: &Demands) -> Verdict {
    if demands.server_sha256.is_some() {
        Verdict::Good(Verified::Digest)
    } else if facts.container.is_some() {
        Verdict::Good(Verified::Container)
    } else if demands.total.is_some() {
        Verdict::Good(Verified::Length)
    } else if facts.size == 0 {
        // Rule 47: nothing, and no promise of nothing.
        let message = format!("{} gave an empty answer", demands.asked);
        Verdict::Wrong(Blow::new(ErrorKind::Truncated, message, Backoff::Doubtful))
    } else {
        Verdict::Good(Verified::None)
    }
}

/// The failure of a body that ended early.
pub(crate) fn too_short(asked: &Url, size: u64, total: u64) -> Blow {
    let message = format!("{asked} ended after {size} of {total} bytes");
    Blow::new(ErrorKind::Truncated, message, Backoff::Transient)
}

fn other_digest(asked: &Url, which: &str) -> Blow {
    let message = format!("the SHA-256 of {asked} is not {which}");
    Blow::new(ErrorKind::Checksum, message, Backoff::Doubtful)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Option<[u8; 32]> = Some([1; 32]);
    const OTHER: Option<[u8; 32]> = Some([2; 32]);

    fn facts(size: u64, container: Option<Result<(), String>>) -> Facts {
        Facts { size, sha256: [1; 32], container, first: FirstBytes::Fitting }
    }

    fn demands(total: Option<u64>, sha256: Option<[u8; 32]>, server_sha256: Option<[u8; 32]>) -> Demands {
        let asked: Url = "https://a.example/x.gz".parse().unwrap();
        Demands { answered: asked.clone(), asked, total, sha256, server_sha256 }
    }

    fn told(verdict: Verdict) -> String {
        match verdict {
            Verdict::Good(verified) => verified.as_str().to_owned(),
            Verdict::Damaged(why) => format!("damaged: {why}"),
            Verdict::Wrong(blow) => format!("wrong: {}", blow.error.kind),
            Verdict::Short(blow) => format!("short: {}", blow.error.kind),
        }
    }

    #[test]
    fn on_whose_word_a_file_is_good() {
        let bad = || Some(Err("is empty".to_owned()));
        let page = Facts { first: FirstBytes::Page, ..facts(5, None) };
        let table = [
            ("the user's digest", facts(5, Some(Ok(()))), demands(Some(5), OURS, None), "digest"),
            ("the user's digest of a damaged file", facts(5, bad()), demands(None, OURS, OTHER), "digest"),
            ("the user's digest of a page", page.clone(), demands(None, OURS, None), "digest"),
            ("another digest", facts(5, Some(Ok(()))), demands(Some(5), OTHER, None), "wrong: checksum"),
            ("rule 69: the server's digest", facts(5, Some(Ok(()))), demands(None, None, OURS), "digest"),
            (
                "rule 69: not the server's",
                facts(5, Some(Ok(()))),
                demands(None, None, OTHER),
                "wrong: checksum",
            ),
            (
                "damaged, and the server agrees",
                facts(5, bad()),
                demands(None, None, OURS),
                "damaged: is empty",
            ),
            ("the format's check", facts(5, Some(Ok(()))), demands(Some(5), None, None), "container"),
            ("the format's check fails", facts(5, bad()), demands(Some(5), None, None), "damaged: is empty"),
            ("the length", facts(5, None), demands(Some(5), None, None), "length"),
            ("a promised empty file", facts(0, None), demands(Some(0), None, None), "length"),
            (
                "rule 47: an unpromised empty one",
                facts(0, None),
                demands(None, None, None),
                "wrong: truncated",
            ),
            ("nothing", facts(5, None), demands(None, None, None), "none"),
            ("rule 48: short", facts(4, Some(Ok(()))), demands(Some(5), OURS, None), "short: truncated"),
            ("rule 27: long", facts(6, Some(Ok(()))), demands(Some(5), OURS, None), "wrong: changed"),
            ("a page", page, demands(Some(5), None, None), "wrong: wrong_content"),
        ];
        for (row, facts, demands, expected) in table {
            assert_eq!(told(verdict(&facts, &demands)), expected, "{row}");
        }
    }
}
