//! Budgets and the accounts behind them: where each stands, whether the book adds up, and how a person sets one back.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::caller::Caller;
use super::change::{actor, line, read};
use super::query::{number, pairs};
use super::spend::with_report;
use crate::base::Usd;
use crate::control::apply::Reply;
use crate::control::shared::Shared;
use crate::limit::budget::{Budget, Standing};
use crate::plan::BudgetMode;
use crate::server::RequestBody;
use crate::store::book::{Adjustment, AttemptId, BUCKET_MS, BookError, Change, Failure, told};
use crate::table::RoutingTable;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    budget: String,
    reason: String,
    actor: Option<String>,
}

/// Lists the budgets that a key of the table pays from, by account and name.
fn budgets(table: &RoutingTable) -> BTreeMap<(Arc<str>, Arc<str>), Arc<Budget>> {
    let all = table.keys.values().flat_map(|key| &key.payer.budgets);
    all.map(|(_, budget)| ((Arc::clone(&budget.account.id), Arc::clone(&budget.name)), Arc::clone(budget))).collect()
}

/// Returns what is spent in the running window of a budget that a key of the table pays from, by its name.
pub(in crate::control) fn spent(table: &RoutingTable, name: &str, now_ms: u64) -> Option<Usd> {
    let all = table.keys.values().flat_map(|key| &key.payer.budgets);
    let (_, budget) = all.into_iter().find(|(_, budget)| &*budget.name == name)?;
    Some(budget.standing(now_ms).spent)
}

/// Tells where each budget stands, what each account spent in buckets that begin from `from` and before `to`, and whether the book is
/// written.
///
/// # Errors
/// 400 for what cannot be asked; 503 while the book cannot be read.
pub(super) async fn status(shared: &Arc<Shared>, query: &str) -> Result<Answer, Reply> {
    let mut range = 0..u64::MAX;
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "from" => range.start = number("from", &value)?.div_ceil(BUCKET_MS),
            "to" => range.end = number("to", &value)?.div_ceil(BUCKET_MS),
            _ => return Err(Reply::error(400, "bad_request", "the parameters here are `from` and `to`")),
        }
    }
    let ledger = Arc::clone(&shared.ledger);
    // What other gateways did is looked at first.
    if tokio::task::spawn_blocking(move || ledger.look()).await.is_err() {
        tracing::error!("looking at what other gateways spent ended unexpectedly");
    }
    let accounts = with_report(shared, move |report| report.accounts(range)).await?;
    let now_ms = shared.clock.unix_ms();
    let budgets: Vec<Value> = budgets(&shared.live.load()).values().map(|budget| standing(budget, now_ms)).collect();
    Ok(Answer::json(200, &json!({"budgets": budgets, "accounts": told::accounts(&accounts), "book": book(shared)})))
}

fn standing(budget: &Budget, now_ms: u64) -> Value {
    let Standing { spent, held, others, ends_ms } = budget.standing(now_ms);
    let terms = &budget.terms;
    let left = terms.limit.minus(spent).minus(held).minus(others).max(Usd::ZERO);
    let mode = match terms.mode {
        BudgetMode::Strict => "strict",
        BudgetMode::Progressive => "progressive",
        BudgetMode::Soft => "soft",
    };
    let ends = ends_ms.and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()).map(|ends| ends.to_string());
    json!({
        "budget": budget.name, "account": budget.account.id, "mode": mode,
        "limit": terms.limit, "spent": spent, "held": held, "others": others, "left": left,
        "period": terms.period.to_string(), "timezone": terms.timezone, "ends": ends,
    })
}

fn book(shared: &Shared) -> Value {
    let counts = shared.book.counts();
    let failure = shared.book.failure().map(|Failure { kind, why }| json!({"kind": kind.word(), "why": why}));
    json!({"writes": failure.is_none(), "failure": failure, "waiting": counts.waiting, "late": counts.late, "lost": counts.lost})
}

/// Adds the whole book up again.
///
/// # Errors
/// 503 while it cannot be read.
pub(super) async fn audit(shared: &Arc<Shared>) -> Result<Answer, Reply> {
    let audit = with_report(shared, |report| report.audit()).await?;
    Ok(Answer::json(200, &told::audit(&audit)))
}

/// Brings what was spent in the running window of a budget, or of each budget on an account, to nothing, under the caller's name and reason.
///
/// # Errors
/// 400, 408, 413 for the body; 404 where no such budget is in the running spec; 503 while the book cannot be written.
pub(super) async fn reset(shared: &Arc<Shared>, body: RequestBody, caller: &Caller) -> Result<Answer, Reply> {
    let asked: ResetBody = read(body).await?;
    let Some(reason) = line(&asked.reason) else {
        return Err(Reply::error(400, "bad_request", "`reason` says why, in words"));
    };
    let named = |budget: &Budget| *budget.name == *asked.budget || *budget.account.id == *asked.budget;
    let found: Vec<Arc<Budget>> = budgets(&shared.live.load()).into_values().filter(|budget| named(budget)).collect();
    if found.is_empty() {
        let unknown = "no such budget limits a key of the running spec; `bifrostctl budget status` lists those that do";
        return Err(Reply::error(404, "no_such_budget", unknown));
    }
    let who = Who { now_ms: shared.clock.unix_ms(), actor: actor(asked.actor.as_deref(), caller).into(), reason: reason.as_str().into() };
    let cleared = clear(shared, found, who).await?;
    tracing::info!(budget = asked.budget, reason, actor = caller.name, %cleared, "a budget was set back");
    Ok(Answer::json(200, &json!({"budget": asked.budget, "cleared": cleared})))
}

/// Whoever sets a budget back, when and why.
struct Who {
    now_ms: u64,
    actor: Arc<str>,
    reason: Arc<str>,
}

/// Sets budgets back, away from the runtime; returns what was taken off in all.
async fn clear(shared: &Arc<Shared>, budgets: Vec<Arc<Budget>>, who: Who) -> Result<Usd, Reply> {
    let (ledger, book) = (Arc::clone(&shared.ledger), shared.book.clone());
    let random = getrandom::u64().map_err(|error| Reply::error(500, "internal", error.to_string()))?;
    let cleared = tokio::task::spawn_blocking(move || {
        let mut cleared = Usd::ZERO;
        for (budget, number) in budgets.iter().zip(0..) {
            let id = AttemptId::from_bits(u128::from(who.now_ms) << 80 | u128::from(random), number);
            ledger.correct(Adjustment {
                id,
                at_ms: who.now_ms,
                account: Arc::clone(&budget.account.id),
                change: Change::Clear { buckets: budget.buckets(who.now_ms) },
                actor: Arc::clone(&who.actor),
                reason: Arc::clone(&who.reason),
            })?;
            let report = book.report().map_err(|error| BookError::Read(error.to_string()))?;
            cleared = cleared.minus(report.adjusted(id)?);
        }
        Ok::<Usd, BookError>(cleared)
    });
    let unwritten = |why: String| Reply::error(503, "book_unwritable", why);
    cleared.await.map_err(|_| unwritten("setting it back ended unexpectedly".to_owned()))?.map_err(|error| unwritten(error.to_string()))
}
