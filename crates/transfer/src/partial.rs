//! What an answer to a range request means: 206 and 416 (RFC 9110 sections 14.4, 15.3.7, 15.5.17). Pure.

use skyhaul_model::ErrorKind;

use crate::answer::{Answer, ContentRange, Nonsense};
use crate::ask::Guard;
use crate::content::check_content;
use crate::judge::{Judgement, Span, Subject};
use crate::validator::Validators;

/// Judges a 206 to a request for what lies at `from` and behind.
pub(crate) fn judge_partial(
    from: u64,
    guard: &Guard,
    answer: &Answer<'_>,
    subject: &Subject<'_>,
) -> Judgement {
    if answer.media_type().is_some_and(|media| media.starts_with("multipart/")) {
        return anew("several parts came where one was asked for");
    }
    match check_content(answer, subject.asked, subject.name) {
        // A page inside a file: rule 31. Asking for the whole would bring the page again.
        Err(blow) if blow.error.kind == ErrorKind::WrongContent && answer.codings().is_empty() => {
            return Judgement::Retry(blow);
        }
        // Offsets of encoded bytes are not ours (rule 29).
        Err(_) => return anew("the part came in another coding"),
        Ok(()) => {}
    }
    let span = match span(from, answer, subject) {
        Ok(span) => span,
        Err(why) => return Judgement::AskAnew { why },
    };
    match same_version(guard, answer, subject) {
        Ok(()) => Judgement::AppendAt(span),
        Err(why) => anew(why),
    }
}

/// Judges a 416 to a request for what lies at `from` and behind.
pub(crate) fn judge_unsatisfied(from: u64, answer: &Answer<'_>, subject: &Subject<'_>) -> Judgement {
    let same = subject.held.is_some_and(|held| {
        let contradicts = held.validators.contradict(&Validators::of(answer.headers));
        !contradicts && held.allows_place(answer.url, subject.digest)
    });
    let agrees = |total| known_total(subject).is_none_or(|known| known == total);
    match answer.content_range() {
        Ok(Some(ContentRange::Unsatisfied { total })) if total == from && same && agrees(total) => {
            Judgement::AlreadyWhole { total }
        }
        Ok(Some(_)) => anew("the file is not as long as it was"),
        Ok(None) | Err(_) => anew("the server has no such part and does not say why"),
    }
}

/// Where the body goes, if its head is in order.
fn span(from: u64, answer: &Answer<'_>, subject: &Subject<'_>) -> Result<Span, String> {
    let in_words = |nonsense: Nonsense| format!("the part's head makes no sense: {}", nonsense.0);
    let range = answer.content_range().map_err(in_words)?;
    let length = answer.content_length().map_err(in_words)?;
    let Some(ContentRange::Part { first, last, total }) = range else {
        return Err("the answer does not say which part it is".to_owned());
    };
    let end = last + 1;
    if first != from {
        return Err(format!("the part begins at {first}, not at {from}"));
    }
    if length.is_some_and(|length| length != end - first) {
        return Err("the part's length is not that of its range".to_owned());
    }
    let known = known_total(subject);
    match (total, known) {
        (Some(total), Some(known)) if total != known => {
            Err(format!("the file has {total} bytes, and had {known}"))
        }
        (None, Some(known)) if end > known => Err("the part reaches beyond the file's end".to_owned()),
        _ => Ok(Span { from, end, total: total.or(known) }),
    }
}

/// Whether the part is of the version that is held; if not, why it may not be.
fn same_version(guard: &Guard, answer: &Answer<'_>, subject: &Subject<'_>) -> Result<(), &'static str> {
    let Some(held) = subject.held else { return Err("nothing is held that the part could follow") };
    let validators = Validators::of(answer.headers);
    // A digest decides at the end, also where tags change and the bytes do not (rule 10).
    if *guard != Guard::Digest && held.validators.contradict(&validators) {
        return Err("the file has changed since its first part came");
    }
    let says_so = match guard {
        Guard::IfRange(_) => is_vouched_for(&held.validators, &validators),
        // A condition that was overlooked on the way looks like one that held.
        Guard::IfMatch(tag) => validators.etag.as_ref() == Some(tag),
        Guard::Digest => true,
    };
    if !says_so {
        return Err("the part does not say that it is of the same version");
    }
    if !held.allows_place(answer.url, subject.digest) {
        return Err("the file is served from another place than its first part");
    }
    Ok(())
}

/// Whether a part under If-Range, whose validators contradict nothing, bears those that it must (rule 9). The tag that a
/// 200 would have had is one; the date may be left out (RFC 9110 section 15.3.7), but a strong one serves as well.
fn is_vouched_for(held: &Validators, told: &Validators) -> bool {
    let same_date = held.date_is_strong && held.last_modified == told.last_modified;
    held.etag.is_none() || held.etag == told.etag || told.etag.is_none() && same_date
}

fn known_total(subject: &Subject<'_>) -> Option<u64> {
    subject.size.or_else(|| subject.held.and_then(|held| held.total))
}

fn anew(why: &str) -> Judgement {
    Judgement::AskAnew { why: why.to_owned() }
}
