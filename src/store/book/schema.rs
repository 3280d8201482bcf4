//! The file: how it is opened, what its tables are, and how a file of an older version becomes one of this.
//!
//! | table | holds |
//! |---|---|
//! | `names` | each text once; other tables hold its number |
//! | `open` | attempts that run, with their last progress |
//! | `lines` | attempts that ended: written once, never changed |
//! | `folded` | what older lines came to, by account and bucket, in their stead |
//! | `adjustments` | corrections by people |
//! | `balances` | what each account spent in each bucket: the sum of its lines, of what was folded, and of adjustments |
//!
//! Rule: a migration that has shipped is never changed; a change of the tables is one more at the end of the list.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::StoreError;

/// `BFbk`: tells the file from any other database.
const APPLICATION: i32 = 0x4246_626b;
/// How long somebody else's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages of the log after which it is moved into the file: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4_096;

/// Each brings the file from its place in the list to the next.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE open (
  id BLOB PRIMARY KEY, admitted INTEGER NOT NULL,
  key INTEGER, team INTEGER, alias INTEGER, provider INTEGER NOT NULL, model INTEGER NOT NULL, endpoint INTEGER NOT NULL,
  accounts INTEGER NOT NULL, floor INTEGER NOT NULL, reserved INTEGER NOT NULL,
  cost INTEGER, source INTEGER,
  input INTEGER NOT NULL DEFAULT 0, cache_read INTEGER NOT NULL DEFAULT 0, cache_write INTEGER NOT NULL DEFAULT 0,
  cache_write_1h INTEGER NOT NULL DEFAULT 0, output INTEGER NOT NULL DEFAULT 0, reasoning INTEGER NOT NULL DEFAULT 0,
  input_audio INTEGER NOT NULL DEFAULT 0, input_image INTEGER NOT NULL DEFAULT 0, output_audio INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE lines (
  id BLOB PRIMARY KEY, admitted INTEGER NOT NULL, took INTEGER NOT NULL, expired INTEGER NOT NULL,
  key INTEGER, team INTEGER, alias INTEGER, provider INTEGER NOT NULL, model INTEGER NOT NULL, endpoint INTEGER NOT NULL,
  accounts INTEGER NOT NULL, cost INTEGER NOT NULL, priced INTEGER NOT NULL, source INTEGER NOT NULL,
  tier INTEGER, status INTEGER, outcome INTEGER NOT NULL,
  input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
  output INTEGER NOT NULL, reasoning INTEGER NOT NULL, input_audio INTEGER NOT NULL, input_image INTEGER NOT NULL,
  output_audio INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_by_admission ON lines (admitted);
CREATE TABLE adjustments (
  id BLOB NOT NULL, bucket INTEGER NOT NULL, account INTEGER NOT NULL, amount INTEGER NOT NULL,
  at INTEGER NOT NULL, actor INTEGER NOT NULL, reason INTEGER NOT NULL,
  PRIMARY KEY (id, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE balances (
  account INTEGER NOT NULL, bucket INTEGER NOT NULL, nano INTEGER NOT NULL,
  PRIMARY KEY (account, bucket)
) STRICT, WITHOUT ROWID;
",
    // Counts that few answers have, as JSON by name.
    "ALTER TABLE open ADD COLUMN other TEXT; ALTER TABLE lines ADD COLUMN other TEXT;",
    // What lines came to that are no longer kept.
    "
CREATE TABLE folded (
  account INTEGER NOT NULL, bucket INTEGER NOT NULL, nano INTEGER NOT NULL,
  PRIMARY KEY (account, bucket)
) STRICT, WITHOUT ROWID;
",
];

/// The version of the tables.
#[expect(clippy::cast_possible_truncation, reason = "a list that is written by hand")]
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Opens the file to write, creates it (0600) where it is missing, and brings it to this version.
///
/// # Errors
/// [`StoreError::Io`] when it cannot be created; [`StoreError::Book`] when it is no book, is damaged, or of a newer version.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(StoreError::io("open", path))?;
    // The name of a new file must not be lost with the power, or the lines would go with it.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", directory))?;
    let said = |error: rusqlite::Error| StoreError::Book { path: path.to_owned(), why: error.to_string() };
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(said)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(said)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(said)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(said)?;
    connection.pragma_update(None, "cache_size", -4_096).map_err(said)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens a file of this version to read. The file must be there.
///
/// # Errors
/// [`StoreError::Book`].
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let said = |error: rusqlite::Error| StoreError::Book { path: path.to_owned(), why: error.to_string() };
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(said)?;
    let version = version(&connection, path)?;
    if version != MIGRATIONS.len() {
        let why =
            format!("it is of version {version}, and this program reads {}; start the gateway of this version first", MIGRATIONS.len());
        return Err(StoreError::Book { path: path.to_owned(), why });
    }
    Ok(connection)
}

fn connect(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Returns the version of the file, zero for a new one.
fn version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let bad = |why: String| StoreError::Book { path: path.to_owned(), why };
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(|error| bad(error.to_string()));
    let (application, version) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION && (application, version) != (0, 0) {
        return Err(bad("it is the database of another program".to_owned()));
    }
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(bad(format!("it was written by a newer version of this program (its tables are of version {version})")));
    }
    Ok(version)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let before = version(connection, path)?;
    let said = |error: rusqlite::Error| StoreError::Book { path: path.to_owned(), why: error.to_string() };
    for (place, migration) in MIGRATIONS.iter().enumerate().skip(before) {
        let transaction = connection.transaction().map_err(said)?;
        transaction.execute_batch(migration).map_err(said)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(said)?;
        transaction.pragma_update(None, "user_version", i64::try_from(place + 1).unwrap_or(i64::MAX)).map_err(said)?;
        transaction.commit().map_err(said)?;
    }
    Ok(())
}

/// Writes something that changes nothing: tells whether the file can be written.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_older_version_becomes_one_of_this() {
        let directory = tempfile::tempdir().unwrap();
        for older in 0..=MIGRATIONS.len() {
            let path = directory.path().join(older.to_string());
            let connection = Connection::open(&path).unwrap();
            for migration in &MIGRATIONS[..older] {
                connection.execute_batch(migration).unwrap();
            }
            if older > 0 {
                connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {older}")).unwrap();
                let text = "INSERT INTO balances VALUES (1, 2, 3)";
                connection.execute(text, []).unwrap();
            }
            drop(connection);
            let opened = open(&path).unwrap();
            assert_eq!(version(&opened, &path).unwrap(), MIGRATIONS.len());
            let kept: i64 = opened.query_row("SELECT count(*) FROM balances", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, i64::from(older > 0));
            opened.execute("UPDATE lines SET other = NULL", []).unwrap();
            assert!(open_to_read(&path).is_ok());
        }
    }
}
