//! Relative paths that are safe to create below an output root, on every platform alike (invariant I5).

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The folder in the output root that is ours; no file may claim it.
const RESERVED_ROOT: &str = ".skyhaul";

/// The longest file name that common file systems hold, in bytes.
const MAX_COMPONENT_BYTES: usize = 255;

/// The longest relative path, in bytes; leaves room for the root below Linux's 4,096.
const MAX_PATH_BYTES: usize = 3_000;

/// Names of devices on Windows; those of ports have a digit behind them.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// How long names of devices are, in bytes.
const DEVICE_LENGTHS: RangeInclusive<usize> = 3..=7;

/// Why a name cannot be created below the output root.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nothing is left that could be a file name.
    #[error("'{0}' names no file")]
    Empty(String),
    /// A `.` or `..` component, in any spelling.
    #[error("'{0}' has a '.' or '..' component")]
    Dots(String),
    /// It begins at a root or names a drive.
    #[error("'{0}' is an absolute path")]
    Absolute(String),
    /// A component that Windows cannot hold.
    #[error("'{0}' cannot be a file name on Windows")]
    Unportable(String),
    /// A component or the whole is too long.
    #[error("'{0}…' is too long for a file name")]
    TooLong(String),
    /// The folder that is ours.
    #[error("'{0}' lies in the folder that skyhaul keeps for itself")]
    Reserved(String),
}

/// A relative path of checked components, joined by `/`: never empty, absolute, or with `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

impl RelPath {
    /// Checks a path that is already plain text (a manifest's, a list's second column).
    ///
    /// # Errors
    /// [`PathError`] as the name rules say.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') || text.starts_with('\\') {
            return Err(PathError::Absolute(text.to_owned()));
        }
        Self::from_components(text, text.split('/'))
    }

    /// Builds the path that a URL's raw (still percent-encoded) path stands for.
    ///
    /// Components are decoded once; one whose decoded form is not UTF-8 or holds a control
    /// character, `/` or `\` keeps its encoded form. Empty components vanish.
    ///
    /// # Errors
    /// [`PathError`] as the name rules say.
    pub fn from_url_path(raw: &str) -> Result<Self, PathError> {
        if raw.ends_with('/') {
            return Err(PathError::Empty(raw.to_owned()));
        }
        Self::from_components(raw, raw.split('/').filter(|part| !part.is_empty()).map(decode))
    }

    /// This path below one more folder, which is checked as any component is.
    ///
    /// # Errors
    /// [`PathError`] when the folder's name cannot be.
    pub fn below(&self, folder: &str) -> Result<Self, PathError> {
        let whole = [folder, "/", &self.0].concat();
        // What lies below it was checked when this path was made.
        Self::from_components(&whole, std::iter::once(folder))?;
        Self::of_bearable_length(whole)
    }

    /// The components, first folder to file name.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path as text with `/` between the components.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_components(
        whole: &str,
        components: impl Iterator<Item = impl AsRef<str>>,
    ) -> Result<Self, PathError> {
        let mut path = String::with_capacity(whole.len());
        for component in components {
            let component = component.as_ref();
            check_component(component, whole)?;
            if path.is_empty() && component.eq_ignore_ascii_case(RESERVED_ROOT) {
                return Err(PathError::Reserved(whole.to_owned()));
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(component);
        }
        if path.is_empty() { Err(PathError::Empty(whole.to_owned())) } else { Self::of_bearable_length(path) }
    }

    fn of_bearable_length(path: String) -> Result<Self, PathError> {
        match path.len() {
            n if n > MAX_PATH_BYTES => Err(PathError::TooLong(path.chars().take(80).collect())),
            _ => Ok(Self(path)),
        }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl TryFrom<String> for RelPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

fn decode(component: &str) -> Cow<'_, str> {
    // Nearly every name, and millions of names are looked at.
    if !component.contains('%') {
        return component.into();
    }
    let keeps_encoded = |c: char| (c.is_control() && c != '\0') || c == '/' || c == '\\';
    match percent_decode_str(component).decode_utf8() {
        Ok(text) if !text.contains(keeps_encoded) => text,
        _ => component.into(),
    }
}

fn check_component(component: &str, whole: &str) -> Result<(), PathError> {
    if component.is_empty() {
        return Err(PathError::Empty(whole.to_owned()));
    }
    if component == "." || component == ".." {
        return Err(PathError::Dots(whole.to_owned()));
    }
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(PathError::TooLong(component.chars().take(80).collect()));
    }
    if is_unportable(component) {
        return Err(PathError::Unportable(component.to_owned()));
    }
    Ok(())
}

