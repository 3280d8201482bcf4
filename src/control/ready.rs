//! From a candidate to something that can serve: the last steps that may fail.

use std::path::Path;
use std::sync::Arc;

use super::candidate::Candidate;
use super::codes;
use crate::mock;
use crate::plan::{self, Plan};
use crate::server::Certificate;
use crate::spec::{Diagnostic, Rejected};
use crate::table::{self, PrepareError, RoutingTable, Services};
use crate::telemetry::Destination;

/// A candidate with all that it needs to serve. Its table has no revision yet.
pub(super) struct Ready {
    /// What it was made from.
    pub(super) candidate: Candidate,
    /// Its table.
    pub(super) table: RoutingTable,
    /// The access log's new destination, where it changes.
    pub(super) log: Option<Destination>,
    /// The certificate to serve from then on, where its files changed.
    pub(super) certificate: Option<Certificate>,
}

/// Builds the table and opens what the plan names. Blocks.
///
/// # Errors
/// Everything that keeps the plan from running here.
pub(super) fn prepare(candidate: Candidate, services: &Services, log: Option<&plan::AccessLog>) -> Result<Ready, Rejected> {
    let (mut errors, table) = match table::prepare(Arc::clone(&candidate.plan), 0, services) {
        Ok(table) => (Vec::new(), Some(table)),
        Err(errors) => (errors, None),
    };
    let wanted = &candidate.plan.telemetry.access_log;
    let log = if log == Some(wanted) { None } else { Some(Destination::open(wanted)) };
    let log = log.transpose().unwrap_or_else(|error| {
        errors
            .push(PrepareError { place: "/telemetry/access_log".to_owned(), message: format!("the access log cannot be opened: {error}") });
        None
    });
    match table {
        Some(table) if errors.is_empty() => Ok(Ready { candidate, table, log, certificate: None }),
        Some(_) | None => Err(candidate.cannot_run(&errors)),
    }
}

/// Returns whether the plan needs the built-in mock.
pub(super) fn needs_mock(plan: &Plan) -> bool {
    plan.providers.values().any(|provider| provider.base_url == "mock:")
}

/// The built-in mock, started when the first plan needs it and kept to the end: requests may still be under way to it.
#[derive(Debug, Default)]
pub(super) struct Upstream(Option<mock::Mock>);

impl Upstream {
    /// Returns the mock's address, starting it where the plan needs it.
    ///
    /// # Errors
    /// The machine gives no socket.
    pub(super) async fn url_for(&mut self, plan: &Plan) -> std::io::Result<Option<String>> {
        if self.0.is_none() && needs_mock(plan) {
            self.0 = Some(mock::Mock::start(mock::Config::long_running()).await?);
        }
        Ok(self.0.as_ref().map(mock::Mock::base_url))
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) {
        if let Some(mock) = &mut self.0 {
            mock.stop().await;
        }
    }
}

/// Refuses a file that is gone or empty.
pub(super) fn absent(code: &'static str, path: &Path, what: &str) -> Rejected {
    let message = format!("{} {what}; what ran before still runs", path.display());
    Rejected { sources: crate::spec::Sources::default(), diagnostics: vec![Diagnostic::error(code, message)] }
}

/// Refuses a spec whose revision could not be kept.
pub(super) fn not_kept(error: &crate::store::StoreError) -> Rejected {
    let diagnostic = Diagnostic::error(codes::NOT_KEPT, error.to_string());
    Rejected { sources: crate::spec::Sources::default(), diagnostics: vec![diagnostic] }
}
