//! Numbers that look random but follow from their arguments alone, because the engine uses no randomness.

/// A number from 0 to `ceiling` that looks random. Equal arguments give equal numbers.
pub(super) fn jitter(gid: u64, tries: u64, ceiling: u64) -> u64 {
    mix(gid, tries) % (ceiling + 1)
}

/// Mixes two numbers into one that looks random (splitmix64's finalizer). Equal arguments give equal numbers.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
