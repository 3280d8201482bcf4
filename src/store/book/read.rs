//! The connection that reads: sees what is on the disk, never what waits.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::error::BookError;
use super::schema;
use super::write::integer;
use crate::base::Usd;
use crate::store::StoreError;

/// Reads a book.
#[derive(Debug)]
pub(super) struct Reader {
    /// Guards the connection, which answers one question at a time.
    connection: Mutex<Connection>,
}

impl Reader {
    /// Opens a file to read.
    ///
    /// # Errors
    /// [`StoreError::Book`].
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        schema::open_to_read(path).map(|connection| Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn buckets(&self, account: &str, buckets: Range<u64>) -> Result<Vec<(u64, Usd)>, BookError> {
        let connection = self.lock();
        let mut find = connection.prepare_cached(
            "SELECT bucket, nano FROM balances WHERE account = (SELECT id FROM names WHERE text = ?1) AND bucket >= ?2 AND bucket < ?3
             AND nano <> 0 ORDER BY bucket",
        )?;
        let rows = find.query_map(params![account, integer(buckets.start), integer(buckets.end)], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), Usd::from_nano(row.get(1)?)))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
