//! Answers of the book as JSON: one form for the admin API and for commands that read the file themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::audit::{Audit, Difference};
use super::line::BUCKET_MS;
use super::report::{AccountTotals, Group, Question, Totals};
use crate::base::Usd;

#[derive(Serialize)]
struct Row<'a> {
    group: BTreeMap<&'static str, &'a Option<String>>,
    #[serde(flatten)]
    totals: Sums,
}

/// [`Totals`] with the cost both as an amount and as a number.
#[derive(Serialize)]
struct Sums {
    attempts: u64,
    cost: Usd,
    cost_nano_usd: i64,
    input_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    unpriced: u64,
    estimated: u64,
    expired: u64,
}

impl From<&Totals> for Sums {
    fn from(totals: &Totals) -> Self {
        let Totals { attempts, cost, unpriced, expired, estimated, input, cache_read, cache_write, output, reasoning } = *totals;
        Self {
            attempts,
            cost,
            cost_nano_usd: cost.nano(),
            input_tokens: input,
            cache_read_tokens: cache_read,
            cache_write_tokens: cache_write,
            output_tokens: output,
            reasoning_tokens: reasoning,
            unpriced,
            estimated,
            expired,
        }
    }
}

/// Tells what was spent: `{from_ms, to_ms, timezone, by, rows: [{group, …totals}], total}`.
pub fn spend(question: &Question, groups: &[Group]) -> Value {
    let mut total = Totals::default();
    let mut rows = Vec::with_capacity(groups.len());
    for group in groups {
        total.merge(&group.totals);
        let names = question.by.iter().map(|dimension| dimension.word());
        rows.push(Row { group: names.zip(&group.values).collect(), totals: Sums::from(&group.totals) });
    }
    let by: Vec<&str> = question.by.iter().map(|dimension| dimension.word()).collect();
    let to_ms = (question.admitted_ms.end < u64::MAX).then_some(question.admitted_ms.end);
    json!({
        "from_ms": question.admitted_ms.start,
        "to_ms": to_ms,
        "timezone": question.zone.iana_name().unwrap_or("UTC"),
        "by": by,
        "rows": rows,
        "total": Sums::from(&total),
    })
}

/// Tells what each account spent: `[{account, spent, adjusted}]`.
pub fn accounts(accounts: &[AccountTotals]) -> Value {
    let told = accounts.iter().map(|totals| json!({"account": totals.account, "spent": totals.spent, "adjusted": totals.adjusted}));
    told.collect()
}

/// Tells what an audit found.
pub fn audit(audit: &Audit) -> Value {
    let Audit { lines, folded, open, adjustments, balances, differences, different, damage } = audit;
    let differences = differences.iter().map(|Difference { account, bucket, lines, balance }| {
        let from = i64::try_from(bucket.saturating_mul(BUCKET_MS)).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let from = from.unwrap_or_default().to_string();
        json!({"account": account, "from": from, "lines": lines, "balance": balance, "difference": balance.minus(*lines)})
    });
    let differences: Vec<Value> = differences.collect();
    json!({"lines": lines, "folded": folded, "open": open, "adjustments": adjustments, "balances": balances, "different": different,
        "differences": differences, "damage": damage})
}
