//! Forgetting old lines: what they came to stays, by account and bucket, so that balances are the sums of lines for ever.
//!
//! Rule: a line goes in the same transaction in which its charge is added to what was folded, some at a time, so that whoever waits for
//! the disk waits no longer for it than for a few requests more.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{OptionalExtension, Transaction};

use super::line::BUCKET_MS;
use super::names::{Names, members};
use super::write::integer;

/// Most lines that are folded in one transaction: some milliseconds.
pub(super) const AT_ONCE: u64 = 128;

/// Which lines are forgotten, and how many were.
#[derive(Debug)]
pub(super) struct Forgetting {
    before_ms: u64,
    folded: AtomicU64,
}

impl Forgetting {
    pub(super) const fn before(unix_ms: u64) -> Self {
        Self { before_ms: unix_ms, folded: AtomicU64::new(0) }
    }

    /// Returns how many lines were folded; known once it is on the disk.
    pub(super) fn folded(&self) -> u64 {
        self.folded.load(Ordering::Relaxed)
    }

    /// Returns the time before which lines are forgotten, in Unix milliseconds.
    #[cfg(feature = "postgres")]
    pub(super) const fn before_ms(&self) -> u64 {
        self.before_ms
    }

    /// Notes how many lines were folded.
    pub(super) fn note(&self, lines: u64) {
        self.folded.store(lines, Ordering::Relaxed);
    }

    /// Folds some of the oldest lines of the embedded book.
    pub(super) fn run(&self, on: &Transaction<'_>, names: &mut Names) -> rusqlite::Result<()> {
        let lines = oldest(on, self.before_ms)?;
        let mut sets: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut sums: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (id, set, admitted, cost) in &lines {
            let accounts = match sets.entry(*set) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(accounts(on, names, *set)?),
            };
            for account in accounts.iter() {
                let sum = sums.entry((*account, admitted / integer(BUCKET_MS))).or_default();
                *sum = sum.saturating_add(*cost);
            }
            on.prepare_cached("DELETE FROM lines WHERE id = ?1")?.execute([id])?;
        }
        for ((account, bucket), sum) in sums {
            let mut find = on.prepare_cached("SELECT nano FROM folded WHERE account = ?1 AND bucket = ?2")?;
            let before: i64 = find.query_row([account, bucket], |row| row.get(0)).optional()?.unwrap_or_default();
            // Added here and not by the database, which would turn a sum that is too large into a float.
            let mut put = on.prepare_cached("INSERT OR REPLACE INTO folded (account, bucket, nano) VALUES (?1, ?2, ?3)")?;
            put.execute([account, bucket, before.saturating_add(sum)])?;
        }
        self.note(lines.len() as u64);
        Ok(())
    }
}

/// A line's id, its set of accounts, when it was admitted, and its cost.
type Line = (Vec<u8>, i64, i64, i64);

fn oldest(on: &Transaction<'_>, before_ms: u64) -> rusqlite::Result<Vec<Line>> {
    let mut find = on.prepare_cached("SELECT id, accounts, admitted, cost FROM lines WHERE admitted < ?1 ORDER BY admitted LIMIT ?2")?;
    let rows = find.query_map([integer(before_ms), integer(AT_ONCE)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.collect()
}

/// Returns the numbers of a set's accounts.
fn accounts(on: &Transaction<'_>, names: &mut Names, set: i64) -> rusqlite::Result<Vec<i64>> {
    let text: String = on.prepare_cached("SELECT text FROM names WHERE id = ?1")?.query_row([set], |row| row.get(0))?;
    members(&text).iter().map(|account| names.whole(on, account)).collect()
}
