//! What the control plane knows: written by the one writer, read by the admin API, probes and metrics.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use tokio::sync::watch as signal;

use super::census::Census;
use super::materials::Materials;
use super::origin::{Origin, Texts};
use super::succession::{Answering, Handed, Program, Remote};
use super::watch::Watcher;
use crate::base::{Clock, Digest};
use crate::limit::budget::Ledger;
use crate::plan::Plan;
use crate::store::Revisions;
use crate::store::book::Book;
use crate::table::Live;
use crate::telemetry::Metrics;

/// The control plane's common knowledge.
pub(super) struct Shared {
    /// The running table.
    pub(super) live: Arc<Live>,
    /// Metrics.
    pub(super) metrics: Arc<Metrics>,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// Revisions.
    pub(super) store: Arc<Revisions>,
    /// What was spent.
    pub(super) book: Book,
    /// What accounts spend and hold.
    pub(super) ledger: Arc<Ledger>,
    /// Where the spec comes from.
    pub(super) origin: Origin,
    /// Tables in memory.
    pub(super) census: Census,
    /// Watches the files; set once, before the first request.
    pub(super) watcher: OnceLock<Watcher>,
    /// Whether the gateway is on its way out.
    pub(super) draining: AtomicBool,
    /// Who has taken over from this gateway; none yet.
    pub(super) handed: signal::Sender<Option<Handed>>,
    /// Whose its accounts are then; set once.
    pub(super) remote: OnceLock<Arc<Remote>>,
    /// Whether it answers for requests of the gateway before.
    pub(super) answering: Arc<Answering>,
    /// How it was started, where that is known.
    pub(super) program: Option<Program>,
    /// Where clients connect.
    pub(super) listen: String,
    /// Where the admin API is, as `unix:PATH` or `http://HOST:PORT`.
    pub(super) admin: String,
    /// When the process began to serve, by both clocks.
    pub(super) started: (u64, u64),
    /// Guards what runs, swapped as a whole.
    pub(super) current: Mutex<Arc<Current>>,
    /// Guards what is known of the last reload.
    pub(super) record: Mutex<Record>,
}

/// What runs.
#[derive(Debug)]
pub(super) struct Current {
    /// Its number.
    pub(super) revision: u64,
    /// Digest of its plan.
    pub(super) digest: Digest,
    /// Its plan.
    pub(super) plan: Arc<Plan>,
    /// Its text.
    pub(super) texts: Texts,
    /// What it refers to.
    pub(super) materials: Materials,
}

/// What is known of the last reload.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The last one; none since the start.
    pub(super) last: Option<LastReload>,
    /// Whether the files are not what runs.
    pub(super) out_of_step: bool,
    /// Bad states of the files that were logged already.
    told: BTreeSet<Digest>,
}

/// The last reload.
#[derive(Debug, Clone)]
pub(super) struct LastReload {
    /// `applied`, `unchanged`, `rejected` or `needs_restart`.
    pub(super) outcome: &'static str,
    /// What caused it.
    pub(super) trigger: &'static str,
    /// When it ended.
    pub(super) unix_ms: u64,
    /// What was wrong, as JSON.
    pub(super) diagnostics: Value,
}

/// The most bad states that are remembered as logged.
const MOST_TOLD: usize = 64;

impl Record {
    /// Returns whether a bad state is new since the last good one.
    pub(super) fn is_news(&mut self, state: Digest) -> bool {
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.insert(state)
    }

    /// Notes that the files are what runs.
    pub(super) fn in_step(&mut self) {
        self.out_of_step = false;
        self.told.clear();
    }
}

impl Shared {
    /// Returns what runs.
    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces what runs.
    pub(super) fn publish(&self, current: Current) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
    }

    /// Reads or changes what is known of the last reload.
    pub(super) fn record<T>(&self, work: impl FnOnce(&mut Record) -> T) -> T {
        work(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether the gateway is on its way out.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns whether requests of the gateway before still run.
    pub(super) fn inherits(&self) -> bool {
        self.answering.is_on()
    }

    /// Returns how the files are watched.
    pub(super) fn watching(&self) -> &'static str {
        self.watcher.get().map_or("off", Watcher::mode)
    }
}
