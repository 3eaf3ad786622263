//! The body of a whole answer on its way to a client.

use bytes::Bytes;

/// A body that is written. An upstream's own bytes are shared, because an answer may be long.
#[derive(Debug, Default)]
pub(in crate::listener) struct Written {
    /// The bytes that the router has written, or copied.
    pub(in crate::listener) front: Vec<u8>,
    /// The bytes of an upstream that follow.
    pub(in crate::listener) rest: Bytes,
}

impl Written {
    /// The number of bytes.
    pub(in crate::listener) fn len(&self) -> usize {
        self.front.len() + self.rest.len()
    }
}

impl From<Vec<u8>> for Written {
    fn from(front: Vec<u8>) -> Self {
        Self { front, rest: Bytes::new() }
    }
}

impl From<Written> for Vec<u8> {
    fn from(Written { mut front, rest }: Written) -> Self {
        front.extend_from_slice(&rest);
        front
    }
}
