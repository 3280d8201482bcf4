//! Accounts: what each spent, whether the book adds up, and how a person sets one back.

use std::sync::Arc;

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
use crate::server::RequestBody;
use crate::store::book::{Adjustment, AttemptId, BUCKET_MS, Change, Failure, bucket_of, told};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    account: String,
    reason: String,
    actor: Option<String>,
    from_ms: Option<u64>,
}

/// Tells what each account spent, in buckets that begin from `from` and before `to`, and whether the book is written.
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
    let accounts = with_report(shared, move |report| report.accounts(range)).await?;
    Ok(Answer::json(200, &json!({"accounts": told::accounts(&accounts), "book": book(shared)})))
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

/// Sets an account back: what it spent since `from_ms`, or ever, becomes nothing, under the caller's name and reason.
///
/// # Errors
/// 400, 408, 413 for the body; 404 for an account on which nothing was ever booked; 503 while the book cannot be written.
pub(super) async fn reset(shared: &Arc<Shared>, body: RequestBody, caller: &Caller) -> Result<Answer, Reply> {
    let asked: ResetBody = read(body).await?;
    let Some(reason) = line(&asked.reason) else {
        return Err(Reply::error(400, "bad_request", "`reason` says why, in words"));
    };
    let now_ms = shared.clock.unix_ms();
    let buckets = bucket_of(asked.from_ms.unwrap_or(0))..bucket_of(now_ms).saturating_add(1);
    is_known(shared, &asked.account).await?;
    let request = getrandom::u64().map_err(|error| Reply::error(500, "internal", error.to_string()))?;
    let id = AttemptId::from_bits(u128::from(now_ms) << 80 | u128::from(request), 0);
    let adjustment = Adjustment {
        id,
        at_ms: now_ms,
        account: asked.account.as_str().into(),
        change: Change::Clear { buckets },
        actor: actor(asked.actor.as_deref(), caller).into(),
        reason: reason.as_str().into(),
    };
    let ledger = Arc::clone(&shared.ledger);
    let corrected = tokio::task::spawn_blocking(move || ledger.correct(adjustment)).await;
    let corrected = corrected.map_err(|_| Reply::error(500, "internal", "the correction ended unexpectedly"))?;
    corrected.map_err(|error| Reply::error(503, "book_unwritable", error.to_string()))?;
    let cleared = with_report(shared, move |report| report.adjusted(id)).await?;
    let cleared = Usd::ZERO.minus(cleared);
    tracing::info!(account = asked.account, reason, actor = caller.name, "an account was set back");
    Ok(Answer::json(200, &json!({"account": asked.account, "cleared": cleared})))
}

/// Checks that something was booked on an account.
///
/// # Errors
/// 404; 503 while the book cannot be read.
async fn is_known(shared: &Arc<Shared>, account: &str) -> Result<(), Reply> {
    let wanted = account.to_owned();
    if with_report(shared, move |report| report.knows(&wanted)).await? {
        return Ok(());
    }
    let unknown = "nothing was ever booked on that account; `bifrostctl budget status` lists those that there are";
    Err(Reply::error(404, "no_such_account", unknown))
}
