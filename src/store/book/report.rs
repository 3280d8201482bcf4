//! Questions about lines: what was spent, by whom and on what.
//!
//! Lines are read and added up here, not by the database, whose sums end in errors where ours saturate. A million lines take about a
//! second; a span of time that is asked for is found by an index.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::error::BookError;
use super::line::{AttemptId, BUCKET_MS, UsageSource};
use super::names::members;
use super::schema;
use super::write::integer;
use crate::base::Usd;
use crate::store::StoreError;

/// Most groups that an answer has.
const MOST_GROUPS: usize = 100_000;

/// What lines are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The virtual key.
    Key,
    /// The key's team.
    Team,
    /// The alias that was asked for.
    Alias,
    /// The provider.
    Provider,
    /// The model, as the provider calls it.
    Model,
    /// What was called.
    Endpoint,
    /// The price list.
    Tier,
    /// How what was used is known.
    Source,
    /// `ok`, or the code of an error.
    Outcome,
    /// The hour of admission.
    Hour,
    /// The day of admission.
    Day,
    /// The month of admission.
    Month,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Key,
        Self::Team,
        Self::Alias,
        Self::Provider,
        Self::Model,
        Self::Endpoint,
        Self::Tier,
        Self::Source,
        Self::Outcome,
        Self::Hour,
        Self::Day,
        Self::Month,
    ];

    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Alias => "alias",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Endpoint => "endpoint",
            Self::Tier => "tier",
            Self::Source => "source",
            Self::Outcome => "outcome",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Reads a word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.word() == word)
    }

    /// Returns whether it is a span of time.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Month)
    }

    /// Returns whether lines can be asked for by one value of it.
    pub const fn is_filter(self) -> bool {
        !self.is_time() && !matches!(self, Self::Source)
    }

    /// Returns the column that holds it.
    const fn column(self) -> &'static str {
        match self {
            Self::Hour | Self::Day | Self::Month => "admitted",
            Self::Key
            | Self::Team
            | Self::Alias
            | Self::Provider
            | Self::Model
            | Self::Endpoint
            | Self::Tier
            | Self::Source
            | Self::Outcome => self.word(),
        }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// Lines admitted in this span, Unix milliseconds.
    pub admitted_ms: Range<u64>,
    /// What they are told apart by; everything is one group where this is empty.
    pub by: Vec<Dimension>,
    /// Only lines that have this value. Spans of time and sources are not asked for in this way.
    pub only: Vec<(Dimension, String)>,
    /// Only lines that this account pays, among others.
    pub account: Option<String>,
    /// Where hours, days and months begin.
    pub zone: TimeZone,
}

/// What the lines of one group come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Attempts.
    pub attempts: u64,
    /// What they cost.
    pub cost: Usd,
    /// Those for which there was no price.
    pub unpriced: u64,
    /// Those that a crash cut off.
    pub expired: u64,
    /// Those whose use is our estimate, or their input alone.
    pub estimated: u64,
    /// Tokens of the whole input.
    pub input: u64,
    /// Those that were read from a cache.
    pub cache_read: u64,
    /// Those that were written to a cache.
    pub cache_write: u64,
    /// Tokens of the output.
    pub output: u64,
    /// Those that were reasoning.
    pub reasoning: u64,
}

/// One group, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its values, in the order of [`Question::by`]; none where lines have no such thing.
    pub values: Vec<Option<String>>,
    /// What it comes to.
    pub totals: Totals,
}

/// What an account spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTotals {
    /// The account.
    pub account: String,
    /// What it spent, adjustments included.
    pub spent: Usd,
    /// What people added, or took away where it is negative.
    pub adjusted: Usd,
}

/// A connection of its own that answers long questions, for a running book or a file at rest. Writes nothing.
#[derive(Debug)]
pub struct Report {
    pub(super) connection: Connection,
}

