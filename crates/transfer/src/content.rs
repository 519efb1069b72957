//! Whether an answer's content can be the file that was asked for: codings, and pages in its place. Pure.

use skyhaul_model::{Backoff, ErrorKind};
use url::Url;

use crate::answer::Answer;
use crate::trouble::Blow;

/// Extensions under which a web page is what was asked for.
const PAGES: [&str; 11] =
    ["html", "htm", "xhtml", "xht", "shtml", "mhtml", "php", "asp", "aspx", "jsp", "cgi"];

/// Extensions of text that may well begin like a page, so that its first bytes prove nothing.
const TEXTS: [&str; 9] = ["txt", "text", "md", "xml", "svg", "csv", "json", "log", "tpl"];

/// How many of a file's first bytes are looked at.
pub(crate) const SNIFFED_BYTES: usize = 512;

/// Whether the answer's head speaks of the file; if not, why.
pub(crate) fn check_content(answer: &Answer<'_>, asked: &Url, name: &str) -> Result<(), Blow> {
    let codings = answer.codings();
    if !codings.iter().all(|coding| is_own_coding(coding, name)) || codings.len() > 1 {
        let message = format!("{asked} came with the content coding {}, unasked for", codings.join(", "));
        return Err(Blow::new(ErrorKind::WrongContent, message, Backoff::Doubtful));
    }
    let is_page = answer.media_type().is_some_and(|media| is_page_type(&media));
    if is_page && !may_be_page(name) {
        return Err(page_instead(asked, answer.url));
    }
    Ok(())
}

/// Whether the first bytes are those of a page although the name promises none.
pub(crate) fn looks_like_page(first: &[u8], name: &str) -> bool {
    if may_be_page(name) || extension(name).is_some_and(|ext| TEXTS.contains(&ext.as_str())) {
        return false;
    }
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let begins = |tag: &[u8]| first.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    begins(b"<!doctype html") || begins(b"<html") || begins(b"<?xml") && is_error_document(first)
}

/// The failure of a page where a file should be.
pub(crate) fn page_instead(asked: &Url, answered: &Url) -> Blow {
    let message = if leads_away(asked, answered) {
        format!("{asked} leads to the page {answered} instead of the file, which is probably missing there")
    } else {
        format!("{asked} gave a web page instead of the file, which is probably missing there")
    };
    Blow::new(ErrorKind::WrongContent, message, Backoff::Doubtful)
}

fn leads_away(asked: &Url, answered: &Url) -> bool {
    (asked.host_str(), asked.path()) != (answered.host_str(), answered.path())
}

/// Some object stores tell of an error in a body of their own, under status 200 (rule 46).
fn is_error_document(first: &[u8]) -> bool {
    let seen = &first[..first.len().min(SNIFFED_BYTES)];
    seen.windows(7).any(|window| window == b"<Error>")
}

/// Servers that know files by their ending call a `.gz` file's own compression its coding.
fn is_own_coding(coding: &str, name: &str) -> bool {
    let compressed = extension(name).is_some_and(|ext| ext == "gz" || ext == "tgz");
    compressed && matches!(coding, "gzip" | "x-gzip")
}

fn is_page_type(media: &str) -> bool {
    matches!(media, "text/html" | "application/xhtml+xml")
}

/// Whether the name may be a page's: no extension says no.
fn may_be_page(name: &str) -> bool {
    extension(name).is_none_or(|ext| PAGES.contains(&ext.as_str()))
}

fn extension(name: &str) -> Option<String> {
    let (stem, ext) = name.rsplit_once('.')?;
    (!stem.is_empty() && !ext.is_empty()).then(|| ext.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_by_their_first_bytes() {
        let table: [(&[u8], &str, bool); 13] = [
            (b"<!DOCTYPE html>\n<html>", "a.pgm.gz", true),
            (b"\xef\xbb\xbf\r\n <html lang=en>", "a.h5", true),
            (b"<HTML>", "a.jpg", true),
            (b"<html>", "a.html", false),
            (b"<html>", "index", false),
            (b"<html>", ".hidden", false),
            (b"<html>", "a.txt", false),
            (b"<htm", "a.h5", false),
            (b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code>", "a.h5", true),
            (b"<?xml version=\"1.0\"?><Fine/>", "a.h5", false),
            (b"\x1f\x8b<html>", "a.gz", false),
            (b"", "a.gz", false),
            (b"   ", "a.gz", false),
        ];
        for (first, name, expected) in table {
            assert_eq!(looks_like_page(first, name), expected, "{name}: {first:?}");
        }
    }
}
