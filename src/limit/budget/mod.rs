//! Budgets: what accounts spent, what running requests hold, and whether one more fits.
//!
//! What each account spent is kept by quarter of an hour of admission; a window is a sum over those, so that no job resets anything and no
//! edit of a limit, a period or a time zone changes what was spent. Rule: all budgets of a request in one critical section, in the order of
//! their accounts; what is held is settled once or given back; what memory spends, the book takes in the same moment.

mod account;
mod admit;
mod ledger;
mod reservation;
mod share;
mod sharing;
mod succession;
mod terms;
mod window;

pub use account::Account;
pub use ledger::{Alert, Ledger, Listener, Payer, Refused, Wanted};
pub use reservation::{Need, Reservation};
pub use succession::{Claimed, Frozen, Held, Inheritance, Successor};
pub use terms::{Budget, Short, Standing};
pub use window::Window;
