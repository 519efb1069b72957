//! Every format's check against good files, bad ones, and every way to cut a good one into pieces.

mod properties;
mod real;
mod samples;

use super::Container;
use super::budget::Budget;
use samples::{Stack, bz2, chunk, gz, hdf5, jpeg, picture, save_file, superblock, tar, tar_header};

/// What a check of this name says of these bytes, as they come in pieces of `size`.
fn verdict_in(name: &str, bytes: &[u8], size: usize) -> Result<(), String> {
    let mut container = Container::of(name).unwrap();
    bytes.chunks(size).for_each(|piece| container.feed(piece));
    container.finish().unwrap().map_err(|damage| damage.to_string())
}

fn verdict(name: &str, bytes: &[u8]) -> Result<(), String> {
    verdict_in(name, bytes, bytes.len().max(1))
}

fn tells(name: &str, bytes: &[u8], expected: &str) {
    assert_eq!(verdict(name, bytes), Err(expected.to_owned()), "{name}");
    assert_eq!(verdict_in(name, bytes, 3), Err(expected.to_owned()), "{name}, in pieces");
}

#[test]
fn which_names_have_a_check() {
    for name in [
        "a.gz",
        "a.PGM.GZ",
        "a.tgz",
        "a.pgm.bz2",
        "a.png",
        "a.png.tar",
        "a.h5",
        "a.hdf5",
        "a.jpg",
        "a.JPEG",
        "a.pgm.jpg",
        "a.sav",
        "a.pgm",
        ".gz",
    ] {
        assert!(Container::of(name).is_some(), "{name}");
    }
    for name in ["", "a", "gz", "a.txt", "a.gz.part", "a.cdf", "a."] {
        assert!(Container::of(name).is_none(), "{name}");
    }
}

#[test]
fn every_format_says_that_it_is_empty_or_another() {
    for (name, format) in [
        ("a.gz", "gzip"),
        ("a.bz2", "bzip2"),
        ("a.png", "PNG"),
        ("a.tar", "tar"),
        ("a.h5", "HDF5"),
        ("a.jpg", "JPEG"),
        ("a.sav", "an IDL save file"),
        ("a.pgm", "a binary PGM"),
    ] {
        tells(name, b"", "is empty");
        tells(
            name,
            b"<!DOCTYPE html><html><body>Not found</body></html>",
            &format!("does not begin as {format}"),
        );
        assert_eq!(verdict(name, &[0; 2048]), Err(format!("does not begin as {format}")));
    }
}

#[test]
fn gzip_tells_what_is_wrong() {
    let flipped = |from_end: usize| {
        let mut bytes = gz(b"abc");
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        bytes
    };
    tells("a.gz", &gz(b"abc")[..15], "ends within gzip member 1");
    tells("a.gz", &[gz(b"abc"), gz(b"abc")[..9].to_vec()].concat(), "ends within gzip member 2");
    tells("a.gz", &flipped(8), "fails the CRC-32 of gzip member 1");
    tells("a.gz", &flipped(4), "fails the length of gzip member 1");
    tells(
        "a.gz",
        &[gz(b"abc"), b"trailing garbage".to_vec()].concat(),
        "has other bytes behind its gzip data",
    );
    tells("a.gz", &[gz(b"abc"), vec![0, 0, 7]].concat(), "has other bytes behind its gzip data");
    assert_eq!(verdict("a.gz", &[gz(b"abc"), vec![0; 700]].concat()), Ok(()));
    let mut reserved = gz(b"abc");
    reserved[3] = 0x80;
    tells("a.gz", &reserved, "has a broken header of gzip member 1");
}

#[test]
fn gzip_headers_with_everything_in_them_pass() {
    for (name, bytes) in samples::gzip_with_headers() {
        for size in [1, 7, 4096] {
            assert_eq!(verdict_in("a.gz", &bytes, size), Ok(()), "{name} in pieces of {size}");
        }
    }
    let (_, mut with_crc) = samples::gzip_with_headers().remove(1);
    with_crc[10] ^= 1;
    tells("a.gz", &with_crc, "has a broken header of gzip member 1");
}

