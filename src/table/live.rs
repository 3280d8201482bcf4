//! The pointer that the data plane reads and the control plane swaps.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::RoutingTable;

/// The running table. One writer; readers never wait.
#[derive(Debug)]
pub struct Live(ArcSwap<RoutingTable>);

impl Live {
    /// Starts with a table.
    pub fn new(table: RoutingTable) -> Self {
        Self(ArcSwap::from_pointee(table))
    }

    /// Returns the running table. A request takes it once and keeps it to its end.
    pub fn load(&self) -> Arc<RoutingTable> {
        self.0.load_full()
    }

    /// Returns the running revision, for streams that look whether theirs is still the one.
    pub fn revision(&self) -> u64 {
        self.0.load().revision
    }

    /// Swaps the table in. Infallible: whatever can fail has happened in [`super::prepare`].
    pub fn commit(&self, table: RoutingTable) -> Arc<RoutingTable> {
        self.0.swap(Arc::new(table))
    }
}
