//! Shares of a budget that nodes hold: what a node may spend without asking again.
//!
//! A grant is given where what was spent in a window and all grants on it, this one included, stay within the limit. Whatever a node books
//! on an account makes its grants on that account smaller in the same transaction, so the sum stays the same while money moves from a
//! grant to what was spent. A grant ends with its node's epoch.
//!
//! Rule: one account is granted from by one transaction at a time; what is read of it is read by one statement.

use std::sync::Arc;

use postgres::{Client, Row, Transaction};
use serde_json::{Value, json};

use super::super::error::Failure;
use super::super::share::{AccountWindow, Granted, Seen, Shortage, Wish};
use super::super::write::integer;
use super::lease::prove;
use super::rows::{Changes, text};
use crate::base::Usd;

/// Into how many parts each node's share of what is left is cut: little is stranded with a node that then falls silent.
const PARTS: i128 = 8;

/// How windows stand, by their place in a list. What is booked meanwhile moves from a grant to what was spent in one step, so that neither
/// sum can be older than the other. The least of nothing and a number is the number, hence the zeros.
const STANDING: &str = "
  SELECT greatest(least((SELECT coalesce(sum(nano), 0) FROM balances WHERE account = w.account AND bucket >= w.start AND bucket < w.beyond),
    9223372036854775807), -9223372036854775807)::bigint,
  least((SELECT coalesce(sum(greatest(amount, 0)), 0) FROM grants WHERE account = w.account AND span = w.span AND epoch <> $2),
    9223372036854775807)::bigint,
  (SELECT amount FROM grants WHERE account = w.account AND span = w.span AND epoch = $2),
  (SELECT short FROM grants WHERE account = w.account AND span = w.span AND epoch = $2),
  (SELECT count(*) FROM nodes WHERE gone IS NULL)
  FROM jsonb_to_recordset($1::text::jsonb) AS w (place integer, account text, span text, start bigint, beyond bigint) ORDER BY place";

/// Gives a node more of a budget: what it needs at least, more where much is left, nothing where that does not fit.
///
/// # Errors
/// What the database says, or that the epoch is over; then nothing has changed.
pub(super) fn grant(client: &mut Client, epoch: i64, wish: &Wish) -> Result<Granted, Failure> {
    let mut transaction = client.transaction()?;
    prove(&mut transaction, epoch)?;
    let account = text(&wish.of.account);
    transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || $1, 0))", &[&account])?;
    let row = transaction.query_one(STANDING, &[&asked(std::slice::from_ref(&wish.of)), &epoch])?;
    let seen = seen(&row, epoch)?;
    let (was_short, nodes): (Option<i64>, i64) = (row.try_get(3)?, row.try_get(4)?);
    // What was booked beyond the grant is in what was spent.
    let own = seen.own.map_or(0, |own| own.nano().max(0));
    let left = i128::from(wish.limit.nano()) - i128::from(seen.spent.nano()) - i128::from(seen.others.nano()) - i128::from(own);
    let needed = i128::from(wish.needed.nano().max(0));
    let share = left / (PARTS * i128::from(nodes.max(1)));
    let more = if needed > left { 0 } else { share.max(wish.wanted.nano().into()).min(left).max(needed) };
    let more = i64::try_from(more.max(0)).unwrap_or(0);
    // Where the others hold nothing, nobody can help.
    let is_short = wish.waits && needed > left && seen.others > Usd::ZERO;
    if more > 0 || is_short || was_short != Some(0) {
        put(&mut transaction, epoch, &wish.of, (more, i64::from(is_short)))?;
    }
    transaction.commit()?;
    let own = Usd::from_nano(own.saturating_add(more));
    Ok(Granted { more: Usd::from_nano(more), seen: Seen { own: Some(own), ..seen } })
}

