//! Connections through the operator's proxy. reqwest speaks with the proxy and decides by `NO_PROXY` what passes it by.

use std::time::Duration;

use http::Request;
use reqwest::Url;

use super::clients::BuildError;
use super::judge::{Judge, Unresolved};
use super::{AGENT, IDLE_CONNECTION, IDLE_PER_HOST, TCP_KEEPALIVE};
use crate::base::Origin;
use crate::error::{GatewayError, Kind};
use crate::provider::body::{chain, links};
use crate::provider::destination::Refused;
use crate::provider::pieces::Pieces;
use crate::provider::proxy::Proxies;

/// Requests to one origin through the proxy.
#[derive(Debug)]
pub(super) struct Proxied {
    http: reqwest::Client,
    base: Url,
}

impl Proxied {
    pub(super) fn new(
        origin: &Origin,
        proxies: &Proxies,
        judge: Judge,
        tls: rustls::ClientConfig,
        limit: Duration,
    ) -> Result<Self, BuildError> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .connect_timeout(limit)
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .user_agent(AGENT)
            .dns_resolver(std::sync::Arc::new(judge));
        let http = proxies.apply(builder, origin.https)?.build().map_err(|error| BuildError::Http(chain(&error.without_url())))?;
        let base = Url::parse(&origin.url()).map_err(|error| BuildError::Http(error.to_string()))?;
        Ok(Self { http, base })
    }

    pub(super) async fn send(&self, request: Request<Pieces>) -> Result<http::Response<reqwest::Body>, GatewayError> {
        let (head, body) = request.into_parts();
        let unbuilt = |error: url::ParseError| {
            GatewayError::new(Kind::Internal, "the gateway could not build its request to the provider").detail(error)
        };
        let url = self.base.join(head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)).map_err(unbuilt)?;
        let mut request = reqwest::Request::new(head.method, url);
        *request.headers_mut() = head.headers;
        if !body.is_empty() {
            // Not `Body::from(Bytes)`: a body that can be cloned makes the retry layer copy every request, headers and all.
            *request.body_mut() = Some(reqwest::Body::wrap(body));
        }
        self.http.execute(request).await.map(Into::into).map_err(failed)
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
    if error.is_dns() || links(&error).any(|link| link.is::<Unresolved>()) {
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
