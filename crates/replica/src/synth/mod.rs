//! Made-up file contents: what a path leads to is a function of the path, a version number and the scale alone.
//!
//! The length is known without making the bytes, because listings and folder pages tell the sizes of thousands
//! of files; the tests hold every kind of file to it.

mod bzip2;
mod coding;
mod gzip;
mod hdf5;
mod opaque;
mod pgm;
mod picture;

use bytes::Bytes;
use pgm::Packing;

use crate::catalogue::{Body, Dataset};
use crate::config::FileScale;
use crate::names::Label;
use crate::seed::{Dice, seed};

/// One synthetic file, not yet made.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// The file's name, without the packing's ending if it is an image stack.
    name: String,
    label: Label,
    make: Make,
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
enum Make {
    Images(pgm::Shape, Packing),
    /// A file of about so many bytes.
    Other(Format, u64),
}

impl Recipe {
    /// The recipe of the file at `path`: the name's ending says of what kind it is, the dataset how large.
    pub(crate) fn new(path: &str, dataset: &Dataset, label: Label, version: u32, scale: FileScale) -> Self {
        let (stem, packing) = packing_of(path);
        let make = match (scaled(dataset.body, scale), packing) {
            (Body::Pgm { frames, width, height, bits }, Some(packing)) => {
                Make::Images(pgm::Shape { frames, width, height, bits }, packing)
            }
            // A dataset of image stacks may have companions in other formats, such as a summary plot.
            (Body::Pgm { .. }, None) => Make::Other(Format::of(path), COMPANION_BYTES),
            (Body::Bytes(about), _) => Make::Other(Format::of(path), about),
        };
        let name = stem.rsplit('/').next().unwrap_or(stem).to_owned();
        // The packings of one name hold the same images.
        let seed = seed(&[stem.as_bytes(), &version.to_le_bytes()]);
        Self { name, label, make, seed }
    }

    /// How many bytes the file has.
    pub(crate) fn len(&self) -> u64 {
        match self.make {
            Make::Images(shape, packing) => self.images(shape, packing).len(),
            Make::Other(format, about) => format.len(self.varied(format, about)),
        }
    }

    /// Another number for each file and version.
    pub(crate) fn state(&self) -> u64 {
        self.seed
    }

    /// The bytes of the file.
    pub(crate) fn make(&self) -> Bytes {
        match self.make {
            Make::Images(shape, packing) => self.images(shape, packing).make(),
            Make::Other(format, about) => {
                Bytes::from(format.make(self.varied(format, about), &mut Dice::new(self.seed)))
            }
        }
    }

    fn images(&self, shape: pgm::Shape, packing: Packing) -> pgm::Images<'_> {
        pgm::Images { shape, packing, name: &self.name, label: &self.label, seed: self.seed }
    }

    /// Sizes vary by 8 percent either way from file to file, as compressed images do; save files do not.
    fn varied(&self, format: Format, about: u64) -> u64 {
        if format == Format::IdlSave {
            return about;
        }
        let spread = about / 6;
        about - spread / 2 + Dice::new(self.seed).below(spread + 1)
    }
}

/// The place of a byte that the format's own check sees changed, so that a file damaged there can be told from a
/// sound one; text has no such place. A file has at least one byte.
pub(crate) fn weak_spot(path: &str, len: u64) -> u64 {
    /// Where the superblock's version stands.
    const HDF5_VERSION: u64 = 8;
    /// Where the low byte of the first record's link stands.
    const SAVE_LINK: u64 = 11;
    let spot = match (Format::of(path), packing_of(path).1) {
        (_, Some(Packing::Plain)) | (Format::PngTar, None) => 0,
        (Format::Hdf5, None) => HDF5_VERSION,
        (Format::IdlSave, None) => SAVE_LINK,
        (Format::Jpeg, None) => len - 1,
        (Format::Png | Format::Text, None) | (_, Some(Packing::Gzip | Packing::Bzip2)) => len / 2,
    };
    spot.min(len - 1)
}

/// A path without the ending of its packing, and the packing if it is an image stack.
fn packing_of(path: &str) -> (&str, Option<Packing>) {
    let packed = |ending| path.strip_suffix(ending).filter(|stem| stem.ends_with(".pgm"));
    match (packed(".gz"), packed(".bz2")) {
        (Some(stem), _) => (stem, Some(Packing::Gzip)),
        (_, Some(stem)) => (stem, Some(Packing::Bzip2)),
        _ if path.ends_with(".pgm") => (path, Some(Packing::Plain)),
        _ => (path, None),
    }
}

/// The size of a file beside image stacks.
const COMPANION_BYTES: u64 = 20_000;

fn scaled(body: Body, scale: FileScale) -> Body {
    const SMALL_BYTES: u64 = 20_000;
    const SMALL_SIDE: u32 = 24;
    match (scale, body) {
        (FileScale::Real, body) => body,
        (FileScale::Small, Body::Bytes(about)) => Body::Bytes(about.min(SMALL_BYTES)),
        (FileScale::Small, Body::Pgm { frames, width, height, bits }) => {
            let (width, height) = (width.min(SMALL_SIDE), height.min(SMALL_SIDE));
            Body::Pgm { frames: frames.min(20), width, height, bits }
        }
    }
}

/// The formats other than image stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Hdf5,
    IdlSave,
    Jpeg,
    Png,
    PngTar,
    Text,
}

impl Format {
    fn of(path: &str) -> Self {
        match path.rsplit('.').next().unwrap_or("") {
            "h5" => Self::Hdf5,
            "sav" => Self::IdlSave,
            "txt" => Self::Text,
            "png" => Self::Png,
            "tar" => Self::PngTar,
            _ => Self::Jpeg,
        }
    }

    /// The exact length of a file of about this many bytes.
    fn len(self, about: u64) -> u64 {
        match self {
            Self::Hdf5 => hdf5::len(about),
            Self::IdlSave => opaque::idl_save_len(about),
            Self::Jpeg => opaque::jpeg_len(about),
            Self::Text => opaque::text_len(about),
            Self::Png => picture::png_len(about),
            Self::PngTar => picture::tar_len(about),
        }
    }

    fn make(self, about: u64, dice: &mut Dice) -> Vec<u8> {
        match self {
            Self::Hdf5 => hdf5::make(about, dice),
            Self::IdlSave => opaque::idl_save(about, dice),
            Self::Jpeg => opaque::jpeg(about, dice),
            Self::Text => opaque::text(about, dice),
            Self::Png => picture::png(about, dice),
            Self::PngTar => picture::tar(about, dice),
        }
    }
}
