//! Questions about lines: what was spent, by whom and on what.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::audit::{self, Audit};
use super::error::BookError;
#[cfg(feature = "postgres")]
use super::error::Failure;
use super::line::{AttemptId, BUCKET_MS};
#[cfg(feature = "postgres")]
use super::postgres;
use super::write::integer;
use super::{file, schema};
use crate::base::Usd;
use crate::store::StoreError;

/// Most groups that an answer has.
pub(super) const MOST_GROUPS: usize = 100_000;

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
    /// `ok`, the code of an error, `cancelled`, `client_gone`, or `hedge_lost` where another try beside it was quicker.
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
    pub(super) const fn column(self) -> &'static str {
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
    asked: Asked,
}

/// Who is asked.
#[derive(Debug)]
enum Asked {
    File(file::Asker),
    #[cfg(feature = "postgres")]
    Server(postgres::Asker),
}

impl Report {
    /// Opens a file.
    ///
    /// # Errors
    /// [`StoreError::Book`] when it is not there, or is no book of this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        schema::open_to_read(path).map(|connection| Self { asked: Asked::File(file::Asker { connection }) })
    }

    /// Asks the shared store. Blocks, also when it is dropped.
    #[cfg(feature = "postgres")]
    pub(super) fn connect(place: &postgres::Place) -> Result<Self, Failure> {
        Ok(Self { asked: Asked::Server(postgres::Asker::open(place)?) })
    }

    /// Adds lines up by group: in the order of time where that is asked for, else dearest first. Adjustments are no lines.
    ///
    /// # Errors
    /// [`BookError::Read`], also when there are more than 100,000 groups.
    pub fn spend(&self, question: &Question) -> Result<Vec<Group>, BookError> {
        let mut told = match &self.asked {
            Asked::File(file) => file.spend(question)?,
            #[cfg(feature = "postgres")]
            Asked::Server(server) => server.spend(question)?,
        };
        let timely = question.by.iter().any(|dimension| dimension.is_time());
        told.sort_by(|a, b| {
            let dear = if timely { std::cmp::Ordering::Equal } else { b.totals.cost.cmp(&a.totals.cost) };
            dear.then_with(|| a.values.cmp(&b.values))
        });
        Ok(told)
    }

    /// Returns what each account spent in these buckets, by name. Accounts that spent nothing and were never adjusted are not told.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn accounts(&self, buckets: Range<u64>) -> Result<Vec<AccountTotals>, BookError> {
        match &self.asked {
            Asked::File(file) => file.accounts(&buckets),
            #[cfg(feature = "postgres")]
            Asked::Server(server) => server.accounts(&buckets),
        }
    }

    /// Returns what an adjustment came to.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn adjusted(&self, id: AttemptId) -> Result<Usd, BookError> {
        match &self.asked {
            Asked::File(file) => file.adjusted(id),
            #[cfg(feature = "postgres")]
            Asked::Server(server) => server.adjusted(id),
        }
    }

    /// Adds every line and adjustment up again, compares that with the balances, and lets an embedded file be checked.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn audit(&mut self) -> Result<Audit, BookError> {
        match &mut self.asked {
            Asked::File(file) => audit::audit(&mut file.connection),
            #[cfg(feature = "postgres")]
            Asked::Server(server) => server.audit(audit::MOST_TOLD),
        }
    }
}

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
}

/// Names of groups, each found once.
pub(super) struct Labels {
    zone: TimeZone,
    /// Spans of time by what they are of and the bucket.
    spans: HashMap<(Dimension, i64), i64>,
    /// Words of spans of time; a key of a span is a place in here.
    pub(super) words: Vec<String>,
    known: HashMap<String, i64>,
}

/// The key of what lines do not have.
pub(super) const NONE: i64 = -1;

impl Labels {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, spans: HashMap::new(), words: Vec::new(), known: HashMap::new() }
    }

    /// Returns what stands for a value while lines are added up.
    pub(super) fn key(&mut self, dimension: Dimension, value: Option<i64>) -> i64 {
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

    pub(super) fn span(&self, dimension: Dimension, bucket: i64) -> String {
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
}
