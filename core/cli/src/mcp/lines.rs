//! Standard input, line by line.

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use tokio::sync::mpsc;

/// The lines that wait for the bridge.
const WAITING: usize = 16;

/// A line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Bytes),
    /// A line that is longer than the bound. Its bytes are gone.
    TooLong,
}

/// Reads standard input on a thread of its own, because a read cannot be given up. Blank lines are left out.
pub(super) fn read(most: usize) -> io::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::Builder::new().name("standard-input".to_owned()).spawn(move || {
        let mut input = io::stdin().lock();
        // An input that cannot be read has ended.
        while let Ok(Some(line)) = next(&mut input, most) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// The next line that is not blank; `None` at the end.
fn next(input: &mut impl BufRead, most: usize) -> io::Result<Option<Line>> {
    loop {
        let mut line = Vec::new();
        // One byte more than the bound tells a line that is too long from one that just fits.
        if input.by_ref().take(most as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() > most && line.last() != Some(&b'\n') {
            input.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        let text = line.trim_ascii();
        if !text.is_empty() {
            return Ok(Some(Line::Text(Bytes::copy_from_slice(text))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_one_that_is_too_long_does_not_hide_the_next() {
        let mut input = &b"{}\n\n \r\n{\"a\":1}\r\n0123456789\n[]\n01234567\nend"[..];
        let mut found = Vec::new();
        while let Some(line) = next(&mut input, 8).unwrap() {
            found.push(line);
        }
        let text = |text: &'static str| Line::Text(Bytes::from_static(text.as_bytes()));
        assert_eq!(found, [text("{}"), text("{\"a\":1}"), Line::TooLong, text("[]"), text("01234567"), text("end")]);
    }
}
