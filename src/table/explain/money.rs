//! What a request would cost, who pays for it, and which targets their budgets leave out: the data path's own arithmetic, and nothing is
//! reserved.

use std::sync::Arc;

use jiff::Timestamp;

use super::ask::Asked;
use super::told::{BudgetTold, CostTold, ExcludedTold, PriceTold};
use crate::base::Usd;
use crate::catalog::RateCard;
use crate::error::Kind;
use crate::limit::budget::{Budget, Need, Payer, Short, Standing};
use crate::plan::{BudgetMode, WhenExhausted};
use crate::table::quote::{self, Billed};
use crate::table::refusal::{self, Refusal};
use crate::table::{Alias, Candidate, RoutingTable, Target};
use crate::wire::Format;
use crate::wire::codec::{self, Route};
use crate::wire::ir::Usage;

/// Lists the budgets of a payer. What is spent is known to a gateway that serves.
pub(super) fn budgets(table: &RoutingTable, payer: &Payer, unix_ms: u64) -> Vec<BudgetTold> {
    let is_live = table.revision > 0;
    payer.budgets.iter().map(|(_, budget)| told(budget, is_live, unix_ms)).collect()
}

fn told(budget: &Budget, is_live: bool, unix_ms: u64) -> BudgetTold {
    let Standing { spent, held, others, ends_ms } = budget.standing(unix_ms);
    let terms = &budget.terms;
    let known = |amount: Usd| is_live.then_some(amount);
    let mode = match terms.mode {
        BudgetMode::Strict => "strict",
        BudgetMode::Progressive => "progressive",
        BudgetMode::Soft => "soft",
    };
    BudgetTold {
        budget: budget.name.to_string(),
        account: budget.account.id.to_string(),
        mode: mode.to_owned(),
        limit: terms.limit,
        period: terms.period.to_string(),
        timezone: terms.timezone.clone(),
        ends: ends_ms.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()).map(|ends| ends.to_string()),
        spent: known(spent),
        held: known(held),
        others: known(others).filter(|others| *others > Usd::ZERO),
        left: known(terms.limit.minus(spent).minus(held).minus(others).max(Usd::ZERO)),
        when_exhausted: match &terms.when_exhausted {
            WhenExhausted::Deny => None,
            WhenExhausted::Use(alias) => Some(alias.clone()),
        },
    }
}

/// A request, as far as its cost depends on it.
pub(super) struct Bill<'q> {
    pub(super) asked: &'q Asked<'q>,
    pub(super) body: &'q [u8],
    pub(super) alias: Option<&'q Arc<Alias>>,
    /// Bytes of the system prompt that is added.
    pub(super) prompt_bytes: usize,
    pub(super) payer: &'q Arc<Payer>,
    pub(super) unix_ms: u64,
}