fn put(on: &mut Transaction<'_>, epoch: i64, of: &AccountWindow, (more, short): (i64, i64)) -> Result<(), Failure> {
    // A window that moves pays for what has left it when it ends, too: that was granted for it.
    let start = if of.buckets.end == u64::MAX { 0 } else { integer(of.buckets.start) };
    on.execute(
        "INSERT INTO grants AS old (epoch, account, span, first, beyond, amount, short, asked)
         VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
         ON CONFLICT (account, span, epoch) DO UPDATE SET amount = greatest(old.amount, 0) + excluded.amount, first = excluded.first,
         beyond = excluded.beyond, short = excluded.short, asked = excluded.asked",
        &[&epoch, &text(&of.account), &text(&of.window), &start, &integer(of.buckets.end), &more, &short],
    )?;
    Ok(())
}

/// Tells how windows stand, in their order.
///
/// # Errors
/// What the database says.
pub(super) fn look(client: &mut Client, epoch: i64, windows: &[AccountWindow]) -> Result<Vec<Seen>, Failure> {
    let rows = client.query(STANDING, &[&asked(windows), &epoch])?;
    rows.iter().map(|row| seen(row, epoch)).collect()
}

fn asked(windows: &[AccountWindow]) -> String {
    let rows = windows.iter().enumerate().map(|(place, of)| {
        let (start, beyond) = (integer(of.buckets.start), integer(of.buckets.end));
        json!({"place": place, "account": text(&of.account), "span": text(&of.window), "start": start, "beyond": beyond})
    });
    Value::from_iter(rows).to_string()
}

fn seen(row: &Row, epoch: i64) -> Result<Seen, Failure> {
    let amount = |place: usize| row.try_get::<_, Option<i64>>(place).map(|nano| nano.map(Usd::from_nano));
    Ok(Seen { epoch, spent: amount(0)?.unwrap_or_default(), others: amount(1)?.unwrap_or_default(), own: amount(2)? })
}

/// Takes back what a node no longer counts on. In an epoch that is over there is nothing to take.
///
/// # Errors
/// What the database says; where that is a lost connection, it may have been taken, which only makes less be granted.
pub(super) fn give_back(client: &mut Client, epoch: i64, of: &AccountWindow, amount: Usd) -> Result<(), Failure> {
    client.execute(
        "UPDATE grants SET amount = amount - $4 WHERE epoch = $1 AND account = $2 AND span = $3",
        &[&epoch, &text(&of.account), &text(&of.window), &amount.nano().max(0)],
    )?;
    Ok(())
}

/// Returns the windows of which other nodes were refused something within the last second.
///
/// # Errors
/// What the database says.
pub(super) fn short(client: &mut Client, epoch: i64) -> Result<Vec<Shortage>, Failure> {
    let rows = client.query(
        "SELECT DISTINCT account, span FROM grants WHERE short > 0 AND epoch <> $1 AND asked > clock_timestamp() - interval '1 second'",
        &[&epoch],
    )?;
    Ok(rows.iter().map(|row| Shortage { account: Arc::from(row.get::<_, &str>(0)), window: Arc::from(row.get::<_, &str>(1)) }).collect())
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

/// Forgets grants of windows that are over for every clock, and wishes that nobody has any more.
///
/// # Errors
/// What the database says.
pub(super) fn tidy(client: &mut Client, before: u64) -> Result<(), Failure> {
    client.execute("DELETE FROM grants WHERE beyond < $1", &[&integer(before)])?;
    client.execute("UPDATE grants SET short = 0 WHERE short > 0 AND asked < clock_timestamp() - interval '1 minute'", &[])?;
    Ok(())
}

/// Notes that a share of a limit was reached; true for the first who says so.
///
/// # Errors
/// What the database says.
pub(super) fn claim(client: &mut Client, account: &str, window: &str, percent: i32) -> Result<bool, Failure> {
    let (account, window) = (text(account), text(window));
    let claimed = client.execute(
        "INSERT INTO alerts (account, span, percent) SELECT $1, $2, $3
         WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE account = $1 AND span = $2 AND percent > $3) ON CONFLICT DO NOTHING",
        &[&account, &window, &percent],
    )?;
    Ok(claimed > 0)
}

/// Forgets the shares above one.
///
/// # Errors
/// What the database says.
pub(super) fn unclaim(client: &mut Client, account: &str, window: &str, above: i32) -> Result<(), Failure> {
    client.execute("DELETE FROM alerts WHERE account = $1 AND span = $2 AND percent > $3", &[&text(account), &text(window), &above])?;
    Ok(())
}
