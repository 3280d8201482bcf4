//! What one attempt may cost, what it did cost, and who pays: reserved before it is sent, settled when it is known.
//!
//! Rule: an attempt that was sent is settled exactly once, whatever becomes of it, the client or this process; error text is no output.

use std::sync::Arc;

use super::attempt::{Call, Failure};
use super::outbound::Prepared;
use super::payload::Payload;
use super::tried::HEDGE_LOST;
use crate::base::{Clock, Usd};
use crate::catalog::{PriceList, RateCard};
use crate::error::{GatewayError, Kind};
use crate::limit::budget::{Ledger, Payer, Refused, Reservation};
use crate::plan::{BudgetMode, WhenExhausted};
use crate::provider::Pieces;
use crate::store::book::{AttemptId, BUCKET_MS, Closing, Opening, Progress, Ticket, UsageSource};
use crate::table::quote::{self, Asked, Billed, STEP};
use crate::table::{Target, refusal};
use crate::telemetry::Endpoint;
use crate::wire::ir::{Metered, Tier, Usage};
use crate::wire::{Operation, estimate, relayed};

/// Output tokens between two looks at a running stream.
const LOOK: u64 = 64;
/// Output tokens, and milliseconds, after which the book hears how far a stream has come.
const PROGRESS_TOKENS: u64 = 2_000;
const PROGRESS_MS: u64 = 5_000;

/// Who pays for a request.
#[derive(Debug, Clone)]
pub(super) struct Spender {
    pub(super) ledger: Arc<Ledger>,
    pub(super) payer: Arc<Payer>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The bill of one attempt while it runs. Dropped unsettled, it charges what was sent.
#[derive(Debug)]
pub(super) struct Tab {
    reservation: Option<Reservation>,
    opening: Arc<Opening>,
    ticket: Option<Ticket>,
    price: Option<Arc<PriceList>>,
    asked: Tier,
    clock: Arc<dyn Clock>,
    /// Our own count of the input.
    input: u64,
    /// What the request says itself of what it uses.
    known: Usage,
    is_stepwise: bool,
    look_at: u64,
    told: (u64, u64),
    is_sent: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// With a whole answer: what the upstream said of the cost, and our own count of the output.
    Whole(Metered, u64),
    /// In the middle of one.
    Cut(Metered, u64),
    /// Before anything came of it.
    Failed(Kind),
    /// The client left before anything came of it.
    Gone,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bill {
    pub(super) usage: Usage,
    pub(super) source: UsageSource,
    pub(super) tier: Tier,
    /// None where the model has no price.
    pub(super) cost: Option<Usd>,
}

impl Spender {
    /// Reserves what an attempt may cost and opens its line. None where nothing of the kind is billed.
    ///
    /// # Errors
    /// [`Kind::BudgetExceeded`], [`Kind::Unpriced`], [`Kind::LedgerUnavailable`].
    pub(super) async fn reserve(
        &self,
        call: &Call<'_>,
        target: &Target,
        prepared: &Prepared,
        number: usize,
    ) -> Result<Option<Tab>, Box<Failure>> {
        if !is_billed(call) {
            return Ok(None);
        }
        let now_ms = call.clock.unix_ms();
        let card = target.price.as_deref().and_then(|price| price.at(now_ms));
        let asked = asked(call, prepared, self.payer.is_limited());
        let need = quote::need(&self.payer, (target, card), &asked, call.stream).map_err(|budget| unpriced(target, &budget.name))?;
        let mut reservation = self.ledger.admit(&self.payer, need, now_ms).await.map_err(|refused| refusal(&refused, target))?;
        let input_only = Usage { input: asked.tokens, ..Usage::default() };
        let id = AttemptId::new(call.request_id, u16::try_from(number).unwrap_or(u16::MAX));
        // One that nobody can tell from others would be charged once for all of them.
        let id = id.ok_or_else(|| GatewayError::new(Kind::Internal, "The request has no name under which it could be booked."))?;
        let opening = Arc::new(Opening {
            id,
            admitted_ms: now_ms.max(reservation.bucket().saturating_mul(BUCKET_MS)),
            key: self.payer.key.clone(),
            team: self.payer.team.clone(),
            alias: call.alias.map(|alias| Arc::clone(&alias.label)),
            provider: Arc::clone(&target.provider.label),
            model: Arc::clone(&target.label),
            endpoint: call.endpoint.label(),
            accounts: Arc::clone(&self.payer.ids),
            floor: card.map_or(Usd::ZERO, |card| card.cost(&input_only, asked.tier)),
            reserved: reservation.held(),
        });
        // Where nothing limits it and it comes at once, it is written once, at its end.
        let is_opened = self.payer.is_limited() || call.stream;
        let ticket = if is_opened { reservation.open(Arc::clone(&opening)) } else { None };
        Ok(Some(Tab {
            reservation: Some(reservation),
            opening,
            ticket,
            price: target.price.clone(),
            asked: asked.tier,
            clock: Arc::clone(&self.clock),
            input: asked.tokens,
            known: asked.known,
            is_stepwise: self.payer.budgets.iter().any(|(_, budget)| budget.terms.mode == BudgetMode::Progressive),
            look_at: LOOK,
            told: (0, now_ms),
            is_sent: false,
        }))
    }
}

/// Reads what the body that is sent says of its cost.
fn asked(call: &Call<'_>, prepared: &Prepared, is_limited: bool) -> Asked {
    let is_json = matches!(call.payload, Payload::Json { .. });
    // A form is a sound or a picture, which bytes say nothing of.
    let tokens = if is_json { estimate::delta(prepared.body.len()) } else { 0 };
    let says_itself = matches!(call.path.0, "/images/generations" | "/audio/speech");
    let body = if is_json && (is_limited || says_itself) { whole(&prepared.body) } else { Vec::new() };
    let known = if says_itself { relayed::asked(call.path.0, &body) } else { Usage::default() };
    if !is_limited {
        return Asked::counted(tokens, known);
    }
    let billed = match (call.operation, call.endpoint) {
        (Some(Operation::Answer), _) | (_, Endpoint::Completions) => Billed::Answer(prepared.lane.spoken()),
        (Some(Operation::Embed | Operation::Rerank | Operation::Count), _) => Billed::Input,
        (None, _) => Billed::Other,
    };
    Asked { tokens, ..Asked::read(&body, billed, known) }
}

fn whole(body: &Pieces) -> Vec<u8> {
    let mut all = Vec::with_capacity(body.len());
    body.parts().for_each(|part| all.extend_from_slice(part));
    all
}

/// Returns whether what is asked for is billed: something of a model. Counting tokens is free everywhere, lists and files are no model's.
fn is_billed(call: &Call<'_>) -> bool {
    call.model.is_some() && !matches!(call.endpoint, Endpoint::Models | Endpoint::CountTokens | Endpoint::Unknown)
}

impl Tab {
    /// The request leaves: from here on it may cost something.
    pub(super) const fn sent(&mut self) {
        self.is_sent = true;
    }

