//! Proposing a spec to a running gateway: dry run, apply, roll back, and waiting until the new revision serves.
//!
//! Rule: what the gateway says is turned into a [`Verdict`] here, once; what follows from it is each command's business.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::admin::{Admin, Answer, Call};
use super::context::Context;
use super::exit::{CommandError, Exit};
use super::input::Bundle;

/// How often `status` is asked while waiting.
const POLL: Duration = Duration::from_millis(100);
/// How often a dry run is tried anew when the live revision changes under it.
const TRIES: usize = 3;

/// A revision as the gateway keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Its number.
    pub(crate) revision: u64,
    /// Digest of what it means.
    pub(crate) digest: String,
    /// Its texts.
    pub(crate) bundle: Bundle,
    /// Its plan.
    pub(crate) plan: Value,
}

/// Asks for the live revision, or for another one.
///
/// # Errors
/// As [`Admin::send`]; a failure when there is no such revision.
pub(crate) async fn kept(admin: &Admin, revision: Option<u64>) -> Result<Kept, CommandError> {
    let path = revision.map_or_else(|| "/v1/spec".to_owned(), |number| format!("/v1/spec?revision={number}"));
    let answer = admin.send(Call::get(path)).await?;
    if let (404, Some(number)) = (answer.status, revision) {
        return Err(CommandError::failure(format!("the gateway has no revision {number}")).hint("`bifrostctl history` lists them"));
    }
    let body = answer.success()?;
    let files = body.get("files").and_then(Value::as_object).into_iter().flatten();
    let paths = body.get("paths").and_then(Value::as_array).into_iter().flatten();
    let bundle = Bundle {
        files: files.filter_map(|(path, text)| Some((path.clone(), text.as_str()?.to_owned()))).collect(),
        paths: paths.filter_map(|path| path.as_str().map(ToOwned::to_owned)).collect(),
    };
    match number(&body, "revision") {
        Some(revision) => Ok(Kept { revision, digest: digest(&body), bundle, plan: body.get("plan").cloned().unwrap_or(Value::Null) }),
        None => Err(CommandError::failure("the gateway's answer names no revision").hint("is it a bifrostctl gateway?")),
    }
}

fn digest(body: &Value) -> String {
    body.get("digest").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What is proposed, by whom and why.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    path: &'static str,
    body: Map<String, Value>,
}

impl Proposal {
    /// Proposes a spec. Without a signature it is good for a dry run only.
    pub(crate) fn spec(bundle: &Bundle, signature: Map<String, Value>) -> Self {
        let mut body = signature;
        body.insert("files".to_owned(), json!(bundle.files));
        body.insert("paths".to_owned(), json!(bundle.paths));
        Self { path: "/v1/apply", body }
    }

    /// Proposes to go back to a revision.
    pub(crate) fn revision(to: u64, signature: Map<String, Value>) -> Self {
        let mut body = signature;
        body.insert("to".to_owned(), json!(to));
        Self { path: "/v1/rollback", body }
    }

    fn call(&self, query: &str, base: u64) -> Call {
        Call::post(format!("{}{query}", self.path), Value::Object(self.body.clone())).if_match(base)
    }
}

/// Collects who acts, why, and from which commit.
pub(crate) fn signature(context: &Context<'_>, reason: Option<&str>, commit: Option<String>) -> Map<String, Value> {
    // In CI the user is a robot; the services say who started it.
    let names = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME"];
    let actor = names.iter().find_map(|name| context.io.variable(name)).unwrap_or_else(|| "unknown".to_owned());
    let mut signature = Map::new();
    signature.insert("actor".to_owned(), json!(actor));
    for (name, value) in [("reason", reason.map(ToOwned::to_owned)), ("git_commit", commit)] {
        if let Some(value) = value {
            signature.insert(name.to_owned(), json!(value));
        }
    }
    signature
}

