//! One call of an upstream: what it was, how it went, and whom its end is told to.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Answer, AnswerBody, Call, Failure};
use super::limits;
use crate::error::Kind;
use crate::limit::Grant;
use crate::provider::{Answered, Ear, Place, Running, Timed};
use crate::table::{Credential, Target};
use crate::telemetry::AttemptEntry;
use crate::wire::Operation;
use crate::wire::openai_chat::Attempted;

/// The outcome of a call that was given up because another one beside it was quicker.
pub(super) const HEDGE_LOST: &str = "hedge_lost";

/// One call of an upstream.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) target: Arc<Target>,
    pub(super) credential: Arc<Credential>,
    pub(super) failure: Option<Kind>,
    /// What is known of the failure; for the log alone.
    pub(super) detail: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) started_ms: u64,
    pub(super) took_ms: u64,
    /// What it holds of its provider's limits, while it runs.
    pub(super) grant: Option<Grant>,
    /// It was made beside another one that took long.
    pub(super) is_hedge: bool,
    /// It failed beside another one, and the chain has not come to it by itself.
    pub(super) is_beside: bool,
    /// It was given up because another one beside it was quicker.
    is_lost: bool,
    started_us: u64,
    /// Counted among those that run at its target, while it does.
    running: Option<Running>,
    /// Its place, where those are limited; kept after a failure for another try.
    place: Option<Place>,
}

impl Attempt {
    pub(super) fn begin(
        target: &Arc<Target>,
        credential: &Arc<Credential>,
        (grant, place): (Option<Grant>, Option<Place>),
        call: &Call<'_>,
    ) -> Self {
        let started_us = call.clock.monotonic_us();
        Self {
            target: Arc::clone(target),
            credential: Arc::clone(credential),
            failure: None,
            detail: None,
            status: None,
            started_ms: started_us / 1_000,
            took_ms: 0,
            grant,
            is_hedge: false,
            is_beside: false,
            is_lost: false,
            started_us,
            running: Some(target.health.load.begin()),
            place: place.map(Place::used),
        }
    }

    /// Returns what hears of how much the upstream takes, where that matters.
    pub(super) fn ear(&self) -> Option<Ear> {
        self.place.as_ref().and_then(Place::ear)
    }

    /// Gives up its place, to another try or to whoever waits.
    pub(super) const fn leave_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    /// Tells health and metrics how the attempt went. Of a stream that has only begun, no more is known than that the credential is good.
    pub(super) fn conclude(&mut self, result: &Result<Answer, Box<Failure>>, call: &Call<'_>) {
        let now_us = call.clock.monotonic_us();
        let (now_ms, took_us) = (now_us / 1_000, now_us.saturating_sub(self.started_us));
        self.took_ms = now_ms.saturating_sub(self.started_ms);
        let (credential, started_ms) = (&self.credential.health, self.started_ms);
        let model = self.target.model.as_str();
        if let (Ok(Answer { body: AnswerBody::Whole(..) | AnswerBody::Stream(_), .. }), Some(kind)) = (result, timed(call)) {
            self.target.health.times.note(kind, took_us, now_ms);
        }
        match result {
            Ok(answer) => {
                self.status = Some(answer.status.as_u16());
                credential.success(model, started_ms);
                if let Some(place) = &self.place {
                    place.good(now_ms);
                }
                match answer.body {
                    AnswerBody::Whole(..) => {
                        // Of other requests, the time says nothing of this kind.
                        if call.operation == Some(Operation::Answer) {
                            self.target.health.load.answered(Answered::Whole, took_us, now_ms);
                        }
                        self.succeeded(now_ms);
                    }
                    AnswerBody::Stream(_) => return self.target.health.load.answered(Answered::Streamed, took_us, now_ms),
                    AnswerBody::Passing(_) => return,
                }
            }
            Err(failure) => {
                if let Some(place) = self.place.as_ref().filter(|_| failure.blames && failure.error.kind.is_overload()) {
                    place.overloaded(started_ms, now_ms);
                }
                self.running = None;
                if let Some(grant) = self.grant.take() {
                    grant.settle(0, limits::now_ns(call.clock));
                }
                self.status = failure.status;
                self.failure = Some(failure.error.kind);
                self.detail.clone_from(&failure.error.detail);
                match failure.error.kind {
                    kind if kind.is_about_the_request() => {
                        credential.success(model, started_ms);
                        self.succeeded(now_ms);
                    }
                    Kind::UpstreamRateLimit => {
                        credential.cool(model, now_ms, failure.retry_after_ms);
                        self.target.health.load.failed(now_ms);
                    }
                    Kind::UpstreamQuota => credential.exhaust(now_ms),
                    Kind::UpstreamAuth if failure.is_unsigned => self.not_signed_in(now_ms),
                    Kind::UpstreamAuth => self.refused(now_ms),
                    kind if kind.blames_target() && failure.blames => self.failed(kind, now_ms, call.jitter()),
                    // A fault of ours says nothing about anybody else.
                    _ => {}
                }
            }
        }
        self.target.metrics.attempt(self.failure, Duration::from_millis(self.took_ms));
    }

