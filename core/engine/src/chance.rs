//! Numbers that look random and repeat: the engine draws none.

/// A number from 0 to `ceiling`, the same for the same task and try, so that no randomness is needed.
pub(super) fn jitter(gid: u64, tries: u64, ceiling: u64) -> u64 {
    mix(gid, tries) % (ceiling + 1)
}

/// A number that looks random, the same for the same two (splitmix64's finalizer).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
