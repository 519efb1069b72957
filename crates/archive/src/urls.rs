//! A listing's URLs: a million of them in bounded memory, a few MiB and then a temporary file.
//!
//! The file has no name, so that a crash leaves nothing behind.

use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use tempfile::{SpooledTempFile, spooled_tempfile};

/// This much is held in memory before the rest of it goes to a file.
const IN_MEMORY: usize = 4 * 1024 * 1024;

/// URLs in the order in which the archive gave them.
#[derive(Debug)]
pub struct Urls {
    spool: SpooledTempFile,
    length: u64,
}

/// Reads URLs one by one. Blocking: a long list is read from a file.
#[derive(Debug)]
pub struct UrlReader {
    spool: BufReader<SpooledTempFile>,
    left: u64,
}

impl Urls {
    /// How many.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Begins to read at the first.
    ///
    /// # Errors
    /// Any error of the temporary file. The reader's items are such errors, too; after one it ends.
    pub fn read(mut self) -> io::Result<UrlReader> {
        self.spool.rewind()?;
        Ok(UrlReader { spool: BufReader::new(self.spool), left: self.length })
    }
}

impl Iterator for UrlReader {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        self.left = self.left.checked_sub(1)?;
        let url = self.read_one();
        if url.is_err() {
            self.left = 0;
        }
        Some(url)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // After an error it ends early.
        (usize::from(self.left > 0), usize::try_from(self.left).ok())
    }
}

impl UrlReader {
    fn read_one(&mut self) -> io::Result<String> {
        let mut length = [0; 4];
        self.spool.read_exact(&mut length)?;
        let mut url = vec![0; u32::from_le_bytes(length) as usize];
        self.spool.read_exact(&mut url)?;
        String::from_utf8(url).map_err(io::Error::other)
    }
}

/// Takes URLs down as they are parsed: each as its length in four bytes, then itself.
#[derive(Debug)]
pub(crate) struct UrlSpool {
    spool: BufWriter<SpooledTempFile>,
    length: u64,
}

impl UrlSpool {
    pub(crate) fn new() -> Self {
        Self { spool: BufWriter::new(spooled_tempfile(IN_MEMORY)), length: 0 }
    }

    pub(crate) fn push(&mut self, url: &str) -> io::Result<()> {
        let length = u32::try_from(url.len()).map_err(io::Error::other)?;
        self.spool.write_all(&length.to_le_bytes())?;
        self.spool.write_all(url.as_bytes())?;
        self.length += 1;
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<Urls> {
        let spool = self.spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Urls { spool, length: self.length })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(urls: &[String]) -> Vec<String> {
        let mut spool = UrlSpool::new();
        urls.iter().for_each(|url| spool.push(url).unwrap());
        let kept = spool.finish().unwrap();
        assert_eq!(kept.len(), urls.len() as u64);
        kept.read().unwrap().collect::<io::Result<_>>().unwrap()
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(urls in proptest::collection::vec(".*", 0..40)) {
            prop_assert_eq!(round_trip(&urls), urls);
        }
    }

    #[test]
    fn a_long_list_rolls_over_to_a_file_and_a_short_one_does_not() {
        for (count, rolled) in [(1_000, false), (60_000, true)] {
            let mut spool = UrlSpool::new();
            for number in 0..count {
                spool
                    .push(&format!("https://d.example/a/long/prefix/that/is/shared/by/all/of/them/{number}"))
                    .unwrap();
            }
            let urls = spool.finish().unwrap();
            assert_eq!(urls.spool.is_rolled(), rolled);
            assert!(urls.read().unwrap().last().unwrap().unwrap().ends_with(&format!("/{}", count - 1)));
        }
    }
}
