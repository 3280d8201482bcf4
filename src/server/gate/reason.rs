//! Why a request was refused: a stable code for the counter, a status and a sentence for the client.

macro_rules! reasons {
    ($($name:ident $code:literal $status:literal $text:literal;)*) => {
        /// Why the gate or one of its timers refused a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(in crate::server) const COUNT: usize = Self::ALL.len();

            /// Returns the stable name, for a metric label.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// Returns the HTTP status of the refusal.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// Returns what the client is told. Repeats nothing of the request.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

reasons! {
    RequestLine "request_line" 400 "The request line is malformed.";
    Method "method" 501 "CONNECT, TRACE and methods that are not written in capitals are not supported.";
    Version "version" 400 "Only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken here.";
    TargetTooLong "target_too_long" 414 "The request target is too long.";
    Target "target" 400 "The request target holds characters that must be percent-encoded, or is not a path.";
    EncodedPath "encoded_path" 400 "The path holds an encoded slash, dot, backslash or control character, or a malformed percent sign.";
    DotPath "dot_path" 400 "The path holds `//`, `/./` or `/../`; send the normal form.";
    BareLineFeed "bare_line_feed" 400 "Lines must end with CR LF.";
    HeaderLine "header_line" 400 "A header line is malformed (space around the name, folded line, or a control character).";
    HeadTooLarge "head_too_large" 431 "The request head is too large.";
    TooManyHeaders "too_many_headers" 431 "The request has too many header lines.";
    HostMissing "host_missing" 400 "The `Host` header is missing.";
    HostDuplicate "host_duplicate" 400 "The `Host` header must appear once.";
    HostInvalid "host_invalid" 400 "The `Host` header is not a host with an optional port.";
    AuthorityMismatch "authority_mismatch" 400 "The authority of the request target differs from the `Host` header.";
    ContentLength "content_length" 400 "The `Content-Length` header must appear once and be a plain number.";
    LengthAndCoding "length_and_coding" 400 "`Content-Length` and `Transfer-Encoding` must not be sent together.";
    TransferEncoding "transfer_encoding" 400 "`Transfer-Encoding` must appear once, be exactly `chunked`, and be sent with HTTP/1.1.";
    Coding "coding" 501 "This transfer coding is not supported; use `chunked`.";
    Upgrade "upgrade" 501 "Upgrades are not supported; send HTTP/1.1 without `Upgrade`, or HTTP/2 from the start.";
    Expect "expect" 417 "The only expectation that is met is `100-continue` on HTTP/1.1.";
    Chunk "chunk" 400 "The chunked body is malformed.";
    ChunkExtensions "chunk_extensions" 400 "The chunked body has too many or malformed chunk extensions.";
    Trailers "trailers" 400 "The trailers of the chunked body are malformed or too large.";
    HeadTimeout "head_timeout" 408 "The request head did not arrive in time.";
    Silent "silent" 408 "Nothing was sent in time.";
    Idle "idle" 408 "The connection was idle for too long.";
    WriteStall "write_stall" 408 "The client did not read its answer.";
}

impl Reason {
    /// Returns whether the connection is closed without an answer, because nobody is in the middle of a request.
    pub const fn is_quiet(self) -> bool {
        matches!(self, Self::Silent | Self::Idle | Self::WriteStall)
    }

    /// Returns the JSON body of the refusal.
    pub fn json(self) -> String {
        let code = if self.status() == 408 { "client_timeout" } else { "bad_request" };
        // The sentences hold no character that JSON escapes; a test keeps it so.
        format!(r#"{{"error":{{"message":"{}","type":"invalid_request_error","code":"{code}","param":null}}}}"#, self.message())
    }

    /// Returns the whole answer as it goes out on HTTP/1.1.
    pub(in crate::server) fn answer(self) -> String {
        let status = self.status();
        let phrase = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
        let body = self.json();
        format!(
            "HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// A refusal on its way through hyper as an I/O error.
#[derive(Debug, thiserror::Error)]
#[error("refused: {}", .0.code())]
pub(in crate::server) struct Refused(pub(in crate::server) Reason);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_json_and_has_a_code_of_its_own() {
        let mut codes = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let body: serde_json::Value = serde_json::from_str(&reason.json()).unwrap();
            assert_eq!(body["error"]["message"], reason.message());
            assert!(codes.insert(reason.code()), "{reason:?}");
            assert!((400..=599).contains(&reason.status()));
        }
    }
}
