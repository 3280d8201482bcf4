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
        match value.split_at_checked(7)? {
            (scheme, rest) if scheme.eq_ignore_ascii_case(b"bearer ") => rest.trim_ascii(),
            _ => access_key(value)?,
        }
    } else {
        value
    };
    (!value.is_empty()).then_some(value)
}

/// Finds the access key's id in a signature of AWS: the virtual key of an SDK that can only sign. The signature itself proves nothing here,
/// for whoever knows the key can make one.
fn access_key(value: &[u8]) -> Option<&[u8]> {
    let signed = value.strip_prefix(b"AWS4-HMAC-SHA256 ")?;
    let at = memchr::memmem::find(signed, CREDENTIAL)?;
    signed.get(at + CREDENTIAL.len()..)?.split(|byte| *byte == b'/').next()
}

const CREDENTIAL: &[u8] = b"Credential=";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_signature_of_aws_carries_the_key_as_its_access_key() {
        let carried = |value: &'static str| {
            let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static(value))]);
            carried(&headers, "authorization").map(|key| String::from_utf8(key.to_vec()).unwrap())
        };
        let signed = "AWS4-HMAC-SHA256 Credential=sk-bf-1/20261125/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=ab";
        assert_eq!(carried(signed).as_deref(), Some("sk-bf-1"));
        assert_eq!(carried("bearer  sk-bf-1 ").as_deref(), Some("sk-bf-1"));
        for none in ["AWS4-HMAC-SHA256 Credential=/x", "AWS4-HMAC-SHA256 Signature=ab", "Basic abcdef", "Bearer "] {
            assert_eq!(carried(none), None, "{none}");
        }
    }
}
