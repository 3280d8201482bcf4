//! Shares of budgets: what gateways that share a book ask of it before they spend.
//!
//! What was spent in a window, and what all nodes hold of it, never exceed the limit together. A share belongs to an epoch of its node and
//! ends with it. Not here: how the record keeps that, and what a node makes of its share.

use std::ops::Range;
use std::sync::Arc;

use super::error::BookError;
use crate::base::Usd;

/// A window of an account, as the record knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountWindow {
    /// Which account.
    pub account: Arc<str>,
    /// Tells windows of one account apart; one that moves keeps its name.
    pub window: Arc<str>,
    /// The buckets of the window now. One that moves has no end.
    pub buckets: Range<u64>,
}

/// What a node wishes to spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Of what.
    pub of: AccountWindow,
    /// The limit.
    pub limit: Usd,
    /// The least that is of use.
    pub needed: Usd,
    /// What would be used at once.
    pub wanted: Usd,
    /// Somebody waits for it: where it does not fit, the other nodes hear of it, and return what they do not use.
    pub waits: bool,
}

/// What a node was granted, and how things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// How much more it may spend: what it needs at least, or nothing.
    pub more: Usd,
    /// How things stand with that.
    pub seen: Seen,
}

/// How a window stands on the record: all of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whose share it is. In another epoch it is void.
    pub epoch: i64,
    /// What all nodes spent in the window, as far as it is booked.
    pub spent: Usd,
    /// What this node holds; less than nothing, where it booked more than it was granted; none, where it never asked.
    pub own: Option<Usd>,
    /// What the others hold.
    pub others: Usd,
}

/// A window of which a node is short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The account.
    pub account: Arc<str>,
    /// The window's name.
    pub window: Arc<str>,
}

/// The record that nodes ask. Everything blocks.
pub trait Record: Send + Sync + std::fmt::Debug {
    /// Returns this node's epoch.
    fn epoch(&self) -> i64;

    /// Gives a node more of a budget: what it needs at least, more where much is left, nothing where that does not fit.
    ///
    /// # Errors
    /// [`BookError::Read`], where the record cannot be asked or the node's lease is over; [`BookError::Closed`].
    fn grant(&self, wish: &Wish) -> Result<Granted, BookError>;

    /// Tells how windows stand, in their order.
    ///
    /// # Errors
    /// As [`Self::grant`].
    fn look(&self, windows: &[AccountWindow]) -> Result<Vec<Seen>, BookError>;

    /// Gives back what the node will not spend; it must not count on that any more. Does not wait.
    fn give_back(&self, of: &AccountWindow, epoch: i64, amount: Usd);

    /// Returns the windows of which another node was refused something a moment ago that this one or others hold.
    ///
    /// # Errors
    /// As [`Self::grant`].
    fn short(&self) -> Result<Vec<Shortage>, BookError>;

    /// Notes that a share of a limit was reached, in percent; true for the first of all nodes that says so.
    ///
    /// # Errors
    /// As [`Self::grant`].
    fn claim(&self, account: &str, window: &str, percent: u16) -> Result<bool, BookError>;

    /// Forgets the shares above this one that were reached: they may be reached again.
    ///
    /// # Errors
    /// As [`Self::grant`].
    fn unclaim(&self, account: &str, window: &str, above: u16) -> Result<(), BookError>;
}
