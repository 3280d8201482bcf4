//! One request, in order: auth · intake · decide · limits · attempt · relay · settle.
//!
//! Rule: the table is taken once and kept to the end of the request; nothing goes to the client before the first content, so that the
//! next target stays possible; after it, a fault becomes a typed error in the client's own format, never a clean end.

mod affinity;
mod attempt;
mod auth;
mod chain;
mod choose;
mod convert;
mod ending;
mod exchange;
mod facts;
mod handle;
mod hedge;
mod intake;
mod limits;
mod models;
mod money;
mod outbound;
mod passing;
mod payload;
mod queue;
mod reader;
mod refusal;
mod reply;
mod respond;
mod route;
mod stream;
mod translate;
mod tried;
mod waiting;

pub use affinity::Affinity;
pub use ending::Ending;
pub use handle::Gateway;
pub use reply::Reply;
