//! How many routing tables are in memory: more than one for long means that something holds on to an old one.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::table::RoutingTable;

/// Counts tables without keeping them.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Guards the list alone: taken at swaps and scrapes.
    tables: Mutex<Vec<Weak<RoutingTable>>>,
}

impl Census {
    /// Counts a table from now on until it is dropped.
    pub(super) fn add(&self, table: &Arc<RoutingTable>) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|table| table.strong_count() > 0);
        tables.push(Arc::downgrade(table));
    }

    /// Returns how many are alive.
    pub(super) fn alive(&self) -> u64 {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.iter().filter(|table| table.strong_count() > 0).count() as u64
    }
}
