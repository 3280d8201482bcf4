//! Rules: whether their conditions compile, are true or false on every request, can hold, and are ever reached.

mod logic;
mod space;

use logic::{Logic, Outcomes};
use space::{Point, Space};

use super::sample::{Caller, Samples, callers};
use super::templates::uncompiled;
use crate::plan::codes;
use crate::plan::expr::{Condition, ExprErrorKind};
use crate::plan::finding::{Findings, On};
use crate::plan::types::Plan;
use crate::spec::Diagnostic;

/// Most samples of one condition.
const SAMPLES: u64 = 1_000;
/// Most evaluations that one rule is worth; beyond, nothing is said of it.
const EVALUATIONS: usize = 500_000;

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    let callers = callers(plan);
    let mut space = Space::new(plan);
    let mut sound = Vec::new();
    for (index, rule) in plan.rules.iter().enumerate() {
        let at = format!("/rules/{index}/when");
        let who = format!("rule `{}`", rule.name);
        let condition = match Condition::compile(&rule.when) {
            Ok(condition) => condition,
            Err(error) => {
                found.add_inside(at, &rule.when, error.range.clone(), uncompiled(&who, &error, codes::EXPRESSION_INVALID));
                continue;
            }
        };
        match failure(&callers, &condition, &who) {
            Some((problem, range)) => found.add_inside(at, &rule.when, range, problem),
            None => sound.push(Sound { index, logic: Logic::read(&rule.when, &mut |part| space.part(part)) }),
        }
    }
    if found.is_unsure("/virtual_keys") || found.is_unsure("/gateway/auth") {
        return;
    }
    space.sort_into_kinds();
    let mut earlier: Vec<&Sound> = Vec::new();
    for rule in &sound {
        if is_never_true(&space, &rule.logic) {
            let problem = Diagnostic::warning(codes::ALWAYS_FALSE, format!("{} never holds", name(plan, rule)))
                .help("no key, team, endpoint, flag or hour of the day makes it true: is a name misspelt?");
            found.add(On::Value, format!("/rules/{}/when", rule.index), problem);
            continue;
        }
        unreachable(found, plan, &space, rule, &earlier);
        earlier.push(rule);
    }
}

/// A rule whose condition compiles and failed on no sample.
struct Sound {
    index: usize,
    logic: Logic,
}

fn name(plan: &Plan, rule: &Sound) -> String {
    plan.rules.get(rule.index).map(|rule| format!("rule `{}`", rule.name)).unwrap_or_default()
}

/// Looks for a request on which the condition fails or is neither true nor false.
fn failure(callers: &[Caller<'_>], condition: &Condition, who: &str) -> Option<(Diagnostic, Option<std::ops::Range<usize>>)> {
    let samples = Samples::new(&[condition.source()], &condition.facts(), callers);
    let (caller, error) =
        samples.requests(SAMPLES).find_map(|(caller, facts)| Some((caller, condition.eval(facts.into_value()).err()?)))?;
    let on = format!("(on a request {})", caller.label());
    let problem = match error.kind {
        ExprErrorKind::NotBoolean => {
            let help = "compare it with something, or write `… is defined`";
            Diagnostic::error(codes::NOT_BOOLEAN, format!("the condition of {who}: {} {on}", error.message)).help(help)
        }
        ExprErrorKind::Failed | ExprErrorKind::Syntax | ExprErrorKind::UnknownFact => {
            let help = "guard it: `header(\"x-tier\", \"\")`, `key.labels.env | default(\"\")`, `headers[\"x-tier\"] is defined and …`";
            Diagnostic::error(codes::EXPRESSION_FAILS, format!("the condition of {who} fails: {} {on}", error.message)).help(help)
        }
    };
    Some((problem, error.range))
}

fn outcomes(space: &Space, logic: &Logic, point: &Point) -> Outcomes {
    logic.outcomes(&|part| space.outcomes(part, point))
}

fn is_never_true(space: &Space, logic: &Logic) -> bool {
    let points = space.points(logic.parts());
    points.is_some_and(|points| points.iter().all(|point| !outcomes(space, logic, point).may_be_true()))
}

/// Reports a rule that some earlier rule, or all of them together, leave nothing to.
fn unreachable(found: &mut Findings<'_>, plan: &Plan, space: &Space, rule: &Sound, earlier: &[&Sound]) {
    let contained = earlier.iter().find(|before| is_contained(&rule.logic, &before.logic));
    if contained.is_none() && !covers(space, &rule.logic, earlier) {
        return;
    }
    let by_one = contained.or_else(|| earlier.iter().find(|before| covers(space, &rule.logic, &[before])));
    let first = by_one.map_or_else(|| "some earlier rule".to_owned(), |before| name(plan, before));
    let problem = format!("{} is never reached: {first} holds wherever it would", name(plan, rule));
    let problem = Diagnostic::warning(codes::UNREACHABLE, problem).help("move it up, or remove it");
    let first = by_one.and_then(|before| found.place(On::Value, &format!("/rules/{}/when", before.index)));
    let problem = match first {
        Some(first) => problem.related(first, "this rule comes first"),
        None => problem,
    };
    found.add(On::Value, format!("/rules/{}/when", rule.index), problem);
}

/// Returns whether everything that the earlier condition asks for is asked for by the later one too.
fn is_contained(later: &Logic, earlier: &Logic) -> bool {
    let later = later.conjuncts();
    earlier.conjuncts().iter().all(|part| later.contains(part))
}

/// Returns whether at every point one of the earlier conditions is true, or the later one cannot be.
fn covers(space: &Space, later: &Logic, earlier: &[&Sound]) -> bool {
    if earlier.is_empty() {
        return false;
    }
    let parts = later.parts().into_iter().chain(earlier.iter().flat_map(|before| before.logic.parts()));
    let Some(points) = space.points(parts).filter(|points| points.len().saturating_mul(earlier.len()) <= EVALUATIONS) else { return false };
    let is_covered = |point: &Point| earlier.iter().any(|before| outcomes(space, &before.logic, point).is_true());
    points.iter().all(|point| is_covered(point) || !outcomes(space, later, point).may_be_true())
}
