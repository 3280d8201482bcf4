//! What the admin API shows: status, specs, revisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::change::parameter;
use crate::control::apply::Reply;
use crate::control::shared::{LastReload, Shared};
use crate::provider::{Admit, CredentialState, Reason};
use crate::store::Revision;
use crate::table::{Alias, Credential, RoutingTable, Target};

/// Returns every target that the spec names, by provider and model.
pub(in crate::control) fn targets(table: &RoutingTable) -> BTreeMap<(&str, &str), &Arc<Target>> {
    table.targets.values().map(|target| ((target.provider.name.as_str(), target.model.as_str()), target)).collect()
}

/// Describes the running gateway.
pub(super) fn status(shared: &Shared) -> Value {
    let table = shared.live.load();
    let (unix_ms, now_ms) = (shared.clock.unix_ms(), shared.clock.monotonic_ms());
    let (started_unix_ms, started_ms) = shared.started;
    let (out_of_step, last) = shared.record(|record| (record.out_of_step, record.last.clone()));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": table.revision,
        "digest": table.digest,
        "sync": if out_of_step { "out_of_sync" } else { "synced" },
        "health": health(&table, now_ms),
        "started": time(started_unix_ms),
        "uptime_ms": now_ms.saturating_sub(started_ms),
        "draining": shared.is_draining(),
        "pid": std::process::id(),
        "predecessor_runs": shared.inherits(),
        "listen": shared.listen,
        "admin": shared.admin,
        "spec_paths": shared.origin.paths().iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "watching": shared.watching(),
        "tables_alive": shared.census.alive(),
        "in_flight": shared.metrics.requests_in_flight(),
        "last_reload": last.as_ref().map(last_reload),
        "providers": providers(&table, now_ms, unix_ms),
        "limits_reached": limits_reached(&table, (shared.clock.monotonic_us().saturating_mul(1_000), unix_ms)),
    })
}

/// Lists the limits that would refuse the smallest request now, each with what is reached and when it would pass.
fn limits_reached(table: &RoutingTable, (now_ns, unix_ms): (u64, u64)) -> Value {
    let limiters = table.limiters();
    let reached = limiters.values().filter_map(|limiter| limiter.check(Some(1), now_ns).err());
    let told = reached.map(|refused| {
        let until_ms = unix_ms.saturating_add(refused.wait_ns.div_ceil(1_000_000));
        json!({"scope": refused.scope.label(), "name": refused.name, "limits": refused.measure.label(), "limit": refused.limit, "until_ms": until_ms})
    });
    Value::Array(told.collect())
}

fn last_reload(last: &LastReload) -> Value {
    json!({"outcome": last.outcome, "trigger": last.trigger, "time": time(last.unix_ms), "diagnostics": last.diagnostics})
}

/// Says how well the table can serve: `healthy`; `degraded` when an alias cannot be served, a credential is kept back or a breaker is
/// open; `unhealthy` when no alias can be served. What waits for an optional secret that was never set is no fault.
fn health(table: &RoutingTable, now_ms: u64) -> &'static str {
    let aliases: Vec<bool> = table.aliases.values().filter_map(|alias| is_served(alias, now_ms)).collect();
    if !table.aliases.is_empty() && !aliases.contains(&true) {
        return "unhealthy";
    }
    let mut credentials = table.providers.values().flat_map(|provider| &provider.credentials);
    let is_out = credentials.any(|credential| credential.health.overall(now_ms) != CredentialState::Ready);
    // What only clients name is no fault of the gateway's.
    let kept_back = is_out || table.targets.values().any(|target| fitting(target).any(|credential| !is_ready(credential, target, now_ms)));
    let broken = targets(table).values().any(|target| target.health.breaker.admits(now_ms) != Admit::Yes);
    let is_away = table.providers.values().any(|provider| provider.reach.is_away());
    if aliases.contains(&false) || kept_back || broken || is_away { "degraded" } else { "healthy" }
}

/// Lists the credentials that a target may be called with, ready or not.
fn fitting(target: &Target) -> impl Iterator<Item = &Credential> {
    target.provider.credentials.iter().map(Arc::as_ref).filter(|credential| crate::base::glob::any(&credential.models, &target.model))
}

fn is_ready(credential: &Credential, target: &Target, now_ms: u64) -> bool {
    credential.health.state(&target.model, now_ms) == CredentialState::Ready
}

/// Returns whether an alias can be served now; none where no target of it has a credential at all.
fn is_served(alias: &Alias, now_ms: u64) -> Option<bool> {
    let mut served = None;
    for target in alias.stages.iter().flat_map(|stage| &stage.targets).map(|member| &member.target) {
        let mut credentials = fitting(target).peekable();
        if credentials.peek().is_none() {
            continue;
        }
        let open = target.provider.reach.is_away() || matches!(target.health.breaker.admits(now_ms), Admit::No { .. });
        let ready = !open && credentials.any(|credential| is_ready(credential, target, now_ms));
        served = Some(served.unwrap_or(false) || ready);
    }
    served
}

