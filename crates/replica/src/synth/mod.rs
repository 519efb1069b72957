//! Made-up file contents: what a path leads to is a function of the path, a version number and the scale alone.
//!
//! The length is known without making the bytes, because listings and folder pages tell the sizes of thousands
//! of files; the tests hold every kind of file to it.

mod coding;
mod gzip;
mod opaque;
mod pgm;
mod picture;

use bytes::Bytes;

use crate::catalogue::{Body, Dataset};
use crate::config::FileScale;
use crate::names::Label;
use crate::seed::{Dice, seed};

/// One synthetic file, not yet made.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    name: String,
    label: Label,
    body: Body,
    seed: u64,
}

impl Recipe {
    /// The recipe of the file at `path`.
    pub(crate) fn new(path: &str, dataset: &Dataset, label: Label, version: u32, scale: FileScale) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        // A summary plot may have a second name that ends in another format than the dataset's.
        let body = match dataset.body {
            Body::Pgm { .. } if !name.ends_with(".pgm.gz") => Body::Bytes(20_000),
            body => body,
        };
        let seed = seed(&[path.as_bytes(), &version.to_le_bytes()]);
        Self { name, label, body: scaled(body, scale), seed }
    }

    /// How many bytes the file has.
    pub(crate) fn len(&self) -> u64 {
        match self.body {
            Body::Pgm { .. } => self.images().map_or(0, |images| images.len()),
            Body::Bytes(about) => self.format().len(self.varied(about)),
        }
    }

    /// Another number for each file and version.
    pub(crate) fn state(&self) -> u64 {
        self.seed
    }

    /// The bytes of the file.
    pub(crate) fn make(&self) -> Bytes {
        match self.body {
            Body::Pgm { .. } => self.images().map_or_else(Bytes::new, |images| images.make()),
            Body::Bytes(about) => {
                Bytes::from(self.format().make(self.varied(about), &mut Dice::new(self.seed)))
            }
        }
    }

    fn images(&self) -> Option<pgm::Images<'_>> {
        let Body::Pgm { frames, width, height, bits } = self.body else { return None };
        let shape = pgm::Shape { frames, width, height, bits };
        Some(pgm::Images { shape, name: &self.name, label: &self.label, seed: self.seed })
    }

    fn format(&self) -> Format {
        let ending = self.name.rsplit('.').next().unwrap_or("");
        match ending {
            "h5" => Format::Hdf5,
            "sav" => Format::IdlSave,
            "txt" => Format::Text,
            "png" => Format::Png,
            "tar" => Format::PngTar,
            _ => Format::Jpeg,
        }
    }

    /// Sizes vary by 8 percent either way from file to file, as compressed images do; save files do not.
    fn varied(&self, about: u64) -> u64 {
        if self.format() == Format::IdlSave {
            return about;
        }
        let spread = about / 6;
        about - spread / 2 + Dice::new(self.seed).below(spread + 1)
    }
}

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

/// The formats other than gzipped images.
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
    /// The exact length of a file of about this many bytes.
    fn len(self, about: u64) -> u64 {
        match self {
            Self::Hdf5 => opaque::hdf5_len(about),
            Self::IdlSave => opaque::idl_save_len(about),
            Self::Jpeg => opaque::jpeg_len(about),
            Self::Text => opaque::text_len(about),
            Self::Png => picture::png_len(about),
            Self::PngTar => picture::tar_len(about),
        }
    }

    fn make(self, about: u64, dice: &mut Dice) -> Vec<u8> {
        match self {
            Self::Hdf5 => opaque::hdf5(about, dice),
            Self::IdlSave => opaque::idl_save(about, dice),
            Self::Jpeg => opaque::jpeg(about, dice),
            Self::Text => opaque::text(about, dice),
            Self::Png => picture::png(about, dice),
            Self::PngTar => picture::tar(about, dice),
        }
    }
}
