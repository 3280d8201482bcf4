//! The chain: one candidate after another, one credential after another, within one deadline, until one answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Answer, AnswerBody, Call, Failure, once};
use super::convert;
use super::exchange::{Exchange, Open};
use super::hedge::{self, Aside, Hedge, Raced};
use super::limits;
use super::queue::Taken;
use super::refusal::{self, Refusal};
use super::tried::Attempt;
use crate::error::{GatewayError, Kind, Retry};
use crate::limit::Refused;
use crate::plan::FallbackOn;
use crate::provider::{Admit, CredentialState, Place, Probe, Reason};
use crate::table::{Alias, Candidate, Credential, Decision, Standing, Target};
use crate::wire::ir::Metered;

/// Longest wait between two tries of one target, unless the provider states its own.
const BACKOFF_CAP_MS: u64 = 30_000;

/// How far a target was tried when an attempt failed.
struct Tried {
    tries: u32,
    took: Duration,
    /// Of the request's time.
    left: Duration,
    credentials_left: bool,
    targets_left: bool,
}

/// What failed so far.
#[derive(Default)]
struct Failures {
    /// The last kind: why the chain moves on.
    last: Option<Kind>,
    /// What the client is told if nothing else comes, and which attempt it was, from 1.
    told: Option<(Box<Failure>, usize)>,
}

impl Failures {
    /// Adds one. What a provider did goes before a refusal of our own without a call: a budget without room for the last link says
    /// nothing of the links before it, which another try may find well. Unless somebody else is to serve instead.
    fn add(&mut self, failure: Box<Failure>, number: usize) {
        self.last = Some(failure.error.kind);
        let was_sent = self.told.as_ref().is_some_and(|(told, _)| !is_unsent(told.error.kind));
        if !was_sent || !is_unsent(failure.error.kind) || failure.instead.is_some() {
            self.told = Some((failure, number));
        }
    }
}

/// Returns whether the gateway itself refuses an attempt: nothing was sent that could have failed.
pub(super) const fn is_unsent(kind: Kind) -> bool {
    matches!(kind, Kind::LossyTranslation | Kind::BudgetExceeded | Kind::Unpriced)
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// After a wait.
    Same(Duration),
    Credential,
    Target,
    Stop,
}

/// Tries the candidates in order. Each attempt is in the record while it runs, so that a client that leaves does not take it along.
///
/// # Errors
/// The most useful failure, where every candidate failed.
pub(super) async fn run(decision: &Decision, call: &Call<'_>, exchange: &mut Exchange) -> Result<Answer, Refusal> {
    let total = decision.candidates.first().map_or(Duration::from_secs(900), |first| first.target.provider.spec.timeouts.total.get());
    let mut run = Run {
        decision,
        call,
        deadline: Instant::now() + total,
        failures: Failures::default(),
        limited: Vec::new(),
        taken: Vec::new(),
        has_failed: false,
        took: Duration::ZERO,
        aside: None,
    };
    for (place, candidate) in decision.candidates.iter().enumerate() {
        if let Some(answer) = convert::local(call, &candidate.target) {
            return Ok(answer?);
        }
        let targets_left = place + 1 < decision.candidates.len();
        match run.candidate(candidate, targets_left, exchange).await {
            Step::Answer(answer) => return Ok(*answer),
            Step::Credential | Step::Target => {}
            Step::Stop => return run.conclude(None),
        }
    }
    if run.taken.is_empty() {
        return run.conclude(None);
    }
    match Box::pin(run.queue(exchange)).await {
        Ok(answer) => Ok(*answer),
        Err(crowded) => run.conclude(crowded),
    }
}

/// Where a candidate leads, or one of its credentials.
pub(super) enum Step {
    Answer(Box<Answer>),
    /// To the next credential.
    Credential,
    /// To the next target.
    Target,
    Stop,
}

/// Probes of what has failed: the target's, and one of its credentials'.
pub(super) type Probes = (Option<Probe>, Option<Probe>);

