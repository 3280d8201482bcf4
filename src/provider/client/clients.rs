//! The clients of the process: made from what changes a connection, shared by the tables that need the same.
//!
//! Rule: pools outlive a change of the spec, and go with the last table that uses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

use super::connect::Connector;
use super::judge::Judge;
use super::network::{Inside, Network};
use super::pool::Pool;
use super::proxied::Proxied;
use super::{Client, Route, Shared};
use crate::base::{Destination, Origin, Policy};
use crate::provider::destination::{Lookup, SystemLookup};
use crate::provider::proxy::Proxies;

/// Why a client cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A proxy variable that cannot be used. Its value may hold a password and is not shown.
    #[error("`{0}` is not the URL of an HTTP proxy (`http://host:port` or `https://host:port`)")]
    Proxy(&'static str),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}; install the system's CA certificates, or name a bundle in SSL_CERT_FILE")]
    Tls(String),
    /// The HTTP client refused its settings.
    #[error("the HTTP client cannot be built: {0}")]
    Http(String),
}

/// What changes a connection, and nothing else: clients with equal options share their pools.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientOptions {
    /// Limit on a connection's set-up, TLS included.
    pub connect: Duration,
    /// Where connections lead.
    pub origin: Origin,
    /// Which addresses may be dialled.
    pub policy: Policy,
    /// Whether proxies of the environment are passed by.
    pub direct: bool,
}

impl ClientOptions {
    /// Returns the options for one destination.
    pub fn new(destination: &Destination, connect: Duration) -> Self {
        Self { connect, origin: destination.origin(), policy: destination.policy(), direct: destination.is_local() }
    }
}

/// The process's clients by their options. Owned by the process, not by a table, so that pools outlive a change of the spec; a client
/// that nobody holds any more goes, and its connections with it.
#[derive(Debug)]
pub struct Clients {
    lookup: Arc<dyn Lookup>,
    proxies: Proxies,
    extra_roots: Vec<CertificateDer<'static>>,
    network: Option<Arc<dyn Network>>,
    /// Guards the map alone; taken when a table is built, never for a request.
    pools: Mutex<HashMap<ClientOptions, Weak<Shared>>>,
    /// Made for the first client that speaks TLS.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Default for Clients {
    fn default() -> Self {
        Self::new(Proxies::default(), Arc::new(SystemLookup))
    }
}

impl Clients {
    /// Makes the service. Certificates are checked as the platform does; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace its bundle.
    pub fn new(proxies: Proxies, lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, proxies, extra_roots: Vec::new(), network: None, pools: Mutex::default(), tls: OnceLock::new() }
    }

    /// Makes a service that never touches the network: every client talks to who stands in its place, without TLS.
    pub fn within(network: Arc<dyn Network>) -> Self {
        Self { network: Some(network), ..Self::default() }
    }

    /// Trusts further certificate authorities beside the platform's.
    #[must_use]
    pub fn trust(mut self, roots: Vec<CertificateDer<'static>>) -> Self {
        self.extra_roots = roots;
        self
    }

    /// Returns the client for these options: one that is in use already, or a new one.
    ///
    /// # Errors
    /// [`BuildError`], for a reason of the machine's set-up.
    pub fn get(&self, options: &ClientOptions) -> Result<Client, BuildError> {
        let mut pools = self.lock();
        if let Some(client) = pools.get(options).and_then(Weak::upgrade) {
            return Ok(Client(client));
        }
        let client = Arc::new(self.build(options)?);
        pools.retain(|_, client| client.strong_count() > 0);
        pools.insert(options.clone(), Arc::downgrade(&client));
        Ok(Client(client))
    }

    /// Returns how many clients are in use.
    pub fn len(&self) -> usize {
        self.lock().values().filter(|client| client.strong_count() > 0).count()
    }

    /// Returns whether no client is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientOptions, Weak<Shared>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, options: &ClientOptions) -> Result<Shared, BuildError> {
        let origin = &options.origin;
        let host = HeaderValue::try_from(origin.authority()).map_err(|error| BuildError::Http(error.to_string()))?;
        if let Some(network) = &self.network {
            return Ok(Shared { host, route: Route::Inside(Inside(Arc::clone(network))) });
        }
        let is_proxied = !options.direct && self.proxies.serves(origin.https);
        let judge = Judge {
            policy: options.policy,
            proxy: if is_proxied { self.proxies.host(origin.https) } else { None },
            lookup: Arc::clone(&self.lookup),
        };
        let needs_roots = origin.https || (is_proxied && self.proxies.is_tls(origin.https));
        let tls = self.tls(needs_roots)?;
        let route = if is_proxied {
            Route::Proxied(Box::new(Proxied::new(origin, &self.proxies, judge, (*tls).clone(), options.connect)?))
        } else {
            let connector = Connector::new(origin, judge, tls, options.connect).map_err(|error| BuildError::Http(error.to_string()))?;
            Route::Direct(Box::new(Pool::new(connector)))
        };
        Ok(Shared { host, route })
    }

    /// Makes the TLS settings. Clients that speak no TLS get no roots: a machine without CA certificates can still serve them, and none
    /// are loaded in vain. Those with roots share them, and the sessions that servers let them resume.
    fn tls(&self, needs_roots: bool) -> Result<Arc<ClientConfig>, BuildError> {
        if let Some(tls) = self.tls.get().filter(|_| needs_roots) {
            return Ok(Arc::clone(tls));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |error: rustls::Error| BuildError::Tls(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(failed)?;
        let mut config = if needs_roots {
            let verifier = Verifier::new_with_extra_roots(self.extra_roots.iter().cloned(), provider).map_err(failed)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        } else {
            builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        if needs_roots {
            let _ = self.tls.set(Arc::clone(&config));
        }
        Ok(config)
    }
}
