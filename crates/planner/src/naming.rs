//! Where a URL's file lands below the output root.
//!
//! Works on the URL's raw text: a URL parser would resolve `..` and its encoded spellings before anyone
//! could refuse them (WHATWG URL, "double-dot path segment").

use skyhaul_model::{ErrorKind, FileError, FileSpec, PathError, RelPath};
use url::Url;

/// The parts of a URL that decide a file's place.
struct Parts<'a> {
    /// `host` or `host:port`, without user and password.
    host: &'a str,
    /// The raw path, beginning with `/`, or empty.
    path: &'a str,
}

/// Where the files of a dataset's listing belong.
pub(crate) struct Tree<'a> {
    /// The URL below which they lie, looked at once for all of them.
    prefix: Result<Parts<'a>, FileError>,
    dataset: &'a str,
}

impl<'a> Tree<'a> {
    /// The tree of a dataset, by the URL below which its files lie.
    pub(crate) fn new(prefix: &'a str, dataset: &'a str) -> Self {
        Self { prefix: split(prefix), dataset }
    }

    /// The file that one entry of the listing stands for: below the prefix at `DATASET/REST`, elsewhere on
    /// the same host at `DATASET/URL-PATH`.
    pub(crate) fn file(&self, url: &str) -> FileSpec {
        FileSpec { url: url.to_owned(), path: self.path(url), size: None, sha256: None }
    }

    fn path(&self, url: &str) -> Result<RelPath, FileError> {
        let parts = split(url)?;
        let tree = self.prefix.as_ref().map_err(Clone::clone)?;
        if !parts.host.eq_ignore_ascii_case(tree.host) {
            let message =
                format!("the listing names {url}, which is not on the dataset's host {}", tree.host);
            return Err(FileError::new(ErrorKind::Path, message));
        }
        let below = strip_folder(parts.path, tree.path).unwrap_or(parts.path);
        let placed = RelPath::from_url_path(below).and_then(|path| path.below(self.dataset));
        placed.map_err(|error| unusable(&error))
    }
}

/// The file that a line of a URL list stands for; none for blank lines and comments.
///
/// A line may give its own path after a tab. Otherwise the file lands at its path below `base`, or at
/// `HOST/PATH` when it is not below it.
pub(crate) fn line_file(line: &str, base: Option<&str>) -> Option<FileSpec> {
    let line = line.trim_matches(['\r', '\n', ' ', '\u{feff}']);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (url, own_path) = match line.split_once('\t') {
        Some((url, path)) => (url.trim(), Some(path.trim())),
        None => (line, None),
    };
    let path = match own_path {
        Some(path) => split(url).and_then(|_| RelPath::parse(path).map_err(|error| unusable(&error))),
        None => line_path(url, base),
    };
    Some(FileSpec { url: url.to_owned(), path, size: None, sha256: None })
}

fn line_path(url: &str, base: Option<&str>) -> Result<RelPath, FileError> {
    let parts = split(url)?;
    if let Some(tree) = base.and_then(|base| split(base).ok())
        && tree.host.eq_ignore_ascii_case(parts.host)
        && let Some(below) = strip_folder(parts.path, tree.path)
    {
        return RelPath::from_url_path(below).map_err(|error| unusable(&error));
    }
    RelPath::from_url_path(parts.path)
        .and_then(|path| path.below(&host_folder(parts.host)))
        .map_err(|error| unusable(&error))
}

/// `host`, or `host_port`; colons and brackets of IPv6 cannot stand in a file name on Windows.
fn host_folder(host: &str) -> String {
    host.to_ascii_lowercase().replace(['[', ']'], "").replace(':', "_")
}

/// `path` without the folder it lies in; none when it does not lie there.
fn strip_folder<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder.trim_end_matches('/')).filter(|rest| rest.starts_with('/'))
}

