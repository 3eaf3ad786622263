//! The parts that the programs of this package share.

use cortensor_router_fuzz::Target;

/// Makes a program of libFuzzer of the target with that name.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| cortensor_router_fuzz::target($name).check(data));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
            $crate::mutate(cortensor_router_fuzz::target($name), data, size, most, seed)
        });
    };
}

/// Changes the first `size` bytes of `data` to at most `most` bytes, and gives the new size. One half of the changes are
/// libFuzzer's, which follow the comparisons that the target makes; the other half are those of the seeded runs, which
/// know the target's words.
pub fn mutate(target: &Target, data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, most);
    }
    let changed = target.changed(&data[..size], u64::from(seed));
    let length = changed.len().min(most);
    data[..length].copy_from_slice(&changed[..length]);
    length
}
