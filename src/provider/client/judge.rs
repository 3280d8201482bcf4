//! Resolves names and lets only judged addresses through, for whoever dials.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns;
use reqwest::dns::{Addrs, Resolve, Resolving};
use tower_service::Service;

use crate::base::Policy;
use crate::provider::destination::{Lookup, admit};

type BoxError = Box<dyn Error + Send + Sync>;

/// A name that could not be resolved. Found in the error chain of a failed dial.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` could not be resolved")]
pub(super) struct Unresolved {
    host: String,
    source: io::Error,
}

/// The resolver of one client.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) policy: Policy,
    /// The proxy's host. It is resolved here as well; the operator's environment named it, so it may be private.
    pub(super) proxy: Option<String>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Judge {
    fn resolve(&self, host: &str) -> impl Future<Output = Result<std::vec::IntoIter<SocketAddr>, BoxError>> + Send + 'static {
        let policy = if self.proxy.as_deref() == Some(host) { Policy::Named } else { self.policy };
        let host = host.to_owned();
        let looking = self.lookup.lookup(&host);
        async move {
            let found = match looking.await {
                Ok(found) if found.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")),
                other => other,
            };
            let found = found.map_err(|source| Unresolved { host: host.clone(), source })?;
            let left: Vec<SocketAddr> = admit(&host, policy, found)?.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(left.into_iter())
        }
    }
}

impl Resolve for Judge {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolving = Self::resolve(self, name.as_str());
        Box::pin(async move { Ok(Box::new(resolving.await?) as Addrs) })
    }
}

impl Service<dns::Name> for Judge {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        Box::pin(Self::resolve(self, name.as_str()))
    }
}
