//! Stands in where the program was built without Redis: there is none of it.

use super::{Correction, Outcome, Unreachable, Wish};

/// The rates of all gateways that name the same server. This program knows none.
#[derive(Debug)]
pub enum SharedRates {}

impl SharedRates {
    /// Takes all that is wished for, or nothing.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unused_async, reason = "as the one that asks a server")]
    pub async fn take(&self, _: &[Wish<'_>]) -> Result<Outcome, Unreachable> {
        match *self {}
    }

    /// Corrects what was taken.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unused_async, reason = "as the one that asks a server")]
    pub async fn correct(&self, _: &[Correction]) -> Result<(), Unreachable> {
        match *self {}
    }
}
