//! One batch as one transaction: lines, and the balances that are their sums.
//!
//! Rule: whatever changes a line's cost changes the balances of its accounts in the same transaction, by the same amount.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::line::{Adjustment, AttemptId, Change, Closing, Opening, Progress, UsageSource, bucket_of};
use super::names::{Names, members};
use super::queue::Operation;
use super::schema;
use crate::base::Usd;
use crate::wire::ir::{OtherCounts, Usage};

/// The largest count of tokens that is kept, so that sums of counts stay exact. No answer has a trillion tokens.
const MOST_TOKENS: u64 = 1 << 40;
pub(super) const OUTCOME_EXPIRED: &str = "expired";
const INSERT_LINE: &str = "INSERT OR IGNORE INTO lines (id, admitted, took, expired, key, team, alias, provider, model, endpoint, accounts,
    cost, priced, source, tier, status, outcome, input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio,
    input_image, output_audio, other) VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
    ?21, ?22, ?23, ?24, ?25, ?26)";

/// Writes batches.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    names: Names,
    /// Attempts whose lines are open: after the start, all of them were opened here.
    open: HashSet<AttemptId>,
    /// What each batch ends with instead of being written.
    #[cfg(test)]
    fault: i32,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Attempts that were closed after they had expired; their charge stays.
    pub(super) late: u64,
    /// Lines that were written.
    pub(super) lines: u64,
}

/// What expired at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Attempts that a crash had left open.
    pub expired: u64,
    /// What they were charged, in all.
    pub charged: Usd,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            names: Names::default(),
            open: HashSet::new(),
            #[cfg(test)]
            fault: 0,
        }
    }

    /// Writes all of them, or none. A probe writes something even where there is nothing to write.
    ///
    /// # Errors
    /// What the database says; then nothing is written.
    pub(super) fn write<'q>(&mut self, batch: impl Iterator<Item = &'q Operation> + Clone, is_probe: bool) -> rusqlite::Result<Tally> {
        let written = self.try_write(batch, is_probe);
        if written.is_err() {
            self.names.forget();
        }
        written
    }

    fn try_write<'q>(&mut self, batch: impl Iterator<Item = &'q Operation> + Clone, is_probe: bool) -> rusqlite::Result<Tally> {
        // Begins as one that writes: what it reads must not change before it does, by another process that is about to end.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if is_probe {
            schema::touch(&transaction)?;
        }
        let mut page = Page::new(&transaction, &mut self.names, &self.open);
        let ahead = Ahead::look(batch.clone());
        for (place, operation) in batch.enumerate() {
            match operation {
                // What ends in this batch was never open for anybody.
                Operation::Open(opening) if ahead.closed.contains(&opening.id) => {}
                Operation::Open(opening) => page.open(opening)?,
                Operation::Progress(id, _) if ahead.closed.contains(id) || ahead.last_progress.get(id) != Some(&place) => {}
                Operation::Progress(id, progress) => page.progress(id, progress)?,
                Operation::Close(closing) => page.close(closing)?,
                Operation::Adjust(adjustment) => page.adjust(adjustment)?,
                Operation::Forget(forgetting) => forgetting.run(page.on, page.names)?,
                Operation::Expire(expiring) => expiring.note(page.expire(expiring.now_ms(), true)?),
                Operation::Flush => {}
            }
        }
        page.settle()?;
        let (tally, opened, closed) = page.end();
        #[cfg(test)]
        if self.fault != 0 {
            return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(self.fault), None));
        }
        transaction.commit()?;
        self.open.extend(opened);
        for id in closed {
            self.open.remove(&id);
        }
        Ok(tally)
    }

    /// Turns every open line into an expired one.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) fn recover(&mut self, now_ms: u64) -> rusqlite::Result<Recovered> {
        let transaction = self.connection.transaction()?;
        let mut page = Page::new(&transaction, &mut self.names, &self.open);
        let recovered = page.expire(now_ms, false)?;
        page.settle()?;
        page.end();
        transaction.commit()?;
        Ok(recovered)
    }

    #[cfg(test)]
    pub(super) fn fail_with(&mut self, code: i32) {
        self.fault = code;
    }

    /// Moves the log into the file, as far as readers let it.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE")
    }
}

/// What a batch holds of each attempt, known before the first of it is written.
pub(super) struct Ahead {
    pub(super) closed: HashSet<AttemptId>,
    /// The place of the last progress of each attempt.
    pub(super) last_progress: HashMap<AttemptId, usize>,
}