#[test]
fn bzip2_tells_what_is_wrong() {
    let two = [bz2(b"abc"), bz2(b"")].concat();
    assert_eq!(verdict("a.bz2", &two), Ok(()));
    tells("a.bz2", &bz2(b"abc")[..20], "ends within bzip2 stream 1");
    tells("a.bz2", &[bz2(b"abc"), b"garbage".to_vec()].concat(), "has other bytes behind its bzip2 data");
    let mut damaged = [bz2(b"abc"), bz2(b"abc")].concat();
    let at = damaged.len() - 6;
    damaged[at] ^= 1;
    tells("a.bz2", &damaged, "is damaged within bzip2 stream 2");
}

#[test]
fn a_file_that_unfolds_without_end_is_given_up() {
    let finish = |bytes: &[u8]| {
        let mut container = Container::of("a.bz2").unwrap();
        bytes.chunks(1000).for_each(|piece| container.feed(piece));
        container.finish()
    };
    // Each of these few bytes has a decompressor of 3.6 MB set up.
    let stream = bz2(b"");
    assert_eq!(finish(&stream.repeat(1000)), Some(Ok(())));
    assert_eq!(finish(&stream.repeat(1300)), None);
    assert_eq!(finish(&[stream.repeat(1300), b"no bzip2".to_vec()].concat()), None, "nobody looks any more");
    let mut budget = Budget::default();
    budget.spend(10, (1 << 30) + 1000);
    assert!(!budget.is_spent());
    budget.spend(0, 1);
    assert!(budget.is_spent());
    budget.spend(u64::MAX, u64::MAX);
    assert!(!budget.is_spent(), "a large file may unfold into a larger one");
}

#[test]
fn stacks_of_frames() {
    let stack = Stack::default();
    assert_eq!(verdict("a.pgm", &stack.make()), Ok(()));
    assert_eq!(verdict("a.pgm.gz", &gz(&stack.make())), Ok(()));
    assert_eq!(verdict("a.pgm.bz2", &bz2(&stack.make())), Ok(()));
    assert_eq!(verdict("a.pgm", &Stack { greatest: 255, ..stack }.make()), Ok(()));
    // What Netpbm allows: other white space, comments in the midst of the heading, several numbers a line.
    assert_eq!(verdict("a.pgm", b"P5 2\t1#c\n#d\r255\nxy"), Ok(()));
    assert_eq!(
        verdict("a.pgm", b"P5\n#\"a line that is\n#not \xff\x00well formed\n1 1\n255\nx\nP5 1 1 255 y\n"),
        Ok(())
    );
    let bytes = stack.make();
    tells("a.pgm", &bytes[..bytes.len() - 1], "ends within PGM frame 3");
    tells("a.pgm.gz", &gz(&bytes[..bytes.len() - 1]), "holds a file that ends within PGM frame 3");
    // What is no PGM at all has the compression's own word, and that is enough.
    for foreign in [&b""[..], b"P", b"P6 1 1 255 abc", b"nothing"] {
        assert_eq!(verdict("a.pgm.gz", &gz(foreign)), Ok(()));
        assert_eq!(verdict("a.pgm.bz2", &bz2(foreign)), Ok(()));
    }
    tells("a.pgm", &[bytes, b"more".to_vec()].concat(), "has other bytes behind PGM frame 3");
    for heading in
        ["0 1 255", "1 1 65536", "1 1 0", "1 x 255", "99999999999 1 255", "4294967295 4294967295 65535"]
    {
        let expected = "has a broken heading in PGM frame 1";
        tells("a.pgm", format!("P5 {heading} ").as_bytes(), expected);
    }
}

