//! The pointer that the data plane reads and the control plane swaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::RoutingTable;

/// The running table. One writer; readers never wait.
#[derive(Debug)]
pub struct Live {
    table: ArcSwap<RoutingTable>,
    /// Follows the table: whoever sees a revision here loads that table or a later one.
    revision: AtomicU64,
}

impl Live {
    /// Starts with a table.
    pub fn new(table: RoutingTable) -> Self {
        Self { revision: AtomicU64::new(table.revision), table: ArcSwap::from_pointee(table) }
    }

    /// Returns the running table. A request takes it once and keeps it to its end.
    pub fn load(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// Returns the running revision, for streams that look at each event whether theirs is still the one.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Swaps the table in. Infallible: whatever can fail has happened in [`super::prepare`].
    pub fn commit(&self, table: RoutingTable) -> Arc<RoutingTable> {
        let revision = table.revision;
        let before = self.table.swap(Arc::new(table));
        self.revision.store(revision, Ordering::Release);
        before
    }
}
