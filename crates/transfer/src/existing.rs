//! A file that lies at the final path already and that the queue does not know: taken over, or fetched anew.

use http::Method;
use skyhaul_model::{OnExisting, Proof, Sealed, Verified, VerifyLevel};

use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown};
use crate::check::read_facts;
use crate::checks::{Checks, Facts, FirstBytes};
use crate::content::check_content;
use crate::digest::server_sha256;
use crate::durable;
use crate::judge::{Judgement, Subject, judge};
use crate::request::Asker;
use crate::trouble::{Blow, Trouble};
use crate::{Assignment, Whole};

/// On what terms a file is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    /// As it lies, unless it is not what the user demands.
    AsItLies,
    /// If its own check or digest passes and the server's length agrees.
    Proven,
    /// If the server's length agrees.
    SameLength,
    /// Not at all.
    Never,
}

/// What the server says of the file without sending it.
struct Remote {
    length: u64,
    sha256: Option<[u8; 32]>,
}

/// Decides the terms. Pure.
pub(crate) fn terms(assignment: &Assignment) -> Terms {
    let name = assignment.path.file_name();
    let has_check = Checks::new(name, assignment.verify).has_container();
    match assignment.on_existing {
        OnExisting::Replace => Terms::Never,
        // A file that failed a check after it had been trusted is not trusted again.
        OnExisting::Trust if assignment.last_error.is_none() => Terms::AsItLies,
        _ if assignment.sha256.is_some() || has_check => Terms::Proven,
        _ if assignment.verify == VerifyLevel::Length => Terms::SameLength,
        _ => Terms::Never,
    }
}

/// Takes the file of `length` bytes at the final path over where the terms allow it.
pub(crate) async fn adopt(
    asker: &Asker<'_>,
    assignment: &Assignment,
    length: u64,
) -> Result<Option<Whole>, Trouble> {
    let terms = terms(assignment);
    if terms == Terms::Never || assignment.size.is_some_and(|size| size != length) {
        return Ok(None);
    }
    let facts = read(asker, assignment).await?;
    if assignment.sha256.is_some_and(|sha256| sha256 != facts.sha256) || facts.size != length {
        return Ok(None);
    }
    let verified = match own_word(&facts, assignment) {
        Ok(word) if word == Verified::Digest || terms == Terms::AsItLies => Some(word),
        Ok(word) => remote(asker, assignment).await?.and_then(|remote| agreed(&facts, word, &remote)),
        Err(()) if terms == Terms::AsItLies => Some(Verified::None),
        Err(()) => None,
    };
    let Some(verified) = verified else { return Ok(None) };
    make_last(asker, assignment).await?;
    let Facts { size, sha256, .. } = facts;
    let received = assignment.received;
    let sealed = Sealed { size, sha256, verified, proof: Proof::Adopted, received };
    Ok(Some(Whole::new(assignment, sealed, None)))
}

/// What can be said for the file without the server; an error when its own check fails.
fn own_word(facts: &Facts, assignment: &Assignment) -> Result<Verified, ()> {
    match &facts.container {
        _ if assignment.sha256.is_some() => Ok(Verified::Digest),
        _ if facts.first == FirstBytes::Page => Err(()),
        Some(Err(_)) => Err(()),
        Some(Ok(())) => Ok(Verified::Container),
        None if assignment.size.is_some() => Ok(Verified::Length),
        None => Ok(Verified::None),
    }
}

/// On whose word the file is good once the server has been heard; none when it says otherwise.
fn agreed(facts: &Facts, own: Verified, remote: &Remote) -> Option<Verified> {
    if remote.length != facts.size {
        return None;
    }
    match remote.sha256 {
        Some(told) if told != facts.sha256 => None,
        Some(_) => Some(Verified::Digest),
        None if own == Verified::Container => Some(own),
        None => Some(Verified::Length),
    }
}

async fn read(asker: &Asker<'_>, assignment: &Assignment) -> Result<Facts, Trouble> {
    let path = assignment.root.final_path(&assignment.path);
    let checks = Checks::new(assignment.path.file_name(), assignment.verify);
    let stop = asker.stop.clone();
    asker
        .blocking(move || {
            let facts = read_facts(&path, checks, || !stop.is_cancelled());
            facts.map_err(|error| Blow::of_disk("read", &path, &error))
        })
        .await
}

/// Whoever wrote the file may not have waited for the disk.
async fn make_last(asker: &Asker<'_>, assignment: &Assignment) -> Result<(), Trouble> {
    let path = assignment.root.final_path(&assignment.path);
    asker
        .blocking(move || {
            let synced = durable::sync_path(&path);
            synced.map_err(|error| Blow::of_disk("sync", &path, &error))
        })
        .await
}

/// Asks for the file's length: by HEAD, and where that tells nothing by GET, whose answer alone counts
/// (rule 17).
async fn remote(asker: &Asker<'_>, assignment: &Assignment) -> Result<Option<Remote>, Trouble> {
    let (size, digest) = (assignment.size, DigestKnown::No);
    let name = assignment.path.file_name();
    let subject = Subject { asked: &asker.url, name, size, digest, held: None };
    for method in [Method::HEAD, Method::GET] {
        let is_head = method == Method::HEAD;
        let response = asker.ask(method, &Ask::Whole).await?;
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        if is_head && !is_telling(&answer, &subject) {
            continue;
        }
        let sha256 = server_sha256(answer.status, answer.headers);
        return match judge(&Ask::Whole, &answer, &subject) {
            Judgement::StartOver { total } => Ok(total.map(|length| Remote { length, sha256 })),
            Judgement::Retry(blow) => Err(blow.into()),
            Judgement::Refuse(error) => Err(Blow::last(error).into()),
            Judgement::AppendAt(_) | Judgement::AlreadyWhole { .. } | Judgement::AskAnew { .. } => Ok(None),
        };
    }
    Ok(None)
}

/// Whether the answer to a HEAD is one to go by: a length, or a request to come back later.
fn is_telling(answer: &Answer<'_>, subject: &Subject<'_>) -> bool {
    match answer.status.as_u16() {
        200 => {
            let fits = check_content(answer, subject.asked, subject.name).is_ok();
            fits && matches!(answer.content_length(), Ok(Some(_)))
        }
        408 | 425 | 429 | 500 | 502..=504 => true,
        _ => false,
    }
}