/// Whether Windows refuses or silently changes such a name (Win32 "Naming Files, Paths, and Namespaces").
fn is_unportable(component: &str) -> bool {
    // Nearly every name is made of these alone, and millions of names are looked at.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let forbidden =
        |c: char| c.is_control() || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\\' | '/');
    !component.bytes().all(is_plain) && component.contains(forbidden)
        || component.ends_with(['.', ' '])
        || is_device_name(component)
}

/// `CON`, `nul.txt`, `COM1`, `LPT³` and the like: devices whatever follows the first dot.
fn is_device_name(component: &str) -> bool {
    // Most names are told by their first letter, and millions of names are looked at.
    if !component.starts_with(['A', 'C', 'L', 'N', 'P', 'a', 'c', 'l', 'n', 'p']) {
        return false;
    }
    let stem = component.split('.').next().unwrap_or(component).trim_end_matches(' ');
    if !DEVICE_LENGTHS.contains(&stem.len()) {
        return false;
    }
    if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
        return true;
    }
    let port = stem
        .split_at_checked(3)
        .filter(|(kind, _)| kind.eq_ignore_ascii_case("COM") || kind.eq_ignore_ascii_case("LPT"));
    let port = port.map(|(_, number)| number);
    let mut digits = port.unwrap_or_default().chars();
    matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn url_paths_are_decoded_once() {
        let table = [
            ("/a/b.gz", "a/b.gz"),
            ("/a//b.gz", "a/b.gz"),
            ("/a%20b/c+d", "a b/c+d"),
            ("/skymap_-%2B_v02.sav", "skymap_-+_v02.sav"),
            ("/a%252Fb", "a%2Fb"),
            ("/a%2Fb", "a%2Fb"),
            ("/a%5Cb", "a%5Cb"),
            ("/a%0Ab", "a%0Ab"),
            ("/a%FFb", "a%FFb"),
            ("/%C3%A9t%C3%A9", "été"),
            ("/100%", "100%"),
        ];
        for (raw, path) in table {
            assert_eq!(RelPath::from_url_path(raw).unwrap().as_str(), path, "{raw}");
        }
    }

    #[test]
    fn dangerous_and_unportable_names_are_refused() {
        let refused = [
            "",
            "/",
            "/a/",
            "/..",
            "/a/../b",
            "/%2e%2E/b",
            "/./a",
            "/a/%2e",
            "/c:/x",
            "/C%3A/x",
            "/a\\b",
            "/nul",
            "/NUL.txt",
            "/com1.gz",
            "/LPT%C2%B9",
            "/a.",
            "/a%20",
            "/a%00b",
            "/a<b",
            "/a%3Fb",
            "/.skyhaul/x",
            "/.SKYHAUL/x",
            "/.skyhaul",
        ];
        for raw in refused {
            assert!(RelPath::from_url_path(raw).is_err(), "{raw}");
        }
        assert!(RelPath::from_url_path(&format!("/{}", "x".repeat(256))).is_err());
        assert!(RelPath::from_url_path(&"/xx".repeat(2_000)).is_err());
        assert!(RelPath::from_url_path("/a/.skyhaul/x").is_ok());
        assert!(RelPath::from_url_path("/com10/console/auxiliary").is_ok());
    }

    #[test]
    fn plain_paths_are_not_decoded() {
        assert_eq!(RelPath::parse("a%20b/c").unwrap().as_str(), "a%20b/c");
        for text in ["/a", "a//b", "a/", "../a", "\\a", "a\\b", "c:a"] {
            assert!(RelPath::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_below_the_root(raw in "(/|%2[eEfF]|%5[cC]|\\.|[a-z:%\\\\\u{0}-\u{20}])*") {
            for path in [RelPath::from_url_path(&raw), RelPath::parse(&raw)].into_iter().flatten() {
                prop_assert!(!path.as_str().starts_with('/'));
                for component in path.components() {
                    prop_assert!(!component.is_empty() && component != "." && component != "..");
                    prop_assert!(!component.contains(['\\', ':', '\0']));
                }
                prop_assert_eq!(RelPath::parse(path.as_str()), Ok(path.clone()));
            }
        }
    }
}
