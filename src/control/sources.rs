//! What the control plane shows at each scrape: connections, permits, credentials, breakers, tables, the book.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::admin::targets;
use super::shared::Shared;
use crate::base::{Usd, glob};
use crate::limit::{Counters, Scope};
use crate::provider::{Admit, CredentialState as State, LoadSnapshot, PlacesSnapshot};
use crate::server::{Reason, Stats};
use crate::table::RoutingTable;
use crate::telemetry::{BreakerState, CredentialState, Samples, names};

/// Registers everything that is asked at each scrape.
pub(super) fn register(shared: &Arc<Shared>, client: Arc<Stats>, admin: Arc<Stats>, counters: Arc<Counters>) {
    shared.metrics.add_source(move |samples| {
        connections(samples, "client", &client);
        connections(samples, "admin", &admin);
        for scope in Scope::ALL {
            samples.add(&names::LIMIT_PERMITS, &[scope.label()], counters.in_use(scope));
        }
        let (used, most) = counters.memory().now();
        for (name, bytes) in [(&names::MEMORY_USED, used), (&names::MEMORY_LIMIT, most)] {
            if let Some(bytes) = bytes {
                samples.add(name, &[], bytes);
            }
        }
    });
    let (book, ledger) = (shared.book.clone(), Arc::clone(&shared.ledger));
    shared.metrics.add_source(move |samples| {
        let counts = book.counts();
        samples.add(&names::BOOK_LINES, &[], counts.lines);
        samples.add(&names::BOOK_WAITING, &[], counts.waiting);
        samples.add(&names::BOOK_FAILED, &[], u64::from(book.failure().is_some()));
        samples.add(&names::BOOK_LATE, &[], counts.late);
        samples.add(&names::BOOK_LOST, &[], counts.lost);
        samples.add(&names::BOOK_ASKS, &[], ledger.asks());
    });
    // Metrics belong to what they show: only a weak reference keeps the two from keeping each other.
    let weak = Arc::downgrade(shared);
    shared.metrics.add_source(move |samples| {
        let Some(shared) = weak.upgrade() else { return };
        samples.add(&names::CONFIG_TABLES_ALIVE, &[], shared.census.alive());
        let table = shared.live.load();
        health(samples, &table, shared.clock.monotonic_ms());
        budgets(samples, &table, shared.clock.unix_ms());
    });
}

/// Shared budgets alone: those of keys and teams would tell who asks.
fn budgets(samples: &mut Samples, table: &RoutingTable, unix_ms: u64) {
    let mut seen = BTreeSet::new();
    let all = table.keys.values().flat_map(|key| &key.payer.budgets).map(|(_, budget)| budget);
    for budget in all.filter(|budget| budget.account.id.starts_with("budget:") && seen.insert(Arc::clone(&budget.name))) {
        let standing = budget.standing(unix_ms);
        let nano = |amount: Usd| u64::try_from(amount.nano()).unwrap_or_default();
        samples.add(&names::BUDGET_LIMIT, &[&budget.name], nano(budget.terms.limit));
        samples.add(&names::BUDGET_SPENT, &[&budget.name], nano(standing.spent));
        samples.add(&names::BUDGET_HELD, &[&budget.name], nano(standing.held));
    }
}

fn connections(samples: &mut Samples, listener: &str, stats: &Stats) {
    samples.connections(listener, stats.open(), stats.accepted());
    let own = [("connections", stats.over_cap()), ("tls", stats.tls_failures()), ("accept", stats.accept_errors())];
    let refused = Reason::ALL.iter().map(|reason| (reason.code(), stats.refused(*reason)));
    for (reason, count) in own.into_iter().chain(refused).filter(|(_, count)| *count > 0) {
        samples.connections_refused(listener, reason, count);
    }
}

const fn shown(state: State) -> CredentialState {
    match state {
        State::Ready => CredentialState::Ready,
        State::Cooling { .. } => CredentialState::Cooling,
        State::Out { .. } => CredentialState::Out,
    }
}

fn health(samples: &mut Samples, table: &RoutingTable, now_ms: u64) {
    for provider in table.providers.values() {
        if provider.spec.health_check.is_some() {
            samples.add(&names::PROVIDER_THERE, &[&provider.name], u64::from(!provider.reach.is_away()));
        }
        for credential in &provider.credentials {
            let state = match shown(credential.health.overall(now_ms)) {
                CredentialState::Ready if !credential.health.resting(now_ms).is_empty() => CredentialState::Cooling,
                state => state,
            };
            samples.credential(&provider.name, &credential.name, state);
        }
        for (name, _) in &provider.absent {
            samples.credential(&provider.name, name, CredentialState::Absent);
        }
    }
    for ((provider, model), target) in targets(table) {
        for credential in target.provider.credentials.iter().filter(|credential| glob::any(&credential.models, model)) {
            samples.credential_model((provider, &credential.name, model), shown(credential.health.state(model, now_ms)));
        }
        let state = match target.health.breaker.admits(now_ms) {
            Admit::Yes => BreakerState::Closed,
            Admit::Probe => BreakerState::HalfOpen,
            Admit::No { .. } => BreakerState::Open,
        };
        samples.breaker(provider, model, state);
        load(samples, (provider, model), &target.health.load.snapshot(now_ms));
        for (credential, places) in &target.places {
            let PlacesSnapshot { limit, running, waiting } = places.snapshot(now_ms);
            let shown =
                [(&names::CONCURRENCY_LIMIT, limit), (&names::CONCURRENCY_RUNNING, running), (&names::CONCURRENCY_WAITING, waiting)];
            for (name, count) in shown {
                samples.add(name, &[provider, model, credential], count.into());
            }
        }
    }
}

fn load(samples: &mut Samples, (provider, model): (&str, &str), load: &LoadSnapshot) {
    samples.add(&names::TARGET_IN_FLIGHT, &[provider, model], load.in_flight.into());
    for (answer, time) in [("streamed", load.streamed_us), ("whole", load.whole_us)] {
        if let Some(time) = time {
            samples.add(&names::TARGET_LATENCY, &[provider, model, answer], time);
        }
    }
    samples.add(&names::TARGET_FAILURE_SHARE, &[provider, model], load.failures_permille());
}
