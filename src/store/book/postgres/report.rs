//! Long questions, asked of the shared store on a connection of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use postgres::types::ToSql;
use postgres::{Client, Row};

use super::super::audit::{Audit, Difference};
use super::super::error::{BookError, Failure};
use super::super::line::{AttemptId, BUCKET_MS, UsageSource};
use super::super::report::{AccountTotals, Dimension, Group, Labels, MOST_GROUPS, Question, Totals};
use super::super::write::integer;
use super::rows::text;
use super::schema::Place;
use crate::base::Usd;

/// Asks. Blocks, also when it is dropped.
pub(in super::super) struct Asker {
    /// Guards the connection, which answers one question at a time.
    client: Mutex<Client>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asker")
    }
}

impl Asker {
    pub(in super::super) fn open(place: &Place) -> Result<Self, Failure> {
        Ok(Self { client: Mutex::new(place.connect()?) })
    }

    fn lock(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines up by group, in no order.
    pub(in super::super) fn spend(&self, question: &Question) -> Result<Vec<Group>, BookError> {
        let (statement, texts) = statement(question);
        let (start, end) = (integer(question.admitted_ms.start), integer(question.admitted_ms.end));
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&start, &end];
        values.extend(texts.iter().map(|text| text as &(dyn ToSql + Sync)));
        let labels = Labels::new(question.zone.clone());
        let mut groups: BTreeMap<Vec<Option<String>>, Totals> = BTreeMap::new();
        for row in self.lock().query(statement.as_str(), &values)? {
            let mut group = Vec::with_capacity(question.by.len());
            for (place, dimension) in question.by.iter().enumerate() {
                group.push(label(&labels, *dimension, &row, FIXED + place)?);
            }
            groups.entry(group).or_default().merge(&totals(&row)?);
            if groups.len() > MOST_GROUPS {
                return Err(BookError::Read(format!("there are more than {MOST_GROUPS} groups; ask for less at once")));
            }
        }
        Ok(groups.into_iter().map(|(values, totals)| Group { values, totals }).collect())
    }

    pub(in super::super) fn accounts(&self, buckets: &Range<u64>) -> Result<Vec<AccountTotals>, BookError> {
        let rows = self.lock().query(
            "SELECT account, least(sum(spent), 9223372036854775807)::bigint, least(sum(adjusted), 9223372036854775807)::bigint FROM (
               SELECT account, bucket, nano AS spent, 0::bigint AS adjusted FROM balances
               UNION ALL SELECT account, bucket, 0, amount FROM adjustments
             ) AS parts WHERE bucket >= $1 AND bucket < $2 GROUP BY account ORDER BY account COLLATE \"C\"",
            &[&integer(buckets.start), &integer(buckets.end)],
        )?;
        let told = |row: &Row| {
            let (spent, adjusted) = (Usd::from_nano(row.try_get(1)?), Usd::from_nano(row.try_get(2)?));
            Ok(AccountTotals { account: row.try_get(0)?, spent, adjusted })
        };
        rows.iter().map(told).collect()
    }

    pub(in super::super) fn adjusted(&self, id: AttemptId) -> Result<Usd, BookError> {
        let rows = self.lock().query("SELECT amount FROM adjustments WHERE id = $1", &[&id.as_bytes()])?;
        rows.iter().map(|row| Ok(Usd::from_nano(row.try_get(0)?))).sum()
    }

    /// Adds every line and adjustment up again, and compares that with the balances. What is compared is of one moment.
    pub(in super::super) fn audit(&self, most_told: usize) -> Result<Audit, BookError> {
        let mut client = self.lock();
        let mut transaction =
            client.build_transaction().read_only(true).isolation_level(postgres::IsolationLevel::RepeatableRead).start()?;
        transaction.batch_execute("SET LOCAL statement_timeout = 0")?;
        let counts = transaction.query_one(
            "SELECT (SELECT count(*) FROM lines), (SELECT count(*) FROM open), (SELECT count(*) FROM adjustments),
             (SELECT count(*) FROM balances), (SELECT count(*) FROM folded)",
            &[],
        )?;
        let count = |place: usize| counts.try_get::<_, i64>(place).map(i64::unsigned_abs);
        let mut audit =
            Audit { lines: count(0)?, folded: count(4)?, open: count(1)?, adjustments: count(2)?, balances: count(3)?, ..Audit::default() };
        let found = transaction.query(
            "SELECT account, bucket, greatest(least(coalesce(sum, 0), 9223372036854775807), -9223372036854775807)::bigint,
             coalesce(nano, 0) FROM (
               SELECT account, bucket, sum(cost) FROM (
                 SELECT unnest(accounts) AS account, admitted / $1 AS bucket, cost FROM lines
                 UNION ALL SELECT account, bucket, nano FROM folded
                 UNION ALL SELECT account, bucket, amount FROM adjustments
               ) AS parts GROUP BY account, bucket
             ) AS sums FULL JOIN balances USING (account, bucket)
             WHERE greatest(least(coalesce(sum, 0), 9223372036854775807), -9223372036854775807) <> coalesce(nano, 0)
             ORDER BY account COLLATE \"C\", bucket",
            &[&integer(BUCKET_MS)],
        )?;
        audit.different = u64::try_from(found.len()).unwrap_or(u64::MAX);
        for row in found.iter().take(most_told) {
            let bucket = row.try_get::<_, i64>(1)?.unsigned_abs();
            let (lines, balance) = (Usd::from_nano(row.try_get(2)?), Usd::from_nano(row.try_get(3)?));
            audit.differences.push(Difference { account: row.try_get(0)?, bucket, lines, balance });
        }
        Ok(audit)
    }
}

