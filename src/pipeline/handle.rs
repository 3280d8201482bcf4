//! The request as a list of stages.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};

use super::affinity::Affinity;
use super::attempt::{Answer, AnswerBody, Call};
use super::choose::{Chosen, Traits, Wish};
use super::ending::Ending;
use super::exchange::Exchange;
use super::facts::{self, LazyFacts};
use super::money::Spender;
use super::payload::Payload;
use super::refusal::{self, Refusal};
use super::route::Route;
use super::stream::Lease;
use super::translate::{self, Middle};
use super::tried::Attempt;
use super::waiting::Waiting;
use super::{Reply, auth, chain, intake, models, outbound, respond, route};
use crate::base::Clock;
use crate::limit::places;
use crate::plan::Priority;
use crate::server::{Handler, Peer, RequestBody};
use crate::table::{self, Decision, Key, Live, RoutingTable, Services};
use crate::telemetry::{AccessLog, Endpoint, RequestIds};
use crate::wire::edit::Object;
use crate::wire::{Demand, estimate};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-bifrost-request-id");
const REVISION: HeaderName = HeaderName::from_static("x-bifrost-revision");
const TARGET: HeaderName = HeaderName::from_static("x-bifrost-target");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-bifrost-attempts");
const COST: HeaderName = HeaderName::from_static("x-bifrost-cost");
const LOSS: HeaderName = HeaderName::from_static("x-bifrost-loss");

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
    /// Who keeps which answers.
    pub affinity: Affinity,
    /// Seeds every choice by chance.
    pub seed: AtomicU64,
    /// Tells requests that they must end.
    pub ending: Arc<Ending>,
}

impl Handler for Gateway {
    type Body = Reply;

    async fn handle(&self, request: Request<RequestBody>, _: Peer) -> Response<Reply> {
        let table = self.live.load();
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let mut exchange = Exchange::begin(self, &table, &head);
        let waiting = Waiting::new(&*self.clock);
        let serving = Box::pin(self.serve((&table, head, body), &mut exchange, &waiting));
        let outcome = self.ending.or(serving).await.unwrap_or_else(|error| Err(refusal::over(error)));
        let sees_routing = exchange.key.as_ref().is_some_and(|key| key.spec.routing_headers);
        let mut response = outcome.unwrap_or_else(|refusal| {
            exchange.error = Some(refusal.error.kind);
            exchange.detail.clone_from(&refusal.error.detail);
            let attempts: Vec<_> = exchange.attempts.iter().filter(|_| sees_routing).map(Attempt::shown).collect();
            respond::error(&refusal, &attempts, exchange.dialect, exchange.id.as_str())
        });
        exchange.status = response.status().as_u16();
        let headers = response.headers_mut();
        if sees_routing && let Some(last) = exchange.serving() {
            headers.insert(ATTEMPTS, HeaderValue::from(exchange.attempts.len()));
            if let Ok(target) = HeaderValue::from_str(&last.target.id()) {
                headers.insert(TARGET, target);
            }
        }
        if sees_routing && let Some(Ok(cost)) = exchange.cost().map(|cost| HeaderValue::from_str(&cost.to_string())) {
            headers.insert(COST, cost);
        }
        if sees_routing && let Some(Ok(loss)) = exchange.loss.as_deref().map(HeaderValue::from_str) {
            headers.insert(LOSS, loss);
        }
        if let Ok(id) = HeaderValue::from_str(exchange.id.as_str()) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(REVISION, HeaderValue::from(table.revision));
        exchange.limits.tell(exchange.dialect, headers, &*self.clock);
        let spent_us = self.clock.monotonic_us().saturating_sub(exchange.arrived_us);
        exchange.overhead_us = Some(spent_us.saturating_sub(waiting.total_us()));
        if is_head {
            // Nobody will read the body, which says how long it would have been.
            exchange.end();
        } else {
            response.body_mut().record(exchange);
        }
        response
    }
}

