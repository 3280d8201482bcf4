//! Talks to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation};

use super::{Correction, Outcome, Standing, Unreachable, Wish};
use crate::base::{Clock, Secret};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long it is left alone after a failure, in milliseconds.
const REST_MS: u64 = 1_000;
/// What its keys begin with.
const PREFIX: &str = "bifrost:rate:";

/// The rates of all gateways that name the same server.
pub struct SharedRates {
    connection: ConnectionManager,
    take: Script,
    correct: Script,
    clock: Arc<dyn Clock>,
    /// Until when it is left alone, in monotonic milliseconds; zero while it answers.
    rests_until_ms: AtomicU64,
}

impl SharedRates {
    /// Names a server: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`. Connects when it is first asked, in the runtime that this is called in.
    ///
    /// # Errors
    /// [`Unreachable`], where that is no such address.
    pub fn new(address: &Secret<String>, clock: Arc<dyn Clock>) -> Result<Self, Unreachable> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let client = Client::open(address.expose().as_str()).map_err(|error| unreachable(&error))?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(|error| unreachable(&error))?;
        let (take, correct) = (Script::new(include_str!("take.lua")), Script::new(include_str!("correct.lua")));
        Ok(Self { connection, take, correct, clock, rests_until_ms: AtomicU64::new(0) })
    }

    /// Takes all that is wished for, or nothing.
    ///
    /// # Errors
    /// [`Unreachable`]; then it is not known whether something was taken.
    pub async fn take(&self, wishes: &[Wish<'_>]) -> Result<Outcome, Unreachable> {
        let mut call = self.take.prepare_invoke();
        for wish in wishes {
            call.key(format!("{PREFIX}{}", wish.rate)).arg(wish.cost_us).arg(wish.tolerance_us);
        }
        let told: Vec<u64> = self.ask(&call).await?;
        let (&[wait_us, place], standings) =
            told.split_first_chunk::<2>().ok_or_else(|| Unreachable("it answered in other words".to_owned()))?;
        let (standings, _) = standings.as_chunks::<3>();
        let standings: Vec<_> = standings
            .iter()
            .map(|[ahead_us, ends_us, given_back_us]| Standing { ahead_us: *ahead_us, ends_us: *ends_us, given_back_us: *given_back_us })
            .collect();
        let refused = usize::try_from(place).ok().and_then(|place| place.checked_sub(1)).map(|place| (place, wait_us));
        Ok(Outcome { refused, standings })
    }

    /// Corrects what was taken. Asked once: where it fails, what was taken stays taken.
    ///
    /// # Errors
    /// [`Unreachable`].
    pub async fn correct(&self, corrections: &[Correction]) -> Result<(), Unreachable> {
        let mut call = self.correct.prepare_invoke();
        for Correction { rate, more_us, less_us, standing } in corrections {
            let (ends_us, given_back_us) = standing.map_or((0, 0), |standing| (standing.ends_us, standing.given_back_us));
            call.key(format!("{PREFIX}{rate}")).arg(more_us).arg(less_us).arg(ends_us).arg(given_back_us);
        }
        self.ask::<u64>(&call).await.map(drop)
    }

    /// Returns whether it answered when it was last asked.
    pub fn answers(&self) -> bool {
        self.rests_until_ms.load(Ordering::Relaxed) == 0
    }

    async fn ask<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, Unreachable> {
        let rests_until_ms = self.rests_until_ms.load(Ordering::Relaxed);
        if self.clock.monotonic_ms() < rests_until_ms {
            return Err(Unreachable("it did not answer a moment ago".to_owned()));
        }
        let mut connection = self.connection.clone();
        let answer: RedisResult<T> = match tokio::time::timeout(PATIENCE, call.invoke_async(&mut connection)).await {
            Ok(answer) => answer,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        };
        match answer {
            Ok(answer) => {
                if rests_until_ms != 0 && self.rests_until_ms.swap(0, Ordering::Relaxed) != 0 {
                    tracing::info!("the shared rates answer again");
                }
                Ok(answer)
            }
            Err(error) => {
                let error = unreachable(&error);
                if self.rests_until_ms.swap(self.clock.monotonic_ms() + REST_MS, Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, "each gateway keeps to its own part of each rate meanwhile");
                }
                Err(error)
            }
        }
    }
}

impl std::fmt::Debug for SharedRates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedRates").field("answers", &self.answers()).finish_non_exhaustive()
    }
}

/// Says why, without the address, which may hold a password.
fn unreachable(error: &RedisError) -> Unreachable {
    let word = match error.is_io_error() {
        true if error.is_timeout() => "no answer in time".to_owned(),
        true => "no connection".to_owned(),
        false => error.code().map_or_else(|| error.category().to_owned(), str::to_owned),
    };
    Unreachable(word)
}
