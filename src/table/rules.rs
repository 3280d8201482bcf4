//! Rules: which one, if any, decides a request. Pure; the first whose condition is true wins.
//!
//! Rule: a condition that fails on a request does not match, and is never silent: the caller gets the failure to count and to log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::Value;

use super::entry::{Alias, RoutingTable, Stage};
use crate::plan::expr::{Condition, ExprError};
use crate::telemetry::RuleMetrics;

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// When it decides.
    pub condition: Condition,
    /// What it decides.
    pub action: RuleAction,
    /// Metrics.
    pub metrics: RuleMetrics,
    /// Whether a failure of the condition was logged already; a table logs each rule's first one.
    failed_before: AtomicBool,
}

/// What a rule decides.
#[derive(Debug)]
pub enum RuleAction {
    /// Serve as this alias, whatever was asked for.
    Use(Arc<Alias>),
    /// Serve from these targets; no chain, no prompt, no defaults.
    Targets(Vec<Stage>),
    /// Refuse.
    Deny {
        /// HTTP status, 400 to 499.
        status: u16,
        /// What the client is told.
        message: String,
    },
}

impl Rule {
    pub(super) const fn new(name: String, condition: Condition, action: RuleAction, metrics: RuleMetrics) -> Self {
        Self { name, condition, action, metrics, failed_before: AtomicBool::new(false) }
    }

    /// Counts a failure of the condition, and logs the first one of this table.
    pub fn report_failure(&self, error: &ExprError) {
        self.metrics.failed();
        if !self.failed_before.swap(true, Ordering::Relaxed) {
            tracing::warn!(rule = self.name, %error, "the condition of a rule failed on a request, so the rule did not match");
        }
    }
}

/// What the rules say of one request.
#[derive(Debug, Default)]
pub struct Verdict<'t> {
    /// The rule that decides.
    pub rule: Option<&'t Rule>,
    /// Rules before it whose condition failed.
    pub failed: Vec<(&'t Rule, ExprError)>,
}

impl RoutingTable {
    /// Returns the alias that serves what asks for a model, where one does: that of the rule which decides, else that of the name.
    pub fn serving<'t>(&'t self, model: &str, rule: Option<&'t Rule>) -> Option<&'t Arc<Alias>> {
        match rule.map(|rule| &rule.action) {
            Some(RuleAction::Use(alias)) => Some(alias),
            Some(RuleAction::Targets(_) | RuleAction::Deny { .. }) => None,
            None => self.aliases.get(model),
        }
    }

    /// Finds the first rule whose condition is true. About a microsecond for each rule that is looked at.
    pub fn verdict(&self, facts: &Value) -> Verdict<'_> {
        let mut failed = Vec::new();
        for rule in &self.rules {
            match rule.condition.eval(facts.clone()) {
                Ok(true) => return Verdict { rule: Some(rule), failed },
                Ok(false) => {}
                Err(error) => failed.push((rule, error)),
            }
        }
        Verdict { rule: None, failed }
    }
}
