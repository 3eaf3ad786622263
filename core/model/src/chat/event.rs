//! The events of a stream whose data name their kind.

use serde::Serialize;

use crate::compact;

/// Writes one event.
pub fn write_event(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Texts and numbers alone: there is nothing that has no JSON form.
    let _ = compact::write(out, data);
    out.extend_from_slice(b"\n\n");
}

/// Writes one event whose data are JSON on one line.
pub fn write_raw_event(name: &str, data: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    for part in [&b"event: "[..], name.as_bytes(), b"\ndata: ", data.as_ref(), b"\n\n"] {
        out.extend_from_slice(part);
    }
}
