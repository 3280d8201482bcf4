//! `POST /v1/upgrade`: starts a successor and waits until it serves.
//!
//! Rule: only over the Unix socket, which nobody but the gateway's own user may open: it starts a program of the caller's choice.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::caller::Caller;
use super::change::read;
use crate::control::apply::Reply;
use crate::control::shared::Shared;
use crate::control::succession::{LaunchError, launch};
use crate::server::{Peer, RequestBody};

/// How long a successor may take, where the caller does not say, and at most. Milliseconds.
const PATIENCE_MS: u64 = 30_000;
const MOST_PATIENCE_MS: u64 = 600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpgradeBody {
    binary: Option<PathBuf>,
    timeout_ms: Option<u64>,
}

/// Starts a successor and waits until it serves; this gateway then finishes what runs.
///
/// # Errors
/// 403 over TCP; 400, 408, 413 for the body; 409 where there can be no successor now, or it ended before it had taken over; 503 while the
/// gateway ends; 504 where it was not ready in time. Then this gateway goes on.
pub(super) async fn upgrade(shared: &Arc<Shared>, peer: Peer, body: RequestBody, caller: &Caller) -> Result<Answer, Reply> {
    if peer.uid.is_none() || peer.address.is_some() {
        return Err(Reply::error(403, "forbidden", "a successor is started over the Unix socket alone"));
    }
    let asked: UpgradeBody = read(body).await?;
    if shared.is_draining() {
        return Err(Reply::error(503, "draining", "the gateway is ending"));
    }
    if shared.inherits() {
        let why = "the gateway before this one is still finishing its requests; try again when it has ended";
        return Err(Reply::error(409, "predecessor_runs", why));
    }
    let Some(program) = &shared.program else {
        return Err(Reply::error(409, "upgrade_failed", "this gateway does not know how it was started"));
    };
    if asked.binary.as_ref().is_some_and(|binary| !binary.is_absolute()) {
        return Err(Reply::error(400, "bad_request", "`binary` is an absolute path"));
    }
    tracing::info!(actor = caller.name, binary = ?asked.binary, "an upgrade was asked for");
    let patience = Duration::from_millis(asked.timeout_ms.unwrap_or(PATIENCE_MS).min(MOST_PATIENCE_MS));
    let revision = shared.live.revision();
    match launch(shared, program, asked.binary, patience).await {
        Ok(handed) => Ok(Answer::json(
            200,
            &json!({
                "outcome": "upgraded",
                "old": {"pid": std::process::id(), "version": env!("CARGO_PKG_VERSION"), "revision": revision},
                "new": {"pid": handed.pid, "version": handed.version, "revision": handed.revision},
                "frozen_us": u64::try_from(handed.frozen.as_micros()).unwrap_or(u64::MAX),
            }),
        )),
        Err(error) => {
            tracing::warn!(%error, "the upgrade failed; this gateway goes on");
            let (status, code) = match &error {
                LaunchError::TimedOut(_) => (504, "upgrade_timed_out"),
                LaunchError::Start { .. } | LaunchError::Ended(_) | LaunchError::Other(_) => (409, "upgrade_failed"),
            };
            Err(Reply::error(status, code, error.to_string()))
        }
    }
}
