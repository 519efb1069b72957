//! Image stacks: PGM frames one after the other, each with the comment header the archive's cameras write, plain
//! or packed with gzip or bzip2.
//!
//! Most pixels come from a small stock of frames that is encoded once per shape; what makes a file its own are its
//! headers, the first pixels of each frame, and which frames of the stock follow in which order. That keeps
//! making a file about as fast as copying it, even in an unoptimised build. The packings of one name hold the same
//! images.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use crc32fast::Hasher;

use super::coding::{Coding, END_OF_BLOCK, HEADER_LEN, Pixel};
use super::{bzip2, gzip};
use crate::names::Label;
use crate::seed::{Dice, seed};

/// How many frames the stock of one shape has.
const STOCK_FRAMES: u64 = 16;

/// How many pixels at the start of each frame are the file's own.
const OWN_PIXELS: usize = 256;

/// The shape of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) frames: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The bits that a pixel takes when compressed.
    pub(crate) bits: u32,
}

/// How a stack is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Bzip2,
}

/// One file.
#[derive(Debug)]
pub(crate) struct Images<'a> {
    pub(crate) shape: Shape,
    pub(crate) packing: Packing,
    /// The name without the packing's ending.
    pub(crate) name: &'a str,
    pub(crate) label: &'a Label,
    pub(crate) seed: u64,
}

impl Shape {
    fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    fn own_pixels(self) -> usize {
        self.pixels().min(OWN_PIXELS)
    }
}

impl Images<'_> {
    /// The length of the file.
    pub(crate) fn len(&self) -> u64 {
        let len = match self.packing {
            Packing::Plain => self.text_len() + self.pixels() * 2,
            Packing::Gzip => self.gzip_len(),
            // How small the file's own part becomes shows only when it is packed; the rest is packed once for all.
            Packing::Bzip2 => self.bzip2().len(),
        };
        len as u64
    }

    /// The file.
    pub(crate) fn make(&self) -> Bytes {
        Bytes::from(match self.packing {
            Packing::Plain => self.plain(),
            Packing::Gzip => self.gzip(),
            Packing::Bzip2 => self.bzip2(),
        })
    }

    fn plain(&self) -> Vec<u8> {
        let stock = stock(self.shape);
        let pieces = self.frames(&stock).flat_map(|(own, rest)| [own.raw, rest.raw.clone()]);
        pieces.collect::<Vec<_>>().concat()
    }

    fn gzip(&self) -> Vec<u8> {
        let stock = stock(self.shape);
        let mut out = gzip::header(self.name, self.label.start() + 62);
        out.reserve(self.gzip_len());
        out.extend(stock.coding.header());
        let mut crc = Hasher::new();
        let mut raw_len = 0;
        for (own, rest) in self.frames(&stock) {
            out.extend_from_slice(&own.encoded);
            out.extend_from_slice(&rest.encoded);
            crc.update(&own.raw);
            crc.combine(&Hasher::new_with_initial_len(rest.crc, rest.raw.len() as u64));
            raw_len += (own.raw.len() + rest.raw.len()) as u64;
        }
        out.push(END_OF_BLOCK);
        out.extend(gzip::trailer(crc.finalize(), raw_len));
        out
    }

    /// A stream for each frame's own part, and one for what comes from the stock.
    fn bzip2(&self) -> Vec<u8> {
        let stock = stock(self.shape);
        let pieces =
            self.frames(&stock).flat_map(|(own, rest)| [bzip2::pack(&own.raw), rest.bzip2().to_vec()]);
        pieces.collect::<Vec<_>>().concat()
    }

    /// What each frame is made of, in order.
    fn frames<'a>(&'a self, stock: &'a Stock) -> impl Iterator<Item = (Own, &'a StockFrame)> {
        let mut dice = Dice::new(self.seed);
        (0..self.shape.frames).map(move |frame| {
            let mut own = Own { raw: self.comment(frame).into_bytes(), encoded: Vec::new() };
            stock.coding.push_text(&own.raw, &mut own.encoded);
            let pixels = own_pixels(self.shape, &stock.coding, &mut dice);
            stock.coding.push_pixels(pixels, &mut own.raw, &mut own.encoded);
            (own, stock.pick(&mut dice))
        })
    }

    fn gzip_len(&self) -> usize {
        let pixels = self.pixels() / 8 * self.shape.bits as usize;
        gzip::header_len(self.name) + HEADER_LEN + self.text_len() + pixels + 1 + gzip::TRAILER_LEN
    }

    /// The pixels of all frames.
    fn pixels(&self) -> usize {
        self.shape.pixels() * self.shape.frames as usize
    }

    /// The heads of all frames. All but the first are of one length: their numbers have fixed widths.
    fn text_len(&self) -> usize {
        let other = if self.shape.frames > 1 { self.comment(1).len() } else { 0 };
        self.comment(0).len() + other * (self.shape.frames as usize).saturating_sub(1)
    }

    /// Lengths differ from name to name, but not from version to version: a file that is replaced by one of the
    /// same length is the harder case for a client.
    fn notes_len(&self) -> usize {
        const NOTES_MAX: u64 = 4000;
        usize::try_from(Dice::new(seed(&[self.name.as_bytes()])).below(NOTES_MAX)).unwrap_or(0)
    }

    /// The head of one frame: the first tells everything about the camera, the others what changes.
    fn comment(&self, frame: u32) -> String {
        let Shape { frames, width, height, .. } = self.shape;
        let Label { site, device, .. } = self.label;
        let mut text = String::from("P5\n");
        let mut line = |key: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "#\"{key}\" {value}");
        };
        if frame == 0 && self.shape.pixels() > OWN_PIXELS {
            line("Project unique ID", "skyhaul-replica");
            line("Imager model", "synthetic all-sky imager");
            line("Imager comment", "made up by a test server, not an observation");
            line("Ccd type", "seeded random numbers");
            line("Ccd xsize", &format!("{width} pixels"));
            line("Ccd ysize", &format!("{height} pixels"));
            line("Pixel depth", "16 bits");
            line("Optical projection", "none");
            line("Notes", &".".repeat(self.notes_len()));
        }
        line("Site unique ID", site);
        line("Imager unique ID", device);
        let start = self.label.civil();
        let step_ms = 60_000 / i64::from(frames.clamp(1, 60_000));
        let begin_ms = i64::from(frame) * step_ms;
        let date = start.strftime("%Y-%m-%d %H:%M");
        line("Mode sequence number", &format!("{frame:04}"));
        line("Image request start", &format!("{date}:{:02}.{:03} UTC", begin_ms / 1000, begin_ms % 1000));
        let _ = write!(text, "{width} {height}\n65535\n");
        text
    }
}