/// What the gateway says to a proposal.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Nothing differs from this live revision.
    Unchanged {
        /// The live revision.
        revision: u64,
    },
    /// Taken, or (dry run) would be.
    Accepted {
        /// The new revision; of a dry run the live one.
        revision: u64,
        /// What changes.
        diff: Value,
        /// What is suspicious about it.
        warnings: Vec<Value>,
    },
    /// The base is no longer the live revision.
    Stale {
        /// The live revision.
        revision: u64,
        /// What the proposal would change in it, where the gateway says so.
        diff: Value,
    },
    /// The gateway finds it wrong.
    Invalid {
        /// In its own words.
        message: String,
        /// What it found.
        diagnostics: Vec<Value>,
    },
    /// The gateway may not or cannot take it.
    Refused {
        /// The stable word: `needs_restart`, `read_only`.
        code: String,
        /// In its own words.
        message: String,
        /// What stands in the way.
        changes: Vec<Value>,
    },
}

impl Verdict {
    fn read(answer: Answer) -> Result<Self, CommandError> {
        let list = |name: &str| answer.body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let revision = number(&answer.body, "revision").unwrap_or_default();
        let diff = answer.body.get("diff").cloned().unwrap_or(Value::Null);
        match answer.status {
            200 if answer.body.get("outcome").and_then(Value::as_str) == Some("unchanged") => Ok(Self::Unchanged { revision }),
            200 => Ok(Self::Accepted { revision, diff, warnings: list("warnings") }),
            412 => Ok(Self::Stale { revision, diff }),
            422 => Ok(Self::Invalid { message: answer.message(), diagnostics: list("diagnostics") }),
            409 => Ok(Self::Refused { code: answer.code().to_owned(), message: answer.message(), changes: list("changes") }),
            404 => Err(CommandError::failure(answer.message()).hint("`bifrostctl history` lists the revisions that are kept")),
            _ => Err(CommandError::failure(answer.message())),
        }
    }
}

fn number(body: &Value, name: &str) -> Option<u64> {
    body.get(name).and_then(Value::as_u64)
}

/// Asks what a proposal would change in the live revision, which is returned with it. Nothing is applied.
///
/// # Errors
/// As [`Admin::send`].
pub(crate) async fn dry_run(admin: &Admin, proposal: &Proposal) -> Result<(Kept, Verdict), CommandError> {
    let mut tries = 0;
    loop {
        let base = kept(admin, None).await?;
        let verdict = Verdict::read(admin.send(proposal.call("?dry_run=true", base.revision)).await?)?;
        tries += 1;
        match verdict {
            Verdict::Stale { .. } if tries < TRIES => {}
            Verdict::Stale { .. }
            | Verdict::Unchanged { .. }
            | Verdict::Accepted { .. }
            | Verdict::Invalid { .. }
            | Verdict::Refused { .. } => return Ok((base, verdict)),
        }
    }
}

/// Does what is proposed, if `base` is still the live revision.
///
/// # Errors
/// As [`Admin::send`].
pub(crate) async fn commit(admin: &Admin, proposal: &Proposal, base: u64) -> Result<Verdict, CommandError> {
    Verdict::read(admin.send(proposal.call("", base)).await?)
}

/// Waits until a revision, or a later one, serves. Returns the one that does.
///
/// # Errors
/// [`Exit::TimedOut`] when the time is up; as [`Admin::send`] otherwise.
pub(crate) async fn serves(admin: &Admin, revision: u64, timeout: Duration) -> Result<u64, CommandError> {
    let asked = async {
        loop {
            let status = admin.send(Call::get("/v1/status")).await?.success()?;
            match number(&status, "revision") {
                Some(live) if live >= revision => return Ok(live),
                Some(_) | None => tokio::time::sleep(POLL).await,
            }
        }
    };
    match tokio::time::timeout(timeout, asked).await {
        Ok(result) => result,
        Err(_) => Err(CommandError::new(Exit::TimedOut, format!("revision {revision} was accepted but does not serve yet"))
            .hint("see `bifrostctl status`; give it longer with --timeout")),
    }
}
