//! Who calls the admin API, and what they may do.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::base::Digest;
use crate::control::apply::Reply;
use crate::plan::{Admin, Scope};
use crate::server::Peer;

/// Whoever calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The token's name, or the user id on the other end of the Unix socket.
    pub(super) name: String,
    scopes: Vec<Scope>,
}

impl Caller {
    /// Finds out who calls. The Unix socket's file lets only its owner in, who may do everything; TCP needs a token of the spec.
    ///
    /// # Errors
    /// 401 without a token that the spec lists.
    pub(super) fn find(headers: &HeaderMap, peer: Peer, admin: &Admin) -> Result<Self, Reply> {
        if peer.address.is_none() {
            let name = peer.uid.map_or_else(|| "uid unknown".to_owned(), |uid| format!("uid {uid}"));
            return Ok(Self { name, scopes: vec![Scope::Read, Scope::Apply] });
        }
        let Some(token) = bearer(headers) else {
            return Err(Reply::error(401, "unauthenticated", "no admin token was sent; send one as `Authorization: Bearer`"));
        };
        let Admin::Tcp { tokens, .. } = admin else {
            return Err(Reply::error(401, "unauthenticated", "this gateway takes no admin tokens"));
        };
        let digest = Digest::of(token);
        // Every token is compared to its last byte, so that the time tells nothing of which one is near.
        let mut found = None;
        for (name, known) in tokens {
            let differs = known.sha256.as_bytes().iter().zip(digest.as_bytes()).fold(0, |differs, (left, right)| differs | (left ^ right));
            if differs == 0 {
                found = Some(Self { name: name.clone(), scopes: known.scopes.iter().copied().collect() });
            }
        }
        found.ok_or_else(|| Reply::error(401, "unauthenticated", "the admin token is not one that the spec lists"))
    }

    /// Checks that the caller may do this.
    ///
    /// # Errors
    /// 403 naming the scope.
    pub(super) fn may(&self, scope: Scope) -> Result<(), Reply> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let word = match scope {
            Scope::Read => "read",
            Scope::Apply => "apply",
        };
        Err(Reply::error(403, "forbidden", format!("the token `{}` has no scope `{word}`", self.name)))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use http::HeaderValue;

    use super::*;
    use crate::plan::AdminToken;

    const TCP: Peer =
        Peer { address: Some(std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1)), uid: None, tls: false };

    fn admin() -> Admin {
        let token = |text: &str, scopes: &[Scope]| AdminToken {
            sha256: Digest::of(text.as_bytes()),
            scopes: BTreeSet::from_iter(scopes.iter().copied()),
        };
        let tokens = BTreeMap::from([
            ("ci".to_owned(), token("ci-token", &[Scope::Read])),
            ("ops".to_owned(), token("ops-token", &[Scope::Read, Scope::Apply])),
        ]);
        Admin::Tcp { listen: "127.0.0.1:0".to_owned(), tokens, allow_plain_http: false }
    }

    fn sent(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_token_is_known_by_its_digest_and_does_what_its_scopes_say() {
        let ci = Caller::find(&sent("Bearer ci-token"), TCP, &admin()).unwrap();
        assert_eq!(ci.name, "ci");
        assert!(ci.may(Scope::Read).is_ok());
        assert_eq!(ci.may(Scope::Apply).unwrap_err().status, 403);
        let ops = Caller::find(&sent("bearer  ops-token"), TCP, &admin()).unwrap();
        assert!(ops.may(Scope::Apply).is_ok());
        for bad in ["Bearer ", "Bearer x", "Basic ci-token", "ci-token"] {
            assert_eq!(Caller::find(&sent(bad), TCP, &admin()).unwrap_err().status, 401, "{bad}");
        }
        assert_eq!(Caller::find(&HeaderMap::new(), TCP, &admin()).unwrap_err().status, 401);
    }

    #[test]
    fn who_opens_the_socket_is_known_by_the_user() {
        let peer = Peer { uid: Some(1000), ..Peer::default() };
        let caller = Caller::find(&HeaderMap::new(), peer, &admin()).unwrap();
        assert_eq!(caller.name, "uid 1000");
        assert!(caller.may(Scope::Apply).is_ok());
    }
}
