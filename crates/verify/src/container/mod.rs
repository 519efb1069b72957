//! A file format's own check, made while the bytes pass: what a scientist can trust where the archive
//! publishes no checksums.
//!
//! Which check applies is told by the name; that the content is of that format is the check's first
//! question. Every check takes its bytes in pieces of any size, keeps memory that does not grow with the
//! file, and gives the same verdict however the bytes were cut. Nothing here survives a crash: what was
//! received is simply read again.

mod budget;
mod bzip2;
mod gzip;
mod hdf5;
mod idl;
mod jpeg;
mod lookup3;
mod pgm;
mod png;
mod steps;
mod tar;

use std::borrow::Cow;
use std::fmt;

use self::bzip2::Bzip2;
use self::gzip::Gzip;
use self::hdf5::Hdf5;
use self::idl::IdlSave;
use self::jpeg::Jpeg;
use self::pgm::Pgm;
use self::png::Png;
use self::steps::Steps;
use self::tar::Tar;

/// A check in progress.
pub struct Container {
    check: Box<dyn Check>,
    damage: Option<Damage>,
}

/// What is wrong with a file, as the end of a sentence that begins with its name: `is empty`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damage(Cow<'static, str>);

/// One format's way to look at a file. After it has found damage it is asked nothing more.
trait Check: Send + Sync {
    /// The next bytes, at least one.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Damage>;

    /// Whether the check has been given up, so that there will be no verdict.
    fn is_given_up(&self) -> bool {
        false
    }

    /// The file ends here.
    fn finish(&mut self) -> Result<(), Damage>;
}

impl Container {
    /// The check that a file of this name can be held to; none for formats that have none, or that are
    /// not known here.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let (stem, extension) = split(name)?;
        let check: Box<dyn Check> = match extension.as_str() {
            "gz" => Box::new(Gzip::new(inside(stem))),
            "tgz" => Box::new(Gzip::new(Some(tar_of("")))),
            "bz2" => Box::new(Bzip2::new(inside(stem))),
            _ => return plain(name),
        };
        Some(Self::from(check))
    }

    /// The next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.damage.is_none() && !self.check.is_given_up() && !bytes.is_empty() {
            self.damage = self.check.feed(bytes).err();
        }
    }

    /// The verdict at the file's end: whether it is sound, else what is wrong with it; of several faults the first.
    ///
    /// None when the check was given up, since the file unfolds into more than anybody would look through.
    #[must_use]
    pub fn finish(mut self) -> Option<Result<(), Damage>> {
        match self.damage {
            Some(damage) => Some(Err(damage)),
            None if self.check.is_given_up() => None,
            None => Some(self.check.finish()),
        }
    }
}

impl From<Box<dyn Check>> for Container {
    fn from(check: Box<dyn Check>) -> Self {
        Self { check, damage: None }
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").field("damage", &self.damage).finish_non_exhaustive()
    }
}

impl From<&'static str> for Damage {
    fn from(why: &'static str) -> Self {
        Self(Cow::Borrowed(why))
    }
}

impl From<String> for Damage {
    fn from(why: String) -> Self {
        Self(Cow::Owned(why))
    }
}

/// The check of what is compressed in a file, by the name that it would have outside.
fn inside(name: &str) -> Option<Container> {
    match split(name)?.1.as_str() {
        "pgm" => Some(Container::from(Box::new(Pgm::inside()) as Box<dyn Check>)),
        _ => plain(name),
    }
}

/// The check of a format that is not a compression around another: those do not nest, so that a few bytes
/// cannot be made to unfold without end.
fn plain(name: &str) -> Option<Container> {
    let (stem, extension) = split(name)?;
    let check: Box<dyn Check> = match extension.as_str() {
        "h5" | "hdf5" | "he5" => Box::new(Steps::new(Hdf5::default())),
        "jpeg" | "jpg" => Box::new(Jpeg::default()),
        "pgm" => Box::new(Pgm::default()),
        "png" => Box::new(Steps::new(Png::default())),
        "sav" => Box::new(Steps::new(IdlSave::default())),
        "tar" => return Some(tar_of(stem)),
        _ => return None,
    };
    Some(Container::from(check))
}

/// The check of a tar archive. One that says in its name what it is made of (`.png.tar`) is held to that;
/// an archive of anything may well hold a broken picture on purpose.
fn tar_of(stem: &str) -> Container {
    let members = split(stem).map(|(_, extension)| extension).filter(|extension| extension != "tar");
    Container::from(Box::new(Steps::new(Tar::of(members))) as Box<dyn Check>)
}

/// A name without its extension, and the extension in lower case.
fn split(name: &str) -> Option<(&str, String)> {
    let (stem, extension) = name.rsplit_once('.')?;
    Some((stem, extension.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