impl Gateway {
    async fn serve(
        &self,
        (table, head, body): (&RoutingTable, Parts, RequestBody),
        exchange: &mut Exchange,
        waiting: &Waiting<'_>,
    ) -> Result<Response<Reply>, Refusal> {
        let mut route = self.admit(table, (head.uri.path(), &head.method), &head.headers, exchange)?;
        if route.endpoint == Endpoint::Models {
            return models::answer(table, exchange.key.as_deref(), route.below, exchange.dialect);
        }
        let bytes = waiting.on(body.collect_capped(table.plan.gateway.limits.body.get())).await.map_err(refusal::unread)?;
        exchange.bytes_in = bytes.len() as u64;
        let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let payload = Payload::read(kind, &bytes, route.is_resource())?;
        let asked = intake::asked(&mut route, &payload)?;
        (exchange.endpoint, exchange.model, exchange.stream) = (route.endpoint, asked.model, asked.stream);
        let demand = route.demand(exchange.dialect);
        let wish = self.wish((demand, &route), payload.object(), &head.headers, exchange);
        exchange.note(payload.object(), &head.headers, &table.plan.telemetry.log_headers);
        let (headers, key, model, id) = (Arc::new(head.headers), exchange.key.clone(), exchange.model.clone(), exchange.id);
        let facts = LazyFacts::new(table::Request {
            key: key.as_ref().map_or(&table.anonymous, |key| &key.facts),
            model: model.as_deref().unwrap_or_default(),
            endpoint: facts::kind(route.endpoint),
            stream: asked.stream,
            body: payload.object(),
            body_bytes: exchange.bytes_in,
            headers: &headers,
            unix_ms: exchange.arrived_unix_ms,
        });
        let wish = (wish, Traits { headers: &headers, payload: &payload, stream: asked.stream });
        let Chosen { decision, roll } = self.choose(table, &facts, wish, exchange)?;
        exchange.limits.admit((route.endpoint, &payload), &*self.clock, &self.services.metrics).await?;
        let spender = self.spender(table, key.as_deref());
        let call = Call {
            clock: &*self.clock,
            method: &head.method,
            endpoint: route.endpoint,
            path: (route.below, head.uri.query().filter(|_| route.is_resource())),
            system: outbound::system_message(&payload, route.endpoint, decision.alias.as_deref(), &facts)?,
            payload: &payload,
            headers: &headers,
            facts: &facts,
            stream: asked.stream,
            roll,
            model: model.as_deref(),
            waiting,
            format: exchange.dialect,
            operation: route.operation,
            middle: Middle::new(),
            alias: decision.alias.as_deref(),
            request_id: id.as_str(),
            method_of_path: route.named.map(|named| named.method),
            framing: intake::framing(&route, head.uri.query()),
            spender: &spender,
            queue: table.plan.gateway.limits.queue,
        };
        let answer = self.run((table, &decision), &call, demand, exchange).await?;
        if let (Endpoint::Responses, Some(last)) = (route.endpoint, exchange.serving()) {
            self.affinity.note(&answer, &last.target, &last.credential);
        }
        let response = self.reply(answer, table, exchange);
        exchange.durable(&spender.payer).await?;
        Ok(response)
    }