impl Ahead {
    pub(super) fn look<'q>(batch: impl Iterator<Item = &'q Operation> + Clone) -> Self {
        let mut ahead = Self { closed: HashSet::new(), last_progress: HashMap::new() };
        // Most often there are only ends.
        if batch.clone().all(|operation| matches!(operation, Operation::Close(_) | Operation::Flush)) {
            return ahead;
        }
        for (place, operation) in batch.enumerate() {
            match operation {
                Operation::Close(closing) => {
                    ahead.closed.insert(closing.opening.id);
                }
                Operation::Progress(id, _) => {
                    ahead.last_progress.insert(*id, place);
                }
                Operation::Open(_) | Operation::Adjust(_) | Operation::Forget(_) | Operation::Expire(_) | Operation::Flush => {}
            }
        }
        ahead
    }
}

/// A transaction that is being written.
struct Page<'t> {
    on: &'t Transaction<'t>,
    names: &'t mut Names,
    /// Attempts whose lines were open before.
    open: &'t HashSet<AttemptId>,
    opened: Vec<AttemptId>,
    closed: Vec<AttemptId>,
    /// Prepared when first needed.
    insert: Option<CachedStatement<'t>>,
    /// What is to be added to balances, by account and bucket.
    changes: BTreeMap<(i64, i64), i64>,
    tally: Tally,
}

impl<'t> Page<'t> {
    fn new(on: &'t Transaction<'t>, names: &'t mut Names, open: &'t HashSet<AttemptId>) -> Self {
        let (opened, closed, changes) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { on, names, open, opened, closed, insert: None, changes, tally: Tally::default() }
    }

    /// Returns what it came to, and the attempts whose lines are open and no longer open once it is committed.
    fn end(self) -> (Tally, Vec<AttemptId>, Vec<AttemptId>) {
        (self.tally, self.opened, self.closed)
    }

    fn open(&mut self, opening: &Opening) -> rusqlite::Result<()> {
        let accounts = self.names.accounts(self.on, &opening.accounts)?;
        let (key, team, alias) = self.asked(opening)?;
        let (provider, model, endpoint) = self.called(opening)?;
        let mut insert = self.on.prepare_cached(
            "INSERT OR IGNORE INTO open (id, admitted, key, team, alias, provider, model, endpoint, accounts, floor, reserved)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE NOT EXISTS (SELECT 1 FROM lines WHERE id = ?1)",
        )?;
        let (id, admitted) = (opening.id.as_bytes(), integer(opening.admitted_ms));
        let (floor, reserved) = (charge(opening.floor), charge(opening.reserved));
        insert.execute(params![id, admitted, key, team, alias, provider, model, endpoint, accounts.set, floor, reserved])?;
        self.opened.push(opening.id);
        Ok(())
    }

    fn progress(&mut self, id: &AttemptId, progress: &Progress) -> rusqlite::Result<()> {
        let mut update = self.on.prepare_cached(
            "UPDATE open SET cost = ?2, source = ?3, input = ?4, cache_read = ?5, cache_write = ?6, cache_write_1h = ?7, output = ?8,
             reasoning = ?9, input_audio = ?10, input_image = ?11, output_audio = ?12, other = ?13 WHERE id = ?1",
        )?;
        let [a, b, c, d, e, f, g, h, i] = counts(&progress.usage);
        update.execute(params![
            id.as_bytes(),
            charge(progress.cost),
            progress.source.code(),
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            rare(&progress.usage)
        ])?;
        Ok(())
    }

    fn close(&mut self, closing: &Closing) -> rusqlite::Result<()> {
        let opening = &closing.opening;
        let cost = charge(closing.cost);
        let accounts = self.names.accounts(self.on, &opening.accounts)?;
        let (key, team, alias) = self.asked(opening)?;
        let (provider, model, endpoint) = self.called(opening)?;
        let (tier, outcome) = (self.names.number(self.on, closing.tier.as_str())?, self.names.number(self.on, closing.outcome)?);
        let (admitted, took) = (integer(opening.admitted_ms), integer(closing.closed_ms.saturating_sub(opening.admitted_ms)));
        let (source, id) = (closing.source.code(), opening.id.as_bytes());
        let [a, b, c, d, e, f, g, h, i] = counts(&closing.usage);
        let insert = match &mut self.insert {
            Some(prepared) => prepared,
            none => none.insert(self.on.prepare_cached(INSERT_LINE)?),
        };
        let written = insert.execute(params![
            id,
            admitted,
            took,
            key,
            team,
            alias,
            provider,
            model,
            endpoint,
            accounts.set,
            cost,
            closing.priced,
            source,
            tier,
            closing.status,
            outcome,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            rare(&closing.usage)
        ])?;
        if written == 0 {
            let mut find = self.on.prepare_cached("SELECT expired FROM lines WHERE id = ?1")?;
            self.tally.late += u64::from(find.query_row([id], |row| row.get::<_, bool>(0))?);
            return Ok(());
        }
        if self.open.contains(&opening.id) {
            self.on.prepare_cached("DELETE FROM open WHERE id = ?1")?.execute([id])?;
            self.closed.push(opening.id);
        }
        self.tally.lines += 1;
        let bucket = integer(bucket_of(opening.admitted_ms));
        accounts.members.iter().for_each(|account| self.add(*account, bucket, cost));
        Ok(())
    }

