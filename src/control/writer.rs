//! The only writer of the running table: one task that takes one trigger at a time, from files, SIGHUP and the admin API alike.
//!
//! read → load → compile → compare → prepare → commit. Everything fallible comes before the commit; a spec that is refused changes
//! nothing. Loading reads files and takes milliseconds of CPU, so it runs off the runtime's own threads.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch as signal};

use super::apply::{Apply, Reply};
use super::candidate::{self, Candidate, From};
use super::ready::{self, Ready, Upstream};
use super::renames;
use super::shared::{Current, LastReload, Shared};
use super::succession::Pause;
use super::watch::Trigger;
use super::watched::{self, Mentions, watch_set};
use super::{codes, service, signals};
use crate::base::Digest;
use crate::plan::Plan;
use crate::plan::diff::Diff;
use crate::server::{Acceptor, Stop};
use crate::spec::{Rejected, Severity, Sources, report};
use crate::store::NewRevision;
use crate::table::Services;
use crate::telemetry::{AccessLog, OTHER};

/// How often files that somebody is in the middle of writing are waited for; then they are taken as they are.
const TRIES: usize = 4;

/// Who asked for a change, and why.
#[derive(Debug, Clone)]
pub(super) struct Provenance {
    /// `start`, `file`, `signal`, `apply` or `rollback`.
    pub(super) trigger: &'static str,
    /// Who.
    pub(super) actor: String,
    /// Why.
    pub(super) reason: Option<String>,
    /// The commit that the spec comes from.
    pub(super) git_commit: Option<String>,
    /// What goes before the summary of the changes.
    pub(super) note: Option<String>,
}

impl Provenance {
    /// A change that came by the files themselves.
    pub(super) fn files(trigger: &'static str) -> Self {
        Self { trigger, actor: "file".to_owned(), reason: None, git_commit: None, note: None }
    }
}

/// How a reload ended well.
pub(super) enum Outcome {
    /// What would run is what runs.
    Unchanged,
    /// It runs now.
    Applied(Diff),
}

/// Why a reload changed nothing.
pub(super) enum Refusal {
    /// The spec is wrong, or cannot run here.
    Invalid(Rejected),
    /// Fields of the process changed.
    NeedsRestart(Rejected, Box<Diff>),
}

/// The writer's task.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// With the mock's address, once there is one.
    pub(super) services: Services,
    pub(super) acceptor: Option<Acceptor>,
    pub(super) log: AccessLog,
    pub(super) upstream: Upstream,
    /// What was last found to be watched; patterns of it stay while a file cannot be read.
    pub(super) mentions: Mentions,
    /// How long to wait for whoever is in the middle of writing.
    pub(super) quiet: Duration,
    /// What the last load from the disk has read; none since the start.
    pub(super) seen: Option<Digest>,
}

/// Where triggers come from.
pub(super) struct Triggers {
    /// The watcher.
    pub(super) files: mpsc::Receiver<Trigger>,
    /// SIGHUP.
    pub(super) hang_up: Arc<Notify>,
    /// The admin API. A queue of one: who comes next waits.
    pub(super) applies: mpsc::Receiver<(Apply, oneshot::Sender<Reply>)>,
    /// Who takes over, and so wants nothing to change meanwhile.
    pub(super) pauses: mpsc::Receiver<Pause>,
    /// The order to stop.
    pub(super) stop: signal::Receiver<Stop>,
}

impl Writer {
    /// Serves triggers until the order to stop; returns the mock, which is ended last.
    pub(super) async fn run(mut self, mut triggers: Triggers) -> Upstream {
        loop {
            tokio::select! {
                biased;
                () = signals::stopped(&mut triggers.stop) => return self.upstream,
                Some((paused, resumed)) = triggers.pauses.recv() => {
                    // Whoever asked goes on where it is heard, and ends the pause by going away.
                    let _ = paused.send(());
                    let _ = resumed.await;
                }
                Some((apply, answer)) = triggers.applies.recv() => {
                    let reply = self.apply(apply, &mut triggers.files).await;
                    // Whoever asked may have gone.
                    let _ = answer.send(reply);
                }
                () = triggers.hang_up.notified() => {
                    service::reloading();
                    self.log_reopened().await;
                    self.reload("signal").await;
                    service::reloaded();
                }
                Some(trigger) = triggers.files.recv() => self.on_files(trigger).await,
            }
        }
    }

