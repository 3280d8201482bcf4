//! A plan that was saved to be reviewed: what is proposed, for which revision, and what it changes there.
//!
//! Rule: what is applied is what was reviewed. A plan holds the whole text of the spec and the diff that was shown; where either no longer
//! fits the gateway, nothing is applied. Secrets are references in it, and digests of keys are in the text as they are in the spec.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::{Context, read_all};
use super::deploy::Kept;
use super::exit::{CommandError, Exit};
use super::input::Bundle;
use super::output::pretty;

/// What the format is called.
const SCHEMA: &str = "bifrost.dev/plan/v1";
/// Far above any plan. Bytes.
const LIMIT: u64 = 32 << 20;

/// A saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPlan {
    schema: String,
    /// The version of bifrostctl that saved it.
    made_by: String,
    /// The revision that it was made for.
    pub(crate) base: Base,
    /// What it changes there, as `diff` showed it.
    pub(crate) diff: Value,
    /// The commit that the spec came from.
    pub(crate) git_commit: Option<String>,
    /// The spec and its overlays, in order.
    paths: Vec<String>,
    /// Every file of it.
    files: BTreeMap<String, String>,
}

/// The revision that a plan was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    /// Its number.
    pub(crate) revision: u64,
    /// Digest of what it means.
    pub(crate) digest: String,
}

impl SavedPlan {
    /// Makes a plan.
    pub(crate) fn new(base: &Kept, bundle: &Bundle, diff: Value, git_commit: Option<String>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            base: Base { revision: base.revision, digest: base.digest.clone() },
            diff,
            git_commit,
            paths: bundle.paths.clone(),
            files: bundle.files.clone(),
        }
    }

    /// Writes it. It holds no secret: it may lie where the reviewer reads it.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn write(&self, path: &Path) -> Result<(), CommandError> {
        std::fs::write(path, pretty(self)).map_err(|error| CommandError::failure(format!("cannot write {}: {error}", path.display())))
    }

    /// Reads one.
    ///
    /// # Errors
    /// A file that cannot be read; [`Exit::Invalid`] for one that is no plan, or one of a newer bifrostctl.
    pub(crate) fn read(path: &Path, context: &mut Context<'_>) -> Result<Self, CommandError> {
        let name = path.display();
        let bytes = read_all(path, LIMIT, context).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
        let no_plan = |why: String| {
            CommandError::new(Exit::Invalid, format!("{name} is no saved plan: {why}"))
                .hint("`bifrostctl diff --out PLAN` saves one; a spec is named with -f")
        };
        let plan: Self = serde_json::from_slice(&bytes).map_err(|error| no_plan(error.to_string()))?;
        if plan.schema != SCHEMA {
            return Err(no_plan(format!("its format is `{}`, not `{SCHEMA}`", crate::base::visible(&plan.schema))));
        }
        if let Some(path) = plan.paths.iter().find(|path| !plan.files.contains_key(*path)) {
            return Err(no_plan(format!("it does not hold {}", crate::base::visible(path))));
        }
        if plan.paths.is_empty() {
            return Err(no_plan("it holds no spec".to_owned()));
        }
        Ok(plan)
    }

    /// Returns the spec that it proposes.
    pub(crate) fn bundle(&self) -> Bundle {
        Bundle { files: self.files.clone(), paths: self.paths.clone() }
    }
}
