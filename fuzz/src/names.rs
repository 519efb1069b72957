//! A URL's path or a list's column: what becomes a path stays below the output root (invariant I5).

use skyhaul_model::RelPath;

/// The text, once as a plain path and once as a URL's.
pub(crate) fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for path in [RelPath::parse(text), RelPath::from_url_path(text)].into_iter().flatten() {
        assert!(!path.as_str().starts_with('/') && path.as_str().len() < 4096, "{path}");
        for component in path.components() {
            assert!(!matches!(component, "" | "." | ".."), "{path}");
            assert!(component.len() <= 255 && !component.contains(['/', '\\', '\0', ':']), "{path}");
        }
        assert!(!path.components().next().unwrap().eq_ignore_ascii_case(".skyhaul"), "{path}");
        assert_eq!(RelPath::parse(path.as_str()).as_ref(), Ok(&path), "a path is one when it is read again");
    }
}