    async fn on_files(&mut self, trigger: Trigger) {
        let rejected = match trigger {
            Trigger::FilesChanged => return self.reload_news().await,
            Trigger::Restored => return self.reload("file").await,
            Trigger::Missing(path) => ready::absent(codes::FILE_MISSING, &path, "is gone"),
            Trigger::Empty(path) => ready::absent(codes::FILE_EMPTY, &path, "is empty"),
        };
        let now = self.shared.clock.monotonic_ms();
        self.settle("file", now, Err(Refusal::Invalid(rejected)));
    }

    /// Does what SIGHUP also asks for: `logrotate` has moved the file.
    async fn log_reopened(&self) {
        let log = self.log.clone();
        let reopened = tokio::task::spawn_blocking(move || log.reopen(Duration::from_secs(5))).await;
        if !matches!(reopened, Ok(true)) {
            tracing::warn!("the access log could not be opened again in time");
        }
    }

    /// Loads the files and serves them if they are good.
    async fn reload(&mut self, trigger: &'static str) {
        let began = self.shared.clock.monotonic_ms();
        let read = self.read(From::Disk).await;
        self.watch(&read);
        let result = self.serve(read, trigger).await;
        self.settle(trigger, began, result);
    }

    /// The same, unless the files are what the last load has read: the watcher may have been looking while an apply wrote them.
    async fn reload_news(&mut self) {
        let (began, before) = (self.shared.clock.monotonic_ms(), self.seen);
        let read = self.read_settled().await;
        self.watch(&read);
        if self.seen != before {
            let result = self.serve(read, "file").await;
            self.settle("file", began, result);
        }
    }

    /// Loads the files once nobody is in the middle of writing them, as far as that can be seen.
    async fn read_settled(&self) -> Result<Candidate, Rejected> {
        for _ in 0..TRIES {
            let read = self.read(From::Disk).await;
            let (sources, origin) = (sources_of(&read).clone(), self.shared.origin.clone());
            if tokio::task::spawn_blocking(move || watched::is_settled(&sources, &origin)).await.unwrap_or(true) {
                return read;
            }
            tokio::time::sleep(self.quiet).await;
        }
        self.read(From::Disk).await
    }

    async fn serve(&mut self, read: Result<Candidate, Rejected>, trigger: &'static str) -> Result<Outcome, Refusal> {
        let candidate = read.map_err(Refusal::Invalid)?;
        let diff = candidate.diff(&self.shared.current().plan);
        if self.is_running(&candidate) {
            self.republish(&candidate);
            return Ok(Outcome::Unchanged);
        }
        let ready = self.ready(candidate, diff).await?;
        let (ready, diff) = self.keep(ready, &Provenance::files(trigger)).await.map_err(Refusal::Invalid)?;
        self.commit(ready);
        Ok(Outcome::Applied(diff))
    }

    /// Loads and compiles.
    pub(super) async fn read(&self, from: From) -> Result<Candidate, Rejected> {
        let (origin, env, now) = (self.shared.origin.clone(), Arc::clone(&self.services.env), self.shared.clock.unix_ms());
        blocking(move || candidate::read(from, &origin, &*env, now)).await
    }

    /// Watches what a load from the disk has read, whether it succeeded or not.
    pub(super) fn watch(&mut self, result: &Result<Candidate, Rejected>) {
        let origin = &self.shared.origin;
        let (sources, materials) = (sources_of(result), result.as_ref().ok().map(|candidate| &candidate.materials));
        let mut mentions = Mentions::find(sources, origin.base());
        let unread = origin.paths().iter().any(|path| sources.0.iter().all(|source| source.path != *path));
        if result.is_err() && (mentions.is_partial || unread) {
            mentions.globs.extend(self.mentions.globs.iter().cloned());
            mentions.files.extend(self.mentions.files.iter().cloned());
        }
        if let Some(watcher) = self.shared.watcher.get() {
            watcher.set(watch_set(origin, sources, &mentions, materials));
        }
        self.mentions = mentions;
        let (secrets, tls) = materials.map_or((None, None), |materials| (Some(materials.secrets), Some(materials.tls)));
        let parts = [Some(sources.digest()), secrets, tls];
        self.seen = Some(Digest::of_parts(parts.iter().flatten().map(|digest| digest.as_bytes().as_slice())));
    }

    /// Returns whether a candidate is what runs, secrets and certificates included.
    pub(super) fn is_running(&self, candidate: &Candidate) -> bool {
        let current = self.shared.current();
        candidate.digest == current.digest && candidate.materials == current.materials
    }