/// What is known while the candidates are tried.
pub(super) struct Run<'r, 'c> {
    decision: &'r Decision,
    pub(super) call: &'r Call<'c>,
    pub(super) deadline: Instant,
    failures: Failures,
    limited: Vec<Refused>,
    /// Where there was no place.
    pub(super) taken: Vec<Taken<'r>>,
    /// Whether something was sent that failed, so that whatever follows is a further try.
    has_failed: bool,
    /// How long the last attempt took.
    took: Duration,
    /// What failed already beside an attempt that was slow and failed, too: it stands for the attempt that the chain would make there.
    aside: Option<Box<Aside>>,
}

impl<'r> Run<'r, '_> {
    /// Tries one candidate with each of its credentials, as often as its failures allow.
    async fn candidate(&mut self, candidate: &'r Candidate, targets_left: bool, exchange: &mut Exchange) -> Step {
        let call = self.call;
        let Some(mut probe) = self.enter(candidate, targets_left, exchange).await else { return Step::Target };
        let mut credentials = candidate.credentials.iter();
        while let Some(credential) = credentials.next() {
            let credentials_left = credentials.len() > 0;
            let now_ms = call.clock.monotonic_ms();
            let own_probe = credential.health.breaker.try_probe(now_ms);
            // Another request finds out how its account is.
            let may_wait = credentials_left && !self.decision.is_bound;
            if own_probe.is_none() && may_wait && credential.health.breaker.admits(now_ms) != Admit::Yes {
                continue;
            }
            let place = match self.place(candidate, credential, now_ms) {
                Ok(place) => place,
                // Nobody else has what the request goes on from.
                Err(()) if self.decision.is_bound => return Step::Target,
                Err(()) => continue,
            };
            let mut probes = (probe.take(), own_probe);
            // One that was taken may come free yet.
            let left = (credentials_left, targets_left || !self.taken.is_empty());
            match self.tries((candidate, credential), place, (&mut probes, left), exchange).await {
                Step::Credential => probe = probes.0,
                step @ (Step::Answer(_) | Step::Target | Step::Stop) => return step,
            }
        }
        Step::Target
    }

    /// Turns to a candidate, where nothing stands against it: the limits of the aliases on the way, a breaker that is being probed, too many
    /// further tries. Returns the probe, where it is one.
    pub(super) async fn enter(&mut self, candidate: &Candidate, targets_left: bool, exchange: &mut Exchange) -> Option<Option<Probe>> {
        let (target, call) = (&candidate.target, self.call);
        let linked =
            exchange.limits.link(candidate.via.as_ref(), (call.endpoint, call.payload), call.clock, &exchange.gateway_metrics).await;
        linked.map_err(|refused| self.limited.extend(refused)).ok()?;
        // A half-open breaker lets one request through; whoever else comes goes on to the next target, if there is one.
        let probe = target.health.breaker.try_probe(call.clock.monotonic_ms());
        if candidate.standing == Standing::HalfOpen && probe.is_none() && targets_left {
            return None;
        }
        if self.has_failed && !target.health.breaker.may_retry(call.clock.monotonic_ms()) {
            target.metrics.retry_denied();
            return None;
        }
        if let Some(kind) = self.failures.last {
            exchange.metrics.fallback(kind);
        }
        Some(probe)
    }

    /// Takes a place for an attempt, where their number is limited, and it has not been made already.
    ///
    /// # Errors
    /// All are taken, which is kept in mind.
    fn place(&mut self, candidate: &'r Candidate, credential: &'r Credential, now_ms: u64) -> Result<Option<Place>, ()> {
        if self.aside.as_ref().is_some_and(|aside| aside.is_of(&candidate.target, credential)) {
            return Ok(None);
        }
        let Some((places, bounds)) = candidate.target.places(&credential.name) else { return Ok(None) };
        let place = places.take(bounds, now_ms);
        if place.is_none() {
            self.taken.push(Taken { candidate, credential: credential.name.as_str(), places, bounds });
        }
        place.map(Some).ok_or(())
    }

    /// Tries a target with one credential, as often as its failures allow. `left`: whether there are credentials to go on to, and targets.
    pub(super) async fn tries(
        &mut self,
        (candidate, credential): (&'r Candidate, &'r Arc<Credential>),
        mut place: Option<Place>,
        (probes, (credentials_left, targets_left)): (&mut Probes, (bool, bool)),
        exchange: &mut Exchange,
    ) -> Step {
        let (call, target) = (self.call, &candidate.target);
        for tries in 0.. {
            let is_probe = probes.0.is_some() || probes.1.is_some();
            let failure = match self.attempt((target, credential), place.take(), is_probe, exchange).await {
                None => return Step::Target,
                Some(Ok(answer)) => {
                    let is_open = matches!(answer.body, AnswerBody::Stream(_) | AnswerBody::Passing(_));
                    let probes = [probes.0.take(), probes.1.take()];
                    exchange.open = is_open.then(|| Open { jitter: call.jitter(), probes });
                    exchange.limits.drop_ahead(call.clock);
                    return Step::Answer(Box::new(answer));
                }
                Some(Err(failure)) => failure,
            };
            let kind = failure.error.kind;
            self.has_failed |= kind.blames_target();
            let next = self.judge(&failure, target, (tries, credentials_left, targets_left));
            self.failures.add(failure, exchange.attempts.len());
            // Another try has the same place: whoever waits for one meanwhile would only come between. Without one, it is left at once.
            let kept = exchange.attempts.last_mut().and_then(Attempt::leave_place);
            match next {
                Next::Same(_) if !target.health.breaker.may_retry(call.clock.monotonic_ms()) => {
                    target.metrics.retry_denied();
                    return if moves_on(kind, self.decision.alias.as_deref()) { Step::Target } else { Step::Stop };
                }
                Next::Same(wait) => {
                    call.waiting.on(tokio::time::sleep(wait)).await;
                    place = kept;
                }
                Next::Credential => return Step::Credential,
                Next::Target => return Step::Target,
                Next::Stop => return Step::Stop,
            }
            if place.is_none() {
                let Ok(found) = self.place(candidate, credential, call.clock.monotonic_ms()) else { return Step::Target };
                place = found;
            }
            target.metrics.retry();
        }
        Step::Target
    }

    /// Ends without an answer: with the most useful failure; with what kept everything back, where nothing was sent.
    fn conclude(self, crowded: Option<Refusal>) -> Result<Answer, Refusal> {
        let now_ms = self.call.clock.monotonic_ms();
        let limited = self.limited.iter().min_by_key(|refused| refused.wait_ns);
        match (self.failures.told, crowded, limited) {
            (None, Some(crowded), _) => Err(crowded),
            (None, None, Some(refused)) => Err(kept_back(refused, self.decision, now_ms)),
            (told, _, _) => conclude(told, self.decision, now_ms),
        }
    }

    fn judge(&self, failure: &Failure, target: &Target, (tries, credentials_left, targets_left): (u32, bool, bool)) -> Next {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let tried = Tried { tries, took: self.took, left, credentials_left, targets_left };
        judge(failure, target, self.decision.alias.as_deref(), &tried, self.call.roll)
    }

    /// Tries once, within what is left of the request's time; with a second attempt beside a slow first one, where the alias hedges. None where
    /// limits of the provider leave no room.
    async fn attempt(
        &mut self,
        (target, credential): (&Arc<Target>, &Arc<Credential>),
        place: Option<Place>,
        is_probe: bool,
        exchange: &mut Exchange,
    ) -> Option<Result<Answer, Box<Failure>>> {
        let (call, alias) = (self.call, self.decision.alias.as_deref());
        if let Some(aside) = self.aside.take_if(|aside| aside.is_of(target, credential)) {
            self.took = aside.take_place(exchange);
            return Some(Err(aside.failure));
        }
        let held = limits::attempt(target, (call.endpoint, call.payload), call.clock, &exchange.gateway_metrics).await;
        let grant = held.map_err(|refused| self.limited.push(refused)).ok()?;
        let attempt = Attempt::begin(target, credential, (grant, place), call);
        let ear = attempt.ear();
        exchange.attempts.push(attempt);
        let number = exchange.attempts.len();
        // The first attempt of a request alone.
        let is_first = number == 1 && !is_probe;
        let hedge = if is_first { Hedge::of(self.decision, call, (target, credential)) } else { None };
        let result = match hedge {
            None => {
                let mut tab = None;
                let once = once(target, credential, alias, (call, number, ear), &mut tab);
                let result = tokio::time::timeout_at(self.deadline, once).await.unwrap_or_else(|_| Err(over(number > 1)));
                if let Some(attempt) = exchange.attempts.last_mut() {
                    attempt.conclude(&result, call);
                }
                result
            }
            Some(hedge) => {
                // Boxed where it runs: two calls are large.
                let Raced { result, aside } = Box::pin(hedge::race(hedge, ear, call, self.deadline, exchange)).await;
                self.aside = aside;
                result
            }
        };
        self.took = exchange.serving().map_or(Duration::ZERO, |attempt| Duration::from_millis(attempt.took_ms));
        Some(result)
    }
}

