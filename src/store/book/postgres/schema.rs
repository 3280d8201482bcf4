//! The tables of a shared book, in a schema of their own, and how a connection to them is made.
//!
//! | table | holds |
//! |---|---|
//! | `nodes` | every gateway that ever wrote, by its epoch; `gone` once the others took over what it left |
//! | `open` | attempts that run, with the epoch of the node that runs them |
//! | `lines` | attempts that ended |
//! | `folded` | what older lines came to, by account and bucket, in their stead |
//! | `adjustments` | corrections by people |
//! | `grants` | what each node may yet spend of a budget without asking, and whether it waits for more |
//! | `alerts` | shares of limits that were reached: whoever writes one first tells of it |
//! | `balances` | what each account spent in each bucket: the sum of its lines, of what was folded, and of adjustments |
//!
//! Rule: a migration that has shipped is never changed; a change of the tables is one more at the end of the list.

use std::time::Duration;

use postgres::{Client, Config};

use super::super::error::{Failure, FailureKind};
use super::tls::Wishes;
use crate::base::Secret;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the network may stay silent before a connection counts as lost.
const SILENCE: Duration = Duration::from_secs(5);
/// What a statement may take, and how long a transaction may stand still, in milliseconds.
const PATIENCE_MS: u32 = 10_000;

/// Each brings the tables from its place in the list to the next.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE nodes (
  epoch bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, expires timestamptz NOT NULL, gone timestamptz
);
CREATE TABLE open (
  id bytea PRIMARY KEY, epoch bigint NOT NULL, admitted bigint NOT NULL,
  key text, team text, alias text, provider text NOT NULL, model text NOT NULL, endpoint text NOT NULL,
  accounts text[] NOT NULL, floor bigint NOT NULL, reserved bigint NOT NULL, cost bigint, source smallint,
  input bigint NOT NULL, cache_read bigint NOT NULL, cache_write bigint NOT NULL, cache_write_1h bigint NOT NULL, output bigint NOT NULL,
  reasoning bigint NOT NULL, input_audio bigint NOT NULL, input_image bigint NOT NULL, output_audio bigint NOT NULL,
  other text
);
CREATE INDEX open_by_epoch ON open (epoch);
CREATE TABLE lines (
  id bytea PRIMARY KEY, admitted bigint NOT NULL, took bigint NOT NULL, expired boolean NOT NULL,
  key text, team text, alias text, provider text NOT NULL, model text NOT NULL, endpoint text NOT NULL,
  accounts text[] NOT NULL, cost bigint NOT NULL, priced boolean NOT NULL, source smallint NOT NULL,
  tier text, status integer, outcome text NOT NULL,
  input bigint NOT NULL, cache_read bigint NOT NULL, cache_write bigint NOT NULL, cache_write_1h bigint NOT NULL, output bigint NOT NULL,
  reasoning bigint NOT NULL, input_audio bigint NOT NULL, input_image bigint NOT NULL, output_audio bigint NOT NULL,
  other text
);
CREATE INDEX lines_by_admission ON lines (admitted);
CREATE TABLE adjustments (
  id bytea NOT NULL, bucket bigint NOT NULL, account text NOT NULL, amount bigint NOT NULL,
  at bigint NOT NULL, actor text NOT NULL, reason text NOT NULL,
  PRIMARY KEY (id, bucket)
);
CREATE TABLE balances (
  account text NOT NULL, bucket bigint NOT NULL, nano bigint NOT NULL,
  PRIMARY KEY (account, bucket)
);
",
    "
CREATE TABLE grants (
  account text NOT NULL, span text NOT NULL, epoch bigint NOT NULL, first bigint NOT NULL, beyond bigint NOT NULL, amount bigint NOT NULL,
  PRIMARY KEY (account, span, epoch)
);
CREATE INDEX grants_by_epoch ON grants (epoch);
",
    // Who waits for what others hold; and who has told of an alert.
    "
ALTER TABLE grants ADD COLUMN short bigint NOT NULL DEFAULT 0, ADD COLUMN asked timestamptz NOT NULL DEFAULT clock_timestamp();
CREATE INDEX grants_short ON grants (asked) WHERE short > 0;
CREATE TABLE alerts (
  account text NOT NULL, span text NOT NULL, percent integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (account, span, percent)
);
",
    "
CREATE TABLE folded (
  account text NOT NULL, bucket bigint NOT NULL, nano bigint NOT NULL,
  PRIMARY KEY (account, bucket)
);
",
];

/// Where a shared book is.
#[derive(Debug, Clone)]
pub struct Place {
    /// How the server is reached: `postgres://user:password@host:port/database`.
    pub url: Secret<String>,
    /// The schema of the tables, made where it is missing: small letters, digits, underscores.
    pub schema: String,
    /// How long a node that says nothing keeps what it holds.
    pub lease: Duration,
}

impl Place {
    /// Names the schema and the lease that are used where nothing else is said.
    pub fn new(url: Secret<String>) -> Self {
        Self { url, schema: "bifrost".to_owned(), lease: Duration::from_secs(10) }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// [`FailureKind::Unreachable`], also for a URL that is none. Never names the URL.
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let unreachable = |why: String| Failure { kind: FailureKind::Unreachable, why };
        let name = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
        if self.schema.is_empty() || !self.schema.chars().all(name) {
            return Err(unreachable("the schema's name is none".to_owned()));
        }
        let (url, wishes) = Wishes::read(self.url.expose()).map_err(unreachable)?;
        // What the parser says may quote the URL, and with it the password.
        let config = url.parse::<Config>();
        let mut config = config.map_err(|_| unreachable("the URL is not one of PostgreSQL".to_owned()))?;
        let schema = &self.schema;
        config.connect_timeout(CONNECT).tcp_user_timeout(SILENCE).application_name(&format!("bifrostctl {schema}")).options(&format!(
            "-c search_path={schema} -c statement_timeout={PATIENCE_MS} -c lock_timeout={PATIENCE_MS} \
             -c idle_in_transaction_session_timeout={PATIENCE_MS} -c synchronous_commit=on"
        ));
        config.ssl_mode(wishes.mode());
        config.connect(wishes.connector().map_err(unreachable)?).map_err(|error| Failure::from(&error))
    }

    /// Makes the tables, or brings them to this version. Nodes that start at once wait for each other.
    ///
    /// # Errors
    /// What the database says, or that the tables are of a newer version.
    pub(super) fn migrate(&self, client: &mut Client) -> Result<(), Failure> {
        let mut transaction = client.transaction()?;
        transaction.execute("SELECT pg_advisory_xact_lock(hashtext('bifrost book'))", &[])?;
        let schema = &self.schema;
        transaction.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS version (number integer)"))?;
        let number: i32 = transaction.query_one("SELECT coalesce(max(number), 0) FROM version", &[])?.get(0);
        let before = usize::try_from(number).unwrap_or(usize::MAX);
        if before > MIGRATIONS.len() {
            let why = format!("it was written by a newer version of this program (its tables are of version {number})");
            return Err(Failure { kind: FailureKind::Other, why });
        }
        for migration in MIGRATIONS.iter().skip(before) {
            transaction.batch_execute(migration)?;
        }
        let after = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
        transaction.batch_execute("DELETE FROM version")?;
        transaction.execute("INSERT INTO version VALUES ($1)", &[&after])?;
        Ok(transaction.commit()?)
    }
}
