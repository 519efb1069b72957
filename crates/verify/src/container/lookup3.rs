//! Bob Jenkins' lookup3 hash (2006, public domain), which HDF5 guards its metadata with.

/// The hash of `bytes`, begun at zero, as the little-endian variant of the original gives it.
pub(super) fn lookup3(bytes: &[u8]) -> u32 {
    let mut state = [0xdead_beef_u32.wrapping_add(bytes.len() as u32); 3];
    // The last block, full or not, is mixed in another way.
    let whole = bytes.len().saturating_sub(1) / 12 * 12;
    let (blocks, rest) = bytes.split_at(whole);
    for block in blocks.chunks_exact(12) {
        add(&mut state, block);
        mix(&mut state);
    }
    if !rest.is_empty() {
        add(&mut state, rest);
        last_mix(&mut state);
    }
    state[2]
}

/// Adds up to 12 bytes as three little-endian words.
fn add(state: &mut [u32; 3], block: &[u8]) {
    for (place, &byte) in block.iter().enumerate() {
        state[place / 4] = state[place / 4].wrapping_add(u32::from(byte) << (place % 4 * 8));
    }
}

fn mix(state: &mut [u32; 3]) {
    for (turn, bits) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        let (a, b, c) = (turn % 3, (turn + 1) % 3, (turn + 2) % 3);
        state[a] = state[a].wrapping_sub(state[c]) ^ state[c].rotate_left(bits);
        state[c] = state[c].wrapping_add(state[b]);
    }
}

fn last_mix(state: &mut [u32; 3]) {
    for (turn, bits) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
        let (target, source) = ((turn + 2) % 3, (turn + 1) % 3);
        state[target] = (state[target] ^ state[source]).wrapping_sub(state[source].rotate_left(bits));
    }
}

#[cfg(test)]
mod tests {
    use super::lookup3;

    /// The values that the original's own test driver prints.
    #[test]
    fn the_originals_own_values() {
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }
}