/// Nothing was sent, because of limits of providers: the shortest wait is told, also where it is that of a target that was left out before.
fn kept_back(refused: &Refused, decision: &Decision, now_ms: u64) -> Refusal {
    let refusal = refusal::limited(refused);
    let retry_after_ms = refusal.retry_after_ms.into_iter().chain(rate_limit_ends(decision, now_ms)).min();
    Refusal { retry_after_ms, ..refusal }
}

/// The request's time is over. Only where one target had all of it, the target is to blame.
pub(super) fn over(shared: bool) -> Box<Failure> {
    let error = GatewayError::new(Kind::UpstreamTimeout, "The request's time is over (`timeouts.total` in the spec).");
    let mut failure = Failure::from(error);
    failure.blames = !shared;
    Box::new(failure)
}

/// The most useful error: the last definitive one, in the provider's own words where the request itself was refused.
fn conclude(told: Option<(Box<Failure>, usize)>, decision: &Decision, now_ms: u64) -> Result<Answer, Refusal> {
    let Some((failure, attempts)) = told else {
        let retry_after_ms = rate_limit_ends(decision, now_ms);
        let error = match retry_after_ms {
            Some(_) => {
                GatewayError::new(Kind::RateLimited, "Every target that is left was told by its provider to wait (429); try again later.")
            }
            None => GatewayError::new(Kind::NoCandidate, "Every target is out, or is being probed by another request; try again."),
        };
        return Err(Refusal { retry_after_ms, ..error.into() });
    };
    match failure.answer {
        Some((status, headers, body)) => {
            Ok(Answer { status, headers, body: AnswerBody::Whole(body, Metered::default()), losses: Vec::new(), tab: None })
        }
        None => {
            let mut error = failure.error;
            if attempts > 1 {
                error.public.push_str(&format!(" This was the last of {attempts} attempts."));
            }
            error.public.push_str(" The gateway's access log names every attempt under this request's id.");
            let retry_after_ms = match error.kind {
                // The last target's wait says nothing of the others, one of which may be back sooner.
                Kind::UpstreamRateLimit => rate_limit_ends(decision, now_ms).or(failure.retry_after_ms),
                _ => failure.retry_after_ms,
            };
            Err(Refusal { retry_after_ms, instead: failure.instead, ..error.into() })
        }
    }
}

