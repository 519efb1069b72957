//! A small cache of file contents, so that many ranges of one file cost one making of it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

/// A path and a number that is another one for each state of what is behind it.
pub(crate) type Key = (String, u64);

/// Keeps the contents used last, up to a number of bytes and of files.
#[derive(Debug)]
pub(crate) struct ContentCache {
    bytes_max: u64,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_key: HashMap<Key, Slot>,
    bytes: u64,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    /// Filled by the first who asks; the others wait for it.
    content: Arc<OnceCell<Bytes>>,
    len: u64,
    used: u64,
}

/// Looking for the slot used longest ago is a walk over all of them; so they are few.
const SLOTS_MAX: usize = 256;

impl ContentCache {
    /// Keeps up to `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, slots: Mutex::default() }
    }

    /// The content of `key`, `len` bytes long, made by `make` if it is not here.
    pub(crate) async fn get<F>(&self, key: Key, len: u64, make: F) -> io::Result<Bytes>
    where
        F: FnOnce() -> io::Result<Bytes> + Send + 'static,
    {
        let cell = self.cell(key, len);
        let made = cell
            .get_or_try_init(|| async { tokio::task::spawn_blocking(make).await.map_err(io::Error::other)? });
        made.await.cloned()
    }

    fn cell(&self, key: Key, len: u64) -> Arc<OnceCell<Bytes>> {
        let mut slots = self.lock();
        slots.clock += 1;
        let used = slots.clock;
        if let Some(slot) = slots.by_key.get_mut(&key) {
            slot.used = used;
            return Arc::clone(&slot.content);
        }
        while slots.by_key.len() >= SLOTS_MAX || slots.bytes + len > self.bytes_max {
            if !slots.evict() {
                break;
            }
        }
        slots.bytes += len;
        let content = Arc::new(OnceCell::new());
        slots.by_key.insert(key, Slot { content: Arc::clone(&content), len, used });
        content
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Drops what was used longest ago; false if there is nothing.
    fn evict(&mut self) -> bool {
        let Some(key) = self.by_key.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| key.clone())
        else {
            return false;
        };
        if let Some(slot) = self.by_key.remove(&key) {
            self.bytes -= slot.len;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(cache: &ContentCache, name: &str, byte: u8) -> Bytes {
        cache.get((name.to_owned(), 0), 4, move || Ok(Bytes::from(vec![byte; 4]))).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_used_last_stays() {
        let cache = ContentCache::new(8);
        get(&cache, "a", 1).await;
        get(&cache, "b", 2).await;
        get(&cache, "a", 9).await;
        get(&cache, "c", 3).await;
        assert_eq!(get(&cache, "a", 9).await[0], 1, "still the first content");
        assert_eq!(get(&cache, "b", 9).await[0], 9, "evicted and made anew");
        assert!(cache.lock().bytes <= 8);
    }
}