fn providers(table: &RoutingTable, now_ms: u64, unix_ms: u64) -> Value {
    let wall = |until_ms: u64| unix_ms.saturating_add(until_ms.saturating_sub(now_ms));
    // Credentials and targets by provider.
    let mut providers: BTreeMap<&str, [Map<String, Value>; 2]> = BTreeMap::new();
    for provider in table.providers.values() {
        let [credentials, _] = providers.entry(&provider.name).or_default();
        for credential in &provider.credentials {
            let mut state = credential_state(credential.health.overall(now_ms), wall);
            let resting = credential.health.resting(now_ms).into_iter();
            let resting: Map<_, _> = resting.map(|(model, state)| (model.to_string(), credential_state(state, wall))).collect();
            if let (Some(state), false) = (state.as_object_mut(), resting.is_empty()) {
                state.insert("models".to_owned(), Value::Object(resting));
            }
            credentials.insert(credential.name.clone(), state);
        }
        for (name, reason) in &provider.absent {
            // What follows tells how to make it optional, which it is.
            let reason = reason.split("; ").next();
            credentials.insert(name.clone(), json!({"state": "absent", "reason": reason, "until_ms": null}));
        }
    }
    for ((provider, model), target) in targets(table) {
        let (state, until_ms) = match target.health.breaker.admits(now_ms) {
            Admit::Yes => ("closed", None),
            Admit::Probe => ("half_open", None),
            Admit::No { until_ms } => ("open", Some(wall(until_ms))),
        };
        let [_, targets] = providers.entry(provider).or_default();
        let load = target.health.load.snapshot(now_ms);
        let shown = json!({
            "state": state,
            "until_ms": until_ms,
            "in_flight": load.in_flight,
            "streamed_us": load.streamed_us,
            "whole_us": load.whole_us,
            "failures_permille": load.failures_permille(),
            "concurrency": concurrency(target, now_ms),
        });
        targets.insert(model.to_owned(), shown);
    }
    let shown = providers.into_iter().map(|(name, [credentials, targets])| {
        let provider = table.providers.get(name).filter(|provider| provider.spec.health_check.is_some());
        let is_there = provider.map(|provider| !provider.reach.is_away());
        (name.to_owned(), json!({"is_there": is_there, "credentials": credentials, "targets": targets}))
    });
    Value::Object(shown.collect())
}

/// Shows what runs with each credential, where that is limited.
fn concurrency(target: &Target, now_ms: u64) -> Value {
    target.places.iter().map(|(credential, places)| (credential.clone(), json!(places.snapshot(now_ms)))).collect::<Map<_, _>>().into()
}

fn credential_state(state: CredentialState, wall: impl Fn(u64) -> u64) -> Value {
    match state {
        CredentialState::Ready => json!({"state": "ready", "reason": null, "until_ms": null}),
        CredentialState::Cooling { until_ms, reason } => json!({"state": "cooling", "reason": why(reason), "until_ms": wall(until_ms)}),
        CredentialState::Out { until_ms, reason } => json!({"state": "out", "reason": why(reason), "until_ms": until_ms.map(wall)}),
    }
}

const fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::RateLimit => "the provider answered 429",
        Reason::Forbidden => "the provider refused the credential for this model (403)",
        Reason::Quota => "the provider says that the account has no quota left",
        Reason::Auth => "the provider refused the credential; it is tried again when the secret changes",
    }
}

/// Shows a revision's text and plan: the running one, or `?revision=N`.
///
/// # Errors
/// 400 for what is no number, 404 for a revision that is not there.
pub(super) async fn spec(shared: &Arc<Shared>, query: &str) -> Result<Answer, Reply> {
    let wanted = parameter(query, "revision").map(str::parse::<u64>).transpose();
    let wanted = wanted.map_err(|_| Reply::error(400, "bad_request", "`revision` is the number of a revision"))?;
    let current = shared.current();
    if let Some(number) = wanted.filter(|number| *number != current.revision) {
        let Revision { info, paths, files, model } = stored(shared, number).await?;
        let body = json!({"revision": number, "digest": info.digest, "files": files, "paths": paths, "plan": model});
        return Ok(Answer::json(200, &body).tag(number));
    }
    let (texts, revision) = (&current.texts, current.revision);
    let body =
        json!({"revision": revision, "digest": current.digest, "files": texts.files, "paths": texts.paths, "plan": current.plan.model()});
    Ok(Answer::json(200, &body).tag(revision))
}

/// Reads a revision from the disk.
pub(super) async fn stored(shared: &Arc<Shared>, number: u64) -> Result<Revision, Reply> {
    let store = Arc::clone(&shared.store);
    match tokio::task::spawn_blocking(move || store.get(number)).await {
        Ok(Ok(Some(revision))) => Ok(revision),
        Ok(Ok(None)) => {
            Err(Reply::error(404, "no_such_revision", format!("there is no revision {number}; `bifrostctl history` lists them")))
        }
        Ok(Err(error)) => Err(Reply::error(500, "internal", error.to_string())),
        Err(_) => Err(Reply::error(500, "internal", "reading the revision ended unexpectedly")),
    }
}

/// Lists the revisions.
pub(super) fn revisions(shared: &Shared) -> Answer {
    let current = shared.live.revision();
    Answer::json(200, &json!({"revisions": shared.store.list(), "running": current})).tag(current)
}

/// Writes a time as RFC 3339 in UTC.
fn time(unix_ms: u64) -> String {
    i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default().to_string()
}
