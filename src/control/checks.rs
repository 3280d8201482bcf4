//! Asks providers whether they are there, where the spec wants it.
//!
//! Rule: any answer but one of a server in trouble (5xx) is one; what it says, a refused credential or a path that does not exist, is the business
//! of real requests. No request of a client waits for a check, and none is sent to a model.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderMap, Method};
use tokio::task::JoinHandle;

use super::shared::Shared;
use crate::base::Clock;
use crate::plan::HealthCheck;
use crate::provider::{Outbound, Pieces, Travel, Waits, request_headers};
use crate::table::Provider;

/// How often it is looked whether a check is due.
const TICK: Duration = Duration::from_secs(1);

/// Checks, again and again, as long as the gateway runs.
pub(super) async fn run(shared: Weak<Shared>) {
    // When each provider is asked next, in monotonic milliseconds, and the last time that it was.
    let mut due: HashMap<String, (u64, Option<JoinHandle<()>>)> = HashMap::new();
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let (table, clock) = (shared.live.load(), Arc::clone(&shared.clock));
        drop(shared);
        due.retain(|name, _| table.providers.contains_key(name));
        for (name, provider) in &table.providers {
            let Some(check) = provider.spec.health_check.clone() else { continue };
            let now_ms = clock.monotonic_ms();
            let (next, last) = due.entry(name.clone()).or_insert((now_ms, None));
            // One after the other, so that an old answer never follows a new one.
            if *next <= now_ms && last.as_ref().is_none_or(JoinHandle::is_finished) {
                *next = now_ms.saturating_add(check.every.as_millis());
                *last = Some(tokio::spawn(once(Arc::clone(provider), check, Arc::clone(&clock))));
            }
        }
        drop(table);
        tokio::time::sleep(TICK).await;
    }
}

/// Asks once, and notes what came of it.
async fn once(provider: Arc<Provider>, check: HealthCheck, clock: Arc<dyn Clock>) {
    let answered = ask(&provider, &check, &*clock).await;
    if provider.reach.note(answered) {
        match answered {
            true => tracing::info!(provider = provider.name, "the provider answers its checks again"),
            false => tracing::warn!(provider = provider.name, "the provider answers no checks; others are tried first"),
        }
    }
}

/// Returns whether the provider is there. A credential that cannot be had says nothing of it.
async fn ask(provider: &Provider, check: &HealthCheck, clock: &dyn Clock) -> bool {
    let Ok(path) = provider.path(&check.path, None) else { return true };
    let headers = request_headers(&HeaderMap::new(), &[], Travel::Translated(provider.format));
    let mut outbound = Outbound { method: Method::GET, path, headers, body: Pieces::default() };
    if let Some(credential) = provider.credentials.first()
        && credential.signer.sign(&mut outbound, provider.client.host(), clock.unix_ms()).await.is_err()
    {
        return true;
    }
    let waits = Waits { first_byte: check.timeout.get(), idle: check.timeout.get() };
    provider.client.send(outbound, waits).await.is_ok_and(|upstream| !upstream.status.is_server_error())
}
