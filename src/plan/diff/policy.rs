//! How changes are judged: what the spec itself says about risk, and changes of that.

use super::changes::{Changes, Meaning};
use super::place::Place;
use super::{Action, Change, Risk};
use crate::base::glob;
use crate::plan::types::Policy;
use crate::spec::{ChangeAction, RiskPolicy, RiskWord};

/// The section, which no policy judges.
const SECTION: &str = "policy";

/// Compares policies.
pub(super) fn policy(out: &mut Changes<'_>, base: &Policy, new: &Policy) {
    let place = Place::section(SECTION).member("risks");
    out.field(place, &base.risks, &new.risks, || {
        let said = match (base.risks.len(), new.risks.len()) {
            (0, now) => format!("{now} added"),
            (before, 0) => format!("{before} removed"),
            (before, now) => format!("{before} → {now}"),
        };
        Meaning::high("changes are judged by it from the next one on").saying(said)
    });
}

/// Gives changes their risk.
pub(super) fn judge(policy: &Policy, changes: &mut [Change]) {
    for change in changes.iter_mut().filter(|change| !change.pointer.starts_with("/policy")) {
        let Some(rule) = policy.risks.iter().find(|rule| fits(rule, change)) else { continue };
        let risk = match rule.risk {
            RiskWord::None => Risk::None,
            RiskWord::Low => Risk::Low,
            RiskWord::Medium => Risk::Medium,
            RiskWord::High => Risk::High,
        };
        if risk == change.risk {
            continue;
        }
        let by = rule.reason.clone().unwrap_or_else(|| "so says the policy".to_owned());
        change.reason = Some(match change.reason.take() {
            Some(reason) => format!("{reason}{}{by})", mark(change.risk)),
            None => by,
        });
        change.risk = risk;
    }
}

/// Says something else of a change, and keeps what a policy said of its risk.
pub(super) fn reword(change: &mut Change, reason: String) {
    let old = change.reason.take().unwrap_or_default();
    let marks = [Risk::None, Risk::Low, Risk::Medium, Risk::High].map(mark);
    let judged = marks.iter().find_map(|mark| old.find(mark.as_str())).and_then(|at| old.get(at..)).unwrap_or_default();
    change.reason = Some(format!("{reason}{judged}"));
}

/// Returns what stands between a reason and why a policy overrules the risk that goes with it.
fn mark(risk: Risk) -> String {
    format!(" ({} by itself; ", risk.word())
}

fn fits(rule: &RiskPolicy, change: &Change) -> bool {
    let action = match rule.action {
        None => None,
        Some(ChangeAction::Added) => Some(Action::Added),
        Some(ChangeAction::Removed) => Some(Action::Removed),
        Some(ChangeAction::Changed) => Some(Action::Changed),
    };
    action.is_none_or(|action| action == change.action) && glob::matches(&rule.path, &change.path)
}
