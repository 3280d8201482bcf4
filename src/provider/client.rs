//! The outbound HTTP client: connection pools that outlive a change of the spec, and one request at a time over them.
//!
//! It knows no formats and decides no retries: it says what happened. Rule: HTTP/1.1 pools (one HTTP/2 connection per host caps at
//! about 100 streams), no redirects, no decompression, no retries of its own, bodies passed on as they were read.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Request, Url};
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

use super::body::{IdleBody, chain, links};
use super::destination::{Lookup, Refused, SystemLookup, admit};
use super::pieces::Pieces;
use super::proxy::Proxies;
use crate::base::{Destination, Policy};
use crate::error::{GatewayError, Kind};

/// Idle connections kept per host. As many as a busy process has requests in flight to one host; more are closed after use.
const IDLE_PER_HOST: usize = 512;
/// How long a connection is kept unused: below the keep-alive of nginx (75 s) and of AWS load balancers (60 s), so that we, not the
/// server, close it, and a request rarely meets a connection that is being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);
/// Finds peers that vanished without a word while a long answer is thought about.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

const AGENT: &str = concat!("bifrostctl/", env!("CARGO_PKG_VERSION"));

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientOptions {
    /// Limit on a connection's set-up, TLS included.
    pub connect: Duration,
    /// Whether TLS is spoken.
    pub https: bool,
    /// Which addresses may be dialled.
    pub policy: Policy,
    /// Whether proxies of the environment are passed by.
    pub direct: bool,
}

impl ClientOptions {
    /// Returns the options for one destination.
    pub fn new(destination: &Destination, connect: Duration) -> Self {
        Self { connect, https: destination.is_https(), policy: destination.policy(), direct: destination.is_local() }
    }
}

/// The process's clients by their options. Owned by the process, not by a table, so that pools outlive a change of the spec; a client
/// that nobody holds any more goes, and its connections with it.
#[derive(Debug)]
pub struct Clients {
    lookup: Arc<dyn Lookup>,
    proxies: Proxies,
    extra_roots: Vec<CertificateDer<'static>>,
    /// Guards the map alone; taken when a table is built, never for a request.
    pools: Mutex<HashMap<ClientOptions, Weak<reqwest::Client>>>,
}

impl Default for Clients {
    fn default() -> Self {
        Self::new(Proxies::default(), Arc::new(SystemLookup))
    }
}

