//! The request target and the host, judged on their bytes. Pure; shared by HTTP/1.1 and HTTP/2.
//!
//! A path must be in its normal form already, so that no two components can read it differently.

use memchr::memchr;

use super::Reason;

/// Class of a byte in a request target: 0 = never, 1 = in a query only, 2 = anywhere.
#[allow(clippy::indexing_slicing)] // Evaluated by the compiler.
const TARGET: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = match byte as u8 {
            // A fragment never travels; a backslash is a slash to some.
            b'#' | b'\\' => 0,
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => 1,
            _ => 2,
        };
        byte += 1;
    }
    table
};

/// Judges a path with its query.
pub(super) fn check_path_and_query(target: &[u8]) -> Result<(), Reason> {
    let (path, query) = match memchr(b'?', target) {
        Some(at) => target.split_at(at),
        None => (target, &[][..]),
    };
    let mut worst = 2;
    for byte in path {
        worst = class(*byte).min(worst);
    }
    if worst < 2 || query.iter().any(|byte| class(*byte) == 0) {
        return Err(Reason::Target);
    }
    check_path(path)
}

fn class(byte: u8) -> u8 {
    TARGET.get(usize::from(byte)).copied().unwrap_or(0)
}

fn check_path(path: &[u8]) -> Result<(), Reason> {
    let rest = path.strip_prefix(b"/").ok_or(Reason::Target)?;
    let mut segments = rest.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        // Parameters (`..;x`) are cut off by some servers before they resolve dots.
        let name = memchr(b';', segment).and_then(|at| segment.get(..at)).unwrap_or(segment);
        if matches!(name, b"." | b"..") || (segment.is_empty() && !is_last) {
            return Err(Reason::DotPath);
        }
        if memchr(b'%', segment).is_some() {
            check_escapes(segment)?;
        }
    }
    Ok(())
}

fn check_escapes(segment: &[u8]) -> Result<(), Reason> {
    let mut rest = segment;
    while let Some(at) = memchr(b'%', rest) {
        let (Some(high), Some(low)) = (rest.get(at + 1).and_then(hex), rest.get(at + 2).and_then(hex)) else {
            return Err(Reason::EncodedPath);
        };
        if matches!(high * 16 + low, 0..=0x1f | 0x7f | b'/' | b'.' | b'\\') {
            return Err(Reason::EncodedPath);
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    Ok(())
}

fn hex(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Judges `host[:port]`: a name, an IPv4 address or a bracketed IPv6 address; nothing that a URL parser could read differently.
pub(super) fn check_host(host: &[u8]) -> Result<(), Reason> {
    let (name, port) = if host.first() == Some(&b'[') {
        let end = memchr(b']', host).ok_or(Reason::HostInvalid)?;
        let (inside, rest) = (host.get(1..end).unwrap_or_default(), host.get(end + 1..).unwrap_or_default());
        let is_address = std::str::from_utf8(inside).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        if !is_address {
            return Err(Reason::HostInvalid);
        }
        (inside, rest)
    } else {
        host.split_at(memchr(b':', host).unwrap_or(host.len()))
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    let is_port = match port.strip_prefix(b":") {
        None => port.is_empty(),
        Some(digits) => {
            (1..=5).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit)
                && digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= 65_535
        }
    };
    if name.is_empty() || name.len() > 255 || !is_port || !name.iter().all(is_name) {
        return Err(Reason::HostInvalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_normal_form_passes() {
        for good in [
            "/",
            "/v1/chat/completions",
            "/v1/models/",
            "/v1beta/models/gemini-2.5-pro:generateContent?alt=sse",
            "/a%20b/%C3%A9",
            "/x?a=../..//b&c=%2f%2e&d={|}",
            "/.well-known/x",
            "/a..b/...",
        ] {
            assert_eq!(check_path_and_query(good.as_bytes()), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        for (bad, reason) in [
            ("", Reason::Target),
            ("v1", Reason::Target),
            ("/a b", Reason::Target),
            ("/a#b", Reason::Target),
            ("/a\\b", Reason::Target),
            ("/a?b#c", Reason::Target),
            ("/{a}", Reason::Target),
            ("/\u{e9}", Reason::Target),
            ("//v1", Reason::DotPath),
            ("/v1//x", Reason::DotPath),
            ("/./x", Reason::DotPath),
            ("/v1/..", Reason::DotPath),
            ("/v1/..;a=b/x", Reason::DotPath),
            ("/v1/%2e%2e/x", Reason::EncodedPath),
            ("/v1%2Fx", Reason::EncodedPath),
            ("/v1%5cx", Reason::EncodedPath),
            ("/v1%00", Reason::EncodedPath),
            ("/v1%0d%0a", Reason::EncodedPath),
            ("/v1%", Reason::EncodedPath),
            ("/v1%4", Reason::EncodedPath),
            ("/v1%zz", Reason::EncodedPath),
        ] {
            assert_eq!(check_path_and_query(bad.as_bytes()), Err(reason), "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for good in ["localhost", "127.0.0.1:8080", "[::1]", "[::1]:80", "a-b.example.com:65535", "under_score"] {
            assert_eq!(check_host(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:65536",
            "a:123456",
            "a b",
            "a,b",
            "u@h",
            "localhost:4000/#@evil",
            "a/b",
            "[::1",
            "[x]",
            "[]",
            "[::1]x",
            "a:1:2",
            "h\u{e9}",
            "a%41",
        ] {
            assert_eq!(check_host(bad.as_bytes()), Err(Reason::HostInvalid), "{bad}");
        }
    }
}
