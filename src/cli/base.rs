//! The other side of a comparison, which need not be valid: the change that repairs a spec is a change to be reviewed, too.
//!
//! Rule: what is wrong with it is said, and nothing that could be a secret is read out of it.

use std::path::PathBuf;

use super::changes::nothing;
use super::findings::Findings;
use super::input::{Checked, NoEnvironment};
use super::written;
use crate::plan::diff::{Diff, diff};
use crate::plan::{Plan, compile_anyway};
use crate::spec::{self, Diagnostic, Files, Inputs, Loaded, Rejected, Severity};

/// What a spec is compared with.
#[derive(Debug)]
pub(super) struct Base {
    /// As a person would name it, with what is wrong with it.
    pub(super) name: String,
    plan: Plan,
    /// None where it could not be read.
    loaded: Option<Loaded>,
    /// Why no gateway would serve it.
    pub(super) flaws: Option<Rejected>,
    /// What was suspicious about it already: codes and messages.
    suspected: Vec<(&'static str, String)>,
}

impl Base {
    /// Reads a spec as far as it can be read. Where it cannot, or holds what may be a secret, everything in the spec that is compared
    /// with it is new; `like` is that one.
    pub(super) fn read(files: &dyn Files, paths: &[PathBuf], name: &str, like: &Plan) -> Self {
        let loaded = match spec::load(&Inputs { files, paths, env: &NoEnvironment, strict_env: false }) {
            Ok(loaded) => loaded,
            Err(rejected) => return Self::unreadable(name, rejected, like),
        };
        let (plan, found) = compile_anyway(&loaded);
        let suspected = loaded.warnings.iter().chain(&found).map(|found| (found.code, found.message.clone())).collect();
        if found.iter().all(|found| found.severity != Severity::Error) {
            return Self { name: name.to_owned(), plan, loaded: Some(loaded), flaws: None, suspected };
        }
        let holds_secret = found.iter().chain(&loaded.warnings).any(|found| found.sensitive);
        let flaws = Rejected { sources: loaded.sources.clone(), diagnostics: found };
        if holds_secret {
            return Self::unreadable(name, flaws, like);
        }
        let flaws = errors(flaws);
        Self { name: format!("{name} (not valid: {})", tally(&flaws)), plan, loaded: Some(loaded), flaws: Some(flaws), suspected }
    }

    fn unreadable(name: &str, flaws: Rejected, like: &Plan) -> Self {
        let flaws = errors(flaws);
        Self {
            name: format!("nothing ({name} is not valid: {})", tally(&flaws)),
            plan: nothing(like),
            loaded: None,
            flaws: Some(flaws),
            suspected: Vec::new(),
        }
    }

    /// Returns whether what the change means cannot be known.
    pub(super) const fn is_unknown(&self) -> bool {
        self.loaded.is_none()
    }

    /// Lists what is suspicious about a spec and was not before: rules that become unreachable, providers that nothing leads to any more.
    pub(super) fn arisen(&self, checked: &Checked) -> Vec<Diagnostic> {
        let is_new = |found: &&Diagnostic| !self.suspected.iter().any(|(code, message)| *code == found.code && *message == found.message);
        checked.warnings.iter().filter(|found| found.severity == Severity::Warning).filter(is_new).cloned().collect()
    }

    /// Compares on the plans, and on the text of what depends on the environment.
    pub(super) fn diff(&self, checked: &Checked) -> Diff {
        let mut diff = diff(&self.plan, &checked.plan);
        if let Some(loaded) = &self.loaded {
            written::compare(loaded, &checked.loaded, &mut diff);
            diff.judge(&self.plan.policy);
        }
        diff
    }
}

/// Keeps what refuses; the rest is no matter of who looks at a change.
fn errors(rejected: Rejected) -> Rejected {
    let is_error = |found: &Diagnostic| found.severity == Severity::Error;
    Rejected { diagnostics: rejected.diagnostics.into_iter().filter(is_error).collect(), ..rejected }
}

fn tally(flaws: &Rejected) -> String {
    Findings::new(flaws.diagnostics.clone(), &flaws.sources).tally()
}
