//! A file of any format: the verdict does not depend on how the bytes were cut.

use skyhaul_verify::{Container, Damage};

const NAMES: [&str; 12] = [
    "a.gz",
    "a.pgm.gz",
    "a.bz2",
    "a.pgm.bz2",
    "a.pgm",
    "a.png",
    "a.tar",
    "a.png.tar",
    "a.tgz",
    "a.h5",
    "a.jpg",
    "a.sav",
];

/// The first byte says which format, the second how long the pieces are, the rest is the file.
pub(crate) fn containers(input: &[u8]) {
    let [format, size, file @ ..] = input else { return };
    let name = NAMES[usize::from(*format) % NAMES.len()];
    let whole = verdict(name, file, file.len().max(1));
    assert_eq!(verdict(name, file, usize::from(*size) + 1), whole, "{name}");
}

fn verdict(name: &str, file: &[u8], size: usize) -> Option<Result<(), Damage>> {
    let mut container = Container::of(name).unwrap();
    file.chunks(size).for_each(|piece| container.feed(piece));
    container.finish()
}