/// The frames of one shape that all its files share.
struct Stock {
    coding: Coding,
    frames: Vec<StockFrame>,
}

/// The head and the first pixels of a frame, raw and encoded.
struct Own {
    raw: Vec<u8>,
    encoded: Vec<u8>,
}

/// The pixels of a frame after the file's own.
struct StockFrame {
    raw: Vec<u8>,
    encoded: Vec<u8>,
    crc: u32,
    /// Made at the first call: it takes a while, and few files want it.
    bzip2: OnceLock<Vec<u8>>,
}

impl StockFrame {
    fn bzip2(&self) -> &[u8] {
        self.bzip2.get_or_init(|| bzip2::pack(&self.raw))
    }
}

impl Stock {
    fn pick(&self, dice: &mut Dice) -> &StockFrame {
        let place = dice.below(self.frames.len() as u64);
        &self.frames[usize::try_from(place).unwrap_or(0)]
    }
}

fn own_pixels<'a>(shape: Shape, coding: &'a Coding, dice: &'a mut Dice) -> impl Iterator<Item = Pixel> + 'a {
    (0..shape.own_pixels()).map(move |_| {
        let [high, low, ..] = dice.next().to_le_bytes();
        Pixel { high: high % coding.high_count(), low }
    })
}

/// The stock of a shape, made at the first call; the few shapes of the catalogue stay.
fn stock(shape: Shape) -> Arc<Stock> {
    static STOCKS: Mutex<Option<HashMap<Shape, Arc<Stock>>>> = Mutex::new(None);
    let key = Shape { frames: 1, ..shape };
    let mut stocks = STOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let stocks = stocks.get_or_insert_default();
    Arc::clone(stocks.entry(key).or_insert_with(|| Arc::new(make_stock(key))))
}

