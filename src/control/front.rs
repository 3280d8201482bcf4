//! What stands before the data plane on the client listener: probes, and metrics where the spec wants them there.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};

use super::probe;
use super::shared::Shared;
use crate::pipeline::{self, Gateway};
use crate::plan::MetricsOn;
use crate::server::{Handler, Peer, RequestBody};
use crate::telemetry;

/// The client listener's handler.
pub(super) struct Front {
    /// The data plane.
    pub(super) gateway: Gateway,
    /// What is known.
    pub(super) shared: Arc<Shared>,
}

impl Handler for Front {
    type Body = Either<Full<Bytes>, pipeline::Reply>;

    async fn handle(&self, request: Request<RequestBody>, peer: Peer) -> Response<Self::Body> {
        if let Some(response) = self.own(&request) {
            return response.map(Either::Left);
        }
        self.gateway.handle(request, peer).await.map(Either::Right)
    }
}

impl Front {
    fn own(&self, request: &Request<RequestBody>) -> Option<Response<Full<Bytes>>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri().path();
        if path == "/metrics" {
            let on_gateway = self.gateway.live.load().plan.telemetry.metrics == MetricsOn::Gateway;
            return on_gateway.then(|| respond(200, telemetry::CONTENT_TYPE, self.shared.metrics.encode()));
        }
        let probe = probe::answer(&self.shared, path, false)?;
        Some(respond(probe.status, "application/json", probe.body.to_string()))
    }
}

fn respond(status: u16, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
