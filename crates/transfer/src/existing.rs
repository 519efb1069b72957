//! A file that lies at the final path already and that the queue does not know: taken over, or fetched anew.

use http::Method;
use skyhaul_model::{ErrorKind, OnExisting, Proof, Sealed, Verified, VerifyLevel};
use skyhaul_verify::{Digest, server_digest};

use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Slot};
use crate::check::read_facts;
use crate::checks::{Checks, Facts, FirstBytes};
use crate::content::check_content;
use crate::durable::{self, Synced};
use crate::judge::{Judgement, Subject, judge};
use crate::parts::PartPaths;
use crate::place::own_folder;
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
    digest: Option<Digest>,
}

/// Decides the terms. Pure.
pub(crate) fn terms(assignment: &Assignment) -> Terms {
    let has_check = Checks::of(assignment, None).has_container();
    match assignment.on_existing {
        OnExisting::Replace => Terms::Never,
        // A file that failed a check after it had been trusted is not trusted again.
        OnExisting::Trust if assignment.last_error.is_none() => Terms::AsItLies,
        _ if !assignment.digests.is_empty() || has_check => Terms::Proven,
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
    if assignment.digests.is_empty() && was_found_wrong(asker, assignment).await? {
        return Ok(None);
    }
    let facts = read(asker, assignment).await?;
    if facts.agree_with_all(&assignment.digests) == Some(false) || facts.size != length {
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
    Ok(Some(Whole::in_place(assignment, sealed)))
}

/// Whether the file has failed a check after it was done: then its format's own word is not taken for it, for few
/// formats see a flipped bit. It is remembered until another file takes its place, as the last failure is not.
async fn was_found_wrong(asker: &Asker<'_>, assignment: &Assignment) -> Result<bool, Trouble> {
    let wrong = [ErrorKind::Checksum, ErrorKind::Truncated];
    let is_found_now = assignment.last_error.as_ref().is_some_and(|error| wrong.contains(&error.kind));
    let paths = PartPaths::of(assignment, Slot::One);
    asker
        .blocking(move || {
            let mark = paths.wrong();
            if is_found_now {
                own_folder(&paths.folder)?;
                let marked = durable::replace(&mark, &[], Synced::Later);
                marked.map_err(|error| Blow::of_disk("write", &mark, &error))?;
            }
            Ok(is_found_now || mark.exists())
        })
        .await
}

/// What can be said for the file without the server; an error when its own check fails.
fn own_word(facts: &Facts, assignment: &Assignment) -> Result<Verified, ()> {
    match &facts.container {
        _ if !assignment.digests.is_empty() => Ok(Verified::Digest),
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
    // Another than SHA-256 was not asked for when the file was read, and says nothing.
    match remote.digest.as_ref().and_then(|told| facts.digests.agree_with(told)) {
        Some(false) => None,
        Some(true) => Some(Verified::Digest),
        None if own == Verified::Container => Some(own),
        None => Some(Verified::Length),
    }
}

async fn read(asker: &Asker<'_>, assignment: &Assignment) -> Result<Facts, Trouble> {
    let path = assignment.root.final_path(&assignment.path);
    let checks = Checks::of(assignment, None);
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

/// Asks for the file's length: its folder's page where that may serve many, else by HEAD, and where that tells
/// nothing by GET, whose answer alone counts (rule 17).
async fn remote(asker: &Asker<'_>, assignment: &Assignment) -> Result<Option<Remote>, Trouble> {
    if let Some(length) = assignment.root.lengths().of(asker).await {
        return Ok(Some(Remote { length, digest: None }));
    }
    let (size, digest) = (assignment.size, DigestKnown::No);
    let name = assignment.path.file_name();
    let subject = Subject { asked: &asker.url, name, size, digest, held: None, other: None, published: None };
    for method in [Method::HEAD, Method::GET] {
        let is_head = method == Method::HEAD;
        let response = asker.ask(method, &Ask::Whole).await?;
        let answer = Answer { status: response.status, headers: &response.headers, url: &response.url };
        if is_head && !is_telling(&answer, &subject) {
            continue;
        }
        let digest = server_digest(answer.status, answer.headers);
        return match judge(&Ask::Whole, &answer, &subject) {
            Judgement::StartOver { total } => Ok(total.map(|length| Remote { length, digest })),
            Judgement::Retry(blow) => Err(blow.into()),
            Judgement::Refuse(error) => Err(Blow::last(error).into()),
            Judgement::AppendAt(_)
            | Judgement::GoBack
            | Judgement::Unchanged
            | Judgement::AlreadyWhole { .. }
            | Judgement::AskAnew { .. } => Ok(None),
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
