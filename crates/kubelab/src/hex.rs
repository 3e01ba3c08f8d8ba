//! Digests as text.

use std::fmt::Write;

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The first sixteen digits: what entries of the cache are named by.
pub fn short(bytes: &[u8]) -> String {
    hex(bytes).chars().take(16).collect()
}
