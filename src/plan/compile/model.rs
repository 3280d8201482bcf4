//! Aliases and rules.

use super::limits::limits;
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types as plan;
use crate::spec::{self, Balance, Diagnostic, FallbackOn, PromptPosition, PromptSource, TargetRef, TrafficShare};

/// What moves a request on unless the alias says otherwise. A content filter's refusal is an answer, so moving on is opt-in.
const FALLBACK_ON: [FallbackOn; 9] = [
    FallbackOn::RateLimit,
    FallbackOn::Quota,
    FallbackOn::Auth,
    FallbackOn::Overload,
    FallbackOn::ServerError,
    FallbackOn::Timeout,
    FallbackOn::Connect,
    FallbackOn::ContextWindow,
    FallbackOn::Malformed,
];

/// The most that is asked twice unless the alias says otherwise: 2%.
const HEDGED: TrafficShare = TrafficShare::from_basis_points(200);

pub(super) fn model(found: &mut Findings<'_>, name: &str, spec: &spec::Model) -> plan::Model {
    plan::Model {
        description: spec.description.clone(),
        targets: targets(found, &pointer(&["models", name, "targets"]), &spec.targets),
        balance: spec.balance.unwrap_or(Balance::Weighted),
        sticky: spec.sticky.clone(),
        hedge: spec.hedge.map(|hedge| plan::Hedge { after: hedge.after, max_share: hedge.max_share.unwrap_or(HEDGED) }),
        fallbacks: spec.fallbacks.clone(),
        fallback_on: match &spec.fallback_on {
            None => FALLBACK_ON.into_iter().collect(),
            Some(listed) => listed.iter().copied().collect(),
        },
        prompt: spec.prompt.as_ref().map(|it| prompt(found, name, it)),
        strict_translation: spec.strict_translation,
        defaults: spec.defaults.clone(),
        overrides: spec.overrides.clone(),
        limits: limits(&spec.limits),
    }
}

fn targets(found: &mut Findings<'_>, at: &str, spec: &[TargetRef]) -> Vec<plan::Target> {
    for (index, both) in spec.iter().enumerate().filter(|(_, target)| target.weight.is_some() && target.share.is_some()) {
        let problem = Diagnostic::error(codes::SHARES, format!("target `{both}` has a weight and a share"))
            .help("keep `share` where it is to take so much of all the traffic, `weight` where it is to take its part of the rest");
        found.add(On::Value, format!("{at}/{index}"), problem);
    }
    spec.iter().map(target).collect()
}

fn target(spec: &TargetRef) -> plan::Target {
    plan::Target { provider: spec.provider.clone(), model: spec.model.clone(), weight: spec.weight.unwrap_or(1), share: spec.share }
}

fn prompt(found: &mut Findings<'_>, name: &str, spec: &spec::Prompt) -> plan::Prompt {
    let system = match &spec.system {
        PromptSource::Text(text) => text.clone(),
        PromptSource::File(path) => match found.loaded.prompts.get(path) {
            Some(text) => text.clone(),
            None => {
                let problem = Diagnostic::error(codes::PROMPT_MISSING, format!("alias `{name}`: the prompt file `{path}` was not read"))
                    .help("the path is relative to the spec");
                found.add(On::Value, pointer(&["models", name, "prompt", "system", "file"]), problem);
                String::new()
            }
        },
    };
    plan::Prompt { system, position: spec.position.unwrap_or(PromptPosition::Prepend) }
}

pub(super) fn rule(found: &mut Findings<'_>, index: usize, spec: &spec::Rule) -> plan::Rule {
    let action = match (&spec.use_alias, &spec.targets, &spec.deny) {
        (Some(alias), None, None) => plan::RuleAction::Use(alias.clone()),
        (None, Some(targets), None) => {
            plan::RuleAction::Targets(self::targets(found, &pointer(&["rules", &index.to_string(), "targets"]), targets))
        }
        (None, None, Some(deny)) => plan::RuleAction::Deny { status: deny.status.unwrap_or(403), message: deny.message.clone() },
        (alias, targets, deny) => {
            let given = usize::from(alias.is_some()) + usize::from(targets.is_some()) + usize::from(deny.is_some());
            let what = if given == 0 { "does nothing" } else { "does more than one thing" };
            let problem = Diagnostic::error(codes::RULE_ACTION, format!("rule `{}` {what}", spec.name))
                .help("write one of `use: ALIAS`, `targets: […]` or `deny: {message: …}`");
            found.add(On::Value, pointer(&["rules", &index.to_string()]), problem);
            plan::RuleAction::Deny { status: 403, message: String::new() }
        }
    };
    plan::Rule { name: spec.name.clone(), when: spec.when.clone(), action }
}
