//! Compares the allocations for inputs of 1, 2, 4 and 8 times a size. Those of a linear reader grow as its input does.

use allocation_counter::{AllocationInfo, measure};

use crate::shape::Shape;
use crate::targets::Target;

/// The smallest size. Constant work hardly counts any more.
const SMALLEST: usize = 512;

/// How far the work for eight times the size may lie above eight times the work. Quadratic work is eight times above.
const SLACK: u64 = 2;

/// Checks that the target's allocations grow as the shape does.
///
/// # Errors
/// A text that names the figure that grows faster, with its value for each size.
pub fn allocations(target: &Target, shape: Shape) -> Result<(), String> {
    let work: Vec<(usize, AllocationInfo)> = [1, 2, 4, 8]
        .into_iter()
        .map(|times| {
            let data = (shape.make)(SMALLEST * times).into_bytes();
            (data.len(), measure(|| (target.read)(&data)))
        })
        .collect();
    let (first, last) = (work[0], work[work.len() - 1]);
    let (peak, most) = (last.1.bytes_max, target.growth.most(last.0));
    if peak > most {
        return Err(format!(
            "{}, {}: {} bytes were read with {peak} bytes, and {most} are allowed",
            target.name, shape.name, last.0
        ));
    }
    let times = last.0.div_ceil(first.0.max(1)) as u64;
    for (what, small, large) in [
        ("allocations", first.1.count_total, last.1.count_total),
        ("bytes", first.1.bytes_total, last.1.bytes_total),
        ("bytes at one time", first.1.bytes_max, last.1.bytes_max),
    ] {
        let most = small.max(1).saturating_mul(times).saturating_mul(SLACK);
        if large > most {
            return Err(format!(
                "{}, {}: the input grew {times} times, but the {what} from {small} to {large}: {work:?}",
                target.name, shape.name
            ));
        }
    }
    Ok(())
}
