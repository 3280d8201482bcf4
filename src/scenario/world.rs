//! What lies around a gateway in a scenario: secrets that are all there, a time of its own, providers by script, money spent before.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::HeaderMap;
use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::upstreams::Upstreams;
use crate::base::{Clock, Digest, ManualClock, Usd};
use crate::limit::budget::Ledger;
use crate::pipeline::{Affinity, Gateway};
use crate::plan::{BudgetRef, Plan, Proof, SecretRef};
use crate::provider::{Attempted, Clients, Health, Network, Signers};
use crate::spec::{Environment, Outcomes};
use crate::table::{self, Live, PrepareError, RoutingTable, Services};
use crate::telemetry::{AccessLog, Metrics, RequestIds};

/// A gateway in a scenario.
pub struct World {
    pub(super) gateway: Gateway,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) clock: Arc<Timeline>,
}

/// Why a scenario cannot begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// No table can be made of the spec.
    Table(Vec<PrepareError>),
    /// An outcome is none: for whom, and why.
    Outcome(String, String),
    /// No budget looks at this account.
    Account(String),
}

/// Has a value for every variable, as if every secret were set.
struct Everything;

impl Environment for Everything {
    fn get(&self, _: &str) -> Option<String> {
        Some("offline".to_owned())
    }
}

/// The time of a runtime, which may stand still, on a calendar.
#[derive(Debug)]
pub(super) struct Timeline {
    began: Instant,
    unix_ms: u64,
}

impl Clock for Timeline {
    fn monotonic_ms(&self) -> u64 {
        // Some time has passed since the machine was started; code that looks back is not tested by its first second.
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(3_600_000)
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms.saturating_add(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Makes of a plan one that needs nothing of the machine: its secrets are all set, and each key is known by [`secret_of`] its name.
fn offline(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for credential in plan.providers.values_mut().flat_map(|provider| provider.credentials.values_mut()) {
        if !credential.proof.is_none() {
            credential.proof = Proof::Secret(SecretRef::Env("OFFLINE".to_owned()));
        }
    }
    for (name, key) in &mut plan.virtual_keys {
        // The digest that is good for longest: one without an end is good for ever.
        key.hashes.sort_by(|a, b| (b.not_after.is_none(), &b.not_after).cmp(&(a.not_after.is_none(), &a.not_after)));
        key.hashes.truncate(1);
        for hash in &mut key.hashes {
            hash.sha256 = Digest::of(secret_of(name).as_bytes());
        }
    }
    plan
}

/// Returns what stands for the secret of a key.
pub(super) fn secret_of(key: &str) -> String {
    format!("sk-bf-{}", Digest::of(key.as_bytes()))
}

impl World {
    /// Begins a scenario: a spec, the time on the calendar in Unix milliseconds, the seed of every choice by chance, and what providers answer.
    /// In a runtime; where that is started paused, time passes only while all wait.
    ///
    /// # Errors
    /// [`Unready`].
    pub fn new(plan: &Plan, (unix_ms, seed): (u64, u64), outcomes: &BTreeMap<String, Outcomes>) -> Result<Self, Unready> {
        let upstreams = Arc::new(Upstreams::new(outcomes).map_err(|(whose, why)| Unready::Outcome(whose, why))?);
        let clock = Arc::new(Timeline { began: Instant::now(), unix_ms });
        let network: Arc<dyn Network> = Arc::<Upstreams>::clone(&upstreams);
        let time: Arc<dyn Clock> = Arc::<Timeline>::clone(&clock);
        let services = services(network, &time);
        let table = table::prepare(Arc::new(offline(plan)), 0, &services).map_err(Unready::Table)?;
        let gateway = Gateway {
            ending: Arc::default(),
            live: Arc::new(Live::new(table)),
            log: AccessLog::kept(services.metrics.access_log_dropped()),
            services,
            clock: time,
            ids: RequestIds::new(seed),
            affinity: Affinity::default(),
            seed: AtomicU64::new(seed),
        };
        Ok(Self { gateway, upstreams, clock })
    }

    /// Returns the table that serves.
    pub fn table(&self) -> Arc<RoutingTable> {
        self.gateway.live.load()
    }

    /// Takes it that so much was spent in the running windows: of a shared budget by its name, or of an account, as `key:NAME` or `team:NAME`.
    ///
    /// # Errors
    /// [`Unready::Account`].
    pub fn spend(&self, name: &str, spent: Usd) -> Result<(), Unready> {
        let plan = &self.table().plan;
        let account = match name.split_once(':') {
            Some(("key", key)) if plan.virtual_keys.get(key).is_some_and(|key| has_own(&key.budgets)) => name.to_owned(),
            Some(("team", team)) if plan.teams.get(team).is_some_and(|team| has_own(&team.budgets)) => name.to_owned(),
            None if plan.budgets.contains_key(name) => format!("budget:{name}"),
            Some(_) | None => return Err(Unready::Account(name.to_owned())),
        };
        self.gateway.services.ledger.assume(&account, spent);
        Ok(())
    }
}

/// Returns whether one of the budgets is nobody else's.
fn has_own(budgets: &[BudgetRef]) -> bool {
    budgets.iter().any(|budget| matches!(budget, BudgetRef::Own(_)))
}

/// Returns services that touch nothing but these.
fn services(network: Arc<dyn Network>, clock: &Arc<dyn Clock>) -> Services {
    Services {
        clients: Arc::new(Clients::within(network)),
        health: Arc::new(Health::default()),
        signers: Arc::new(Signers::default()),
        ledger: Arc::new(Ledger::new(Arc::clone(clock))),
        counters: Arc::default(),
        metrics: Metrics::new(),
        env: Arc::new(Everything),
        base_dir: PathBuf::new(),
        mock_url: Some("http://127.0.0.1:9/v1".to_owned()),
    }
}

/// Stands in place of the network where nothing is sent.
#[derive(Debug)]
struct Nobody;

impl Network for Nobody {
    fn connect(&self, _: Option<Attempted<'_>>, _: &mut HeaderMap) -> io::Result<DuplexStream> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

/// Makes the table of a spec as if every secret were set, to be asked and not to serve.
///
/// # Errors
/// Everything that keeps the plan from running.
pub fn table(plan: &Plan, unix_ms: u64) -> Result<RoutingTable, Vec<PrepareError>> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(unix_ms));
    table::prepare(Arc::new(offline(plan)), 0, &services(Arc::new(Nobody), &clock))
}
