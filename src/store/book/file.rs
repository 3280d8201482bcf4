//! Questions asked of the embedded file.
//!
//! Lines are read and added up here, not by the database, whose sums end in errors where ours saturate. A million lines take about a
//! second; a span of time that is asked for is found by an index.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::error::BookError;
use super::line::{AttemptId, UsageSource};
use super::names::members;
use super::report::{AccountTotals, Dimension, Group, Labels, MOST_GROUPS, NONE, Question, Totals};
use super::write::integer;
use crate::base::Usd;

/// Columns that each line is asked for, before those of the groups.
const FIXED: usize = 9;

/// Asks.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) connection: Connection,
}

impl Asker {
    /// Adds lines up by group, in no order.
    pub(super) fn spend(&self, question: &Question) -> Result<Vec<Group>, BookError> {
        let Some((text, values)) = self.statement(question)? else { return Ok(Vec::new()) };
        let mut labels = Labels::new(question.zone.clone());
        let mut groups: HashMap<Vec<i64>, Totals> = HashMap::new();
        let mut find = self.connection.prepare(&text)?;
        let mut rows = find.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let mut group = Vec::with_capacity(question.by.len());
            for (place, dimension) in question.by.iter().enumerate() {
                group.push(labels.key(*dimension, row.get(FIXED + place)?));
            }
            groups.entry(group).or_default().add(row)?;
            if groups.len() > MOST_GROUPS {
                return Err(BookError::Read(format!("there are more than {MOST_GROUPS} groups; ask for less at once")));
            }
        }
        drop(rows);
        let mut told = Vec::with_capacity(groups.len());
        for (keys, totals) in groups {
            let values = question.by.iter().zip(keys).map(|(dimension, key)| labels.word(&self.connection, *dimension, key));
            told.push(Group { values: values.collect::<Result<_, _>>()?, totals });
        }
        Ok(told)
    }

    /// Writes the statement; none where something is asked for that no line has.
    fn statement(&self, question: &Question) -> Result<Option<(String, Vec<Value>)>, BookError> {
        let columns: String = question.by.iter().map(|dimension| format!(", {}", dimension.column())).collect();
        let mut text = format!(
            "SELECT cost, priced, expired, source, input + cache_read + cache_write + cache_write_1h, cache_read,
             cache_write + cache_write_1h, output, reasoning{columns} FROM lines WHERE admitted >= ? AND admitted < ?"
        );
        let mut values: Vec<Value> = vec![integer(question.admitted_ms.start).into(), integer(question.admitted_ms.end).into()];
        for (dimension, value) in &question.only {
            let mut find = self.connection.prepare_cached("SELECT id FROM names WHERE text = ?1")?;
            let Some(number) = find.query_row([value], |row| row.get::<_, i64>(0)).optional()? else { return Ok(None) };
            text.push_str(&format!(" AND {} = ?", dimension.column()));
            values.push(number.into());
        }
        if let Some(account) = &question.account {
            let sets: Vec<String> = self.sets_with(account)?.iter().map(ToString::to_string).collect();
            text.push_str(&format!(" AND accounts IN ({})", sets.join(", ")));
        }
        Ok(Some((text, values)))
    }

    /// Returns the numbers of the stored sets that an account belongs to.
    fn sets_with(&self, account: &str) -> Result<Vec<i64>, BookError> {
        let mut find = self.connection.prepare("SELECT id, text FROM names WHERE substr(text, 1, 1) = '['")?;
        let mut rows = find.query([])?;
        let mut sets = Vec::new();
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            if members(&text).iter().any(|member| member == account) {
                sets.push(row.get(0)?);
            }
        }
        Ok(sets)
    }

    pub(super) fn accounts(&self, buckets: &Range<u64>) -> Result<Vec<AccountTotals>, BookError> {
        let range = [integer(buckets.start), integer(buckets.end)];
        let spent = "SELECT text, nano FROM balances JOIN names ON names.id = account WHERE bucket >= ?1 AND bucket < ?2";
        let adjusted = "SELECT text, amount FROM adjustments JOIN names ON names.id = account WHERE bucket >= ?1 AND bucket < ?2";
        let mut accounts: std::collections::BTreeMap<String, (Usd, Usd)> = std::collections::BTreeMap::new();
        let mut read = |text: &str, add: fn(&mut (Usd, Usd), Usd)| -> Result<(), BookError> {
            let mut find = self.connection.prepare_cached(text)?;
            let mut rows = find.query(range)?;
            while let Some(row) = rows.next()? {
                add(accounts.entry(row.get(0)?).or_default(), Usd::from_nano(row.get(1)?));
            }
            Ok(())
        };
        read(spent, |(spent, _), amount| *spent += amount)?;
        read(adjusted, |(_, adjusted), amount| *adjusted += amount)?;
        Ok(accounts.into_iter().map(|(account, (spent, adjusted))| AccountTotals { account, spent, adjusted }).collect())
    }

    pub(super) fn adjusted(&self, id: AttemptId) -> Result<Usd, BookError> {
        let mut find = self.connection.prepare_cached("SELECT amount FROM adjustments WHERE id = ?1")?;
        let amounts = find.query_map([id.as_bytes()], |row| row.get(0).map(Usd::from_nano))?;
        Ok(amounts.sum::<rusqlite::Result<Usd>>()?)
    }
}

impl Totals {
    fn add(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let count = |place: usize| row.get::<_, i64>(place).map(i64::unsigned_abs);
        let source: i64 = row.get(3)?;
        let estimated = [UsageSource::Estimated, UsageSource::Input].iter().any(|estimate| estimate.code() == source);
        self.merge(&Self {
            attempts: 1,
            cost: Usd::from_nano(row.get(0)?),
            unpriced: u64::from(!row.get::<_, bool>(1)?),
            expired: u64::from(row.get::<_, bool>(2)?),
            estimated: u64::from(estimated),
            input: count(4)?,
            cache_read: count(5)?,
            cache_write: count(6)?,
            output: count(7)?,
            reasoning: count(8)?,
        });
        Ok(())
    }
}

impl Labels {
    /// Returns the value that a key stands for.
    fn word(&self, connection: &Connection, dimension: Dimension, key: i64) -> Result<Option<String>, BookError> {
        if key == NONE {
            return Ok(None);
        }
        if dimension.is_time() {
            return Ok(usize::try_from(key).ok().and_then(|place| self.words.get(place)).cloned());
        }
        if dimension == Dimension::Source {
            return Ok(UsageSource::ALL.iter().find(|source| source.code() == key).map(|source| source.word().to_owned()));
        }
        let mut find = connection.prepare_cached("SELECT text FROM names WHERE id = ?1")?;
        Ok(find.query_row([key], |row| row.get(0)).optional()?)
    }
}
