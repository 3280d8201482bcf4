//! The request as a list of stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::json;

use super::attempt::{self, Answer, AnswerBody, Call};
use super::exchange::Exchange;
use super::stream::Lease;
use super::{Reply, auth, intake, respond};
use crate::base::Clock;
use crate::error::{GatewayError, Kind};
use crate::server::{BodyError, Handler, Peer, RequestBody};
use crate::table::{Ask, Denial, Key, Live, RoutingTable, Services, decide};
use crate::telemetry::{AccessLog, Endpoint, RequestIds};
use crate::wire::edit::Object;

/// The data plane: answers clients from the running table.
pub struct Gateway {
    /// The running table.
    pub live: Arc<Live>,
    /// What outlives tables.
    pub services: Services,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Access log.
    pub log: AccessLog,
    /// Makes request ids.
    pub ids: RequestIds,
    /// Seeds every choice by chance.
    pub seed: AtomicU64,
}

impl Handler for Gateway {
    type Body = Reply;

    async fn handle(&self, request: Request<RequestBody>, _: Peer) -> Response<Reply> {
        let table = self.live.load();
        let mut exchange = self.exchange(&table, &request);
        let outcome = Box::pin(self.serve(&table, request, &mut exchange)).await;
        let mut response = outcome.unwrap_or_else(|(error, retry_after_ms)| {
            exchange.error = Some(error.kind);
            respond::error(&error, exchange.id.as_str(), retry_after_ms)
        });
        exchange.status = response.status().as_u16();
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(exchange.id.as_str()) {
            headers.insert("x-bifrost-request-id", id);
        }
        headers.insert("x-bifrost-revision", HeaderValue::from(table.revision));
        response.body_mut().record(exchange);
        response
    }
}

type Refused = (GatewayError, Option<u64>);

impl Gateway {
    async fn serve(
        &self,
        table: &Arc<RoutingTable>,
        request: Request<RequestBody>,
        exchange: &mut Exchange,
    ) -> Result<Response<Reply>, Refused> {
        let (head, body) = request.into_parts();
        let (endpoint, below) = intake::endpoint(head.uri.path())
            .filter(|(endpoint, _)| *endpoint != Endpoint::Unknown)
            .ok_or_else(|| no_path(head.uri.path()))?;
        exchange.endpoint = endpoint;
        let key = auth::authenticate(table, &head.headers, exchange.arrived_unix_ms).map_err(plain)?;
        if let Some(key) = &key {
            exchange.key = Some(key.name.clone());
            exchange.team.clone_from(&key.spec.team);
        }
        if endpoint == Endpoint::Models {
            return models(table, key.as_deref(), &head.method, below);
        }
        if head.method != Method::POST {
            return Err(plain(GatewayError::new(Kind::MethodNotAllowed, "This path takes POST.")));
        }
        let bytes = body.collect_capped(table.plan.gateway.limits.body.get()).await.map_err(unread)?;
        exchange.bytes_in = bytes.len() as u64;
        let object = Object::scan(&bytes)
            .map_err(|error| plain(GatewayError::new(Kind::BadRequest, format!("The request was refused: {error}."))))?;
        let asked = intake::asked(&object).map_err(plain)?;
        exchange.model = Some(asked.model.clone());
        exchange.stream = asked.stream;
        let roll = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let turn = table.aliases.get(&asked.model).map_or(0, |alias| alias.turn.fetch_add(1, Ordering::Relaxed));
        let ask = Ask { key: key.as_deref(), model: &asked.model, now_ms: self.clock.monotonic_ms(), roll, turn };
        let decision =
            decide(table, &self.services, &ask).map_err(|denial| denied(&denial, &asked.model, table, key.as_deref(), ask.now_ms))?;
        exchange.alias = decision.alias.as_ref().map(|alias| alias.name.clone());
        let stream = asked.stream && intake::is_judged(endpoint);
        let call = Call { clock: &*self.clock, endpoint, below, object: &object, headers: &head.headers, stream, roll };
        let outcome = attempt::run(&decision, &call).await;
        exchange.attempts = outcome.attempts;
        let answer = outcome.result?;
        let lease = Lease {
            live: Arc::clone(&self.live),
            clock: Arc::clone(&self.clock),
            revision: table.revision,
            key: key.as_ref().map(|key| key.digest),
        };
        Ok(self.reply(answer, lease, key.as_deref(), exchange))
    }