    fn add(&mut self, account: i64, bucket: i64, amount: i64) {
        let change = self.changes.entry((account, bucket)).or_default();
        *change = change.saturating_add(amount);
    }

    /// Writes the balances that changed so far.
    fn settle(&mut self) -> rusqlite::Result<()> {
        for ((account, bucket), change) in std::mem::take(&mut self.changes) {
            if change == 0 {
                continue;
            }
            // Added here and not by the database, which would turn a sum that is too large into a float.
            let balance = self.balance(account, bucket)?.saturating_add(change);
            let mut put = self.on.prepare_cached("INSERT OR REPLACE INTO balances (account, bucket, nano) VALUES (?1, ?2, ?3)")?;
            put.execute([account, bucket, balance])?;
        }
        Ok(())
    }

    fn balance(&self, account: i64, bucket: i64) -> rusqlite::Result<i64> {
        let mut find = self.on.prepare_cached("SELECT nano FROM balances WHERE account = ?1 AND bucket = ?2")?;
        Ok(find.query_row([account, bucket], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> rusqlite::Result<()> {
        let id = adjustment.id.as_bytes();
        if self.on.prepare_cached("SELECT 1 FROM adjustments WHERE id = ?1")?.exists([id])? {
            return Ok(());
        }
        // What this batch charged before belongs to what is cleared.
        self.settle()?;
        let account = self.names.whole(self.on, &adjustment.account)?;
        let (actor, reason) = (self.names.whole(self.on, &adjustment.actor)?, self.names.whole(self.on, &adjustment.reason)?);
        let parts = match &adjustment.change {
            Change::Add { bucket, amount } => vec![(integer(*bucket), amount.nano())],
            Change::Clear { buckets } => self.clearing(account, buckets)?,
            Change::Take { from } => {
                let from = self.names.whole(self.on, from)?;
                let taken = self.clearing(from, &(0..u64::MAX))?;
                let counterpart = adjustment.id.counterpart();
                self.correct(counterpart.as_bytes(), (from, &taken), (adjustment.at_ms, actor, reason))?;
                taken.into_iter().map(|(bucket, amount)| (bucket, amount.saturating_neg())).collect()
            }
        };
        self.correct(id, (account, &parts), (adjustment.at_ms, actor, reason))?;
        self.settle()
    }

    /// Writes corrections of an account, by bucket.
    fn correct(
        &mut self,
        id: &[u8],
        (account, parts): (i64, &[(i64, i64)]),
        (at_ms, actor, reason): (u64, i64, i64),
    ) -> rusqlite::Result<()> {
        for (bucket, amount) in parts {
            let mut insert = self.on.prepare_cached(
                "INSERT INTO adjustments (id, bucket, account, amount, at, actor, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?;
            insert.execute(params![id, bucket, account, amount, integer(at_ms), actor, reason])?;
            self.add(account, *bucket, *amount);
        }
        Ok(())
    }

    /// Returns what brings each bucket to zero; never nothing, so that the act itself is on record.
    fn clearing(&self, account: i64, buckets: &Range<u64>) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut find = self
            .on
            .prepare_cached("SELECT bucket, nano FROM balances WHERE account = ?1 AND bucket >= ?2 AND bucket < ?3 AND nano <> 0")?;
        let rows = find.query_map([account, integer(buckets.start), integer(buckets.end)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut parts: Vec<(i64, i64)> = Vec::new();
        for row in rows {
            let (bucket, nano): (i64, i64) = row?;
            parts.push((bucket, nano.saturating_neg()));
        }
        if parts.is_empty() {
            parts.push((integer(buckets.end.saturating_sub(1)), 0));
        }
        Ok(parts)
    }

    /// Moves open lines to the ended ones: charged their progress, else their floor. All of them, or those that were not opened here.
    fn expire(&mut self, now_ms: u64, only_others: bool) -> rusqlite::Result<Recovered> {
        let outcome = self.names.number(self.on, OUTCOME_EXPIRED)?;
        let mut recovered = Recovered::default();
        let mut find = self.on.prepare("SELECT id, accounts, admitted, coalesce(cost, floor) FROM open")?;
        let found = find.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let mut found: Vec<(Vec<u8>, i64, i64, i64)> = found.collect::<rusqlite::Result<_>>()?;
        if only_others {
            let ours: HashSet<&[u8]> = self.open.iter().chain(&self.opened).map(AttemptId::as_bytes).collect();
            found.retain(|(id, ..)| !ours.contains(id.as_slice()));
        }
        for (id, set, admitted, cost) in found {
            for account in self.members(set)? {
                self.add(account, admitted / integer(super::line::BUCKET_MS), cost);
            }
            recovered.expired += 1;
            recovered.charged += Usd::from_nano(cost);
            self.end_expired(&id, integer(now_ms), outcome)?;
        }
        Ok(recovered)
    }

    /// A line without progress and with a floor was charged its input, of which nothing more is known.
    fn end_expired(&self, id: &[u8], now_ms: i64, outcome: i64) -> rusqlite::Result<()> {
        let mut end = self.on.prepare_cached(
            "INSERT INTO lines (id, admitted, took, expired, key, team, alias, provider, model, endpoint, accounts, cost, priced, source,
             tier, status, outcome, input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, input_image,
             output_audio, other)
             SELECT id, admitted, max(?1 - admitted, 0), 1, key, team, alias, provider, model, endpoint, accounts, coalesce(cost, floor), 1,
             coalesce(source, iif(floor = 0, ?2, ?3)), NULL, NULL, ?4, input, cache_read, cache_write, cache_write_1h, output, reasoning,
             input_audio, input_image, output_audio, other FROM open WHERE id = ?5",
        )?;
        end.execute(params![now_ms, UsageSource::Nothing.code(), UsageSource::Input.code(), outcome, id])?;
        self.on.prepare_cached("DELETE FROM open WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Returns the accounts of a stored set.
    fn members(&mut self, set: i64) -> rusqlite::Result<Vec<i64>> {
        let text: String = self.on.prepare_cached("SELECT text FROM names WHERE id = ?1")?.query_row([set], |row| row.get(0))?;
        members(&text).iter().map(|account| self.names.whole(self.on, account)).collect()
    }

    fn asked(&mut self, opening: &Opening) -> rusqlite::Result<(Option<i64>, Option<i64>, Option<i64>)> {
        let key = self.names.maybe(self.on, opening.key.as_ref())?;
        let team = self.names.maybe(self.on, opening.team.as_ref())?;
        Ok((key, team, self.names.maybe(self.on, opening.alias.as_ref())?))
    }

    fn called(&mut self, opening: &Opening) -> rusqlite::Result<(i64, i64, i64)> {
        let provider = self.names.number(self.on, &opening.provider)?;
        let model = self.names.number(self.on, &opening.model)?;
        Ok((provider, model, self.names.number(self.on, opening.endpoint)?))
    }
}

/// Returns a charge in nano-USD; nothing is ever charged less than zero.
pub(super) fn charge(cost: Usd) -> i64 {
    cost.nano().max(0)
}

pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn counts(usage: &Usage) -> [i64; 9] {
    let Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, input_image, output_audio, other: _ } =
        *usage;
    [input, cache_read, cache_write, cache_write_1h, output, reasoning, input_audio, input_image, output_audio]
        .map(|count| integer(count.min(MOST_TOKENS)))
}

/// Writes the counts that few answers have as JSON, by name; none where there are none.
pub(super) fn rare(usage: &Usage) -> Option<String> {
    let OtherCounts {
        cache_read_audio,
        cache_read_image,
        input_video,
        output_image,
        output_video,
        citation,
        web_searches,
        file_searches,
        audio_ms,
        characters,
        images,
        pages,
        annotated_pages,
    } = usage.other;
    let counts = [
        ("cache_read_audio", cache_read_audio),
        ("cache_read_image", cache_read_image),
        ("input_video", input_video),
        ("output_image", output_image),
        ("output_video", output_video),
        ("citation", citation),
        ("web_searches", web_searches),
        ("file_searches", file_searches),
        ("audio_ms", audio_ms),
        ("characters", characters),
        ("images", images),
        ("pages", pages),
        ("annotated_pages", annotated_pages),
    ];
    let there: BTreeMap<&str, u32> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    if there.is_empty() { None } else { serde_json::to_string(&there).ok() }
}
