//! Texts as numbers: each is stored once.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

/// How many texts are remembered. A client may name any model of a provider that its key may use directly.
const MOST_REMEMBERED: usize = 65_536;
/// The longest text that is kept, in bytes; account names are kept whole.
const LONGEST: usize = 256;
/// How many sets of accounts are remembered; there is one for each key.
const MOST_SETS: usize = 16_384;

/// Returns the part of a text that is kept.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// The numbers of texts, as far as they are remembered.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<Arc<str>, i64>,
    /// By the address of the set, which is held so that it stays nobody else's: whoever pays hands out the same one each time.
    sets: HashMap<usize, (Set, Arc<Accounts>)>,
}

/// Who pays.
type Set = Arc<[Arc<str>]>;

/// Who pays, as numbers.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The set's.
    pub(super) set: i64,
    /// Its members', each once.
    pub(super) members: Vec<i64>,
}

impl Names {
    /// Returns the number of a text; a new text is stored. What is too long is cut.
    pub(super) fn number(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        self.whole(connection, cut(text))
    }

    /// Returns the number of a text of any length.
    pub(super) fn whole(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.known.get(text) {
            return Ok(*number);
        }
        let mut find = connection.prepare_cached("SELECT id FROM names WHERE text = ?1")?;
        let number = match find.query_row([text], |row| row.get(0)).optional()? {
            Some(number) => number,
            None => {
                connection.prepare_cached("INSERT INTO names (text) VALUES (?1)")?.execute([text])?;
                connection.last_insert_rowid()
            }
        };
        if self.known.len() >= MOST_REMEMBERED {
            self.known.clear();
        }
        self.known.insert(text.into(), number);
        Ok(number)
    }

    /// Returns the number of a text that may be missing.
    pub(super) fn maybe(&mut self, connection: &Connection, text: Option<&Arc<str>>) -> rusqlite::Result<Option<i64>> {
        text.map(|text| self.number(connection, text)).transpose()
    }

    /// Returns the numbers of a set of accounts.
    pub(super) fn accounts(&mut self, connection: &Connection, accounts: &Set) -> rusqlite::Result<Arc<Accounts>> {
        let address = Arc::as_ptr(accounts).cast::<()>() as usize;
        if let Some((_, known)) = self.sets.get(&address) {
            return Ok(Arc::clone(known));
        }
        let names = distinct(accounts);
        let text = serde_json::to_string(&names).unwrap_or_default();
        let set = self.whole(connection, &text)?;
        let members = names.iter().map(|name| self.whole(connection, name)).collect::<rusqlite::Result<_>>()?;
        let numbers = Arc::new(Accounts { set, members });
        if self.sets.len() >= MOST_SETS {
            self.sets.clear();
        }
        self.sets.insert(address, (Arc::clone(accounts), Arc::clone(&numbers)));
        Ok(numbers)
    }

    /// Forgets all, for a transaction that stored some was undone.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.sets.clear();
    }
}

/// Returns accounts sorted, each once.
pub(super) fn distinct(accounts: &[Arc<str>]) -> Vec<&str> {
    let mut accounts: Vec<&str> = accounts.iter().map(AsRef::as_ref).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

/// Reads the text of a stored set.
pub(super) fn members(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}
