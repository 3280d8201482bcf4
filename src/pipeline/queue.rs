//! A wait for a place, where every target that could serve a request has as many as it bears.
//!
//! Rule: a request waits once, for all its targets at once, and not in vain; what comes free goes to whoever is next in line.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::attempt::Answer;
use super::chain::{Run, Step};
use super::exchange::Exchange;
use super::refusal::{self, Refusal};
use crate::plan::Concurrency;
use crate::provider::{Admit, CredentialState, InVain, Place, Places, Ticket, Whose};
use crate::table::{Candidate, Standing};
use crate::telemetry::Queued;

/// A target that had no place for a request with one of its credentials.
pub(super) struct Taken<'r> {
    pub(super) candidate: &'r Candidate,
    pub(super) credential: &'r str,
    pub(super) places: &'r Arc<Places>,
    pub(super) bounds: Concurrency,
}

/// How often it is looked whether more may run where their number is looked for.
const LOOK: Duration = Duration::from_millis(100);

impl<'r> Run<'r, '_> {
    /// Waits for a place at any target that had none, and tries it; again where it fails, as long as there are others and time is left.
    ///
    /// # Errors
    /// None of them answered: what the client is told of it, where nothing else failed.
    pub(super) async fn queue(&mut self, exchange: &mut Exchange) -> Result<Box<Answer>, Option<Refusal>> {
        let until = (Instant::now() + self.call.queue.get()).min(self.deadline);
        while !self.taken.is_empty() {
            let place = self.wait(until, exchange).await.map_err(Some)?;
            let Some(index) = self.taken.iter().position(|taken| place.is_of(taken.places)) else { break };
            let taken = self.taken.swap_remove(index);
            match self.resume(&taken, place, exchange).await {
                Step::Answer(answer) => return Ok(answer),
                Step::Credential | Step::Target => {}
                Step::Stop => break,
            }
        }
        Err(None)
    }

    /// Tries a target with the credential that a place came free for.
    async fn resume(&mut self, taken: &Taken<'r>, place: Place, exchange: &mut Exchange) -> Step {
        let (candidate, now_ms) = (taken.candidate, self.call.clock.monotonic_ms());
        let Some(credential) = candidate.credentials.iter().find(|credential| credential.name == taken.credential) else {
            return Step::Target;
        };
        // Much may have happened meanwhile.
        let is_open = matches!(candidate.target.health.breaker.admits(now_ms), Admit::No { .. });
        let is_ready = credential.health.state(&candidate.target.model, now_ms) == CredentialState::Ready;
        if !is_ready || (is_open && candidate.standing != Standing::LastResort) {
            return Step::Target;
        }
        let others_left = !self.taken.is_empty();
        let Some(probe) = self.enter(candidate, others_left, exchange).await else { return Step::Target };
        let mut probes = (probe, credential.health.breaker.try_probe(now_ms));
        self.tries((candidate, credential), Some(place), (&mut probes, (false, others_left)), exchange).await
    }

    /// Waits for a place at any of the targets that had none.
    async fn wait(&self, until: Instant, exchange: &Exchange) -> Result<Place, Refusal> {
        let (clock, metrics) = (self.call.clock, &exchange.gateway_metrics);
        let now_ms = clock.monotonic_ms();
        if let Some(place) = self.taken.iter().find_map(|taken| taken.places.take(taken.bounds, now_ms)) {
            return Ok(place);
        }
        let began = Instant::now();
        let left_ms = u64::try_from(until.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX);
        if left_ms == 0 {
            metrics.queued(Queued::Refused, Duration::ZERO);
            return Err(refusal::crowded(self.call.queue));
        }
        let places = self.taken.iter().map(|taken| Arc::clone(taken.places)).collect();
        let mut ticket = Ticket::draw(places, whose(exchange), (left_ms, now_ms)).map_err(|InVain { wait_ms }| {
            metrics.queued(Queued::Refused, Duration::ZERO);
            refusal::crowded_out(wait_ms)
        })?;
        loop {
            // What an upstream says meanwhile of how much it takes wakes nobody, nor does its end.
            let is_looked_for = self.taken.iter().any(|taken| taken.bounds.is_adaptive());
            let next = if is_looked_for { until.min(Instant::now() + LOOK) } else { until };
            if let Ok(Some(place)) = self.call.waiting.on(timeout_at(next, ticket.place())).await {
                metrics.queued(Queued::Served, began.elapsed());
                return Ok(place);
            }
            if Instant::now() >= until {
                metrics.queued(Queued::TimedOut, began.elapsed());
                return Err(refusal::crowded(self.call.queue));
            }
            let now_ms = clock.monotonic_ms();
            self.taken.iter().for_each(|taken| taken.places.look(now_ms));
        }
    }
}

/// Whose request it is. All digests of one key are one, and all requests without a key.
fn whose(exchange: &Exchange) -> Whose {
    let key = exchange.key.as_ref();
    let mut hasher = DefaultHasher::new();
    key.map(|key| key.name.as_str()).hash(&mut hasher);
    Whose { priority: key.map(|key| key.spec.priority).unwrap_or_default(), key: hasher.finish() }
}
