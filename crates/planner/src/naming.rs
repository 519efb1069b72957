//! Where a URL's file lands below the output root.
//!
//! Works on the URL's raw text: a URL parser would resolve `..` and its encoded spellings before anyone
//! could refuse them (WHATWG URL, "double-dot path segment").

use skyhaul_model::{ErrorKind, FileError, FileSpec, PathError, RelPath};
use url::Url;

/// The parts of a URL that decide a file's place.
#[derive(Clone, Copy)]
struct Parts<'a> {
    /// `scheme://authority`.
    origin: &'a str,
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
        let known = self.prefix.as_ref().map_or("", |tree| tree.origin);
        let parts = split_known(url, known)?;
        let tree = self.prefix.as_ref().map_err(Clone::clone)?;
        if !parts.server().eq_ignore_ascii_case(tree.server()) {
            let message =
                format!("the listing names {url}, which is not on the dataset's host {}", tree.host());
            return Err(FileError::new(ErrorKind::Path, message));
        }
        let below = strip_folder(parts.path, tree.path).unwrap_or(parts.path);
        let placed = RelPath::from_url_path(below).and_then(|path| path.below(self.dataset));
        placed.map_err(|error| unusable(&error))
    }
}

/// Where the files of a URL list belong: at their path below `base`, or at `HOST/PATH` when they are not below it.
pub(crate) struct Lines<'a> {
    base: Option<Parts<'a>>,
    /// The origin of the last usable URL, and the folder that its host stands for.
    origin: String,
    folder: String,
}

impl<'a> Lines<'a> {
    /// The lines of a list with this base.
    pub(crate) fn new(base: Option<&'a str>) -> Self {
        let base = base.and_then(|base| split(base).ok());
        Self { base, origin: String::new(), folder: String::new() }
    }

    /// The file that a line stands for, which may give its own path after a tab; none for blank lines and comments.
    pub(crate) fn file(&mut self, line: &str) -> Option<FileSpec> {
        // A tab at the beginning indents; one at the end begins a path, which is empty then.
        let line = line.trim_start_matches([' ', '\t', '\u{feff}']).trim_end_matches(['\r', '\n', ' ']);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (url, own_path) = match line.split_once('\t') {
            Some((url, path)) => (url.trim(), Some(path.trim())),
            None => (line, None),
        };
        let path = split_known(url, &self.origin).and_then(|parts| {
            self.note_origin(parts);
            let path = own_path.map_or_else(|| self.path(parts), RelPath::parse);
            path.map_err(|error| unusable(&error))
        });
        Some(FileSpec { url: url.to_owned(), path, size: None, sha256: None })
    }

    fn path(&self, parts: Parts<'_>) -> Result<RelPath, PathError> {
        let base = self.base.filter(|base| base.server().eq_ignore_ascii_case(parts.server()));
        match base.and_then(|base| strip_folder(parts.path, base.path)) {
            Some(below) => RelPath::from_url_path(below),
            None => RelPath::from_url_path(parts.path)?.below(&self.folder),
        }
    }

    fn note_origin(&mut self, parts: Parts<'_>) {
        if parts.origin != self.origin {
            parts.origin.clone_into(&mut self.origin);
            self.folder = host_folder(parts.host());
        }
    }
}

/// `host`, or `host_port`; colons and brackets of IPv6 cannot stand in a file name on Windows.
fn host_folder(host: &str) -> String {
    host.to_ascii_lowercase().replace(['[', ']'], "").replace(':', "_")
}

/// `path` without the folder it lies in; none when it does not lie there.
fn strip_folder<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder.trim_end_matches('/')).filter(|rest| rest.starts_with('/'))
}

impl<'a> Parts<'a> {
    /// `host` or `host:port`, without user and password.
    fn host(self) -> &'a str {
        self.origin.rsplit(['/', '@']).next().unwrap_or_default()
    }

    /// The host, with its port unless that is the scheme's own (RFC 9110 sections 4.2.1 and 4.2.2).
    fn server(self) -> &'a str {
        let is_secure =
            self.origin.get(.."https:".len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let host = self.host();
        host.strip_suffix(if is_secure { ":443" } else { ":80" }).unwrap_or(host)
    }
}

/// The parts of a URL, with less work if it has the origin `known`, which is a usable one or empty: what follows
/// an origin cannot make a URL unusable (WHATWG URL, "basic URL parser": no state from the path on fails).
fn split_known<'a>(url: &'a str, known: &str) -> Result<Parts<'a>, FileError> {
    match url.strip_prefix(known) {
        Some(rest) if !known.is_empty() && rest.starts_with('/') => {
            Ok(Parts { origin: &url[..known.len()], path: until_query(rest) })
        }
        _ => split(url),
    }
}

fn split(url: &str) -> Result<Parts<'_>, FileError> {
    let unusable = |why: &str| FileError::new(ErrorKind::Path, format!("'{}' {why}", shorten(url)));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| unusable("is no URL"))?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(unusable("is neither an http nor an https URL"));
    }
    Url::parse(url).map_err(|error| unusable(&format!("is no usable URL: {error}")))?;
    let rest = until_query(rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let origin = &url[..scheme.len() + "://".len() + rest.len() - path.len()];
    let parts = Parts { origin, path };
    if parts.host().is_empty() || parts.host().contains('\\') {
        return Err(unusable("names no host"));
    }
    Ok(parts)
}

fn until_query(rest: &str) -> &str {
    &rest[..rest.bytes().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(rest.len())]
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
    use proptest::prelude::*;

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
            ("http://h.example/data/a", Some("http://h.example:80/data/"), Ok("a")),
            ("http://h.example:80/data/a", Some("http://H.example/data/"), Ok("a")),
            ("http://h.example:80/a", Some("http://h.example/data/"), Ok("h.example_80/a")),
            ("https://h.example:443/data/a", Some("HTTPS://h.example/data/"), Ok("a")),
            ("http://h.example:443/data/a", Some("http://h.example/data/"), Ok("h.example_443/data/a")),
            ("http://[::80]/data/a", Some("http://[::80]:80/data/"), Ok("a")),
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
            assert_eq!(place(&Lines::new(base).file(line).unwrap()), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_known_origin_changes_nothing(
            known in prop::sample::select(vec!["http://h", "http://h:81", "HTTPS://u:p@h", "http://h\\x", "http://h?x"]),
            rest in "[/a?#@:%\\\\. \t]{0,8}",
        ) {
            let url = format!("{known}{rest}");
            if let Ok(usable) = split(known) {
                let told = |split: Result<Parts<'_>, FileError>| {
                    split.map(|parts| (parts.origin.to_owned(), parts.path.to_owned())).ok()
                };
                prop_assert_eq!(told(split_known(&url, usable.origin)), told(split(&url)));
            }
        }
    }

    #[test]
    fn blank_lines_and_comments_are_no_files() {
        for line in ["", "  ", "\t", " \t\r\n", "\r\n", "# x", "  # y", "\t# z", "\u{feff}"] {
            assert_eq!(Lines::new(None).file(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_line_may_be_indented() {
        let file = Lines::new(None).file(" \thttp://h/a\tb\r\n").unwrap();
        assert_eq!((file.url.as_str(), place(&file)), ("http://h/a", Ok("b")));
    }
}
