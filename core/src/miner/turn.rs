//! Bounds how long a stream that is always ready may keep its thread, so that other work on the thread goes on.
//!
//! The bounds are no settings: they follow from what a piece costs on any machine, and no caller sees them.

/// Bytes of one turn: about one read of a socket.
const BYTES: usize = 32 << 10;
/// Pieces of one turn. A piece costs about a microsecond, whatever its size.
const PIECES: usize = 100;

/// Counts work that came without a wait, and says when other work has its turn.
///
/// The runtime's own budget counts polls. One poll of a socket may bring hundreds of pieces, so it is no bound here.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    bytes: usize,
    pieces: usize,
}

impl Turn {
    /// Counts one more piece of that size. `true`: the turn is over, and the next one begins.
    pub(crate) fn is_over(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.pieces += 1;
        let over = self.bytes >= BYTES || self.pieces >= PIECES;
        if over {
            *self = Self::default();
        }
        over
    }

    /// Counts one more piece of that size, and gives way when the turn is over.
    pub(crate) async fn spend(&mut self, bytes: usize) {
        if self.is_over(bytes) {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_by_its_bytes_and_by_its_pieces() {
        let mut turn = Turn::default();
        assert!(turn.is_over(BYTES), "one large piece is a turn");
        assert_eq!((1..=2 * PIECES).filter(|_| turn.is_over(1)).count(), 2);
        assert_eq!((0..64).filter(|_| turn.is_over(BYTES / 8)).count(), 8);
    }
}
