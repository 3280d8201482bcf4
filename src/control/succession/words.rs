//! What the two gateways say to each other, as JSON.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::Usd;
use crate::limit::budget::{Claimed, Held, Need, Refused, Short};
use crate::plan::WhenExhausted;

/// The form of these words. Another one is of another version, and the two do not understand each other.
pub(super) const FORM: u32 = 1;

/// What the successor says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromSuccessor {
    /// It wants to take over.
    Hello {
        form: u32,
        /// The form of the book's tables.
        tables: u32,
        version: String,
        pid: u32,
    },
    /// Everything that may fail is done but for the accounts.
    Ready,
    /// It serves as soon as it may.
    Serve { revision: u64 },
    /// To [`Ask::Reserve`] and [`Ask::Extend`].
    Answer(Answer),
    /// To [`Ask::Bye`].
    Farewell,
}

/// What the predecessor says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromPredecessor {
    /// With the descriptors of the listeners and the lock.
    /// With the file of the admin socket, where that is a Unix socket.
    Welcome { version: String, pid: u32, admin: Option<PathBuf> },
    /// No.
    Refused { why: String },
    /// The accounts are frozen, and this is what is held.
    Estate { held: Vec<Sum> },
    /// It is all the successor's.
    Yours,
    /// On behalf of requests that still run.
    Ask(Ask),
}

/// What the predecessor asks on behalf of its requests.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Reserve { accounts: Vec<Arc<str>>, most: Option<i64>, step: i64, now_ms: u64 },
    Extend { held: Claim, upto: i64 },
    Settle { held: Claim, cost: i64 },
    Bye,
}

/// What the successor answers about money. Amounts in nano-USD.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Holds { bucket: u64, amounts: Vec<i64> },
    Short(Vec<Lack>),
    Store(String),
}

/// What is held of an account, admitted in a bucket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sum {
    account: Arc<str>,
    bucket: u64,
    nano: i64,
}

/// What a request holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    accounts: Vec<Arc<str>>,
    bucket: u64,
    amounts: Vec<i64>,
}

/// A budget without room.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lack {
    budget: Arc<str>,
    limit: i64,
    spent: i64,
    held: i64,
    needed: Option<i64>,
    ends_ms: Option<u64>,
    /// The alias that serves instead.
    instead: Option<String>,
}

pub(super) fn nanos(amounts: &[Usd]) -> Vec<i64> {
    amounts.iter().map(|amount| amount.nano()).collect()
}

pub(super) fn amounts(nanos: &[i64]) -> Vec<Usd> {
    nanos.iter().map(|nano| Usd::from_nano(*nano)).collect()
}

pub(super) fn need(most: Option<i64>, step: i64) -> Need {
    Need { most: most.map(Usd::from_nano), step: Usd::from_nano(step) }
}

impl From<&Held> for Sum {
    fn from(held: &Held) -> Self {
        Self { account: Arc::clone(&held.account), bucket: held.bucket, nano: held.amount.nano() }
    }
}

impl From<Sum> for Held {
    fn from(sum: Sum) -> Self {
        Self { account: sum.account, bucket: sum.bucket, amount: Usd::from_nano(sum.nano) }
    }
}

impl From<&Claimed> for Claim {
    fn from(held: &Claimed) -> Self {
        Self { accounts: held.accounts.to_vec(), bucket: held.bucket, amounts: nanos(&held.amounts) }
    }
}

impl From<Claim> for Claimed {
    fn from(claim: Claim) -> Self {
        Self { accounts: claim.accounts.into(), bucket: claim.bucket, amounts: amounts(&claim.amounts) }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Short(short) => Self::Short(short.iter().map(Lack::from).collect()),
            Refused::Store(why) => Self::Store(why),
        }
    }
}

impl From<&Short> for Lack {
    fn from(short: &Short) -> Self {
        Self {
            budget: Arc::clone(&short.budget),
            limit: short.limit.nano(),
            spent: short.spent.nano(),
            held: short.held.nano(),
            needed: short.needed.map(Usd::nano),
            ends_ms: short.ends_ms,
            instead: match &short.when_exhausted {
                WhenExhausted::Use(alias) => Some(alias.clone()),
                WhenExhausted::Deny => None,
            },
        }
    }
}

impl From<Lack> for Short {
    fn from(lack: Lack) -> Self {
        Self {
            budget: lack.budget,
            limit: Usd::from_nano(lack.limit),
            spent: Usd::from_nano(lack.spent),
            held: Usd::from_nano(lack.held),
            needed: lack.needed.map(Usd::from_nano),
            ends_ms: lack.ends_ms,
            when_exhausted: lack.instead.map_or(WhenExhausted::Deny, WhenExhausted::Use),
        }
    }
}
