//! What a line of the book says: the attempt, who pays, what was used, how it was found out.

use std::fmt;
use std::sync::Arc;

use crate::base::Usd;
use crate::wire::ir::{Tier, Usage};

/// Milliseconds in a bucket. Every offset of a time zone in use is a multiple of a quarter of an hour, so the edge of any calendar window
/// is an edge of a bucket.
pub const BUCKET_MS: u64 = 900_000;

/// Crockford's alphabet, in which request ids are written.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Length of a request id, in characters.
const REQUEST_LENGTH: usize = 26;

/// Returns the bucket that a time belongs to.
pub const fn bucket_of(unix_ms: u64) -> u64 {
    unix_ms / BUCKET_MS
}

/// The name of one billed attempt: the request's id and the attempt's number within it. What is booked is booked once per name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId([u8; 18]);

impl AttemptId {
    /// Names an attempt of a request; none where the text is not the 26 characters of a request id.
    pub fn new(request: &str, number: u16) -> Option<Self> {
        if request.len() != REQUEST_LENGTH {
            return None;
        }
        let mut bits: u128 = 0;
        for byte in request.bytes() {
            let digit = ALPHABET.iter().position(|character| *character == byte)?;
            // 26 digits hold 130 bits; an id has 128.
            if bits >> 123 != 0 {
                return None;
            }
            bits = bits << 5 | u128::try_from(digit).ok()?;
        }
        Some(Self::from_bits(bits, number))
    }

    /// Names an attempt by the 128 bits of the request's id.
    pub fn from_bits(request: u128, number: u16) -> Self {
        let mut bytes = [0; 18];
        let (high, low) = bytes.split_at_mut(16);
        high.copy_from_slice(&request.to_be_bytes());
        low.copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// Returns the name of what an act does to another account: the same with a number that no attempt has.
    pub(super) fn counterpart(self) -> Self {
        let (request, number) = self.parts();
        Self::from_bits(request, number ^ 0x8000)
    }

    /// Returns the bytes under which it is stored; they sort as the ids do.
    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the 128 bits of the request's id and the number of the attempt.
    fn parts(self) -> (u128, u16) {
        let (high, low) = self.0.split_at(16);
        let request = high.try_into().map(u128::from_be_bytes).unwrap_or_default();
        (request, low.try_into().map(u16::from_be_bytes).unwrap_or_default())
    }
}

impl fmt::Display for AttemptId {
    /// Writes the request's id, a slash, and the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut request, number) = self.parts();
        let mut text = [b'0'; REQUEST_LENGTH];
        for place in text.iter_mut().rev() {
            let digit = usize::try_from(request & 31).unwrap_or_default();
            *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
            request >>= 5;
        }
        write!(f, "{}/{number}", std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of an attempt before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its name.
    pub id: AttemptId,
    /// When it was admitted, Unix milliseconds; decides the bucket that it is charged to.
    pub admitted_ms: u64,
    /// The virtual key; none where anybody may call.
    pub key: Option<Arc<str>>,
    /// The key's team.
    pub team: Option<Arc<str>>,
    /// The alias that was asked for; none where a target was named directly.
    pub alias: Option<Arc<str>>,
    /// The provider that is called.
    pub provider: Arc<str>,
    /// The model as the provider calls it.
    pub model: Arc<str>,
    /// What is called, as the access log names it: `chat`, `messages`, `embeddings`, …
    pub endpoint: &'static str,
    /// The accounts that pay: `key:NAME`, `team:NAME`, `budget:NAME`. Each pays the whole; one that stands twice pays once.
    pub accounts: Arc<[Arc<str>]>,
    /// What a crash charges when no progress is known. Zero for what is opened before anything is sent.
    pub floor: Usd,
    /// What was held for it.
    pub reserved: Usd,
}

/// How far a running attempt has come. Each replaces the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it cost so far, its input included.
    pub cost: Usd,
    /// What it used so far.
    pub usage: Usage,
    /// How that is known.
    pub source: UsageSource,
}

/// How what was used is known, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UsageSource {
    /// The provider's final report.
    Provider,
    /// The provider's last report of a stream that was cut.
    Stream,
    /// Our own count of what was forwarded.
    Estimated,
    /// The input alone: something was sent, nothing is known of an answer.
    Input,
    /// Nothing was used.
    Nothing,
    /// A stored answer, which costs nothing.
    Cache,
}

impl UsageSource {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 6] = [Self::Provider, Self::Stream, Self::Estimated, Self::Input, Self::Nothing, Self::Cache];

    /// Returns the word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Stream => "stream",
            Self::Estimated => "estimated",
            Self::Input => "input",
            Self::Nothing => "nothing",
            Self::Cache => "cache",
        }
    }

    /// Returns the number under which it is stored, which never changes.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Provider => 0,
            Self::Stream => 1,
            Self::Estimated => 2,
            Self::Input => 3,
            Self::Nothing => 4,
            Self::Cache => 5,
        }
    }
}

/// What an attempt came to in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// What was known before. Decisive: where the line was never opened, it is written from this alone.
    pub opening: Arc<Opening>,
    /// When it ended, Unix milliseconds.
    pub closed_ms: u64,
    /// What it cost. What is negative counts as zero.
    pub cost: Usd,
    /// What it used.
    pub usage: Usage,
    /// How that is known.
    pub source: UsageSource,
    /// The price list that was applied.
    pub tier: Tier,
    /// Whether there was a price for it; without one the cost is zero and says nothing.
    pub priced: bool,
    /// The status that the provider answered; none where it gave none.
    pub status: Option<u16>,
    /// `ok`, or the code of the error.
    pub outcome: &'static str,
}

/// A correction of what accounts spent, by a person. Booked once per id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    /// Its name: a request id and any number.
    pub id: AttemptId,
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// The account.
    pub account: Arc<str>,
    /// What is done to it.
    pub change: Change,
    /// Who did it.
    pub actor: Arc<str>,
    /// Why, in their words.
    pub reason: Arc<str>,
}

/// What an adjustment does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds to what was spent in a bucket; takes away where the amount is negative.
    Add {
        /// The bucket.
        bucket: u64,
        /// The amount.
        amount: Usd,
    },
    /// Brings what was spent in each of these buckets to zero, whatever it is when this is booked. What is still running when this is
    /// booked is charged when it ends, as ever.
    Clear {
        /// The buckets.
        buckets: std::ops::Range<u64>,
    },
    /// Takes over what another account spent, bucket by bucket; that one has spent nothing then.
    Take {
        /// The other account.
        from: Arc<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_request_and_the_number() {
        let text = "01kb3h0yefzzzzzzzzzzzzzzzz";
        let id = AttemptId::new(text, 3).unwrap();
        assert_eq!(id.to_string(), format!("{text}/3"));
        assert!(id < AttemptId::new(text, 4).unwrap());
        assert_eq!(AttemptId::new("7zzzzzzzzzzzzzzzzzzzzzzzzz", 0), Some(AttemptId::from_bits(u128::MAX, 0)));
        for bad in
            ["", "01kb3h0yefzzzzzzzzzzzzzzz", "01kb3h0yefzzzzzzzzzzzzzzzu", "01KB3H0YEFZZZZZZZZZZZZZZZZ", "8zzzzzzzzzzzzzzzzzzzzzzzzz"]
        {
            assert_eq!(AttemptId::new(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn no_two_sources_share_a_code() {
        assert_eq!(UsageSource::ALL.map(UsageSource::code), [0, 1, 2, 3, 4, 5]);
    }
}