/// Returns how long it takes until the first rate limit of the chain is over. Milliseconds.
fn rate_limit_ends(decision: &Decision, now_ms: u64) -> Option<u64> {
    let tried = decision.candidates.iter().flat_map(|it| it.credentials.iter().map(|credential| (credential, it.target.model.as_str())));
    let cooling = tried.filter_map(|(credential, model)| match credential.health.state(model, now_ms) {
        CredentialState::Cooling { until_ms, reason: Reason::RateLimit } => Some(until_ms),
        CredentialState::Ready | CredentialState::Cooling { .. } | CredentialState::Out { .. } => None,
    });
    let left_out = decision.excluded.iter().filter_map(|excluded| excluded.why.back().filter(|back| !back.is_other));
    cooling.chain(left_out.map(|back| back.until_ms)).min().map(|until_ms| until_ms.saturating_sub(now_ms))
}

/// Returns whether a failure moves a request on to the next target. The chain's own limits say nothing about what was not sent.
pub(super) fn moves_on(kind: Kind, alias: Option<&Alias>) -> bool {
    is_unsent(kind)
        || fallback_on(kind).is_some_and(|on| match alias {
            Some(alias) => alias.spec.fallback_on.contains(&on),
            // Targets of a rule have the default of aliases: all but the opt-in.
            None => on != FallbackOn::ContentFilter,
        })
}