    /// Takes over a text that means the same.
    pub(super) fn republish(&self, candidate: &Candidate) {
        let current = self.shared.current();
        if candidate.texts != current.texts {
            let Current { revision, digest, .. } = *current;
            let (texts, materials) = (candidate.texts.clone(), current.materials.clone());
            self.shared.publish(Current { revision, digest, plan: Arc::clone(&current.plan), texts, materials });
        }
    }

    /// Makes a candidate ready to serve.
    pub(super) async fn ready(&mut self, candidate: Candidate, diff: Diff) -> Result<(Ready, Diff), Refusal> {
        if !diff.needs_restart().is_empty() {
            return Err(Refusal::NeedsRestart(candidate.needs_restart(&diff), Box::new(diff)));
        }
        let url = self.upstream.url_for(&candidate.plan).await;
        self.services.mock_url = url.unwrap_or_else(|error| {
            tracing::error!(%error, "the built-in mock did not start");
            None
        });
        let (services, running) = (self.services.clone(), self.shared.current());
        let result = blocking(move || ready::prepare(candidate, &services, Some(&running.plan.telemetry.access_log))).await;
        let ready = result.map_err(Refusal::Invalid)?;
        Ok((ready, diff))
    }

    /// Writes a revision to the state directory, unless only secrets or certificates changed, and numbers the table.
    pub(super) async fn keep(&self, (ready, diff): (Ready, Diff), who: &Provenance) -> Result<(Ready, Diff), Rejected> {
        let mut ready = self.certificates(ready).await?;
        let current = self.shared.current();
        if ready.candidate.digest == current.digest {
            ready.table.revision = current.revision;
            return Ok((ready, diff));
        }
        let summary = who.note.iter().cloned().chain([diff.summary()]).collect::<Vec<_>>().join(": ");
        let new = new_revision(&ready.candidate, who, summary);
        let store = Arc::clone(&self.shared.store);
        let kept = tokio::task::spawn_blocking(move || store.append(new)).await.map_err(|_| unexpected())?;
        match kept {
            Ok(revision) => {
                ready.table.revision = revision.info.number;
                self.take_over(&ready.candidate.plan).await;
                Ok((ready, diff))
            }
            Err(error) => Err(ready::not_kept(&error)),
        }
    }

