//! How a row is stored: version, body, checksum.

use skyhaul_model::JobId;

/// A row's key: table, job, number.
pub(super) type Key = [u8; 17];

/// A kind of row.
pub(crate) trait Row: Sized + Clone {
    /// The table's byte, first of every key.
    const TABLE: u8;
    /// The version that is written.
    const VERSION: u8;
    /// Whether the shared sled has a copy of the rows of jobs that have a sled of their own.
    const COPIED: bool = false;

    /// The row's body.
    fn encode(&self) -> Vec<u8>;

    /// The row that a body of this version holds; none if it holds none.
    fn decode(body: &[u8]) -> Option<Self>;
}

pub(super) fn key<R: Row>(job: JobId, number: u64) -> Key {
    let mut key = [R::TABLE; 17];
    key[1..9].copy_from_slice(&job.0.to_be_bytes());
    key[9..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The row's number in its key.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk::<8>()?))
}

pub(super) fn seal<R: Row>(key: &Key, row: &R) -> Vec<u8> {
    let mut value = vec![R::VERSION];
    value.extend(row.encode());
    let crc = checksum(key, &value);
    value.extend_from_slice(&crc.to_le_bytes());
    value
}

/// The row in a value; none if it is damaged or of an unknown version.
pub(super) fn unseal<R: Row>(key: &[u8], value: &[u8]) -> Option<R> {
    let (versioned, crc) = value.split_last_chunk::<4>()?;
    let (&version, body) = versioned.split_first()?;
    let whole = version == R::VERSION && checksum(key, versioned).to_le_bytes() == *crc;
    if whole { R::decode(body) } else { None }
}

fn checksum(key: &[u8], versioned: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(versioned);
    hasher.finalize()
}
