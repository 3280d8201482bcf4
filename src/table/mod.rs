//! Plan + services → [`RoutingTable`], which is immutable; the pure decision over it; and the one pointer that the data plane reads.

mod build;
mod decide;
mod entry;
mod live;

pub use build::{PrepareError, Services, prepare};
pub use decide::{Ask, Candidate, Decision, Denial, Excluded, Exclusion, Standing, decide};
pub use entry::{Alias, Credential, Key, Provider, RoutingTable, Stage, Target};
pub use live::Live;
