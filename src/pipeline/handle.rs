//! The request as a list of stages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};

use super::attempt::{Answer, AnswerBody, Call};
use super::exchange::{Attempt, Exchange};
use super::facts::{self, LazyFacts};
use super::intake::Asked;
use super::refusal::{self, Refusal};
use super::stream::Lease;
use super::waiting::Waiting;
use super::{Reply, auth, chain, intake, models, outbound, respond};
use crate::base::Clock;
use crate::error::{GatewayError, Kind};
use crate::server::{Handler, Peer, RequestBody};
use crate::table::{self, Ask, Decision, Key, Live, RoutingTable, RuleAction, Services, decide};
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
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let mut exchange = Exchange::begin(self, &table, &head);
        let waiting = Waiting::new(&*self.clock);
        let outcome = Box::pin(self.serve((&table, head, body), &mut exchange, &waiting)).await;
        let sees_routing = exchange.key.as_ref().is_some_and(|key| key.spec.routing_headers);
        let mut response = outcome.unwrap_or_else(|refusal| {
            exchange.error = Some(refusal.error.kind);
            let attempts: Vec<_> = exchange.attempts.iter().filter(|_| sees_routing).map(Attempt::shown).collect();
            respond::error(&refusal, &attempts, exchange.id.as_str())
        });
        exchange.status = response.status().as_u16();
        let headers = response.headers_mut();
        if sees_routing && let Some(last) = exchange.attempts.last() {
            headers.insert("x-bifrost-attempts", HeaderValue::from(exchange.attempts.len()));
            if let Ok(target) = HeaderValue::from_str(&last.target.id()) {
                headers.insert("x-bifrost-target", target);
            }
        }
        if let Ok(id) = HeaderValue::from_str(exchange.id.as_str()) {
            headers.insert("x-bifrost-request-id", id);
        }
        headers.insert("x-bifrost-revision", HeaderValue::from(table.revision));
        let spent_us = self.clock.monotonic_us().saturating_sub(exchange.arrived_us);
        exchange.overhead_us = spent_us.saturating_sub(waiting.total_us());
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
        let path = head.uri.path();
        let (endpoint, below) =
            intake::endpoint(path).filter(|(endpoint, _)| *endpoint != Endpoint::Unknown).ok_or_else(|| refusal::no_path(path))?;
        exchange.endpoint = endpoint;
        let limits = &table.plan.gateway.limits;
        exchange.in_flight = self.services.metrics.admit(limits.in_flight);
        if exchange.in_flight.is_none() {
            return Err(refusal::full(limits.in_flight));
        }
        let key = auth::authenticate(table, &head.headers, exchange.arrived_unix_ms)?;
        exchange.key.clone_from(&key);
        let key = key.as_deref();
        if endpoint == Endpoint::Models {
            return models::answer(table, key, &head.method, below);
        }
        if head.method != Method::POST {
            return Err(refusal::wrong_method("POST"));
        }
        let bytes = waiting.on(body.collect_capped(limits.body.get())).await.map_err(refusal::unread)?;
        exchange.bytes_in = bytes.len() as u64;
        let object =
            Object::scan(&bytes).map_err(|error| GatewayError::new(Kind::BadRequest, format!("The request was refused: {error}.")))?;
        let asked = intake::asked(&object)?;
        exchange.model = Some(asked.model.clone());
        exchange.stream = asked.stream;
        let headers = Arc::new(head.headers);
        let facts = LazyFacts::new(table::Request {
            key: key.map_or(&table.anonymous, |key| &key.facts),
            model: &asked.model,
            endpoint: facts::kind(endpoint),
            stream: asked.stream,
            body: Some(&object),
            body_bytes: exchange.bytes_in,
            headers: &headers,
            unix_ms: exchange.arrived_unix_ms,
        });
        let (decision, roll) = self.decide(table, &asked, &facts, exchange)?;
        let stream = asked.stream && intake::is_judged(endpoint);
        let system = outbound::system_message(&object, endpoint, decision.alias.as_deref(), &facts)?;
        let (clock, object, headers, facts) = (&*self.clock, &object, &*headers, &facts);
        let call = Call { clock, endpoint, below, object, headers, facts, system, stream, roll, waiting };
        let outcome = chain::run(&decision, &call).await;
        (exchange.attempts, exchange.open) = (outcome.attempts, outcome.open);
        let answer = outcome.result?;
        let lease = Lease {
            live: Arc::clone(&self.live),
            clock: Arc::clone(&self.clock),
            revision: table.revision,
            key: key.map(|key| key.digest),
        };
        Ok(self.reply(answer, lease, exchange))
    }

    /// Applies the rules, then decides; notes both in the record.
    fn decide(
        &self,
        table: &RoutingTable,
        asked: &Asked,
        facts: &LazyFacts<'_>,
        exchange: &mut Exchange,
    ) -> Result<(Decision, u64), Refusal> {
        let verdict = if table.rules.is_empty() { table::Verdict::default() } else { table.verdict(&facts.get()) };
        for (rule, error) in &verdict.failed {
            rule.report_failure(error);
        }
        let alias = match verdict.rule.map(|rule| &rule.action) {
            Some(RuleAction::Use(alias)) => Some(alias),
            Some(RuleAction::Targets(_) | RuleAction::Deny { .. }) => None,
            None => table.aliases.get(&asked.model),
        };
        let turn = alias.map_or(0, |alias| alias.turn.fetch_add(1, Ordering::Relaxed));
        let roll = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let key = exchange.key.clone();
        let key: Option<&Key> = key.as_deref();
        let ask = Ask { key, model: &asked.model, rule: verdict.rule, now_ms: self.clock.monotonic_ms(), roll, turn };
        let decided = decide(table, &self.services, &ask);
        if let (Some(rule), Ok(_) | Err(table::Denial::Rule { .. } | table::Denial::NoCandidate(_))) = (verdict.rule, &decided) {
            rule.metrics.matched();
            exchange.rule = Some(rule.name.clone());
        }
        let decision = decided.map_err(|denial| refusal::denied(&denial, &asked.model, table, key, ask.now_ms))?;
        exchange.metrics = match &decision.alias {
            Some(alias) => alias.metrics.clone(),
            None => table.unnamed.direct.clone(),
        };
        exchange.alias.clone_from(&decision.alias);
        Ok((decision, roll))
    }

    fn reply(&self, answer: Answer, lease: Lease, exchange: &mut Exchange) -> Response<Reply> {
        let body = match answer.body {
            AnswerBody::Whole(body, usage) => {
                exchange.usage = usage;
                Reply::whole(body)
            }
            AnswerBody::Stream(mut stream) => {
                let ttft_us = self.clock.monotonic_us().saturating_sub(exchange.arrived_us);
                exchange.ttft_us = Some(ttft_us);
                exchange.stream_open = Some(self.services.metrics.stream_open());
                if let Some(last) = exchange.attempts.last() {
                    last.target.metrics.time_to_first_token(Duration::from_micros(ttft_us));
                }
                stream.lease = Some(lease);
                Reply::stream(*stream)
            }
        };
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
