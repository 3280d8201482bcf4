//! Who is asking: the virtual key, in whatever carrier an SDK uses. Never in the query string, which ends up in logs.

use std::sync::Arc;

use http::HeaderMap;

use crate::base::Digest;
use crate::error::GatewayError;
use crate::plan::Auth;
use crate::table::{Key, RoutingTable, refusal};

/// Headers that carry a key, in the order in which they are looked at.
const CARRIERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

/// Finds the key of a request. `None` is an anonymous request that the spec allows.
///
/// # Errors
/// [`crate::error::Kind::Unauthenticated`], which does not tell a wrong key from one that is disabled or over.
pub(super) fn authenticate(table: &RoutingTable, headers: &HeaderMap, unix_ms: u64) -> Result<Option<Arc<Key>>, GatewayError> {
    let auth = table.plan.gateway.auth;
    if auth == Auth::Off {
        return Ok(None);
    }
    let Some((carrier, secret)) = CARRIERS.iter().find_map(|name| Some((*name, carried(headers, name)?))) else {
        if auth == Auth::Optional {
            return Ok(None);
        }
        return Err(refusal::no_key());
    };
    match table.keys.get(&Digest::of(secret)) {
        Some(key) if key.is_valid(unix_ms) => Ok(Some(Arc::clone(key))),
        Some(key) => Err(refusal::bad_key(carrier).detail(format_args!("key {} is disabled or over", key.name))),
        None => Err(refusal::bad_key(carrier)),
    }
}

fn carried<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let value = headers.get(name)?.as_bytes();
    let value = if name == "authorization" {
        let (scheme, rest) = value.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return None;
        }
        rest.trim_ascii()
    } else {
        value
    };
    (!value.is_empty()).then_some(value)
}