/// Where a failure leads, by the table of failover: what was tried, what may still be.
fn judge(failure: &Failure, target: &Target, alias: Option<&Alias>, tried: &Tried, roll: u64) -> Next {
    let kind = failure.error.kind;
    let retries = &target.provider.spec.retries;
    let allowed = moves_on(kind, alias);
    if tried.left.is_zero() {
        return Next::Stop;
    }
    let further = if allowed && tried.targets_left { Next::Target } else { Next::Stop };
    // Patience covers the failure and a wait that the provider states: neither may hold up the chain for longer.
    let patience = retries.only_if_failed_within.get();
    let again = |wait: Duration| {
        let may = tried.tries < retries.max && wait <= patience && wait < tried.left;
        may.then_some(Next::Same(wait))
    };
    // Whoever gives tokens was asked already, for all requests that wait; another credential may not need it.
    let retry = if failure.is_unsigned { Retry::NextCredential } else { retry(kind, failure.status) };
    match retry {
        Retry::Never => Next::Stop,
        Retry::NextTarget => further,
        Retry::NextCredential if tried.credentials_left => Next::Credential,
        // Where nobody else is left, a rate limit that says when it ends is worth a short wait.
        Retry::NextCredential => match failure.retry_after_ms.filter(|_| kind == Kind::UpstreamRateLimit && further == Next::Stop) {
            Some(ms) => again(Duration::from_millis(ms)).unwrap_or(further),
            None => further,
        },
        Retry::Same => {
            let quick = kind == Kind::UpstreamConnect || tried.took <= patience;
            let wait = backoff(retries.backoff.as_millis(), tried.tries, failure.retry_after_ms, roll);
            again(wait).filter(|_| quick).unwrap_or(further)
        }
    }
}

/// An upstream that says 408 or 504 itself may have failed quickly; one that was silent until our own limit has not. One that took the request
/// and then told of an error has worked on it already, and would again.
const fn retry(kind: Kind, status: Option<u16>) -> Retry {
    match (kind, status) {
        (Kind::UpstreamServerError | Kind::UpstreamOverload | Kind::UpstreamTimeout, None | Some(200..=299)) => Retry::NextTarget,
        (Kind::UpstreamTimeout, Some(_)) => Retry::Same,
        (kind, _) => kind.retry(),
    }
}

const fn fallback_on(kind: Kind) -> Option<FallbackOn> {
    match kind {
        Kind::UpstreamRateLimit => Some(FallbackOn::RateLimit),
        Kind::UpstreamQuota => Some(FallbackOn::Quota),
        Kind::UpstreamAuth => Some(FallbackOn::Auth),
        Kind::UpstreamOverload => Some(FallbackOn::Overload),
        Kind::UpstreamServerError => Some(FallbackOn::ServerError),
        Kind::UpstreamTimeout => Some(FallbackOn::Timeout),
        Kind::UpstreamConnect => Some(FallbackOn::Connect),
        Kind::ContextWindow => Some(FallbackOn::ContextWindow),
        Kind::UpstreamMalformed | Kind::UpstreamTruncated => Some(FallbackOn::Malformed),
        Kind::ContentFilter => Some(FallbackOn::ContentFilter),
        Kind::BadRequest
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::Denied
        | Kind::NotFound
        | Kind::UnknownPath
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::ClientTimeout
        | Kind::LossyTranslation
        | Kind::Overloaded
        | Kind::Draining
        | Kind::NoCandidate
        | Kind::RateLimited
        | Kind::BudgetExceeded
        | Kind::Unpriced
        | Kind::LedgerUnavailable
        | Kind::UpstreamTooLarge
        | Kind::UpstreamRejected
        | Kind::Revoked
        | Kind::TemplateFailed
        | Kind::Internal => None,
    }
}

/// Doubles from the first wait, jittered over its upper half; a stated wait goes before.
fn backoff(first_ms: u64, tries: u32, retry_after_ms: Option<u64>, roll: u64) -> Duration {
    if let Some(ms) = retry_after_ms {
        return Duration::from_millis(ms);
    }
    let ceiling = first_ms.saturating_mul(1 << tries.min(10)).min(BACKOFF_CAP_MS);
    Duration::from_millis(ceiling / 2 + roll.wrapping_add(u64::from(tries)) % (ceiling / 2 + 1))
}
