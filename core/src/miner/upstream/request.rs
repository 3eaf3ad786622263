//! A request as it goes out: one piece of bytes, whose head was prepared once for its endpoint.

/// The line that has the length of the body, with the longest possible number, and the empty line after it.
const LENGTH_ROOM: usize = "content-length: \r\n\r\n".len() + 20;

/// A request, and how much of it was sent.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// The place at which the head starts.
    start: usize,
    /// The place of the first byte that was not sent.
    sent: usize,
}

impl Outgoing {
    /// A request without a body. `head` is its first line and its other lines.
    pub(super) fn get(head: &[u8]) -> Self {
        Self { bytes: [head, b"\r\n"].concat(), start: 0, sent: 0 }
    }

    /// A request whose body is written by a function. `head` is its first line and its other lines but the length;
    /// `lines` are more of them. `size` is about the length of the body.
    ///
    /// The body is written first, behind room for the head, so that its length is known and it is never copied.
    pub(super) fn post(
        head: &[u8],
        lines: &[(&str, &str)],
        size: usize,
        write: impl FnOnce(Vec<u8>) -> Vec<u8>,
    ) -> Self {
        let more: usize = lines.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let room = head.len() + more + LENGTH_ROOM;
        let mut bytes = Vec::with_capacity(room + size);
        bytes.resize(room, 0);
        let mut bytes = write(bytes);

        let mut digits = [0; 20];
        let digits = decimal(bytes.len() - room, &mut digits);
        let mut start = room;
        let mut before = |part: &[u8]| {
            let end = start;
            start -= part.len();
            bytes[start..end].copy_from_slice(part);
        };
        before(b"\r\n\r\n");
        before(digits);
        before(b"content-length: ");
        for (name, value) in lines.iter().rev() {
            for part in ["\r\n", value, ": ", name] {
                before(part.as_bytes());
            }
        }
        before(head);
        Self { bytes, start, sent: start }
    }

    /// The bytes that were not sent.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Takes notice that the next bytes were sent.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        debug_assert!(self.sent <= self.bytes.len());
    }

    /// Whether any byte was sent.
    pub(super) fn has_begun(&self) -> bool {
        self.sent > self.start
    }

    /// Makes it a request of which nothing was sent.
    pub(super) fn again(mut self) -> Self {
        self.sent = self.start;
        self
    }
}

/// Writes a number in decimal.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_stands_right_before_its_body() {
        for length in [0, 1, 9, 10, 99_999] {
            for lines in [&[][..], &[("traceparent", "00-1"), ("tracestate", "")]] {
                let request = Outgoing::post(b"POST / HTTP/1.1\r\n", lines, 7, |mut bytes| {
                    bytes.resize(bytes.len() + length, b'x');
                    bytes
                });
                let more =
                    lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
                let wanted = format!("POST / HTTP/1.1\r\n{more}content-length: {length}\r\n\r\n{}", "x".repeat(length));
                assert_eq!(String::from_utf8_lossy(request.rest()), wanted);
            }
        }
        assert_eq!(Outgoing::get(b"GET / HTTP/1.1\r\n").rest(), b"GET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn it_knows_how_much_of_it_was_sent() {
        let mut request = Outgoing::post(b"POST / HTTP/1.1\r\n", &[], 0, |bytes| bytes);
        let length = request.rest().len();
        assert!(!request.has_begun());
        request.advance(length);
        assert!(request.has_begun() && request.rest().is_empty());
        let request = request.again();
        assert!(!request.has_begun() && request.rest().len() == length);
    }
}
