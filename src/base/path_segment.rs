//! A name as one segment of a path.

use std::fmt::Write as _;

/// Writes a name so that it is one segment of a URL's path, whatever it holds: all but RFC 3986's unreserved characters and `@` become
/// percent escapes.
pub fn path_segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'@' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_ends_its_segment() {
        assert_eq!(path_segment("claude-sonnet-4-5@20250929"), "claude-sonnet-4-5@20250929");
        assert_eq!(path_segment("../a b?c#d%é:1"), "..%2Fa%20b%3Fc%23d%25%C3%A9%3A1");
    }
}
