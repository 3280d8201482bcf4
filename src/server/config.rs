//! Caps and timers, each with the reason for its default. What a deployment changes comes from the spec; the rest is fixed here.

use std::time::Duration;

use super::Acceptor;

/// Caps and timers of one listener.
#[derive(Debug, Clone)]
pub struct Config {
    /// From the connection (TLS handshake included) or the first byte of a later request until its head is complete. Default 10 s:
    /// slow phones need less than 2 s, slowloris tools need more than 10 s to be worth their sockets.
    pub head_timeout: Duration,
    /// Between two requests on one connection. Default 75 s: longer than the 60 s of common load balancers, so that they close first
    /// and no request meets a closing socket.
    pub keep_alive_idle: Duration,
    /// How long a write may make no progress because the client does not read. Default 30 s.
    pub write_stall_timeout: Duration,
    /// Timers of request bodies.
    pub body: BodyTimers,
    /// Most connections at once; further ones get 503 and are closed. Default 10,000.
    pub max_connections: usize,
    /// Largest request head in bytes, and largest header list of HTTP/2. Default 32 KiB.
    pub max_header_bytes: usize,
    /// Most header lines; over 100 counts as 100, which is what hyper takes without an allocation. Default 100.
    pub max_headers: usize,
    /// Longest request target in bytes. Default 8 KiB.
    pub max_target_bytes: usize,
    /// Most streams of one HTTP/2 connection. Default 128.
    pub max_streams: u32,
    /// How long running requests may take after the stop signal before they are cut. Default 120 s: answers are long streams.
    pub grace: Duration,
    /// Serves TLS.
    pub tls: Option<Acceptor>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            keep_alive_idle: Duration::from_secs(75),
            write_stall_timeout: Duration::from_secs(30),
            body: BodyTimers::default(),
            max_connections: 10_000,
            max_header_bytes: 32 * 1024,
            max_headers: 100,
            max_target_bytes: 8 * 1024,
            max_streams: 128,
            grace: Duration::from_secs(120),
            tls: None,
        }
    }
}

/// How slowly a client may send a body. Only time spent waiting for the client counts, never time spent by the handler.
#[derive(Debug, Clone, Copy)]
pub struct BodyTimers {
    /// Longest silence. Default 30 s.
    pub idle: Duration,
    /// Waiting time before the rate counts. Default 10 s.
    pub rate_after: Duration,
    /// Least bytes per second on average. Default 1024: a 2G link sends ten times as much, and a dripped byte per second is cut after
    /// `rate_after`. Zero turns it off.
    pub min_rate: u64,
}

impl Default for BodyTimers {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), rate_after: Duration::from_secs(10), min_rate: 1024 }
    }
}

impl BodyTimers {
    /// Returns how much longer to wait for the next bytes, given what has come and how long was waited so far.
    pub(super) fn patience(&self, received: u64, waited: Duration) -> Duration {
        if self.min_rate == 0 {
            return self.idle;
        }
        let earned = Duration::from_millis(received.saturating_mul(1000).checked_div(self.min_rate).unwrap_or(u64::MAX));
        self.idle.min(earned.max(self.rate_after).saturating_sub(waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_with_silence_or_with_too_low_a_rate() {
        let timers = BodyTimers::default();
        let secs = Duration::from_secs;
        assert_eq!(timers.patience(0, secs(0)), secs(10), "nothing came: the rate's grace");
        assert_eq!(timers.patience(5, secs(9)), secs(1), "one byte now and then does not buy time");
        assert_eq!(timers.patience(20 * 1024, secs(15)), secs(5), "20 KiB buy 20 s in all");
        assert_eq!(timers.patience(1 << 30, secs(15)), secs(30), "never longer than the idle limit");
        assert_eq!(timers.patience(0, secs(60)), secs(0));
        assert_eq!(BodyTimers { min_rate: 0, ..timers }.patience(0, secs(500)), secs(30));
    }
}