impl Report {
    /// Opens a file.
    ///
    /// # Errors
    /// [`StoreError::Book`] when it is not there, or is no book of this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        schema::open_to_read(path).map(|connection| Self { connection })
    }

    /// Adds lines up by group: in the order of time where that is asked for, else dearest first. Adjustments are no lines.
    ///
    /// # Errors
    /// [`BookError::Read`], also when there are more than 100,000 groups.
    pub fn spend(&self, question: &Question) -> Result<Vec<Group>, BookError> {
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
        let timely = question.by.iter().any(|dimension| dimension.is_time());
        told.sort_by(|a, b| {
            let dear = if timely { std::cmp::Ordering::Equal } else { b.totals.cost.cmp(&a.totals.cost) };
            dear.then_with(|| a.values.cmp(&b.values))
        });
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

    /// Returns what each account spent in these buckets, by name. Accounts that spent nothing and were never adjusted are not told.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn accounts(&self, buckets: Range<u64>) -> Result<Vec<AccountTotals>, BookError> {
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

    /// Returns what an adjustment came to.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn adjusted(&self, id: AttemptId) -> Result<Usd, BookError> {
        let mut find = self.connection.prepare_cached("SELECT amount FROM adjustments WHERE id = ?1")?;
        let amounts = find.query_map([id.as_bytes()], |row| row.get(0).map(Usd::from_nano))?;
        Ok(amounts.sum::<rusqlite::Result<Usd>>()?)
    }
}

/// Columns that each line is asked for, before those of the groups.
const FIXED: usize = 9;

impl Totals {
    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        let Self { attempts, cost, unpriced, expired, estimated, input, cache_read, cache_write, output, reasoning } = other;
        self.cost += *cost;
        for (sum, more) in [
            (&mut self.attempts, attempts),
            (&mut self.unpriced, unpriced),
            (&mut self.expired, expired),
            (&mut self.estimated, estimated),
            (&mut self.input, input),
            (&mut self.cache_read, cache_read),
            (&mut self.cache_write, cache_write),
            (&mut self.output, output),
            (&mut self.reasoning, reasoning),
        ] {
            *sum = sum.saturating_add(*more);
        }
    }

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

/// Names of groups, each found once.
struct Labels {
    zone: TimeZone,
    /// Spans of time by what they are of and the bucket.
    spans: HashMap<(Dimension, i64), i64>,
    /// Words of spans of time; a key of a span is a place in here.
    words: Vec<String>,
    known: HashMap<String, i64>,
}

/// The key of what lines do not have.
const NONE: i64 = -1;

impl Labels {
    fn new(zone: TimeZone) -> Self {
        Self { zone, spans: HashMap::new(), words: Vec::new(), known: HashMap::new() }
    }

    /// Returns what stands for a value while lines are added up.
    fn key(&mut self, dimension: Dimension, value: Option<i64>) -> i64 {
        let Some(value) = value else { return NONE };
        if !dimension.is_time() {
            return value;
        }
        let bucket = value / integer(BUCKET_MS);
        if let Some(key) = self.spans.get(&(dimension, bucket)) {
            return *key;
        }
        let word = self.span(dimension, bucket);
        let next = i64::try_from(self.words.len()).unwrap_or(i64::MAX);
        let key = *self.known.entry(word.clone()).or_insert(next);
        if key == next {
            self.words.push(word);
        }
        self.spans.insert((dimension, bucket), key);
        key
    }

    fn span(&self, dimension: Dimension, bucket: i64) -> String {
        let start = Timestamp::from_millisecond(bucket.saturating_mul(integer(BUCKET_MS))).unwrap_or_default();
        let start = start.to_zoned_datetime(self.zone.clone());
        let format = match dimension {
            Dimension::Month => "%Y-%m",
            Dimension::Day => "%Y-%m-%d",
            // With the offset: an hour that a change of the clocks repeats is two hours.
            Dimension::Hour => "%Y-%m-%dT%H:00%:z",
            Dimension::Key
            | Dimension::Team
            | Dimension::Alias
            | Dimension::Provider
            | Dimension::Model
            | Dimension::Endpoint
            | Dimension::Tier
            | Dimension::Source
            | Dimension::Outcome => return String::new(),
        };
        start.strftime(format).to_string()
    }

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