    /// Another one was quicker, and this one is given up: it says nothing of its target but, where it had begun first, that the answer would
    /// have taken longer. What was taken for its prompt stays taken, for the provider has read that.
    pub(super) fn lose(&mut self, call: &Call<'_>) {
        let now_us = call.clock.monotonic_us();
        let (now_ms, took_us) = (now_us / 1_000, now_us.saturating_sub(self.started_us));
        (self.took_ms, self.is_lost) = (now_ms.saturating_sub(self.started_ms), true);
        (self.running, self.place, self.grant) = (None, None, None);
        self.target.metrics.hedge_lost();
        // A second one has run for too short a time to say anything.
        if let (false, Some(kind)) = (self.is_hedge, timed(call)) {
            self.target.health.times.note(kind, took_us, now_ms);
            match kind {
                Timed::Streamed => self.target.health.load.at_least(Answered::Streamed, took_us, now_ms),
                Timed::Whole => self.target.health.load.at_least(Answered::Whole, took_us, now_ms),
                Timed::Other => {}
            }
        }
    }

    /// Returns whether the request went on without it: another one beside it answered, or may still.
    pub(super) const fn is_aside(&self) -> bool {
        self.is_lost || self.is_beside
    }

    /// Judges a stream by its end. `failure`: what cut it; `client_gone`: nobody waited for the rest.
    pub(super) fn end(&mut self, failure: Option<Kind>, client_gone: bool, (now_ms, jitter): (u64, f64)) {
        self.took_ms = now_ms.saturating_sub(self.started_ms);
        match failure {
            Some(kind) if kind.blames_target() => self.failed(kind, now_ms, jitter),
            // What came was fine, but nobody knows what would have followed.
            None if client_gone => {}
            None => self.succeeded(now_ms),
            // An error of the account, a key that was revoked here, or our own end.
            Some(_) => {}
        }
        (self.running, self.place) = (None, None);
        self.failure = failure.filter(|kind| !matches!(kind, Kind::Revoked | Kind::Draining));
        self.target.metrics.attempt(self.failure, Duration::from_millis(self.took_ms));
    }

    fn succeeded(&mut self, now_ms: u64) {
        (self.running, self.place) = (None, None);
        self.target.health.load.succeeded(now_ms);
        self.target.health.breaker.success(self.started_ms, now_ms);
        self.credential.health.breaker.success(self.started_ms, now_ms);
    }

    /// Blames the target, and the credential with it where an answer may depend on that: an account can fail where others of the same provider
    /// do not.
    fn failed(&self, kind: Kind, now_ms: u64, jitter: f64) {
        self.target.health.load.failed(now_ms);
        self.target.health.breaker.failure(self.started_ms, now_ms, jitter);
        if kind != Kind::UpstreamConnect {
            self.credential.health.breaker.failure(self.started_ms, now_ms, jitter);
        }
    }

    /// Rests the credential for a while: what it needs to sign in may be back without a change of the spec.
    fn not_signed_in(&self, now_ms: u64) {
        let (provider, name, model) = (self.target.provider.name.as_str(), self.credential.name.as_str(), self.target.model.as_str());
        self.credential.health.rest(model, now_ms);
        tracing::error!(provider, credential = name, "the gateway could not sign in with a credential, which rests for a while");
    }

    /// Takes the credential out: for the model where the upstream said 403, which often means that the account may not use this one;
    /// altogether where it said that it does not know the credential (401; one provider says so with a 400), unless that is renewed of itself.
    fn refused(&self, now_ms: u64) {
        let (provider, name, model) = (self.target.provider.name.as_str(), self.credential.name.as_str(), self.target.model.as_str());
        if matches!(self.status, Some(400 | 401)) && !self.credential.signer.is_renewed() {
            self.credential.health.refuse(now_ms);
            tracing::error!(provider, credential = name, "the provider refused a credential, which is out until it is changed");
        } else {
            self.credential.health.forbid(model, now_ms);
            tracing::warn!(provider, credential = name, model, "the provider refused a credential for a model, which it rests for");
        }
    }

    /// Shows the attempt to a client that may see it.
    pub(super) fn shown(&self) -> Attempted {
        Attempted { target: self.target.id(), outcome: self.outcome(), status: self.status, ms: self.took_ms }
    }

    fn outcome(&self) -> &'static str {
        match (self.failure, self.status) {
            _ if self.is_lost => HEDGE_LOST,
            (Some(kind), _) => kind.code(),
            (None, Some(_)) => "ok",
            (None, None) => "cancelled",
        }
    }

    /// Shows the attempt in the log.
    pub(super) fn entry(&self) -> AttemptEntry<'_> {
        AttemptEntry {
            target: (&self.target.provider.name, &self.target.model),
            credential: Some(&self.credential.name),
            outcome: self.outcome(),
            detail: self.detail.as_deref(),
            status: self.status,
            ms: self.took_ms,
            is_hedge: self.is_hedge,
        }
    }
}

/// Says with which others the time of an answer may be compared.
pub(super) const fn timed(call: &Call<'_>) -> Option<Timed> {
    match call.operation {
        Some(Operation::Answer) if call.stream => Some(Timed::Streamed),
        Some(Operation::Answer) => Some(Timed::Whole),
        Some(Operation::Embed | Operation::Rerank) => Some(Timed::Other),
        Some(Operation::Count) | None => None,
    }
}
