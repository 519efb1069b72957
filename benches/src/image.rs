//! Files as the cameras make them: a minute of frames, compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Pixels of a frame's side.
const SIDE: usize = 256;

/// A `.pgm.gz` of so many frames whose pixels are noise of eleven bits, which compresses about as the sky does.
#[must_use]
pub fn pgm_gz(frames: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..frames {
        let mut frame = format!("P5\n{SIDE} {SIDE}\n65535\n").into_bytes();
        for _ in 0..SIDE * SIDE {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            frame.extend_from_slice(&((state >> 53) as u16).to_be_bytes());
        }
        gzip.write_all(&frame).unwrap();
    }
    gzip.finish().unwrap()
}
