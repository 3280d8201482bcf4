//! A spec that comes through the admin API: judged from memory first, then written to the gateway's own files, then served.
//!
//! Rule: what is on the disk afterwards loads to what was applied, or nothing has changed. So the files are read back before the
//! commit; a restart of the gateway, and whoever looks at the files, then finds what runs.

use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::candidate::{Candidate, From};
use super::codes;
use super::files::{Refused, Staged, WriteError, Written, changes};
use super::origin::{Origin, Texts};
use super::ready::Ready;
use super::watch::Trigger;
use super::watched::Mentions;
use super::writer::{Outcome, Provenance, Refusal, Writer};
use crate::plan::diff::{Diff, diff};
use crate::spec::{Disk, Files as _, Rejected, Severity, report};

/// What is asked for.
#[derive(Debug)]
pub(super) struct Apply {
    /// The revision that must still be the running one; none asks for no such thing.
    pub(super) base: Option<u64>,
    /// Everything but the change itself.
    pub(super) dry_run: bool,
    /// The whole spec.
    pub(super) texts: Texts,
    /// Who, and why.
    pub(super) who: Provenance,
}

/// The answer: an HTTP status and a body.
#[derive(Debug)]
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// Body.
    pub(super) body: Value,
}

impl Reply {
    /// Makes an error.
    pub(super) fn error(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, body: json!({"error": {"code": code, "message": message.into()}}) }
    }

    /// Adds a member to the body.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(body) = &mut self.body {
            body.insert(name.to_owned(), value.into());
        }
        self
    }
}

/// How an apply went, for the log and the counters.
enum Went {
    /// It runs, or did already.
    Well(Outcome, Vec<Value>),
    /// It would.
    Dry(Reply),
}

impl Writer {
    /// Applies a posted spec. `files` is the watcher's queue: what it holds of our own writing is taken out.
    pub(super) async fn apply(&mut self, apply: Apply, files: &mut mpsc::Receiver<Trigger>) -> Reply {
        let began = self.shared.clock.monotonic_ms();
        let trigger = apply.who.trigger;
        match self.try_apply(apply, files).await {
            Ok(Went::Dry(reply)) => {
                self.forget();
                reply
            }
            Ok(Went::Well(outcome, warnings)) => {
                let reply = match &outcome {
                    Outcome::Unchanged => self.success("unchanged", None, warnings),
                    Outcome::Applied(diff) => self.success("applied", Some(diff), warnings),
                };
                self.settle(trigger, began, Ok(outcome));
                reply
            }
            Err(reply) => {
                let code = reply.body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default();
                tracing::info!(trigger, status = reply.status, code, "a posted spec was refused");
                self.count("rejected", trigger, began);
                self.forget();
                reply
            }
        }
    }

    async fn try_apply(&mut self, apply: Apply, files: &mut mpsc::Receiver<Trigger>) -> Result<Went, Reply> {
        let candidate = self.read_posted(apply.texts).await?;
        let (running, next) = (self.shared.current(), candidate.texts.clone());
        let mut diff = candidate.diff(&running.plan);
        let (table, now_ms) = (self.shared.live.load(), self.shared.clock.unix_ms());
        diff.note_spent(|name| super::admin::spent(&table, name, now_ms));
        if apply.base.is_some_and(|base| base != running.revision) {
            let message = format!("the running revision is {}, not the one that this change was made for", running.revision);
            return Err(Reply::error(412, "conflict", message).with("revision", running.revision).with("diff", diff.json()));
        }
        let warnings = warnings(&candidate);
        let mentions = Mentions::find(&candidate.loaded.sources, Path::new(""));
        let prepared =
            if self.is_running(&candidate) { None } else { Some(self.ready(candidate, diff).await.map_err(|refusal| refused(&refusal))?) };
        if apply.dry_run {
            // While the files are not what runs, even the same spec does something: it repairs them.
            let nothing = prepared.is_none() && !self.shared.record(|record| record.out_of_step);
            let word = if nothing { "unchanged" } else { "dry_run" };
            return Ok(Went::Dry(self.success(word, prepared.as_ref().map(|(_, diff)| diff), warnings)));
        }
        let written = self.write(next, mentions).await?;
        let result = self.verify_and_serve(prepared, &apply.who, files).await;
        match result {
            Ok(outcome) => Ok(Went::Well(outcome, warnings)),
            Err(reply) => Err(take_back(written, reply).await),
        }
    }

    /// Loads what was posted. What it refers to beside the spec is on this machine.
    async fn read_posted(&self, texts: Texts) -> Result<Candidate, Reply> {
        let names = self.shared.origin.names();
        if texts.paths != names {
            let message = format!("this gateway runs from {}; post these, in this order", names.join(", "));
            return Err(Reply::error(409, "paths_differ", message));
        }
        if let Some(absent) = names.iter().find(|name| !texts.files.contains_key(*name)) {
            return Err(Reply::error(400, "bad_request", format!("`files` does not hold {absent}, which `paths` names")));
        }
        self.read(From::Memory(texts)).await.map_err(|rejected| invalid(&rejected))
    }

    fn success(&self, outcome: &str, changes: Option<&Diff>, warnings: Vec<Value>) -> Reply {
        let current = self.shared.current();
        let changes = changes.map_or_else(|| diff(&current.plan, &current.plan).json(), Diff::json);
        Reply { status: 200, body: json!({"outcome": outcome, "revision": current.revision, "diff": changes, "warnings": warnings}) }
    }