#[test]
fn png_tells_what_is_wrong() {
    let signature = picture()[..8].to_vec();
    assert_eq!(verdict("a.png", &picture()), Ok(()));
    tells("a.png", &picture()[..30], "ends before the end of its picture");
    tells("a.png", &[picture(), b"\n".to_vec()].concat(), "has other bytes behind its picture");
    tells("a.png", &[signature.clone(), chunk(b"IDAT", &[1])].concat(), "does not begin as PNG");
    let endless = [signature, chunk(b"IHDR", &[7; 13]), b"\xff\xff\xff\xffIDAT".to_vec()].concat();
    tells("a.png", &endless, "has a chunk of impossible length");
    let mut flipped = picture();
    flipped[20] ^= 1;
    tells("a.png", &flipped, "fails the CRC-32 of a PNG chunk");
}

#[test]
fn hdf5_of_every_version_and_place() {
    for version in 0..=3 {
        for user_block in [0, 512, 1024, 4096] {
            let bytes = hdf5(version, user_block);
            assert_eq!(verdict("a.h5", &bytes), Ok(()), "version {version} at {user_block}");
            assert_eq!(verdict("a.h5", &[bytes.clone(), vec![7; 9]].concat()), Ok(()), "longer than it says");
            let length = bytes.len();
            let expected = format!("ends before byte {length}, where its HDF5 superblock ends it");
            tells("a.h5", &bytes[..length - 1], &expected);
        }
    }
    // A user block that was put before a finished file, as h5jam does it.
    assert_eq!(verdict("a.h5", &[vec![1; 512], hdf5(2, 0)].concat()), Ok(()));
    tells(
        "a.h5",
        &[vec![1; 512], hdf5(0, 0)[..300].to_vec()].concat(),
        "ends before byte 912, where its HDF5 superblock ends it",
    );
}

#[test]
fn hdf5_tells_what_is_wrong() {
    let with = |at: usize, byte: u8| {
        let mut bytes = hdf5(2, 0);
        bytes[at] = byte;
        bytes
    };
    tells("a.h5", &hdf5(2, 0)[..30], "ends within its HDF5 superblock");
    tells("a.h5", &with(8, 9), "has an HDF5 superblock of the unknown version 9");
    tells("a.h5", &with(9, 7), "has a broken HDF5 superblock");
    tells("a.h5", &with(11, 1), "fails the checksum of its HDF5 superblock");
    let short = superblock(0, 0, 20);
    tells("a.h5", &short, "has a broken HDF5 superblock");
    tells("a.h5", &superblock(0, 0, u64::MAX), "has a broken HDF5 superblock");
}

#[test]
fn tar_tells_what_is_wrong() {
    let bytes = tar(&[("a.txt", b"abc"), ("b.png", b"no picture")]);
    assert_eq!(verdict("a.tar", &bytes), Ok(()));
    assert_eq!(verdict("a.tar.gz", &gz(&bytes)), Ok(()));
    assert_eq!(verdict("a.tgz", &gz(&bytes)), Ok(()));
    assert_eq!(verdict("a.tar", &[bytes.clone(), vec![0; 8000]].concat()), Ok(()));
    // Only an archive that says in its name what it is made of is held to it.
    tells("a.png.tar", &bytes, "has a damaged member: member 2 does not begin as PNG");
    assert_eq!(verdict("a.png.tar", &tar(&[("1.png", &picture()), ("list.txt", b"x")])), Ok(()));
    tells("a.tar", &bytes[..2048], "ends after tar member 2 without a mark");
    tells("a.tar", &bytes[..1500], "ends after tar member 1 without a mark");
    tells("a.tar", &bytes[..1540], "ends within tar member 2");
    tells("a.tar", &[bytes.clone(), b"garbage".to_vec()].concat(), "has other bytes behind its tar members");
    let mut flipped = bytes;
    flipped[1024] ^= 1;
    tells("a.tar", &flipped, "fails the checksum of its tar header 2");
}

