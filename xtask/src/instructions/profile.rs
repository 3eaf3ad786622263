//! Reads callgrind's profiles, as far as the counts need it.

/// The counts of a profile.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) instructions: u64,
    /// Calls of the allocator that ask for memory.
    pub(super) allocations: u64,
}

/// The functions of the command's allocator that give memory.
const ALLOCATORS: [&str; 3] = ["cfn=mi_malloc_aligned", "cfn=mi_zalloc_aligned", "cfn=mi_realloc_aligned"];

/// The counts of a profile whose names are written out; `None`: the text is no profile.
pub(super) fn cost(profile: &str) -> Option<Cost> {
    let (mut instructions, mut allocations, mut is_allocator) = (None, 0, false);
    for line in profile.lines() {
        if let Some(sum) = line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: ")) {
            instructions = instructions.or(sum.split(' ').next()?.parse().ok());
        } else if line.starts_with("cfn=") {
            is_allocator = ALLOCATORS.contains(&line);
        } else if let Some(calls) = line.strip_prefix("calls=")
            && std::mem::take(&mut is_allocator)
        {
            allocations += calls.split(' ').next()?.parse::<u64>().ok()?;
        }
    }
    Some(Cost { instructions: instructions?, allocations })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_allocator_are_counted_wherever_they_come_from() {
        let profile = "summary: 700\n\nfn=a\n1 5\ncfn=mi_malloc_aligned\ncalls=3 0 \n1 9\ncfn=other\ncalls=8 0 \n1 9\n\
                       \nfn=b\ncfi=x.c\ncfn=mi_realloc_aligned\ncalls=4 0 \n2 7\n\ntotals: 700\n";
        assert_eq!(cost(profile), Some(Cost { instructions: 700, allocations: 7 }));
        assert_eq!(cost("hello"), None);
    }
}