    /// Says what else a request asks of whoever answers it.
    fn wish(&self, (demand, route): (Demand, &Route<'_>), body: Option<&Object<'_>>, headers: &HeaderMap, exchange: &Exchange) -> Wish {
        let named = headers.get("x-bifrost-provider").and_then(|value| value.to_str().ok());
        Wish {
            demand,
            // Only what names no model may name its provider.
            provider: named.filter(|_| exchange.model.is_none()).map(str::to_owned),
            home: self.affinity.home(route, body),
        }
    }

    /// Runs the chain; where a budget has no room for it and names an alias instead, that one's.
    async fn run(
        &self,
        (table, decision): (&RoutingTable, &Decision),
        call: &Call<'_>,
        demand: Demand,
        exchange: &mut Exchange,
    ) -> Result<Answer, Refusal> {
        let refusal = match chain::run(decision, call, exchange).await {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        let Some(alias) = refusal.instead.as_ref().and_then(|name| table.aliases.get(name)) else { return Err(refusal) };
        let traits = Traits { headers: call.headers, payload: call.payload, stream: call.stream };
        let other = self.instead(table, alias, (demand, call.roll, traits), exchange)?;
        // Boxed where it runs, which is rare: a call is large.
        let once_more = Box::pin(async {
            let asked = (call.endpoint, call.payload);
            exchange.limits.move_to(alias.limiter.as_ref(), asked, call.clock, &self.services.metrics).await?;
            let system = outbound::system_message(call.payload, call.endpoint, Some(alias), call.facts)?;
            let call = Call { alias: Some(alias), system, middle: Middle::new(), ..*call };
            chain::run(&other, &call, exchange).await
        });
        once_more.await
    }

    /// Lets a request in: its path leads somewhere, its key is good, there is room for one of its priority, and the path takes its method.
    fn admit<'p>(
        &self,
        table: &RoutingTable,
        (path, method): (&'p str, &Method),
        headers: &HeaderMap,
        exchange: &mut Exchange,
    ) -> Result<Route<'p>, Refusal> {
        let route = route::route(path).ok_or_else(|| refusal::no_path(path))?;
        exchange.endpoint = route.endpoint;
        exchange.key = auth::authenticate(table, headers, exchange.arrived_unix_ms)?;
        let priority = exchange.key.as_ref().map_or(Priority::Normal, |key| key.spec.priority);
        let memory = self.services.counters.memory();
        if !memory.admits(priority, self.services.metrics.requests_in_flight()) {
            return Err(refusal::out_of_memory(memory.now()));
        }
        let most = table.plan.gateway.limits.in_flight;
        let places = places(most, priority, table.highest);
        exchange.in_flight = self.services.metrics.admit(places);
        if exchange.in_flight.is_none() {
            return Err(refusal::full(places, most));
        }
        exchange.limits.apply(exchange.key.iter().flat_map(|key| key.limiters.iter()));
        match route.refuses(method) {
            Some(methods) => Err(refusal::wrong_method(methods)),
            None => Ok(route),
        }
    }

    /// Says who pays for a request.
    fn spender(&self, table: &RoutingTable, key: Option<&Key>) -> Spender {
        let payer = key.map_or(&table.nobody, |key| &key.payer);
        Spender { ledger: Arc::clone(&self.services.ledger), payer: Arc::clone(payer), clock: Arc::clone(&self.clock) }
    }

    fn reply(&self, answer: Answer, table: &RoutingTable, exchange: &mut Exchange) -> Response<Reply> {
        let lease = || Lease {
            live: Arc::clone(&self.live),
            clock: Arc::clone(&self.clock),
            revision: table.revision,
            key: exchange.key.as_ref().map(|key| key.digest),
        };
        exchange.tab = answer.tab;
        let body = match answer.body {
            AnswerBody::Whole(body, metered) => {
                exchange.hear(metered, estimate::delta(body.len()));
                exchange.bill(None);
                Reply::whole(body)
            }
            AnswerBody::Passing(mut passing) => {
                passing.lease = Some(lease());
                Reply::passing(passing)
            }
            AnswerBody::Stream(mut stream) => {
                stream.lease = Some(lease());
                let ttft_us = self.clock.monotonic_us().saturating_sub(exchange.arrived_us);
                exchange.ttft_us = Some(ttft_us);
                exchange.stream_open = Some(self.services.metrics.stream_open());
                if let Some(last) = exchange.serving() {
                    last.target.metrics.time_to_first_token(Duration::from_micros(ttft_us));
                }
                Reply::stream(stream)
            }
        };
        exchange.loss = translate::told(&answer.losses);
        let is_stream = exchange.ttft_us.is_some();
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        let headers = response.headers_mut();
        if is_stream {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/event-stream"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        response
    }
}
