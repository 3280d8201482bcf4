//! One batch as one transaction on the shared store.
//!
//! Rules: as those of the embedded book; and lines are opened only in the epoch that the node held when it was last refused, so that
//! nothing is sent on the strength of a lease that is over.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use postgres::error::SqlState;
use postgres::{Client, Transaction};
use serde_json::Value;

use super::super::error::Failure;
use super::super::forget::AT_ONCE;
use super::super::line::{Adjustment, AttemptId, BUCKET_MS, Change, Closing, bucket_of};
use super::super::names::distinct;
use super::super::queue::Operation;
use super::super::write::{Ahead, Tally, integer};
use super::grant;
use super::lease::{Lease, lost, prove};
use super::rows::{self, Changes, settle, text};
use super::schema::Place;

/// How often a batch that collided with another node's is tried at once.
const COLLISIONS: u32 = 5;

/// Writes batches.
pub(in super::super) struct Writer {
    place: Arc<Place>,
    lease: Arc<Lease>,
    /// None after an error, until the next batch.
    client: Option<Client>,
    /// The epoch in which lines are opened.
    epoch: i64,
    /// Whether the others took over what this node ran, which it may yet end.
    was_taken_over: bool,
    /// Openings whose batch failed. They were refused, and must not stand if the commit came through after all.
    doubtful: Vec<AttemptId>,
}

/// Why a batch was not written.
enum Stopped {
    Collided(Failure),
    Failed(Failure),
}

impl From<postgres::Error> for Stopped {
    fn from(error: postgres::Error) -> Self {
        let collided =
            error.code().is_some_and(|code| *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE);
        let failure = Failure::from(&error);
        if collided { Self::Collided(failure) } else { Self::Failed(failure) }
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Writer {
    pub(super) fn new(place: Arc<Place>, lease: Arc<Lease>, client: Client) -> Self {
        let epoch = lease.epoch();
        Self { place, lease, client: Some(client), epoch, was_taken_over: false, doubtful: Vec::new() }
    }

    /// Writes all of them, or none. A probe writes something even where there is nothing to write.
    ///
    /// # Errors
    /// [`Failure`]; then nothing is written, or, where the connection was lost at the end, it is not known, and writing it again is safe.
    pub(in super::super) fn write<'q>(
        &mut self,
        batch: impl Iterator<Item = &'q Operation> + Clone,
        is_probe: bool,
    ) -> Result<Tally, Failure> {
        let epoch = self.lease.epoch();
        let changed = std::mem::replace(&mut self.epoch, epoch) != epoch;
        self.was_taken_over |= changed;
        let mut written = Err(Stopped::Failed(lost("the other nodes have taken over; a new one has begun")));
        if !changed {
            for _ in 0..COLLISIONS {
                written = self.try_write(batch.clone(), is_probe);
                if !matches!(written, Err(Stopped::Collided(_))) {
                    break;
                }
            }
        }
        match written {
            Ok(tally) => {
                self.doubtful.clear();
                Ok(tally)
            }
            Err(Stopped::Failed(failure) | Stopped::Collided(failure)) => {
                self.client = None;
                self.doubtful.extend(batch.filter_map(|operation| match operation {
                    Operation::Open(opening) => Some(opening.id),
                    Operation::Progress(..)
                    | Operation::Close(_)
                    | Operation::Adjust(_)
                    | Operation::Forget(_)
                    | Operation::Expire(_)
                    | Operation::Flush => None,
                }));
                Err(failure)
            }
        }
    }

    fn try_write<'q>(&mut self, batch: impl Iterator<Item = &'q Operation> + Clone, is_probe: bool) -> Result<Tally, Stopped> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(self.place.connect()?),
        };
        let ahead = Ahead::look(batch.clone());
        let mut page = Page {
            on: client.transaction()?,
            tally: Tally::default(),
            changes: Changes::new(),
            epoch: self.epoch,
            has_grants: self.lease.has_grants(),
            was_taken_over: self.was_taken_over,
            closings: Vec::new(),
        };
        if is_probe {
            page.on.execute("UPDATE nodes SET name = name WHERE epoch = $1", &[&self.epoch])?;
        }
        page.disown(&self.doubtful)?;
        // What is said of a line before it is opened is nothing new to one that is open already, and nothing at all to others.
        let (mut before, mut openings, mut after) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (place, operation) in batch.enumerate() {
            match operation {
                // What ends in this batch was never open for anybody.
                Operation::Open(opening) if ahead.closed.contains(&opening.id) => {}
                Operation::Open(opening) => drop(openings.entry(opening.id).or_insert_with(|| rows::opening(opening, self.epoch))),
                Operation::Progress(id, _) if ahead.closed.contains(id) || ahead.last_progress.get(id) != Some(&place) => {}
                Operation::Progress(id, come) if openings.contains_key(id) => after.push(rows::progress(id, come)),
                Operation::Progress(id, come) => before.push(rows::progress(id, come)),
                Operation::Close(closing) => page.closings.push(closing),
                Operation::Adjust(adjustment) => {
                    // What this batch charged before belongs to what is cleared.
                    page.close()?;
                    page.adjust(adjustment)?;
                }
                Operation::Forget(forgetting) => forgetting.note(page.fold(forgetting.before_ms())?),
                // A lease says whose lines have nobody any more.
                Operation::Expire(_) | Operation::Flush => {}
            }
        }
        page.progress(before)?;
        if !openings.is_empty() {
            prove(&mut page.on, self.epoch)?;
            page.open(openings.into_values().collect())?;
        }
        page.progress(after)?;
        page.close()?;
        let Page { on, tally, .. } = page;
        on.commit()?;
        Ok(tally)
    }
}