    /// Writes the files that differ.
    async fn write(&self, next: Texts, mentions: Mentions) -> Result<Written, Reply> {
        let (origin, running, known) = (self.shared.origin.clone(), self.shared.current(), self.mentions.clone());
        let work = move || {
            let is_known = |name: &str| running.texts.files.contains_key(name) || known.includes_path(&origin.path(name));
            let standing = standing(&origin, &mentions);
            let wanted =
                changes(&origin, &next, is_known, &standing, |path| std::fs::read(path).ok()).map_err(|refused| denied(&refused))?;
            Staged::prepare(&wanted).and_then(Staged::commit).map_err(|error| unwritten(&error))
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Reply::error(500, "internal", "writing the files ended unexpectedly")))
    }

    /// Reads the files back, keeps the revision and serves it.
    async fn verify_and_serve(
        &mut self,
        prepared: Option<(Ready, Diff)>,
        who: &Provenance,
        files: &mut mpsc::Receiver<Trigger>,
    ) -> Result<Outcome, Reply> {
        let mut read = self.read(From::Disk).await;
        if let (Ok(read), Some((ready, _))) = (&mut read, &prepared) {
            // The table holds the secrets as they were then; if they have changed since, the watcher must notice.
            read.materials.clone_from(&ready.candidate.materials);
        }
        // What was noticed of our own writing is in what has just been read; a later change differs from it and is noticed again.
        while files.try_recv().is_ok() {}
        self.watch(&read);
        let wanted = prepared.as_ref().map_or(self.shared.current().digest, |(ready, _)| ready.candidate.digest);
        let read = read.ok().filter(|read| read.digest == wanted).ok_or_else(|| {
            let message = "with these files the gateway's own directory would load to something else: another file is in the way";
            Reply::error(409, "files_differ", message)
        })?;
        let Some((ready, diff)) = prepared else {
            self.republish(&read);
            return Ok(Outcome::Unchanged);
        };
        let ready = Ready { candidate: read, ..ready };
        let (ready, diff) = self.keep((ready, diff), who).await.map_err(|rejected| unkept(&rejected))?;
        self.commit(ready);
        Ok(Outcome::Applied(diff))
    }
}

/// Puts the files back after a failure behind them.
async fn take_back(written: Written, reply: Reply) -> Reply {
    match tokio::task::spawn_blocking(move || written.undo()).await {
        Ok(Ok(())) => reply,
        Ok(Err(left)) => {
            tracing::error!(files = left.join(", "), "files of a refused spec could not be put back");
            reply.with("not_put_back", left)
        }
        Err(_) => Reply::error(500, "internal", "putting the files back ended unexpectedly"),
    }
}

/// Returns the names that patterns find on the disk.
fn standing(origin: &Origin, mentions: &Mentions) -> Vec<String> {
    let mut names = Vec::new();
    for (directory, pattern) in &mentions.globs {
        for found in Disk.list(&origin.base().join(directory)).unwrap_or_default() {
            let path = directory.join(found);
            if super::watched::is_match(pattern, &path) {
                names.push(path.display().to_string());
            }
        }
    }
    names
}

/// Describes what is suspicious; notes are for `validate`.
fn warnings(candidate: &Candidate) -> Vec<Value> {
    let warnings: Vec<_> = candidate.warnings.iter().filter(|found| found.severity != Severity::Info).cloned().collect();
    match report::json(&warnings, &candidate.loaded.sources) {
        Value::Array(warnings) => warnings,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    }
}

fn refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Invalid(rejected) => invalid(rejected),
        Refusal::NeedsRestart(rejected, diff) => {
            let message = "changes need a restart of the gateway, so nothing was applied";
            let found = report::json(&rejected.diagnostics, &rejected.sources);
            let changes = json!(diff.needs_restart());
            Reply::error(409, "needs_restart", message).with("changes", changes).with("diff", diff.json()).with("diagnostics", found)
        }
    }
}

fn invalid(rejected: &Rejected) -> Reply {
    let count = rejected.diagnostics.len();
    let message = format!("the spec was refused: {count} finding{}", if count == 1 { "" } else { "s" });
    Reply::error(422, "invalid", message).with("diagnostics", report::json(&rejected.diagnostics, &rejected.sources))
}

/// What refuses at the last step is the state directory, or a certificate.
fn unkept(rejected: &Rejected) -> Reply {
    match rejected.diagnostics.first().filter(|found| found.code == codes::NOT_KEPT) {
        Some(found) => Reply::error(500, "not_kept", found.message.clone()),
        None => invalid(rejected),
    }
}

fn denied(refused: &Refused) -> Reply {
    Reply::error(409, "path_refused", refused.to_string())
}

fn unwritten(error: &WriteError) -> Reply {
    match error {
        WriteError::ReadOnly { .. } => {
            let message = format!("{error}; change it where it comes from (Git, the ConfigMap), and the gateway follows");
            Reply::error(409, "read_only", message)
        }
        WriteError::Io { .. } => Reply::error(500, "not_written", error.to_string()),
        WriteError::Torn { left, .. } => {
            tracing::error!(files = left.join(", "), "files of a refused spec could not be put back");
            Reply::error(500, "not_written", error.to_string())
        }
    }
}
