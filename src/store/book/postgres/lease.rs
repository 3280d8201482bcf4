//! A node's right to admit: an epoch that no other node ever has, held for as long as the node says that it is alive.
//!
//! Rule: a node believes in its lease for less time than the others do, counted from before it asked; so it has stopped admitting when
//! they take over what it left open. Every batch that opens lines proves the lease again, in its own transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use postgres::{Client, Transaction};

use super::super::error::{Failure, FailureKind};
use super::super::line::{UsageSource, bucket_of};
use super::super::write::{OUTCOME_EXPIRED, Recovered, integer};
use super::rows::{Changes, settle};
use crate::base::{Clock, Usd};

/// What a node knows of its lease.
#[derive(Debug)]
pub(super) struct Lease {
    clock: Arc<dyn Clock>,
    /// How long the others believe in it.
    span: Duration,
    epoch: AtomicI64,
    /// Whether this node was ever granted anything, so that what it books may be taken off that.
    has_grants: AtomicBool,
    /// Until when the node itself does, on its monotonic clock.
    until_ms: AtomicU64,
}

impl Lease {
    pub(super) fn new(clock: Arc<dyn Clock>, span: Duration) -> Self {
        Self { clock, span, epoch: AtomicI64::new(0), has_grants: AtomicBool::new(false), until_ms: AtomicU64::new(0) }
    }

    /// Returns how long the others believe in it.
    pub(super) const fn span(&self) -> Duration {
        self.span
    }

    /// Returns how long the node may wait before it must speak again.
    pub(super) fn beat(&self) -> Duration {
        self.span / 3
    }

    pub(super) fn has_grants(&self) -> bool {
        self.has_grants.load(Ordering::Acquire)
    }

    /// Notes that it asks for its first grant.
    pub(super) fn will_be_granted(&self) {
        self.has_grants.store(true, Ordering::Release);
    }

    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Says that it ran out, where it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        let held = self.clock.monotonic_ms() < self.until_ms.load(Ordering::Acquire);
        (!held).then(|| lost("the shared store has not confirmed it in time"))
    }

    /// Renews it; where the others have taken over, begins a new one.
    ///
    /// # Errors
    /// What the database says; then it stays as it was, and runs out.
    pub(super) fn renew(&self, client: &mut Client, name: &str) -> Result<(), Failure> {
        let asked_ms = self.clock.monotonic_ms();
        let span = self.span.as_secs_f64();
        let renewed = client.execute(
            "UPDATE nodes SET expires = clock_timestamp() + make_interval(secs => $2) WHERE epoch = $1 AND gone IS NULL",
            &[&self.epoch(), &span],
        )?;
        if renewed == 0 {
            let begun = client.query_one(
                "INSERT INTO nodes (name, expires) VALUES ($1, clock_timestamp() + make_interval(secs => $2)) RETURNING epoch",
                &[&name, &span],
            )?;
            self.epoch.store(begun.get(0), Ordering::Release);
        }
        // A fifth less than the others, whose clocks may run a little faster.
        let believed = u64::try_from((self.span * 4 / 5).as_millis()).unwrap_or(0);
        self.until_ms.store(asked_ms.saturating_add(believed), Ordering::Release);
        Ok(())
    }
}

/// Proves in a transaction that an epoch is not over, and keeps the others from ending it until that commits.
///
/// # Errors
/// [`FailureKind::Lease`], or what the database says.
pub(super) fn prove(transaction: &mut Transaction<'_>, epoch: i64) -> Result<(), Failure> {
    let held = transaction.query_opt("SELECT 1 FROM nodes WHERE epoch = $1 AND gone IS NULL FOR SHARE", &[&epoch])?;
    held.map(|_| ()).ok_or_else(|| lost("the other nodes have taken over"))
}

pub(super) fn lost(why: &str) -> Failure {
    Failure { kind: FailureKind::Lease, why: why.to_owned() }
}

/// Ends the epochs whose lease ran out, and one's own where it is named: what they left open is charged its progress, else its floor.
///
/// # Errors
/// What the database says; then nothing has changed.
pub(super) fn take_over(client: &mut Client, own: Option<i64>, now_ms: u64) -> Result<Recovered, Failure> {
    let mut transaction = client.transaction()?;
    let over = transaction.query(
        "UPDATE nodes SET gone = clock_timestamp() WHERE epoch IN (
           SELECT epoch FROM nodes WHERE gone IS NULL AND (expires < clock_timestamp() OR epoch = $1) ORDER BY epoch FOR UPDATE SKIP LOCKED
         ) RETURNING epoch",
        &[&own],
    )?;
    if over.is_empty() {
        return Ok(Recovered::default());
    }
    let epochs: Vec<i64> = over.iter().map(|row| row.get(0)).collect();
    let (nothing, input) = (source(UsageSource::Nothing), source(UsageSource::Input));
    // A line without progress and with a floor was charged its input, of which nothing more is known.
    let ended = transaction.query(
        "WITH ended AS (DELETE FROM open WHERE epoch = ANY($1) RETURNING *)
         INSERT INTO lines SELECT id, admitted, greatest($2::bigint - admitted, 0), true, key, team, alias, provider, model, endpoint, accounts,
         coalesce(cost, floor), true, coalesce(source, CASE WHEN floor = 0 THEN $3::smallint ELSE $4::smallint END), NULL, NULL, $5::text, input, cache_read,
         cache_write, cache_write_1h, output, reasoning, input_audio, input_image, output_audio, other FROM ended ORDER BY id
         ON CONFLICT (id) DO NOTHING RETURNING accounts, admitted, cost",
        &[&epochs, &integer(now_ms), &nothing, &input, &OUTCOME_EXPIRED],
    )?;
    let mut changes = Changes::new();
    let mut recovered = Recovered::default();
    for row in &ended {
        let (accounts, admitted, cost): (Vec<String>, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let bucket = integer(bucket_of(admitted.unsigned_abs()));
        for account in accounts {
            changes.add(account, bucket, cost);
        }
        recovered.expired += 1;
        recovered.charged += Usd::from_nano(cost);
    }
    settle(&mut transaction, &changes)?;
    transaction.execute("DELETE FROM grants WHERE epoch = ANY($1)", &[&epochs])?;
    transaction.commit()?;
    Ok(recovered)
}

fn source(source: UsageSource) -> i16 {
    i16::try_from(source.code()).unwrap_or(i16::MAX)
}
