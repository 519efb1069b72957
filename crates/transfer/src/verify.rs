//! The verdict on a file whose bytes have all come. Pure.

use skyhaul_model::{Backoff, ErrorKind, Verified};
use skyhaul_verify::Digest;
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
    /// The digests that the user demands.
    pub(crate) digests: Vec<Digest>,
    /// The digest that the server told.
    pub(crate) server: Option<Digest>,
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
    let as_demanded = facts.agree_with_all(&demands.digests);
    if as_demanded == Some(true) {
        return Verdict::Good(Verified::Digest);
    }
    if facts.first == FirstBytes::Page {
        return Verdict::Wrong(page_instead(asked, &demands.answered));
    }
    if as_demanded == Some(false) {
        return Verdict::Wrong(other_digest(asked, "was given for it"));
    }
    let as_told = demands.server.as_ref().and_then(|told| facts.digests.agree_with(told));
    if as_told == Some(false) {
        return Verdict::Wrong(other_digest(asked, "the server told"));
    }
    match &facts.container {
        Some(Err(why)) => Verdict::Damaged(why.clone()),
        _ => on_whose_word(facts, demands, as_told),
    }
}

fn on_whose_word(facts: &Facts, demands: &Demands, as_told: Option<bool>) -> Verdict {
    if as_told == Some(true) {
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
    let message = format!("the bytes of {asked} do not have the digest that {which}");
    Blow::new(ErrorKind::Checksum, message, Backoff::Doubtful)
}

#[cfg(test)]
mod tests {
    use skyhaul_verify::{Algorithm, Hashers};

    use super::*;

    /// The SHA-256 that the bytes have.
    fn ours() -> Option<Digest> {
        Some(Digest::sha256(Hashers::default().finish().sha256()))
    }

    /// Another one.
    fn other() -> Option<Digest> {
        Some(Digest::sha256([2; 32]))
    }

    fn facts(size: u64, container: Option<Result<(), String>>) -> Facts {
        let digests = Hashers::default().finish();
        Facts { size, sha256: digests.sha256(), digests, container, first: FirstBytes::Fitting }
    }

    fn demands(total: Option<u64>, user: Option<Digest>, server: Option<Digest>) -> Demands {
        let asked: Url = "https://a.example/x.gz".parse().unwrap();
        Demands { answered: asked.clone(), asked, total, digests: Vec::from_iter(user), server }
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
            ("the user's digest", facts(5, Some(Ok(()))), demands(Some(5), ours(), None), "digest"),
            (
                "the user's digest of a damaged file",
                facts(5, bad()),
                demands(None, ours(), other()),
                "digest",
            ),
            ("the user's digest of a page", page.clone(), demands(None, ours(), None), "digest"),
            ("another digest", facts(5, Some(Ok(()))), demands(Some(5), other(), None), "wrong: checksum"),
            ("rule 69: the server's digest", facts(5, Some(Ok(()))), demands(None, None, ours()), "digest"),
            (
                "rule 69: not the server's",
                facts(5, Some(Ok(()))),
                demands(None, None, other()),
                "wrong: checksum",
            ),
            (
                "damaged, and the server agrees",
                facts(5, bad()),
                demands(None, None, ours()),
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
            ("rule 48: short", facts(4, Some(Ok(()))), demands(Some(5), ours(), None), "short: truncated"),
            ("rule 27: long", facts(6, Some(Ok(()))), demands(Some(5), ours(), None), "wrong: changed"),
            ("a page", page, demands(Some(5), None, None), "wrong: wrong_content"),
        ];
        for (row, facts, demands, expected) in table {
            assert_eq!(told(verdict(&facts, &demands)), expected, "{row}");
        }
    }

    #[test]
    fn of_several_digests_all_must_agree() {
        let both =
            Demands { digests: vec![ours().unwrap(), other().unwrap()], ..demands(Some(5), None, None) };
        assert_eq!(told(verdict(&facts(5, None), &both)), "wrong: checksum");
        // One that the user demands and that was not computed is not believed; the server's is left out.
        let md5 = || Digest::new(Algorithm::Md5, vec![0; 16]);
        assert_eq!(told(verdict(&facts(5, None), &demands(Some(5), md5(), None))), "wrong: checksum");
        assert_eq!(told(verdict(&facts(5, None), &demands(Some(5), None, md5()))), "length");
    }
}