/// Columns of totals, before those of the groups.
const FIXED: usize = 10;

fn statement(question: &Question) -> (String, Vec<String>) {
    let sum = |of: &str| format!("least(sum({of}), 9223372036854775807)::bigint");
    let sums: Vec<String> =
        ["input + cache_read + cache_write + cache_write_1h", "cache_read", "cache_write + cache_write_1h", "output", "reasoning"]
            .into_iter()
            .map(sum)
            .collect();
    let column = |dimension: &Dimension| match dimension.is_time() {
        // A bucket is never in two spans.
        true => format!("admitted / {BUCKET_MS}"),
        false => dimension.word().to_owned(),
    };
    let columns: Vec<String> = question.by.iter().map(column).collect();
    let estimates = [UsageSource::Estimated, UsageSource::Input].map(|source| source.code().to_string()).join(", ");
    let mut text = format!(
        "SELECT count(*), {}, count(*) FILTER (WHERE NOT priced), count(*) FILTER (WHERE expired),
         count(*) FILTER (WHERE source IN ({estimates})), {}",
        sum("cost"),
        sums.join(", ")
    );
    columns.iter().for_each(|column| text.push_str(&format!(", {column}")));
    text.push_str(" FROM lines WHERE admitted >= $1 AND admitted < $2");
    let mut texts = Vec::new();
    for (dimension, value) in &question.only {
        texts.push(self::text(value));
        // Writing to a text cannot fail.
        let _ = write!(text, " AND {} = ${}", dimension.word(), texts.len() + 2);
    }
    if let Some(account) = &question.account {
        texts.push(self::text(account));
        let _ = write!(text, " AND ${} = ANY(accounts)", texts.len() + 2);
    }
    match columns.is_empty() {
        true => text.push_str(" HAVING count(*) > 0"),
        false => text.push_str(&format!(" GROUP BY {}", columns.join(", "))),
    }
    (text, texts)
}

fn totals(row: &Row) -> Result<Totals, BookError> {
    let count = |place: usize| row.try_get::<_, i64>(place).map(i64::unsigned_abs);
    Ok(Totals {
        attempts: count(0)?,
        cost: Usd::from_nano(row.try_get(1)?),
        unpriced: count(2)?,
        expired: count(3)?,
        estimated: count(4)?,
        input: count(5)?,
        cache_read: count(6)?,
        cache_write: count(7)?,
        output: count(8)?,
        reasoning: count(9)?,
    })
}

fn label(labels: &Labels, dimension: Dimension, row: &Row, place: usize) -> Result<Option<String>, BookError> {
    if dimension.is_time() {
        return Ok(Some(labels.span(dimension, row.try_get(place)?)));
    }
    if dimension == Dimension::Source {
        let code: i16 = row.try_get(place)?;
        return Ok(UsageSource::ALL.iter().find(|source| source.code() == i64::from(code)).map(|source| source.word().to_owned()));
    }
    Ok(row.try_get(place)?)
}