#[test]
fn tar_headers_of_every_make() {
    let end = vec![0; 1024];
    let mut signed = tar_header("\u{e9}t\u{e9}", 0, b'0');
    samples::sign(&mut signed, samples::Sum::Signed);
    assert_eq!(verdict("a.tar", &[signed, end.clone()].concat()), Ok(()));
    let mut large = tar_header("large", 3, b'0');
    large[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    samples::sign(&mut large, samples::Sum::Unsigned);
    assert_eq!(
        verdict("a.tar", &[large, [b"abc".as_slice(), &[0; 509]].concat(), end.clone()].concat()),
        Ok(())
    );
    // A hard link tells its target's size and has no content.
    assert_eq!(verdict("a.tar", &[tar_header("link", 9, b'1'), end].concat()), Ok(()));
}

#[test]
fn tar_members_with_holes() {
    let (end, content) = (vec![0; 1024], [b"abc".as_slice(), &[0; 509]].concat());
    let mut sparse = tar_header("sparse", 3, b'S');
    sparse[482] = 1;
    samples::sign(&mut sparse, samples::Sum::Unsigned);
    // Where the content lies among the holes goes on in blocks of its own, which the size leaves out.
    let (mut more, last) = (vec![b'7'; 512], [b'7', 0].repeat(256));
    more[504] = 1;
    let bytes = [sparse, more, last, content, end].concat();
    assert_eq!(verdict("a.tar", &bytes), Ok(()));
    tells("a.tar", &bytes[..1400], "ends within tar member 1");
}

#[test]
fn tar_members_whose_size_is_told_before_them() {
    let (end, content) = (vec![0; 1024], [b"abc".as_slice(), &[0; 509]].concat());
    let large = |records: &str| {
        let mut block = records.as_bytes().to_vec();
        block.resize(512, 0);
        [
            tar_header("pax", records.len(), b'x'),
            block,
            tar_header("large", 0, b'0'),
            content.clone(),
            end.clone(),
        ]
        .concat()
    };
    assert_eq!(verdict("a.tar", &large("12 path=a/b\n9 size=3\n")), Ok(()));
    for records in
        ["9 size=9999999999999999999999\n", "9 size=x\n", "nonsense", "999 size=3\n", "11 comment=\n"]
    {
        tells("a.tar", &large(records), "fails the checksum of its tar header 3");
    }
    // It counts for one member alone.
    let two = [large("9 size=3\n")[..2048].to_vec(), tar(&[("next", b"")])].concat();
    assert_eq!(verdict("a.tar", &two), Ok(()));
}

#[test]
fn jpeg_tells_what_is_wrong() {
    assert_eq!(verdict("a.jpg", &jpeg()), Ok(()));
    assert_eq!(verdict("a.jpg", &[jpeg(), b"a preview".to_vec()].concat()), Ok(()));
    tells("a.jpg", &jpeg()[..jpeg().len() - 1], "ends before the end of its picture");
    tells("a.jpg", b"\xff\xd8\xff\xe0\x00\x01", "has a JPEG segment of impossible length");
    tells("a.jpg", b"\xff\xd8\xff\xe0\x00\x04ab<html>", "has other bytes where a JPEG segment should begin");
}

#[test]
fn save_files_tell_what_is_wrong() {
    for form in [samples::Chain::LowFirst, samples::Chain::HighFirst] {
        assert_eq!(verdict("a.sav", &save_file(4, form)), Ok(()));
        assert_eq!(verdict("a.sav", &save_file(6, form)), Ok(()));
    }
    let bytes = save_file(4, samples::Chain::LowFirst);
    tells("a.sav", &bytes[..bytes.len() - 1], "ends before the end mark of an IDL save file");
    let mut flipped = bytes;
    flipped[11] = 1;
    tells("a.sav", &flipped, "has a broken record at byte 4");
}
