//! Templates of headers and prompts: compiled, and rendered on samples of the requests that can reach them.

use super::access::Access;
use super::chains::aliases_below;
use super::sample::{Caller, Samples, callers};
use crate::plan::codes;
use crate::plan::expr::{Condition, ExprError, ExprErrorKind, Template};
use crate::plan::finding::Findings;
use crate::plan::types::{FallbackRef, Plan, RuleAction, VirtualKey};
use crate::spec::Diagnostic;

/// A template as it is written.
pub(super) struct Text<'p> {
    pub(super) place: Place<'p>,
    /// What it is, in words, for messages.
    pub(super) who: String,
    pub(super) source: &'p str,
}

/// Where a template stands.
pub(super) enum Place<'p> {
    /// In the spec, at this pointer.
    Value(String),
    /// In a prompt's file; the pointer to its path, and the path.
    Prompt(String, &'p str),
}

/// What renders a template.
#[derive(Clone, Copy)]
pub(super) enum Use<'p> {
    /// A request that is served as this alias.
    Alias(&'p str),
    /// A request that this provider may be tried for.
    Provider(&'p str),
}

/// Who can make a template render.
pub(super) struct Reach<'p> {
    /// Those who may ask for it themselves.
    direct: Vec<Caller<'p>>,
    /// Those who get there only where one of the rules holds.
    indirect: Vec<Caller<'p>>,
    rules: Vec<Condition>,
}

impl<'p> Reach<'p> {
    pub(super) fn of(plan: &'p Plan, goal: Use<'p>) -> Self {
        let aliases: Vec<&str> = match goal {
            Use::Alias(name) => vec![name],
            Use::Provider(name) => plan.models.keys().map(String::as_str).filter(|alias| leads_to(plan, alias, name)).collect(),
        };
        let may = |key: &VirtualKey| may_ask(plan, key, &aliases, goal);
        let (direct, indirect) = callers(plan).into_iter().partition(|caller| caller.key.is_none_or(|(_, key)| may(key)));
        let leads = |action: &RuleAction| match (action, goal) {
            (RuleAction::Use(alias), Use::Alias(name)) => alias == name,
            (RuleAction::Use(alias), Use::Provider(name)) => leads_to(plan, alias, name),
            (RuleAction::Targets(targets), Use::Provider(name)) => targets.iter().any(|target| target.provider == name),
            (RuleAction::Targets(_), Use::Alias(_)) | (RuleAction::Deny { .. }, _) => false,
        };
        let rules = plan.rules.iter().filter(|rule| leads(&rule.action)).filter_map(|rule| Condition::compile(&rule.when).ok()).collect();
        Self { direct, indirect, rules }
    }
}

/// Returns whether an alias, through its chain, may be served by a provider.
pub(super) fn leads_to(plan: &Plan, alias: &str, provider: &str) -> bool {
    aliases_below(plan, alias).into_iter().filter_map(|alias| plan.models.get(alias)).any(|model| {
        model.targets.iter().any(|target| target.provider == provider)
            || model.fallbacks.iter().any(|link| matches!(link, FallbackRef::Target { provider: other, .. } if other == provider))
    })
}

/// Returns whether a key may ask for one of the aliases, or for one of the provider's models by its name.
fn may_ask(plan: &Plan, key: &VirtualKey, aliases: &[&str], goal: Use<'_>) -> bool {
    let access = Access::of(plan, key);
    aliases.iter().any(|alias| access.allows(alias))
        || match goal {
            Use::Alias(_) => false,
            Use::Provider(name) => access.allows_below(name),
        }
}

/// Most samples of one template; rendering may take a thousand times as long as a condition.
const SAMPLES: u64 = 200;

const GUARD: &str = "give a default: `header(\"x-tier\", \"\")`, `key.labels.env | default(\"\")`";

/// Compiles a template, renders it on samples, and asks `judge` what is wrong with the output: a code and a part of a sentence.
pub(super) fn check(
    found: &mut Findings<'_>,
    text: &Text<'_>,
    reach: &Reach<'_>,
    judge: impl Fn(&str) -> Option<(&'static str, &'static str)>,
) {
    let who = &text.who;
    let template = match Template::compile(text.source) {
        Ok(template) => template,
        Err(error) => return add(found, text, error.range.clone(), uncompiled(who, &error, codes::TEMPLATE_INVALID)),
    };
    let mut used = template.facts();
    used.extend(reach.rules.iter().flat_map(Condition::facts));
    let sources: Vec<&str> = reach.rules.iter().map(Condition::source).chain([text.source]).collect();
    for (callers, is_direct) in [(&reach.direct, true), (&reach.indirect, false)] {
        for (caller, facts) in Samples::new(&sources, &used, callers).requests(SAMPLES) {
            let facts = facts.into_value();
            if !is_direct && !reach.rules.iter().any(|rule| rule.eval(facts.clone()) == Ok(true)) {
                continue;
            }
            let (code, what, range, help) = match template.render(facts) {
                Ok(output) => match judge(&output) {
                    Some((code, what)) => (code, what.to_owned(), None, "write it on one line, of facts that hold one line"),
                    None => continue,
                },
                Err(error) => (codes::TEMPLATE_FAILS, format!("fails: {}", error.message), error.range, GUARD),
            };
            let problem = Diagnostic::error(code, format!("{who} {what} (on a request {})", caller.label()));
            return add(found, text, range, problem.help(help));
        }
    }
}

/// Makes the finding for a source that does not compile.
pub(super) fn uncompiled(who: &str, error: &ExprError, syntax: &'static str) -> Diagnostic {
    let code = match error.kind {
        ExprErrorKind::UnknownFact => codes::UNKNOWN_FACT,
        ExprErrorKind::Syntax | ExprErrorKind::Failed | ExprErrorKind::NotBoolean => syntax,
    };
    let problem = Diagnostic::error(code, format!("{who}: {}", error.message));
    match &error.help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

fn add(found: &mut Findings<'_>, text: &Text<'_>, range: Option<std::ops::Range<usize>>, problem: Diagnostic) {
    match &text.place {
        Place::Value(pointer) => found.add_inside(pointer.clone(), text.source, range, problem),
        Place::Prompt(pointer, path) => found.add_in_prompt(pointer.clone(), path, range, problem),
    }
}