    /// Waits until the line is on the disk, where a budget applies. Then an answer may pass.
    ///
    /// # Errors
    /// [`Kind::LedgerUnavailable`], where a budget wants it written and it is not.
    pub(super) async fn durable(&mut self, payer: &Payer) -> Result<(), GatewayError> {
        let Some(ticket) = self.ticket.as_mut().filter(|_| payer.is_limited()) else { return Ok(()) };
        match ticket.durable().await {
            Ok(()) => Ok(()),
            Err(error) if payer.must_be_written() => Err(unavailable(&error)),
            Err(_) => Ok(()),
        }
    }

    /// Hears how far a running stream has come. Quick: nothing is done between two looks.
    ///
    /// # Errors
    /// [`Kind::BudgetExceeded`], where a budget that goes step by step has no room for the next.
    pub(super) fn advance(&mut self, metered: impl FnOnce() -> Metered, content_tokens: u64) -> Result<(), GatewayError> {
        if content_tokens < self.look_at {
            return Ok(());
        }
        self.look_at = content_tokens + LOOK;
        let bill = self.bill(End::Cut(metered(), content_tokens));
        let now_ms = self.clock.unix_ms();
        let (tokens, ms) = self.told;
        let Some(reservation) = &mut self.reservation else { return Ok(()) };
        if content_tokens >= tokens + PROGRESS_TOKENS || now_ms >= ms + PROGRESS_MS {
            self.told = (content_tokens, now_ms);
            reservation.progress(Progress { cost: bill.cost.unwrap_or_default(), usage: bill.usage, source: bill.source });
        }
        let Some(cost) = bill.cost.filter(|_| self.is_stepwise) else { return Ok(()) };
        // At four fifths of what is held, the next step is taken.
        if cost.nano() / 4 < reservation.held().nano() / 5 {
            return Ok(());
        }
        let usage = Usage { output: bill.usage.output.saturating_add(STEP), ..bill.usage };
        let card = self.price.as_deref().and_then(|price| price.at(self.opening.admitted_ms));
        let upto = card.map_or(cost, |card| card.cost(&usage, self.asked));
        reservation.extend(upto, cost).map_err(|refused| match refused {
            Refused::Short(short) => GatewayError::new(Kind::BudgetExceeded, format!("{} The stream ends here.", refusal::short(&short))),
            Refused::Store(why) => unavailable(&why),
        })
    }

