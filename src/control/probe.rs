//! `/livez` and `/readyz`: for those who restart the process and those who send it traffic.
//!
//! Rule: a refused spec, a provider that is down or a credential that cools never make a gateway unready. It would be true of every
//! replica at once, and an outage of one provider would become one of all.

use serde_json::{Value, json};

use super::shared::Shared;

/// The answer to a probe.
pub(super) struct Probe {
    /// HTTP status.
    pub(super) status: u16,
    /// Body.
    pub(super) body: Value,
}

/// Answers a probe; none for any other path. Whoever asks carries no token, so that only the admin listener is told details.
pub(super) fn answer(shared: &Shared, path: &str, is_admin: bool) -> Option<Probe> {
    match path {
        "/livez" => Some(Probe { status: 200, body: json!({"status": "alive"}) }),
        "/readyz" if shared.is_draining() => {
            let reasons = ["the gateway is ending: it finishes what runs and takes nothing new"];
            Some(Probe { status: 503, body: json!({"status": "draining", "reasons": reasons}) })
        }
        "/readyz" if !is_admin => Some(Probe { status: 200, body: json!({"status": "ready", "reasons": []}) }),
        "/readyz" => {
            let revision = shared.live.revision();
            let mut notes = Vec::new();
            if shared.record(|record| record.out_of_step) {
                notes.push("the files of the spec are not what runs; see `bifrostctl status`");
            }
            Some(Probe { status: 200, body: json!({"status": "ready", "reasons": [], "revision": revision, "notes": notes}) })
        }
        _ => None,
    }
}
