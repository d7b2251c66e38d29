//! Keys to slots: the same on every bus and in every process, for ever.

/// Into how many slots every group and every table of due work is divided.
pub const SLOTS: u16 = 8;

/// A hash that no release changes: FNV-1a, 64 bits
/// (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>), finished by MurmurHash3's mixer, since
/// FNV's low bits alone are poor.
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// The slot of a key, below [`SLOTS`].
#[must_use]
pub fn slot_of(key: &str) -> u16 {
    (stable_hash(key.as_bytes()) % u64::from(SLOTS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_never_move_and_share_evenly() {
        assert_eq!(["a", "b", "order-1", ""].map(slot_of), ["a", "b", "order-1", ""].map(slot_of));
        let mut counts = [0_u32; SLOTS as usize];
        for n in 0..8_000 {
            counts[usize::from(slot_of(&uuid::Uuid::from_u128(n * 7919).to_string()))] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