impl Clients {
    /// Makes the service. Certificates are checked as the platform does; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace its bundle.
    pub fn new(proxies: Proxies, lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, proxies, extra_roots: Vec::new(), pools: Mutex::default() }
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
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = pools.get(options).and_then(Weak::upgrade) {
            return Ok(Client { http });
        }
        let http = Arc::new(self.build(options)?);
        pools.retain(|_, pool| pool.strong_count() > 0);
        pools.insert(*options, Arc::downgrade(&http));
        Ok(Client { http })
    }

    /// Returns how many clients are in use.
    pub fn len(&self) -> usize {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.values().filter(|pool| pool.strong_count() > 0).count()
    }

    /// Returns whether no client is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn build(&self, options: &ClientOptions) -> Result<reqwest::Client, BuildError> {
        let proxied = !options.direct;
        let resolver = Judge {
            policy: options.policy,
            proxy: if proxied { self.proxies.host(options.https) } else { None },
            lookup: Arc::clone(&self.lookup),
        };
        let needs_roots = options.https || (proxied && self.proxies.is_tls(options.https));
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls(needs_roots)?)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .connect_timeout(options.connect)
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .user_agent(AGENT)
            .dns_resolver(Arc::new(resolver));
        let builder = if proxied { self.proxies.apply(builder, options.https)? } else { builder };
        builder.build().map_err(|error| BuildError::Http(chain(&error.without_url())))
    }

    /// Makes the TLS settings. Clients that speak no TLS get no roots: a machine without CA certificates can still serve them, and none
    /// are loaded in vain.
    fn tls(&self, needs_roots: bool) -> Result<rustls::ClientConfig, BuildError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let failed = |error: rustls::Error| BuildError::Tls(error.to_string());
        let builder =
            rustls::ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(failed)?;
        let mut config = if needs_roots {
            let verifier = Verifier::new_with_extra_roots(self.extra_roots.iter().cloned(), provider).map_err(failed)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        } else {
            builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Resolves names and lets only judged addresses through.
struct Judge {
    policy: Policy,
    proxy: Option<String>,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        // The proxy's host is resolved here as well; the operator's environment named it.
        let policy = if self.proxy.as_deref() == Some(host.as_str()) { Policy::Named } else { self.policy };
        let looking = self.lookup.lookup(&host);
        Box::pin(async move {
            let found = looking.await?;
            let left = admit(&host, policy, found)?;
            if left.is_empty() {
                return Err("the name has no addresses".into());
            }
            Ok(Box::new(left.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// One upstream request, ready to go.
#[derive(Debug)]
pub struct Outbound {
    /// Method.
    pub method: Method,
    /// Full URL, from [`Destination::endpoint`].
    pub url: Url,
    /// Headers, from [`super::request_headers`].
    pub headers: HeaderMap,
    /// Body.
    pub body: Pieces,
}

/// How long to wait for the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Until the response's head, connection included.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
}

/// An upstream's answer: its head, and a body that is still arriving. Dropping the body closes the connection, unless it was at its end.
#[derive(Debug)]
pub struct Upstream {
    /// Status.
    pub status: StatusCode,
    /// All of the upstream's headers; [`super::response_headers`] picks what the client may see.
    pub headers: HeaderMap,
    /// Body; its errors are of kind timeout, truncated or malformed.
    pub body: IdleBody<reqwest::Body>,
}

/// Sends requests over one set of pools. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: Arc<reqwest::Client>,
}

impl Client {
    /// Sends a request and waits for the head of its answer. Any status is an answer.
    ///
    /// Dropping the future closes the connection. A request that could not be written because its pooled connection was already closed
    /// is moved to another connection by the pool itself; nothing else is sent twice.
    ///
    /// # Errors
    /// [`Kind::UpstreamConnect`]: no connection, or it ended before an answer (a pooled connection that the server closed as we sent looks
    /// like this). [`Kind::UpstreamTimeout`]: no head within `first_byte`. [`Kind::UpstreamMalformed`]: bytes that are no HTTP head.
    pub async fn send(&self, outbound: Outbound, waits: Waits) -> Result<Upstream, GatewayError> {
        let mut request = Request::new(outbound.method, outbound.url);
        *request.headers_mut() = outbound.headers;
        if !outbound.body.is_empty() {
            // Not `Body::from(Bytes)`: a body that can be cloned makes the retry layer copy every request, headers and all.
            *request.body_mut() = Some(reqwest::Body::wrap(outbound.body));
        }
        match tokio::time::timeout(waits.first_byte, self.http.execute(request)).await {
            Ok(Ok(response)) => {
                let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
                Ok(Upstream { status: head.status, headers: head.headers, body: IdleBody::new(body, waits.idle) })
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(GatewayError::new(Kind::UpstreamTimeout, "the provider did not answer in time")
                .detail(format_args!("no response head within {} ms", waits.first_byte.as_millis()))),
        }
    }
}

/// Maps a failure before the response's head was complete.
fn failed(error: reqwest::Error) -> GatewayError {
    // Without its URL: paths and queries are not for logs.
    let error = error.without_url();
    if let Some(refused) = links(&error).find_map(|link| link.downcast_ref::<Refused>()) {
        return GatewayError::new(Kind::UpstreamConnect, "the gateway refuses to connect to this provider's address").detail(refused);
    }
    let connect = |public: &str| GatewayError::new(Kind::UpstreamConnect, public).detail(chain(&error));
    if error.is_builder() {
        return GatewayError::new(Kind::Internal, "the gateway could not build its request to the provider").detail(chain(&error));
    }
    if error.is_dns() {
        return connect("the provider's name could not be resolved");
    }
    if error.is_connect() {
        return connect(if error.is_timeout() { "connecting to the provider took too long" } else { "could not connect to the provider" });
    }
    match links(&error).find_map(|link| link.downcast_ref::<hyper::Error>()) {
        Some(cause) if cause.is_parse() => {
            GatewayError::new(Kind::UpstreamMalformed, "the provider's answer is not valid HTTP").detail(chain(&error))
        }
        Some(_) | None => connect("the provider closed the connection before it answered"),
    }
}
