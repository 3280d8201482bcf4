//! The book on PostgreSQL, for gateways that share one: the same lines, balances and rules as in the embedded file.
//!
//! Each gateway is a node with a lease. It opens lines while it holds one; what it leaves open when the lease runs out, the others charge.
//!
//! Rule: what changes a line's cost changes the balances of its accounts in the same transaction, whichever node does it.

mod grant;
mod keeper;
mod lease;
mod report;
mod rows;
mod schema;
mod tls;
mod write;

use std::sync::Arc;

pub(super) use keeper::{Keeper, Kept};
pub(super) use report::Asker;
pub use schema::Place;
pub(super) use write::Writer;

use self::lease::{Lease, take_over};
use super::error::Failure;
use super::write::Recovered;
use crate::base::Clock;

/// Connects as a new node, and takes over what nodes left that are gone.
///
/// # Errors
/// [`Failure`].
pub(super) fn open(place: &Arc<Place>, name: &str, clock: &Arc<dyn Clock>) -> Result<(Writer, Kept, Recovered), Failure> {
    let mut client = place.connect()?;
    place.migrate(&mut client)?;
    let lease = Arc::new(Lease::new(Arc::clone(clock), place.lease));
    lease.renew(&mut client, name)?;
    let recovered = take_over(&mut client, None, clock.unix_ms())?;
    let writer = Writer::new(Arc::clone(place), Arc::clone(&lease), place.connect()?);
    let kept = Kept {
        place: Arc::clone(place),
        lease,
        clock: Arc::clone(clock),
        name: name.to_owned(),
        client: Some(client),
        lenient_until: None,
    };
    Ok((writer, kept, recovered))
}