fn split(url: &str) -> Result<Parts<'_>, FileError> {
    let unusable = |why: &str| FileError::new(ErrorKind::Path, format!("'{}' {why}", shorten(url)));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| unusable("is no URL"))?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(unusable("is neither an http nor an https URL"));
    }
    Url::parse(url).map_err(|error| unusable(&format!("is no usable URL: {error}")))?;
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    if host.is_empty() || host.contains('\\') {
        return Err(unusable("names no host"));
    }
    Ok(Parts { host, path })
}

fn unusable(error: &PathError) -> FileError {
    FileError::new(ErrorKind::Path, error.to_string())
}

/// Enough of an odd line to recognise it by, whatever its length.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "https://data.example/sort_by_project/THEMIS/asi/stream0";

    fn place(spec: &FileSpec) -> Result<&str, ErrorKind> {
        spec.path.as_ref().map(RelPath::as_str).map_err(|error| error.kind)
    }

    #[test]
    fn listed_files_land_below_their_dataset() {
        let table = [
            ("https://data.example/sort_by_project/THEMIS/asi/stream0/2020/a.gz", Ok("T/2020/a.gz")),
            ("http://DATA.example/sort_by_project/THEMIS/asi/stream0/a.gz?x=1#y", Ok("T/a.gz")),
            (
                "https://data.example/sort_by_project/THEMIS/asi/stream01/a.gz",
                Ok("T/sort_by_project/THEMIS/asi/stream01/a.gz"),
            ),
            ("https://data.example/elsewhere/%2B.sav", Ok("T/elsewhere/+.sav")),
            ("https://evil.example/sort_by_project/THEMIS/asi/stream0/a.gz", Err(ErrorKind::Path)),
            ("https://data.example:8080/sort_by_project/THEMIS/asi/stream0/a.gz", Err(ErrorKind::Path)),
            ("ftp://data.example/sort_by_project/THEMIS/asi/stream0/a.gz", Err(ErrorKind::Path)),
            ("file:///etc/passwd", Err(ErrorKind::Path)),
            ("/2020/a.gz", Err(ErrorKind::Path)),
            ("https://data.example/sort_by_project/THEMIS/asi/stream0/../../x", Err(ErrorKind::Path)),
            ("https://data.example/sort_by_project/THEMIS/asi/stream0/%2e%2E/x", Err(ErrorKind::Path)),
            ("https://data.example/sort_by_project/THEMIS/asi/stream0/", Err(ErrorKind::Path)),
        ];
        for (url, expected) in table {
            assert_eq!(place(&Tree::new(PREFIX, "T").file(url)), expected, "{url}");
        }
    }

    #[test]
    fn lines_land_below_their_base_or_their_host() {
        let base = Some("http://h.example:81/data/");
        let table = [
            ("http://h.example:81/data/a/b", base, Ok("a/b")),
            ("http://h.example:81/database/b", base, Ok("h.example_81/database/b")),
            ("http://h.example/data/a", base, Ok("h.example/data/a")),
            ("http://H.example/a?b=/c", None, Ok("h.example/a")),
            ("http://u:p@h.example/a", None, Ok("h.example/a")),
            ("http://[::1]:8080/a", None, Ok("__1_8080/a")),
            ("http://h.example/a\tmy/own name.gz", base, Ok("my/own name.gz")),
            ("http://h.example/a\t../x", base, Err(ErrorKind::Path)),
            ("http://h.example/", None, Err(ErrorKind::Path)),
            ("http://h.example", None, Err(ErrorKind::Path)),
            ("http:///a", None, Err(ErrorKind::Path)),
            ("nonsense", None, Err(ErrorKind::Path)),
            ("http://h.example/a\\..\\b", None, Err(ErrorKind::Path)),
        ];
        for (line, base, expected) in table {
            assert_eq!(place(&line_file(line, base).unwrap()), expected, "{line}");
        }
    }

    #[test]
    fn blank_lines_and_comments_are_no_files() {
        for line in ["", "  ", "\r\n", "# x", "  # y", "\u{feff}"] {
            assert_eq!(line_file(line, None), None, "{line:?}");
        }
    }
}