impl Bill<'_> {
    /// Returns what a target costs now, and what this request would cost there.
    pub(super) fn price(&self, target: &Target) -> (Option<PriceTold>, Option<CostTold>) {
        if !self.asked.is_metered() {
            return (None, None);
        }
        let Some(card) = self.card(target) else { return (Some(PriceTold::default()), None) };
        let asked = self.asked_of(target);
        let tokens = asked.as_ref().map_or(0, |asked| asked.tokens);
        let sheet = card.sheet(asked.as_ref().map(|asked| asked.tier).unwrap_or_default());
        let rates = sheet.at(tokens).iter().map(|(meter, rate)| (meter.name().to_owned(), meter.written(rate))).collect();
        let price = PriceTold { is_known: true, is_free: card.is_free(), rates };
        let cost = asked.map(|asked| {
            let input = card.cost(&Usage { input: asked.tokens, ..Usage::default() }, asked.tier);
            CostTold { input, most: asked.need(card, target.capacity, self.is_stream()).most }
        });
        (Some(price), cost)
    }

    /// Takes out the candidates that a budget leaves out, as the chain would pass over them.
    ///
    /// # Errors
    /// The refusal that the client would get, where none is left or the request itself must change.
    pub(super) fn keep_payable(&self, candidates: &mut Vec<Candidate>, excluded: &mut Vec<ExcludedTold>) -> Result<(), Refusal> {
        let mut last = None;
        let mut kept = Vec::new();
        for candidate in candidates.drain(..) {
            let Some((refusal, budgets)) = self.refusal(&candidate.target) else {
                kept.push(candidate);
                continue;
            };
            let is_final = refusal.error.kind == Kind::BadRequest && kept.is_empty();
            excluded.push(ExcludedTold::by_budget(&candidate.target, refusal.error.kind, &budgets));
            last = Some(refusal);
            if is_final {
                break;
            }
        }
        *candidates = kept;
        match last {
            Some(refusal) if candidates.is_empty() => Err(refusal),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns what a target is refused with, and by which budgets.
    fn refusal(&self, target: &Target) -> Option<(Refusal, Vec<Arc<str>>)> {
        if !self.asked.is_metered() {
            return None;
        }
        // Without a body nothing is known of the cost, but whether there can be one.
        let asked = self.asked_of(target);
        let is_unknown = asked.is_none();
        let asked = asked.unwrap_or_else(|| quote::Asked::counted(0, Usage::default()));
        let need = match quote::need(self.payer, (target, self.card(target)), &asked, self.is_stream()) {
            Err(budget) => return Some((refusal::unpriced(&budget.name).into(), vec![Arc::clone(&budget.name)])),
            Ok(_) if is_unknown => return None,
            Ok(need) => need,
        };
        self.short(&need)
    }

    fn short(&self, need: &Need) -> Option<(Refusal, Vec<Arc<str>>)> {
        let short: Vec<Short> = self.payer.budgets.iter().filter_map(|(_, budget)| budget.short_of(need, self.unix_ms)).collect();
        if short.is_empty() {
            return None;
        }
        let instead = short.iter().find_map(|short| match &short.when_exhausted {
            WhenExhausted::Use(alias) => Some(alias.clone()),
            WhenExhausted::Deny => None,
        });
        let names = short.iter().map(|short| Arc::clone(&short.budget)).collect();
        Some((Refusal { instead, ..refusal::no_room(&short).into() }, names))
    }

    fn card<'t>(&self, target: &'t Target) -> Option<&'t RateCard> {
        target.price.as_deref().and_then(|price| price.at(self.unix_ms))
    }

    const fn is_stream(&self) -> bool {
        self.asked.is_stream()
    }

    /// Reads the body as it would be sent to a target; none where the question has none.
    fn asked_of(&self, target: &Target) -> Option<quote::Asked> {
        if !self.asked.has_body() || !self.asked.is_metered() {
            return None;
        }
        let Some(client) = self.asked.format() else {
            let billed = if self.asked.is_embedding() { Billed::Input } else { Billed::Answer(Format::OpenaiChat) };
            return Some(quote::Asked::read(self.body, billed, Usage::default()));
        };
        let format = target.provider.format_for(client);
        let sent = self.sent(client, format, target);
        let mut asked = quote::Asked::read(sent.as_deref().unwrap_or(self.body), Billed::Answer(format), Usage::default());
        let prompt = u64::try_from(self.prompt_bytes).unwrap_or(u64::MAX);
        asked.bound.input = asked.bound.input.map(|bytes| bytes.saturating_add(prompt));
        asked.tokens = asked.tokens.saturating_add(prompt.div_ceil(4));
        Some(asked)
    }

    /// Writes the body for a target: in its format, with what the alias fills in and sets, and the model's name there; none where it cannot be.
    fn sent(&self, client: Format, format: Format, target: &Target) -> Option<Vec<u8>> {
        let defaults = self.alias.and_then(|alias| alias.defaults_as_request.as_ref());
        let overrides = self.alias.and_then(|alias| alias.overrides_as_request.as_ref());
        if client == format && defaults.is_none() && overrides.is_none() {
            return self.asked.body_for(&target.model, format);
        }
        let decode = |body, format: Format| format.codec().decode_request(body, &Route::default()).ok();
        let mut request = decode(self.body, client)?;
        if let Some(defaults) = defaults {
            request.fill_in(decode(defaults.as_bytes(), Format::OpenaiChat)?);
        }
        if let Some(overrides) = overrides {
            request.overrule(decode(overrides.as_bytes(), Format::OpenaiChat)?);
        }
        let into = codec::Target { model: &target.model, max_output_tokens: target.capacity.output, quirks: &target.provider.quirks };
        Some(format.codec().encode_request(&request, &into).body)
    }
}

impl ExcludedTold {
    /// Tells of a target that budgets leave out; the refusal says more.
    fn by_budget(target: &Target, kind: Kind, budgets: &[Arc<str>]) -> Self {
        let names = budgets.join(", ");
        let (code, reason) = match kind {
            Kind::Unpriced => ("unpriced", format!("it has no price, and budget {names} serves no such model")),
            Kind::BadRequest => ("unbounded", format!("nothing bounds what this request may cost, as budget {names} wants it")),
            _ => ("no_room", format!("budget {names} has no room for what this request may cost")),
        };
        Self { target: target.id(), code: code.to_owned(), reason, wait_ms: None, credentials: Vec::new() }
    }
}
