//! From a host's name to the addresses that may be dialled.
//!
//! Rule: what is judged is the address that is dialled, never the name, so that a name which changes its mind between two lookups
//! gains nothing.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use crate::base::{Policy, Refusal};

/// A lookup that has been started.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Turns a name into addresses; tests bring their own.
pub trait Lookup: Send + Sync + fmt::Debug {
    /// Starts looking `host` up.
    fn lookup(&self, host: &str) -> Looking;
}

/// The system's resolver (`getaddrinfo` on a blocking thread).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> Looking {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// Every address of a name was refused. Found in the error chain of a failed dial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dial refused: `{host}` resolves to {reason}")]
pub struct Refused {
    /// The name.
    pub host: String,
    /// Why its last address was refused.
    pub reason: Refusal,
}

/// Judges what a lookup found; the refused addresses are dropped.
///
/// # Errors
/// [`Refused`] when addresses were found and none is left.
pub(super) fn admit(host: &str, policy: Policy, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
    let mut refused = None;
    let mut left = Vec::with_capacity(found.len());
    for ip in found {
        match policy.judge(ip) {
            Ok(()) => left.push(ip),
            Err(reason) => refused = Some(reason),
        }
    }
    match refused {
        Some(reason) if left.is_empty() => Err(Refused { host: host.to_owned(), reason }),
        Some(_) | None => Ok(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_addresses_are_dropped_and_a_name_with_none_left_is_an_error() {
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(admit("h", Policy::Public, ips(&["10.0.0.1", "1.1.1.1"])), Ok(ips(&["1.1.1.1"])));
        assert_eq!(admit("h", Policy::Public, vec![]), Ok(vec![]));
        let refused = admit("h", Policy::Public, ips(&["10.0.0.1"])).unwrap_err();
        assert_eq!(refused, Refused { host: "h".to_owned(), reason: Refusal::Private });
    }
}
