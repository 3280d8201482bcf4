//! Request ids: 26 characters that sort by time, as a ULID does.
//!
//! 48 bits of Unix milliseconds, 32 bits of a counter, 48 bits drawn once per process: no system call and no lock per request,
//! unique within a process, and among processes as far as 48 random bits and the time carry. An id is a name, not a secret.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Crockford's alphabet: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of one request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId([u8; 26]);

impl RequestId {
    fn from_bits(mut bits: u128) -> Self {
        let mut text = [b'0'; 26];
        for place in text.iter_mut().rev() {
            let digit = usize::try_from(bits & 31).unwrap_or_default();
            *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
            bits >>= 5;
        }
        Self(text)
    }

    /// Returns the 26 characters: lower-case base 32, safe in a header and in JSON.
    pub fn as_str(&self) -> &str {
        // Every byte comes from ALPHABET, so this cannot fail.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes request ids.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    counter: AtomicU32,
    latest_ms: AtomicU64,
}

impl RequestIds {
    /// Makes ids that carry `process`, of which 48 bits count; draw it at random, once per process.
    pub const fn new(process: u64) -> Self {
        Self { process: process & 0xffff_ffff_ffff, counter: AtomicU32::new(0), latest_ms: AtomicU64::new(0) }
    }

    /// Makes ids that carry random bits from the system.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self::new)
    }

    /// Returns the next id. Ids sort in the order of their making, also when the wall clock is set back.
    pub fn next(&self, unix_ms: u64) -> RequestId {
        let before = self.latest_ms.fetch_max(unix_ms, Ordering::Relaxed);
        let ms = u128::from(before.max(unix_ms) & 0xffff_ffff_ffff);
        let count = u128::from(self.counter.fetch_add(1, Ordering::Relaxed));
        RequestId::from_bits(ms << 80 | count << 48 | u128::from(self.process))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_of_their_making_even_when_the_clock_goes_back() {
        let ids = RequestIds::new(7);
        let made: Vec<RequestId> = [1_000, 1_000, 1_001, 900, 1_002].map(|ms| ids.next(ms)).to_vec();
        let mut sorted = made.clone();
        sorted.sort();
        assert_eq!(made, sorted);
    }

    #[test]
    fn an_id_is_the_ulid_of_its_bits() {
        let id = RequestIds::new(0x1234_5678_9abc).next(1_767_225_600_000);
        let decoded = id.as_str().bytes().fold(0_u128, |bits, byte| bits << 5 | ALPHABET.iter().position(|c| *c == byte).unwrap() as u128);
        assert_eq!(id.as_str().len(), 26);
        assert_eq!(decoded >> 80, 1_767_225_600_000);
        assert_eq!(decoded & 0xffff_ffff_ffff, 0x1234_5678_9abc);
    }

    #[test]
    fn threads_never_share_an_id() {
        let ids = RequestIds::new(1);
        let mut made: Vec<RequestId> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..5_000).map(|_| ids.next(5)).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 20_000);
    }
}