/// A transaction that is being written.
struct Page<'t, 'q> {
    on: Transaction<'t>,
    tally: Tally,
    changes: Changes,
    /// The epoch of this node, whose grants pay.
    epoch: i64,
    has_grants: bool,
    was_taken_over: bool,
    /// What is to be closed next.
    closings: Vec<&'q Closing>,
}

impl Page<'_, '_> {
    fn disown(&mut self, doubtful: &[AttemptId]) -> Result<(), Stopped> {
        if !doubtful.is_empty() {
            let ids: Vec<&[u8]> = doubtful.iter().map(AttemptId::as_bytes).collect();
            self.on.execute("DELETE FROM open WHERE id = ANY($1)", &[&ids])?;
        }
        Ok(())
    }

    /// Folds some of the oldest lines, those that no other node is folding, and returns how many.
    fn fold(&mut self, before_ms: u64) -> Result<u64, Stopped> {
        let folded = self.on.query_one(
            "WITH old AS (SELECT id FROM lines WHERE admitted < $1 ORDER BY admitted LIMIT $2 FOR UPDATE SKIP LOCKED),
             gone AS (DELETE FROM lines USING old WHERE lines.id = old.id RETURNING accounts, admitted, cost),
             sums AS (
               SELECT account, admitted / $3 AS bucket, sum(cost) AS nano FROM gone, unnest(accounts) AS account GROUP BY account, bucket
             ),
             kept AS (
               INSERT INTO folded SELECT account, bucket, least(nano, 9223372036854775807)::bigint FROM sums ORDER BY account, bucket
               ON CONFLICT (account, bucket) DO UPDATE
               SET nano = least(folded.nano::numeric + excluded.nano, 9223372036854775807)::bigint
             )
             SELECT count(*) FROM gone",
            &[&integer(before_ms), &integer(AT_ONCE), &integer(BUCKET_MS)],
        )?;
        Ok(folded.get::<_, i64>(0).unsigned_abs())
    }

    fn open(&mut self, openings: Vec<Value>) -> Result<(), Stopped> {
        self.on.execute(
            "INSERT INTO open SELECT new.* FROM jsonb_populate_recordset(NULL::open, $1::text::jsonb) AS new
             WHERE NOT EXISTS (SELECT 1 FROM lines WHERE lines.id = new.id) ORDER BY new.id ON CONFLICT (id) DO NOTHING",
            &[&Value::Array(openings).to_string()],
        )?;
        Ok(())
    }

    fn progress(&mut self, progress: Vec<Value>) -> Result<(), Stopped> {
        if !progress.is_empty() {
            self.on.execute(
                "UPDATE open SET cost = new.cost, source = new.source, input = new.input, cache_read = new.cache_read,
                 cache_write = new.cache_write, cache_write_1h = new.cache_write_1h, output = new.output, reasoning = new.reasoning,
                 input_audio = new.input_audio, input_image = new.input_image, output_audio = new.output_audio, other = new.other
                 FROM jsonb_populate_recordset(NULL::open, $1::text::jsonb) AS new WHERE open.id = new.id",
                &[&Value::Array(progress).to_string()],
            )?;
        }
        Ok(())
    }

    /// Ends the lines that wait for it, and charges those that were not ended before.
    fn close(&mut self) -> Result<(), Stopped> {
        let closings = std::mem::take(&mut self.closings);
        if closings.is_empty() {
            return Ok(());
        }
        // The first closing of an attempt is the one that counts.
        let mut seen = HashSet::new();
        let (closings, again): (Vec<&Closing>, Vec<&Closing>) = closings.into_iter().partition(|closing| seen.insert(closing.opening.id));
        let rows = Value::Array(closings.iter().map(|closing| rows::closing(closing)).collect()).to_string();
        let written = self.on.query(
            "INSERT INTO lines SELECT * FROM jsonb_populate_recordset(NULL::lines, $1::text::jsonb) ORDER BY id
             ON CONFLICT (id) DO NOTHING RETURNING id",
            &[&rows],
        )?;
        let written: HashSet<&[u8]> = written.iter().map(|row| row.get(0)).collect();
        let (new, old): (Vec<_>, Vec<_>) = closings.into_iter().partition(|closing| written.contains(closing.opening.id.as_bytes()));
        let ids: Vec<&[u8]> = new.iter().map(|closing| closing.opening.id.as_bytes()).collect();
        self.on.execute("DELETE FROM open WHERE id = ANY($1)", &[&ids])?;
        let mut paid = Changes::new();
        for closing in new {
            self.tally.lines += 1;
            charge(&mut self.changes, closing, closing.cost.nano().max(0));
            charge(&mut paid, closing, closing.cost.nano().max(0));
        }
        self.end_late(&old, &again, &mut paid)?;
        if self.has_grants {
            grant::spend(&mut self.on, self.epoch, &paid)?;
        }
        Ok(settle(&mut self.on, &std::mem::take(&mut self.changes))?)
    }

