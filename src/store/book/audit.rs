//! Whether the balances are the sums of the lines.
//!
//! Rule: what is compared is read in one transaction, so that a book that is written meanwhile does not look wrong.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Transaction};

use super::error::BookError;
use super::line::BUCKET_MS;
use super::names::members;
use super::write::integer;
use crate::base::Usd;

/// Most differences that are told.
pub(super) const MOST_TOLD: usize = 1_000;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// Lines that were added up.
    pub lines: u64,
    /// Sums of older lines that were added up in their stead, by account and bucket.
    pub folded: u64,
    /// Attempts that run; they are in no balance.
    pub open: u64,
    /// Adjustments, one for each bucket that they touch.
    pub adjustments: u64,
    /// Balances that were compared.
    pub balances: u64,
    /// Those that are not what they should be: the first thousand.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub different: u64,
    /// What the database says of its own file; empty when it is well.
    pub damage: Vec<String>,
}

/// A balance that is not the sum of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The account.
    pub account: String,
    /// The bucket.
    pub bucket: u64,
    /// What its lines and adjustments come to.
    pub lines: Usd,
    /// What the balance says.
    pub balance: Usd,
}

impl Audit {
    /// Returns whether everything is as it should be.
    pub const fn is_clean(&self) -> bool {
        self.different == 0 && self.damage.is_empty()
    }
}

/// Sums by account and bucket.
type Sums = BTreeMap<(i64, i64), i128>;

/// Adds every line and adjustment up again, compares that with the balances, and lets the database check its file.
pub(super) fn audit(connection: &mut Connection) -> Result<Audit, BookError> {
    let mut audit = Audit::default();
    let transaction = connection.transaction()?;
    let mut sums = Sums::new();
    add_lines(&transaction, &mut sums, &mut audit)?;
    add_folded(&transaction, &mut sums, &mut audit)?;
    let mut read = transaction.prepare("SELECT account, bucket, amount FROM adjustments")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        audit.adjustments += 1;
        *sums.entry((row.get(0)?, row.get(1)?)).or_default() += i128::from(row.get::<_, i64>(2)?);
    }
    audit.open = transaction.query_row("SELECT count(*) FROM open", [], |row| row.get::<_, i64>(0))?.unsigned_abs();
    compare(&transaction, sums, &mut audit)?;
    let mut check = transaction.prepare("PRAGMA quick_check")?;
    let said: Vec<String> = check.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    audit.damage = said.into_iter().filter(|said| said != "ok").collect();
    Ok(audit)
}

fn add_lines(transaction: &Transaction<'_>, sums: &mut Sums, audit: &mut Audit) -> Result<(), BookError> {
    let mut sets: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut read = transaction.prepare("SELECT accounts, admitted, cost FROM lines")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        audit.lines += 1;
        let (set, admitted, cost): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let accounts = match sets.entry(set) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(accounts(transaction, set)?),
        };
        for account in accounts.iter() {
            *sums.entry((*account, admitted / integer(BUCKET_MS))).or_default() += i128::from(cost);
        }
    }
    Ok(())
}

fn add_folded(transaction: &Transaction<'_>, sums: &mut Sums, audit: &mut Audit) -> Result<(), BookError> {
    let mut read = transaction.prepare("SELECT account, bucket, nano FROM folded")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        audit.folded += 1;
        *sums.entry((row.get(0)?, row.get(1)?)).or_default() += i128::from(row.get::<_, i64>(2)?);
    }
    Ok(())
}

/// Returns the numbers of a set's accounts.
fn accounts(transaction: &Transaction<'_>, set: i64) -> Result<Vec<i64>, BookError> {
    let text: String = transaction.query_row("SELECT text FROM names WHERE id = ?1", [set], |row| row.get(0))?;
    let number = |account: &String| transaction.query_row("SELECT id FROM names WHERE text = ?1", [account], |row| row.get(0));
    Ok(members(&text).iter().map(number).collect::<Result<_, _>>()?)
}

fn compare(transaction: &Transaction<'_>, mut sums: Sums, audit: &mut Audit) -> Result<(), BookError> {
    let mut found = Vec::new();
    let mut read = transaction.prepare("SELECT account, bucket, nano FROM balances")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        audit.balances += 1;
        let place: (i64, i64) = (row.get(0)?, row.get(1)?);
        let (lines, balance) = (amount(sums.remove(&place).unwrap_or_default()), Usd::from_nano(row.get(2)?));
        if lines != balance {
            found.push((place, lines, balance));
        }
    }
    // What has lines but no balance.
    found.extend(sums.into_iter().filter(|(_, sum)| *sum != 0).map(|(place, sum)| (place, amount(sum), Usd::ZERO)));
    audit.different = u64::try_from(found.len()).unwrap_or(u64::MAX);
    for ((account, bucket), lines, balance) in found.into_iter().take(MOST_TOLD) {
        let account = transaction.query_row("SELECT text FROM names WHERE id = ?1", [account], |row| row.get(0))?;
        audit.differences.push(Difference { account, bucket: bucket.unsigned_abs(), lines, balance });
    }
    Ok(())
}

/// Balances saturate, so what they are compared with does.
fn amount(sum: i128) -> Usd {
    Usd::from_nano(i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX }))
}
