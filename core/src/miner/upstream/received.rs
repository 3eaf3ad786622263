//! Receives an answer that was recorded, with the reader of a connection and without its socket. Fuzz targets use it.

use bytes::Bytes;

use super::receiver::{Bounds, Receiver};

/// The content of a recorded answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The status; `None`: no head of an answer came.
    pub status: Option<u16>,
    /// The data of the body.
    pub body: Vec<u8>,
    /// The number of bytes that came after the answer; `None`: the answer is not whole.
    pub left: Option<usize>,
    /// Whether the bytes are no answer.
    pub is_broken: bool,
}

/// Receives an answer in those pieces, after which the connection ends. A head may have `lines` lines and `bytes` bytes.
pub fn received(pieces: impl IntoIterator<Item = Bytes>, lines: usize, bytes: usize) -> Received {
    let mut receiver = Receiver::new(Bounds { lines, bytes });
    let mut seen = Received::default();
    let mut pieces = pieces.into_iter();
    let mut take = |receiver: &mut Receiver| pieces.next().map(|piece| receiver.push(piece)).is_some();
    loop {
        match receiver.head() {
            Ok(Some(head)) => break seen.status = Some(head.status.as_u16()),
            Ok(None) if take(&mut receiver) => {}
            Ok(None) | Err(_) => return Received { is_broken: true, ..seen },
        }
    }
    while !receiver.is_over() {
        match receiver.data() {
            Ok(Some(data)) => seen.body.extend_from_slice(&data),
            Ok(None) if receiver.is_over() => break,
            Ok(None) if take(&mut receiver) => {}
            Ok(None) if receiver.close().is_ok() => break,
            Ok(None) | Err(_) => return Received { is_broken: true, ..seen },
        }
    }
    let left = receiver.left() + pieces.map(|piece| piece.len()).sum::<usize>();
    Received { left: Some(left), ..seen }
}