    fn reply(&self, answer: Answer, lease: Lease, key: Option<&Key>, exchange: &mut Exchange) -> Response<Reply> {
        let body = match answer.body {
            AnswerBody::Whole(body, usage) => {
                exchange.usage = usage;
                Reply::whole(body)
            }
            AnswerBody::Stream(mut stream) => {
                let ttft_ms = self.clock.monotonic_ms().saturating_sub(exchange.arrived_ms);
                exchange.ttft_ms = Some(ttft_ms);
                if let Some(last) = exchange.attempts.last() {
                    last.target.metrics.time_to_first_token(std::time::Duration::from_millis(ttft_ms));
                }
                stream.lease = Some(lease);
                Reply::stream(*stream)
            }
        };
        let is_stream = exchange.ttft_ms.is_some();
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        let headers = response.headers_mut();
        if is_stream {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        if key.is_some_and(|key| key.spec.routing_headers) {
            headers.insert("x-bifrost-attempts", HeaderValue::from(exchange.attempts.len()));
            if let Some(Ok(target)) = exchange.attempts.last().map(|attempt| HeaderValue::from_str(&attempt.target.id())) {
                headers.insert("x-bifrost-target", target);
            }
        }
        response
    }

    fn exchange(&self, table: &RoutingTable, request: &Request<RequestBody>) -> Exchange {
        let unix_ms = self.clock.unix_ms();
        Exchange {
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.services.metrics),
            log: self.log.clone(),
            id: self.ids.next(unix_ms),
            arrived_unix_ms: unix_ms,
            arrived_ms: self.clock.monotonic_ms(),
            revision: table.revision,
            method: request.method().as_str().to_owned(),
            path: request.uri().path().to_owned(),
            endpoint: Endpoint::Unknown,
            key: None,
            team: None,
            model: None,
            alias: None,
            attempts: Vec::new(),
            status: 500,
            error: None,
            stream: false,
            ttft_ms: None,
            usage: None,
            bytes_in: 0,
            bytes_out: 0,
            in_flight: Some(self.services.metrics.in_flight()),
            done: false,
        }
    }
}

const fn plain(error: GatewayError) -> Refused {
    (error, None)
}

fn no_path(path: &str) -> Refused {
    plain(GatewayError::new(Kind::UnknownPath, format!("There is no `{path}` here.")))
}

fn unread(error: BodyError) -> Refused {
    let kind = match error {
        BodyError::TooLarge { .. } => Kind::TooLarge,
        BodyError::Timeout | BodyError::Disconnected => Kind::ClientTimeout,
        BodyError::Malformed => Kind::BadRequest,
    };
    plain(GatewayError::new(kind, format!("The request was refused: {error}.")))
}

fn denied(denial: &Denial, model: &str, table: &RoutingTable, key: Option<&Key>, now_ms: u64) -> Refused {
    match denial {
        Denial::Forbidden => plain(GatewayError::new(Kind::Forbidden, format!("This key may not use `{model}`."))),
        Denial::NoSuchModel => {
            let near = usable(table, key).into_iter().map(|name| (strsim::damerau_levenshtein(name, model), name)).min();
            let hint =
                near.filter(|(distance, _)| *distance <= (model.len() / 3).max(2)).map(|(_, name)| format!(" Did you mean `{name}`?"));
            plain(GatewayError::new(Kind::NotFound, format!("There is no model `{model}` for this key.{}", hint.unwrap_or_default())))
        }
        Denial::NoCandidate(excluded) => {
            let back = excluded.iter().filter_map(|excluded| match excluded.why {
                crate::table::Exclusion::BreakerOpen { until_ms } => Some(until_ms),
                crate::table::Exclusion::CredentialsOut { until_ms } => until_ms,
                crate::table::Exclusion::NoCredential(_) => None,
            });
            let wait = back.min().map(|until_ms| until_ms.saturating_sub(now_ms));
            let detail = excluded.iter().map(|excluded| format!("{}: {:?}", excluded.target, excluded.why)).collect::<Vec<_>>().join("; ");
            (GatewayError::new(Kind::NoCandidate, format!("No target of `{model}` can be tried now.")).detail(detail), wait)
        }
    }
}

fn usable<'t>(table: &'t RoutingTable, key: Option<&Key>) -> Vec<&'t str> {
    let names = table.plan.models.keys().map(String::as_str);
    names.filter(|name| key.is_none_or(|key| key.may_use(name))).collect()
}

/// Lists the aliases that the key may use, or shows one.
fn models(table: &RoutingTable, key: Option<&Key>, method: &Method, below: &str) -> Result<Response<Reply>, Refused> {
    if method != Method::GET {
        return Err(plain(GatewayError::new(Kind::MethodNotAllowed, "This path takes GET.")));
    }
    let entry = |name: &str| json!({"id": name, "object": "model", "created": 0, "owned_by": "bifrostctl"});
    let names = usable(table, key);
    let body = match below.strip_prefix("/models/") {
        Some(name) if names.contains(&name) => entry(name),
        Some(name) => return Err(plain(GatewayError::new(Kind::NotFound, format!("There is no model `{name}` for this key.")))),
        None => json!({"object": "list", "data": names.into_iter().map(entry).collect::<Vec<_>>()}),
    };
    Ok(respond::json(StatusCode::OK, body.to_string().into_bytes()))
}
