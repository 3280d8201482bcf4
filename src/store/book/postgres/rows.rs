//! Rows as JSON: a whole batch is one parameter of one statement, so that it costs one round trip however many lines it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use postgres::Transaction;
use serde_json::{Map, Value, json};

use super::super::line::{AttemptId, Closing, Opening, Progress};
use super::super::names::{cut, distinct};
use super::super::write::{charge, counts, integer, rare};
use crate::wire::ir::Usage;

/// Columns of counts, in the order of [`counts`].
const COUNTS: [&str; 9] =
    ["input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio", "input_image", "output_audio"];

/// The row of an attempt that runs.
pub(super) fn opening(opening: &Opening, epoch: i64) -> Value {
    let mut row = asked(opening);
    row.insert("epoch".to_owned(), epoch.into());
    row.insert("floor".to_owned(), charge(opening.floor).into());
    row.insert("reserved".to_owned(), charge(opening.reserved).into());
    used(&mut row, &Usage::default());
    Value::Object(row)
}

/// How far an attempt has come, as the columns of its row.
pub(super) fn progress(id: &AttemptId, progress: &Progress) -> Value {
    let mut row = Map::new();
    row.insert("id".to_owned(), name(id));
    row.insert("cost".to_owned(), charge(progress.cost).into());
    row.insert("source".to_owned(), progress.source.code().into());
    used(&mut row, &progress.usage);
    Value::Object(row)
}

/// The row of an attempt that ended.
pub(super) fn closing(closing: &Closing) -> Value {
    let opening = &closing.opening;
    let mut row = asked(opening);
    let took = integer(closing.closed_ms.saturating_sub(opening.admitted_ms));
    for (column, value) in [
        ("took", json!(took)),
        ("expired", json!(false)),
        ("cost", json!(charge(closing.cost))),
        ("priced", json!(closing.priced)),
        ("source", json!(closing.source.code())),
        ("tier", json!(closing.tier.as_str())),
        ("status", json!(closing.status)),
        ("outcome", json!(closing.outcome)),
    ] {
        row.insert(column.to_owned(), value);
    }
    used(&mut row, &closing.usage);
    Value::Object(row)
}

fn asked(opening: &Opening) -> Map<String, Value> {
    let accounts: Vec<String> = distinct(&opening.accounts).into_iter().map(text).collect();
    let maybe = |name: &Option<Arc<str>>| name.as_ref().map_or(Value::Null, |name| text(cut(name)).into());
    let mut row = Map::new();
    for (column, value) in [
        ("id", name(&opening.id)),
        ("admitted", json!(integer(opening.admitted_ms))),
        ("key", maybe(&opening.key)),
        ("team", maybe(&opening.team)),
        ("alias", maybe(&opening.alias)),
        ("provider", json!(text(cut(&opening.provider)))),
        ("model", json!(text(cut(&opening.model)))),
        ("endpoint", json!(opening.endpoint)),
        ("accounts", json!(accounts)),
    ] {
        row.insert(column.to_owned(), value);
    }
    row
}

fn used(row: &mut Map<String, Value>, usage: &Usage) {
    for (column, count) in COUNTS.into_iter().zip(counts(usage)) {
        row.insert(column.to_owned(), count.into());
    }
    row.insert("other".to_owned(), rare(usage).into());
}

fn name(id: &AttemptId) -> Value {
    format!("\\x{}", hex::encode(id.as_bytes())).into()
}

/// Replaces what PostgreSQL keeps in no text. A client may name a model as it likes; one such name must not stop the book.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// What is to be added to balances, by account and bucket: in an order, so that nodes do not wait for each other in a circle.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(String, i64), i64>);

impl Changes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Returns those that change something, as rows of balances in their order; none where there are none.
    pub(super) fn rows(&self) -> Option<String> {
        let changes = self.0.iter().filter(|(_, change)| **change != 0);
        let rows: Vec<Value> =
            changes.map(|((account, bucket), nano)| json!({"account": account, "bucket": bucket, "nano": nano})).collect();
        (!rows.is_empty()).then(|| Value::Array(rows).to_string())
    }

    pub(super) fn add(&mut self, account: String, bucket: i64, amount: i64) {
        let change = self.0.entry((account, bucket)).or_default();
        *change = change.saturating_add(amount);
    }
}

/// Adds changes to the balances.
///
/// # Errors
/// What the database says.
pub(super) fn settle(transaction: &mut Transaction<'_>, changes: &Changes) -> Result<(), postgres::Error> {
    let Some(rows) = changes.rows() else { return Ok(()) };
    // A sum that is too large stays at the largest; an error would stop the book for good.
    transaction.execute(
        "INSERT INTO balances SELECT * FROM jsonb_populate_recordset(NULL::balances, $1::text::jsonb) ORDER BY account, bucket
         ON CONFLICT (account, bucket) DO UPDATE SET nano =
         greatest(least(balances.nano::numeric + excluded.nano, 9223372036854775807), -9223372036854775807)::bigint",
        &[&rows],
    )?;
    Ok(())
}
