//! Headers that belong to one connection.

use http::HeaderName;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};

/// Returns whether a header belongs to one connection (RFC 9110 §7.6.1), or frames the message, and so is never forwarded or configured.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, CONTENT_LENGTH, EXPECT].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" | "http2-settings")
}