    /// Counts the closings whose lines had expired. Where this very node ran them, it knows better than those who took them over: what it
    /// says replaces what they charged.
    fn end_late(&mut self, old: &[&Closing], again: &[&Closing], paid: &mut Changes) -> Result<(), Stopped> {
        if old.is_empty() && again.is_empty() {
            return Ok(());
        }
        let ids: Vec<&[u8]> = old.iter().chain(again).map(|closing| closing.opening.id.as_bytes()).collect();
        let found = self.on.query("SELECT id, cost FROM lines WHERE id = ANY($1) AND expired ORDER BY id FOR UPDATE", &[&ids])?;
        let charged: HashMap<&[u8], i64> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
        // As often as they are closed, not once a line.
        self.tally.late += u64::try_from(ids.iter().filter(|id| charged.contains_key(*id)).count()).unwrap_or(0);
        if !self.was_taken_over || charged.is_empty() {
            return Ok(());
        }
        let late: Vec<&&Closing> = old.iter().filter(|closing| charged.contains_key(closing.opening.id.as_bytes())).collect();
        let lines = Value::Array(late.iter().map(|closing| rows::closing(closing)).collect()).to_string();
        self.on.execute("DELETE FROM lines WHERE id = ANY($1) AND expired", &[&ids])?;
        self.on.execute("INSERT INTO lines SELECT * FROM jsonb_populate_recordset(NULL::lines, $1::text::jsonb) ORDER BY id", &[&lines])?;
        for closing in late {
            let before = charged.get(closing.opening.id.as_bytes()).copied().unwrap_or(0);
            let cost = closing.cost.nano().max(0);
            charge(&mut self.changes, closing, cost.saturating_sub(before));
            charge(paid, closing, cost);
        }
        Ok(())
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> Result<(), Stopped> {
        let id = adjustment.id;
        if self.on.query_opt("SELECT 1 FROM adjustments WHERE id = $1 LIMIT 1", &[&id.as_bytes()])?.is_some() {
            return Ok(());
        }
        let account = text(&adjustment.account);
        let parts = match &adjustment.change {
            Change::Add { bucket, amount } => vec![(integer(*bucket), amount.nano())],
            Change::Clear { buckets } => self.clearing(&account, buckets)?,
            Change::Take { from } => {
                let from = text(from);
                let taken = self.clearing(&from, &(0..u64::MAX))?;
                self.correct(adjustment, id.counterpart(), &from, &taken)?;
                taken.into_iter().map(|(bucket, amount)| (bucket, amount.saturating_neg())).collect()
            }
        };
        self.correct(adjustment, id, &account, &parts)?;
        Ok(settle(&mut self.on, &std::mem::take(&mut self.changes))?)
    }

    /// Writes corrections of an account, by bucket.
    fn correct(&mut self, of: &Adjustment, id: AttemptId, account: &str, parts: &[(i64, i64)]) -> Result<(), Stopped> {
        for (bucket, amount) in parts {
            self.on.execute(
                "INSERT INTO adjustments (id, bucket, account, amount, at, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[&id.as_bytes(), bucket, &account, amount, &integer(of.at_ms), &text(&of.actor), &text(&of.reason)],
            )?;
            self.changes.add(account.to_owned(), *bucket, *amount);
        }
        Ok(())
    }

    /// Returns what brings each bucket to zero; never nothing, so that the act itself is on record.
    fn clearing(&mut self, account: &str, buckets: &Range<u64>) -> Result<Vec<(i64, i64)>, Stopped> {
        let found = self.on.query(
            "SELECT bucket, nano FROM balances WHERE account = $1 AND bucket >= $2 AND bucket < $3 AND nano <> 0 ORDER BY bucket FOR UPDATE",
            &[&account, &integer(buckets.start), &integer(buckets.end)],
        )?;
        let mut parts: Vec<(i64, i64)> = found.iter().map(|row| (row.get(0), row.get::<_, i64>(1).saturating_neg())).collect();
        if parts.is_empty() {
            parts.push((integer(buckets.end.saturating_sub(1)), 0));
        }
        Ok(parts)
    }
}

/// Adds an amount to each account that pays for an attempt.
fn charge(changes: &mut Changes, closing: &Closing, amount: i64) {
    let bucket = integer(bucket_of(closing.opening.admitted_ms));
    for account in distinct(&closing.opening.accounts) {
        changes.add(text(account), bucket, amount);
    }
}