fn make_stock(shape: Shape) -> Stock {
    let coding = Coding::new(shape.bits);
    let frame = |number: u64| {
        let words = [shape.width, shape.height, shape.bits].map(u32::to_le_bytes);
        let mut dice = Dice::new(seed(&[&words[0], &words[1], &words[2], &number.to_le_bytes()]));
        let mut raw = Vec::with_capacity(shape.pixels() * 2);
        let mut encoded = Vec::with_capacity(shape.pixels() * 2);
        let pixels =
            (shape.own_pixels()..shape.pixels()).map(|place| sky_pixel(shape, &coding, place, &mut dice));
        coding.push_pixels(pixels, &mut raw, &mut encoded);
        StockFrame { crc: crc32fast::hash(&raw), raw, encoded, bzip2: OnceLock::new() }
    };
    Stock { frames: (0..STOCK_FRAMES).map(frame).collect(), coding }
}

/// A noisy disc, brighter towards the middle, so that a viewer shows something like a sky.
fn sky_pixel(shape: Shape, coding: &Coding, place: usize, dice: &mut Dice) -> Pixel {
    let (width, height) = (shape.width as usize, shape.height as usize);
    let x = (place % width).abs_diff(width / 2) * 256 / width;
    let y = (place / width).abs_diff(height / 2) * 256 / height;
    let [noise, low, ..] = dice.next().to_le_bytes();
    let count = u32::from(coding.high_count());
    let glow = 16_384_u32.saturating_sub(u32::try_from(x * x + y * y).unwrap_or(u32::MAX)) * count / 16_385;
    let high = (glow + u32::from(noise & 1)).min(count - 1);
    Pixel { high: u8::try_from(high).unwrap_or(0), low }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn inflate(bytes: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(bytes);
        decoder.read_to_end(&mut raw).unwrap();
        raw
    }

    fn unpack_bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        ::bzip2::read::MultiBzDecoder::new(bytes).read_to_end(&mut raw).unwrap();
        raw
    }

    fn label() -> Label {
        Label {
            date: jiff::civil::Date::constant(2022, 1, 1),
            minute_of_day: 360,
            site: "gill".into(),
            device: "themis19".into(),
        }
    }

    #[test]
    fn a_themis_minute_is_what_the_archive_has() {
        let shape = Shape { frames: 20, width: 256, height: 256, bits: 13 };
        let name = "20220101_0600_gill_themis19_full.pgm";
        let images = Images { shape, packing: Packing::Gzip, name, label: &label(), seed: 5 };
        let file = images.make();
        assert_eq!(file.len() as u64, images.len());
        assert!((1_830_000..2_170_000).contains(&file.len()), "{}", file.len());
        let raw = inflate(&file);
        assert!((2_620_000..2_635_000).contains(&raw.len()), "{}", raw.len());
        let ratio = raw.len() as f64 / file.len() as f64;
        assert!((1.2..1.26).contains(&ratio), "{ratio}");
        let decoder = flate2::read::GzDecoder::new(file.as_ref());
        let header = decoder.header().unwrap();
        assert_eq!(header.filename(), Some(name.as_bytes()));
        assert_eq!(i64::from(header.mtime()), label().start() + 62);
    }

    #[test]
    fn frames_follow_one_another_to_the_end() {
        let shape = Shape { frames: 4, width: 24, height: 24, bits: 9 };
        let pack = |packing| {
            let images = Images { shape, packing, name: "x.pgm", label: &label(), seed: 6 };
            let file = images.make();
            assert_eq!(file.len() as u64, images.len());
            file
        };
        let raw = inflate(&pack(Packing::Gzip));
        assert_eq!(pack(Packing::Plain), raw);
        assert_eq!(unpack_bzip2(&pack(Packing::Bzip2)), raw);
        let mut rest = raw.as_slice();
        for frame in 0..4 {
            let marker = b"24 24\n65535\n";
            assert!(rest.starts_with(b"P5\n#\""), "frame {frame}");
            let head = rest.windows(marker.len()).position(|window| window == marker).unwrap() + marker.len();
            rest = &rest[head + 24 * 24 * 2..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn another_seed_makes_another_file_of_the_same_length() {
        let shape = Shape { frames: 2, width: 24, height: 24, bits: 13 };
        let make =
            |seed| Images { shape, packing: Packing::Gzip, name: "x.pgm", label: &label(), seed }.make();
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert_eq!(make(1).len(), make(2).len());
    }
}
