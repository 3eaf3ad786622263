//! Bounds how long a stream that is always ready may keep its thread, so that other work on the thread goes on.
//!
//! The bounds follow from the cost of a piece, so they need no settings.

/// The maximum bytes of one turn, about one read of a socket.
const BYTES: usize = 32 << 10;
/// The maximum number of pieces of one turn. A piece of any size costs about a microsecond.
const PIECES: usize = 100;

/// Counts work that was done without waiting, and tells when other work must get its turn.
///
/// The runtime's own budget counts polls. It is no bound here, because one poll of a socket may bring hundreds of
/// pieces.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    bytes: usize,
    pieces: usize,
}

impl Turn {
    /// Counts a piece of this size. `true`: the turn is over, and the next one begins.
    pub(crate) fn is_over(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.pieces += 1;
        let over = self.bytes >= BYTES || self.pieces >= PIECES;
        if over {
            *self = Self::default();
        }
        over
    }

    /// Counts a piece of this size, and yields to other work when the turn is over.
    #[cfg(feature = "miner-socket")]
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
