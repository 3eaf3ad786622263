//! Inputs of a kind that is hard to read, in any size.

/// Makes an input of one kind: `n` is its number of members, levels, lines or characters.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The name in messages.
    pub name: &'static str,
    /// Makes the input.
    pub make: fn(usize) -> String,
}
