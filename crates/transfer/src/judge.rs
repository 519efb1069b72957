//! What an answer means, given what was asked. Pure: every rule is a row of a table in the tests.

use http::StatusCode;
use http::header::RETRY_AFTER;
use skyhaul_model::{Backoff, ErrorKind, FileError};
use url::Url;

use crate::Cost;
use crate::answer::Answer;
use crate::ask::{Ask, DigestKnown, Guard, Held};
use crate::content::check_content;
use crate::partial::{judge_partial, judge_unsatisfied};
use crate::recheck::Published;
use crate::trouble::Blow;
use crate::validator::Validators;

/// What is known of the file when an answer comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The URL that was asked, before redirects.
    pub(crate) asked: &'a Url,
    /// The file's own name.
    pub(crate) name: &'a str,
    /// Its size in bytes as a manifest has it.
    pub(crate) size: Option<u64>,
    /// Whether its digest will prove it.
    pub(crate) digest: DigestKnown,
    /// What is held of it, and would be gone on from.
    pub(crate) held: Option<&'a Held>,
    /// Another version that is held and has not been asked for in this attempt.
    pub(crate) other: Option<&'a Held>,
    /// What is published of it, when the question is whether that is still the file.
    pub(crate) published: Option<&'a Published>,
}

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The body goes behind the held bytes.
    AppendAt(Span),
    /// The body is the file from its first byte.
    StartOver {
        /// How long it is, where that is known.
        total: Option<u64>,
    },
    /// The body is of the other version that is held: leave it, and ask for what that one lacks.
    GoBack,
    /// The published file is still the file.
    Unchanged,
    /// What is held is all there is.
    AlreadyWhole {
        /// The whole's length.
        total: u64,
    },
    /// The part cannot be had, or not safely: ask for the whole file. Never said of an answer to that.
    AskAnew {
        /// Why, for the log.
        why: String,
    },
    /// Another attempt may end better.
    Retry(Blow),
    /// No attempt will.
    Refuse(FileError),
}

/// A part that a body brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first byte's offset.
    pub(crate) from: u64,
    /// The offset behind the last byte.
    pub(crate) end: u64,
    /// The whole's length, where it is known.
    pub(crate) total: Option<u64>,
}

/// Judges an answer by its head.
pub(crate) fn judge(ask: &Ask, answer: &Answer<'_>, subject: &Subject<'_>) -> Judgement {
    match (answer.status.as_u16(), ask) {
        (200, _) => judge_whole(answer, subject),
        (206, Ask::Rest { from, guard } | Ask::Segment { from, guard, .. }) => {
            judge_partial(*from, guard, answer, subject)
        }
        (416, Ask::Rest { from, .. } | Ask::Segment { from, .. }) => {
            judge_unsatisfied(*from, answer, subject)
        }
        (304, Ask::IfChanged { .. }) => judge_unchanged(answer, subject),
        (412, Ask::Rest { guard: Guard::IfMatch(_), .. } | Ask::Segment { .. }) => {
            Judgement::AskAnew { why: "the file has changed since its first part came".to_owned() }
        }
        _ => judge_status(answer, subject),
    }
}

/// A whole body. A Content-Range beside it means nothing (rule 33).
fn judge_whole(answer: &Answer<'_>, subject: &Subject<'_>) -> Judgement {
    if let Err(blow) = check_content(answer, subject.asked, subject.name) {
        return Judgement::Retry(blow);
    }
    match (answer.content_length(), subject.size) {
        (Err(nonsense), _) => http_nonsense(subject, &nonsense.0),
        (Ok(Some(length)), Some(size)) if length != size => {
            Judgement::Retry(other_size(subject, length, size))
        }
        (Ok(length), _) if subject.published.is_some_and(|file| file.is_told_by(answer, length)) => {
            Judgement::Unchanged
        }
        (Ok(length), _) if is_back(answer, length, subject) => Judgement::GoBack,
        (Ok(length), size) => Judgement::StartOver { total: length.or(size) },
    }
}

/// The server has nothing newer than the date that it was told.
fn judge_unchanged(answer: &Answer<'_>, subject: &Subject<'_>) -> Judgement {
    if subject.published.is_some_and(|file| file.agrees(answer.headers)) {
        return Judgement::Unchanged;
    }
    Judgement::AskAnew { why: "the published file bears another date than the server's".to_owned() }
}

/// Whether the body is of the other version that is held.
fn is_back(answer: &Answer<'_>, length: Option<u64>, subject: &Subject<'_>) -> bool {
    subject.other.is_some_and(|other| {
        other.is_of(&Validators::of(answer.headers), length)
            && other.allows_place(answer.url, subject.digest)
            && !answer.refuses_ranges()
    })
}

fn judge_status(answer: &Answer<'_>, subject: &Subject<'_>) -> Judgement {
    let status = answer.status;
    let told = format!("{} answered {}", subject.asked, in_words(status));
    let refuse = |kind| Judgement::Refuse(FileError::new(kind, told.clone()));
    let retry = |kind, backoff| Judgement::Retry(Blow::new(kind, told.clone(), backoff));
    match status.as_u16() {
        404 | 410 => refuse(ErrorKind::NotFound),
        401 | 403 | 407 | 451 => refuse(ErrorKind::Forbidden),
        429 | 503 if answer.headers.contains_key(RETRY_AFTER) => {
            let message = format!("{told} and asked for patience");
            let blow = Blow::new(ErrorKind::Http, message, Backoff::Transient);
            Judgement::Retry(Blow { cost: Cost::RetryAfter, ..blow })
        }
        // Not Implemented and Version Not Supported do not pass.
        501 | 505 => refuse(ErrorKind::Http),
        // 511 is of a network that wants a login first: that passes too (rule 60).
        408 | 425 | 429 | 500..=599 => retry(ErrorKind::Http, Backoff::Transient),
        // Answers to questions that were not asked (rules 25, 39, 41, 47): a confused server may recover.
        204 | 205 | 206 | 304 | 416 => retry(ErrorKind::Http, Backoff::Doubtful),
        _ => refuse(ErrorKind::Http),
    }
}

/// A head that breaks the protocol: the next answer may come from a server in better order.
fn http_nonsense(subject: &Subject<'_>, what: &str) -> Judgement {
    let message = format!("the answer for {} makes no sense: {what}", subject.asked);
    Judgement::Retry(Blow::new(ErrorKind::Http, message, Backoff::Transient))
}

/// The failure of a file whose size is not what the manifest has.
pub(crate) fn other_size(subject: &Subject<'_>, length: u64, size: u64) -> Blow {
    let message = format!("{} has {length} bytes where the manifest has {size}", subject.asked);
    Blow::new(ErrorKind::Changed, message, Backoff::Doubtful)
}

fn in_words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}