    /// Returns what was used, if it ended now.
    pub(super) fn so_far(&self, metered: Metered, passed: u64) -> Usage {
        self.bill(End::Cut(metered, passed)).usage
    }

    /// Says what it comes to, as things are.
    fn bill(&self, end: End) -> Bill {
        let nothing = |source| Bill { usage: Usage::default(), source, tier: self.asked, cost: Some(Usd::ZERO) };
        let counted = |output| Usage { input: self.input, output, ..self.known };
        let (usage, tier, source) = match end {
            End::Whole(Metered { usage: Some(usage), tier }, _) => (usage, tier, UsageSource::Provider),
            End::Cut(Metered { usage: Some(usage), tier }, passed) => match usage.output >= passed {
                true => (usage, tier, UsageSource::Stream),
                false => (Usage { output: passed, ..usage }, tier, UsageSource::Estimated),
            },
            End::Whole(Metered { usage: None, tier }, passed) | End::Cut(Metered { usage: None, tier }, passed) => {
                (counted(passed), tier, UsageSource::Estimated)
            }
            End::Failed(kind) if !may_be_billed(kind) => return nothing(UsageSource::Nothing),
            End::Failed(_) | End::Gone if self.is_sent => (Usage { input: self.input, ..Usage::default() }, None, UsageSource::Input),
            End::Failed(_) | End::Gone => return nothing(UsageSource::Nothing),
        };
        let card = self.price.as_deref().and_then(|price| price.at(self.opening.admitted_ms));
        let tier = tier.unwrap_or(self.asked);
        // Of what nothing is counted, nothing is known, unless it is free or paid by the request.
        let is_known = |card: &&RateCard| usage != Usage::default() || card.is_free() || card.cost(&usage, tier) > Usd::ZERO;
        let card = card.filter(|card| card.covers(&usage, tier)).filter(is_known);
        Bill { usage, source, tier, cost: card.map(|card| card.cost(&usage, tier)) }
    }

    /// Settles, and returns the bill. Further calls do nothing.
    pub(super) fn settle(&mut self, end: End, outcome: (&'static str, Option<u16>)) -> Option<Bill> {
        let reservation = self.reservation.take()?;
        let bill = self.bill(end);
        let closing = Closing {
            opening: Arc::clone(&self.opening),
            closed_ms: self.clock.unix_ms(),
            cost: bill.cost.unwrap_or_default(),
            usage: bill.usage,
            source: bill.source,
            tier: bill.tier,
            priced: bill.cost.is_some(),
            status: outcome.1,
            outcome: outcome.0,
        };
        reservation.settle(closing);
        Some(bill)
    }
}

impl Tab {
    /// Another target was quicker: charges what was sent, as where a client leaves.
    pub(super) fn lose(mut self) {
        self.settle(End::Gone, (HEDGE_LOST, None));
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // The client left while nobody had an answer yet.
        self.settle(End::Gone, ("cancelled", None));
    }
}

/// Returns whether a provider may bill an attempt that failed this way before anything came of it.
const fn may_be_billed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::UpstreamTimeout | Kind::UpstreamMalformed | Kind::UpstreamTruncated | Kind::UpstreamTooLarge | Kind::LedgerUnavailable
    )
}

fn unavailable(why: &dyn std::fmt::Display) -> GatewayError {
    let text = "A budget applies, and what is spent cannot be written down now. Try again later.";
    GatewayError::new(Kind::LedgerUnavailable, text).detail(why)
}

fn unpriced(target: &Target, budget: &str) -> Box<Failure> {
    let error = refusal::unpriced(budget).detail(format_args!("{} has no price", target.id()));
    Box::new(Failure { blames: false, ..error.into() })
}

fn refusal(refused: &Refused, target: &Target) -> Box<Failure> {
    match refused {
        Refused::Store(why) => Box::new(unavailable(why).into()),
        Refused::Short(short) => {
            let error = refusal::no_room(short).detail(format_args!("for {}", target.id()));
            let instead = short.iter().find_map(|short| match &short.when_exhausted {
                WhenExhausted::Use(alias) => Some(alias.clone()),
                WhenExhausted::Deny => None,
            });
            Box::new(Failure { blames: false, instead, ..error.into() })
        }
    }
}
