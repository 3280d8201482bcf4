//! Shares of a budget that nodes hold: what a node may spend without asking again.
//!
//! A grant is given where what was spent in a window and all grants on it, this one included, stay within the limit. Whatever a node books
//! on an account makes its grants on that account smaller in the same transaction, so the sum stays the same while money moves from a
//! grant to what was spent. A grant ends with its node's epoch.
//!
//! Rule: one account is granted from by one transaction at a time; what is read of it is read by one statement.

use std::ops::Range;
use std::sync::Arc;

use postgres::{Client, Transaction};

use super::super::error::Failure;
use super::super::write::integer;
use super::lease::prove;
use super::rows::{Changes, text};
use crate::base::Usd;

/// Into how many parts each node's share of what is left is cut: little is stranded with a node that then falls silent.
const PARTS: i128 = 8;

/// What a node wishes to spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Of which account.
    pub account: Arc<str>,
    /// In which window. The name tells windows of one account apart; one that moves keeps its name.
    pub window: Arc<str>,
    /// The buckets of the window now. One that moves has no end.
    pub buckets: Range<u64>,
    /// The limit.
    pub limit: Usd,
    /// The least that is of use.
    pub needed: Usd,
}

/// What a node was granted, and how things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// How much more it may spend: what it needs at least, or nothing.
    pub more: Usd,
    /// In which epoch; in another it is void.
    pub epoch: i64,
    /// What all nodes spent in the window, as far as it is booked.
    pub spent: Usd,
    /// What other nodes hold.
    pub others: Usd,
}

/// Gives a node more of a budget: what it needs at least, more where much is left, nothing where that does not fit.
///
/// # Errors
/// What the database says, or that the epoch is over; then nothing has changed.
pub(super) fn grant(client: &mut Client, epoch: i64, wish: &Wish) -> Result<Granted, Failure> {
    let mut transaction = client.transaction()?;
    prove(&mut transaction, epoch)?;
    let (account, window) = (text(&wish.account), text(&wish.window));
    transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || $1, 0))", &[&account])?;
    let (start, end) = (integer(wish.buckets.start), integer(wish.buckets.end));
    // The least of nothing and a number is the number, hence the zeros. What is booked meanwhile moves from a grant to what was spent in one step, so that neither sum can be older than the other.
    let row = transaction.query_one(
        "SELECT greatest(least((SELECT coalesce(sum(nano), 0) FROM balances WHERE account = $1 AND bucket >= $2 AND bucket < $3),
           9223372036854775807), -9223372036854775807)::bigint,
         least((SELECT coalesce(sum(greatest(amount, 0)), 0) FROM grants WHERE account = $1 AND span = $4 AND epoch <> $5), 9223372036854775807)::bigint,
         (SELECT greatest(amount, 0) FROM grants WHERE account = $1 AND span = $4 AND epoch = $5),
         (SELECT count(*) FROM nodes WHERE gone IS NULL)",
        &[&account, &start, &end, &window, &epoch],
    )?;
    let amount = |place: usize| row.try_get::<_, Option<i64>>(place).map(Option::unwrap_or_default);
    let (spent, others, own, nodes) = (amount(0)?, amount(1)?, amount(2)?, amount(3)?);
    let left = i128::from(wish.limit.nano()) - i128::from(spent) - i128::from(others) - i128::from(own);
    let needed = i128::from(wish.needed.nano().max(0));
    let share = left / (PARTS * i128::from(nodes.max(1)));
    let more = if needed > left { 0 } else { i64::try_from(share.max(needed)).unwrap_or(0) };
    if more > 0 {
        put(&mut transaction, epoch, (&account, &window, start, end), more)?;
    }
    transaction.commit()?;
    Ok(Granted { more: Usd::from_nano(more), epoch, spent: Usd::from_nano(spent), others: Usd::from_nano(others) })
}

fn put(on: &mut Transaction<'_>, epoch: i64, of: (&str, &str, i64, i64), more: i64) -> Result<(), Failure> {
    let (account, window, start, end) = of;
    on.execute(
        "INSERT INTO grants AS old (epoch, account, span, first, beyond, amount) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (account, span, epoch) DO UPDATE SET amount = old.amount + excluded.amount, first = excluded.first,
         beyond = excluded.beyond",
        &[&epoch, &account, &window, &start, &end, &more],
    )?;
    Ok(())
}

/// Takes back what a node no longer counts on. In an epoch that is over there is nothing to take.
///
/// # Errors
/// What the database says; where that is a lost connection, it may have been taken, which only makes less be granted.
pub(super) fn give_back(client: &mut Client, epoch: i64, wish: &Wish, amount: Usd) -> Result<(), Failure> {
    client.execute(
        "UPDATE grants SET amount = amount - $4 WHERE epoch = $1 AND account = $2 AND span = $3",
        &[&epoch, &text(&wish.account), &text(&wish.window), &amount.nano().max(0)],
    )?;
    Ok(())
}

/// Makes a node's grants smaller by what it books, in the windows that this counts in.
///
/// # Errors
/// What the database says.
pub(super) fn spend(on: &mut Transaction<'_>, epoch: i64, changes: &Changes) -> Result<(), postgres::Error> {
    if let Some(rows) = changes.rows() {
        on.execute(
            "UPDATE grants SET amount = greatest(grants.amount::numeric - spent.nano, -9223372036854775807)::bigint FROM (
               SELECT g.account, g.span, sum(b.nano) AS nano FROM jsonb_populate_recordset(NULL::balances, $2::text::jsonb) AS b
               JOIN grants AS g ON g.epoch = $1 AND g.account = b.account AND b.bucket >= g.first AND b.bucket < g.beyond
               GROUP BY g.account, g.span
             ) AS spent WHERE grants.epoch = $1 AND grants.account = spent.account AND grants.span = spent.span",
            &[&epoch, &rows],
        )?;
    }
    Ok(())
}