    /// Makes what was spent under old names that of the new ones. Where that fails, it is done at the next change or start.
    async fn take_over(&self, plan: &Arc<Plan>) {
        let (ledger, plan, now_ms) = (Arc::clone(&self.services.ledger), Arc::clone(plan), self.shared.clock.unix_ms());
        match tokio::task::spawn_blocking(move || renames::take_over(&ledger, &plan, now_ms)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "what was spent under an old name is not the new one's yet"),
            Err(error) => tracing::error!(%error, "what was spent under an old name is not the new one's yet"),
        }
    }

    /// Reads certificate and key again where they changed.
    async fn certificates(&self, mut ready: Ready) -> Result<Ready, Rejected> {
        let Some(acceptor) = self.acceptor.clone() else { return Ok(ready) };
        if ready.candidate.materials.tls == self.shared.current().materials.tls {
            return Ok(ready);
        }
        match tokio::task::spawn_blocking(move || acceptor.read()).await {
            Ok(Ok(certificate)) => {
                ready.certificate = Some(certificate);
                Ok(ready)
            }
            Ok(Err(error)) => {
                let error = crate::table::PrepareError { place: "/gateway/tls".to_owned(), message: error.to_string() };
                Err(ready.candidate.cannot_run(&[error]))
            }
            Err(_) => Err(unexpected()),
        }
    }

    /// Serves it. Cannot fail.
    pub(super) fn commit(&self, ready: Ready) {
        let Ready { candidate, table, log, certificate } = ready;
        let Candidate { plan, digest, materials, texts, .. } = candidate;
        let current = Current { revision: table.revision, digest, plan, texts, materials };
        self.shared.metrics.config().running(&digest.to_string(), current.revision);
        self.shared.publish(current);
        let old = self.shared.live.commit(table);
        self.shared.census.add(&self.shared.live.load());
        if let Some(log) = log {
            self.log.switch(log);
        }
        if let (Some(acceptor), Some(certificate)) = (&self.acceptor, certificate) {
            acceptor.renew(certificate);
        }
        drop(old);
        self.forget();
    }

    /// Forgets the series and the health of what the running table does not name.
    pub(super) fn forget(&self) {
        let table = self.shared.live.load();
        let targets = super::admin::targets(&table);
        self.shared.metrics.retain_aliases(|alias| table.aliases.contains_key(alias));
        self.shared.metrics.retain_rules(|rule| table.rules.iter().any(|known| known.name == rule));
        self.shared.metrics.retain_targets(|provider, model| {
            targets.contains_key(&(provider, model)) || (model == OTHER && table.providers.contains_key(provider))
        });
        table.keep_health(&self.services.health);
        table.keep_counters(&self.services.counters, self.shared.clock.monotonic_us().saturating_mul(1_000));
    }

    /// Logs, counts and keeps how a reload of the files ended.
    pub(super) fn settle(&self, trigger: &'static str, began_ms: u64, result: Result<Outcome, Refusal>) {
        let (outcome, found) = match result {
            Ok(Outcome::Unchanged) => ("unchanged", Value::Array(Vec::new())),
            Ok(Outcome::Applied(diff)) => {
                self.applied(trigger, &diff);
                ("applied", Value::Array(Vec::new()))
            }
            Err(Refusal::Invalid(rejected)) => ("rejected", self.refused(trigger, "rejected", &rejected)),
            Err(Refusal::NeedsRestart(rejected, _)) => ("needs_restart", self.refused(trigger, "needs_restart", &rejected)),
        };
        let config = self.shared.metrics.config();
        self.count(outcome, trigger, began_ms);
        let unix_ms = self.shared.clock.unix_ms();
        let good = matches!(outcome, "applied" | "unchanged");
        if good {
            config.in_step(unix_ms);
        } else {
            config.out_of_step();
            // Preparing may have registered something before it was refused.
            self.forget();
        }
        self.shared.record(|record| {
            if good {
                record.in_step();
            } else {
                record.out_of_step = true;
            }
            record.last = Some(LastReload { outcome, trigger, unix_ms, diagnostics: found });
        });
    }

    /// Counts a reload.
    pub(super) fn count(&self, outcome: &'static str, trigger: &'static str, began_ms: u64) {
        let took = self.shared.clock.monotonic_ms().saturating_sub(began_ms);
        self.shared.metrics.config().reload(outcome, trigger, Duration::from_millis(took));
    }

    /// Logs that a revision serves.
    pub(super) fn applied(&self, trigger: &'static str, diff: &Diff) {
        let current = self.shared.current();
        let (revision, digest) = (current.revision, current.digest.short());
        tracing::info!(trigger, revision, %digest, changes = %diff.summary(), "the spec was applied");
    }

    /// Logs a bad state of the files once, and describes it.
    fn refused(&self, trigger: &'static str, outcome: &'static str, rejected: &Rejected) -> Value {
        // Notes and warnings did not refuse it.
        let errors: Vec<_> = rejected.diagnostics.iter().filter(|found| found.severity == Severity::Error).cloned().collect();
        let found = report::json(&errors, &rejected.sources);
        let state = Digest::of_parts([rejected.sources.digest().as_bytes().as_slice(), found.to_string().as_bytes()]);
        if self.shared.record(|record| record.is_news(state)) {
            let first = errors.first().map(|found| {
                let place =
                    found.location.and_then(|place| rejected.sources.place(place)).map(|place| format!("{place}: ")).unwrap_or_default();
                format!("{place}[{}] {}", found.code, found.message)
            });
            let (errors, first) = (errors.len(), first.unwrap_or_default());
            tracing::warn!(trigger, outcome, errors, first, "the spec was refused; what ran before still runs");
        }
        found
    }
}

fn sources_of(result: &Result<Candidate, Rejected>) -> &Sources {
    match result {
        Ok(candidate) => &candidate.loaded.sources,
        Err(rejected) => &rejected.sources,
    }
}

/// Describes a candidate for the store.
pub(super) fn new_revision(candidate: &Candidate, who: &Provenance, summary: String) -> NewRevision {
    NewRevision {
        digest: candidate.digest,
        files: candidate.texts.files.clone(),
        paths: candidate.texts.paths.clone(),
        model: candidate.plan.model(),
        actor: who.actor.clone(),
        reason: who.reason.clone(),
        git_commit: who.git_commit.clone(),
        trigger: who.trigger.to_owned(),
        summary,
    }
}

/// Runs work that blocks; a panic in it refuses the spec instead of ending the writer.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Rejected> + Send + 'static) -> Result<T, Rejected> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(unexpected()))
}

fn unexpected() -> Rejected {
    tracing::error!("a reload ended unexpectedly");
    let diagnostic = crate::spec::Diagnostic::error(codes::CANNOT_RUN, "the reload ended unexpectedly; please report it with the log");
    Rejected { sources: crate::spec::Sources::default(), diagnostics: vec![diagnostic] }
}
