//! What is held for one attempt, from before it is sent until it is known what it cost.

use std::sync::Arc;

use super::admit::Extended;
use super::ledger::{Ledger, Payer, Refused};
use crate::base::Usd;
use crate::store::book::{Closing, Opening, Progress, Ticket};

/// What an attempt may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The most; none where there is no bound.
    pub most: Option<Usd>,
    /// Its input and the first step of its answer, for budgets that go step by step.
    pub step: Usd,
}

impl Need {
    /// Of something that costs nothing.
    pub const FREE: Self = Self { most: Some(Usd::ZERO), step: Usd::ZERO };

    /// Returns whether it costs nothing.
    pub fn is_free(&self) -> bool {
        self.most == Some(Usd::ZERO)
    }
}

/// Money held for one attempt. Settled exactly once; one that is dropped gives back what it holds and books nothing.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    payer: Arc<Payer>,
    /// The bucket of its admission, to which all is charged.
    bucket: u64,
    /// What each account holds.
    amounts: Vec<Usd>,
    need: Need,
    opening: Option<Arc<Opening>>,
    settled: bool,
}

impl Reservation {
    pub(super) fn new(ledger: Arc<Ledger>, payer: Arc<Payer>, (bucket, amounts): (u64, Vec<Usd>), need: Need) -> Self {
        Self { ledger, payer, bucket, amounts, need, opening: None, settled: false }
    }

    /// Ends it without giving anything back: returns the bucket of its admission, and what each account holds.
    pub(super) fn into_claim(mut self) -> (u64, Vec<Usd>) {
        self.settled = true;
        (self.bucket, std::mem::take(&mut self.amounts))
    }

    /// Returns the most that any account holds for it.
    pub fn held(&self) -> Usd {
        self.amounts.iter().copied().max().unwrap_or_default()
    }

    /// Returns what it may cost.
    pub const fn need(&self) -> Need {
        self.need
    }

    /// Returns the bucket that it is charged to.
    pub const fn bucket(&self) -> u64 {
        self.bucket
    }

    /// Opens its line in the book. The ticket tells when that is on the disk.
    pub fn open(&mut self, opening: Arc<Opening>) -> Option<Ticket> {
        self.opening = Some(Arc::clone(&opening));
        self.ledger.open(opening)
    }

    /// Holds enough for a cost up to an amount, where a budget goes step by step. Where gateways share the book, it may have to be asked
    /// first: then what is held must do, as long as the cost so far is within it.
    ///
    /// # Errors
    /// [`Refused`]; what was held before still is.
    pub fn extend(&mut self, upto: Usd, so_far: Usd) -> Result<(), Refused> {
        if self.held() >= upto {
            return Ok(());
        }
        match self.ledger.extend_or_ask(&self.payer, self.bucket, &mut self.amounts, upto)? {
            Extended::Asked(short) if so_far > self.held() => Err(Refused::Short(short)),
            Extended::Unheard(why) if so_far > self.held() => Err(Refused::Store(why)),
            Extended::Yes | Extended::Asked(_) | Extended::Unheard(_) => Ok(()),
        }
    }

    /// Notes in the book how far it has come, for whoever finds its line open after a crash.
    pub fn progress(&self, progress: Progress) {
        if let (Some(book), Some(opening)) = (self.ledger.book(), &self.opening) {
            book.progress(opening.id, progress);
        }
    }

    /// Ends it: what was held is given back, what it cost is spent.
    pub fn settle(mut self, closing: Closing) {
        self.settled = true;
        self.ledger.end(&self.payer, (self.bucket, &self.amounts), Some(closing));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.ledger.end(&self.payer, (self.bucket, &self.amounts), None);
        }
    }
}
