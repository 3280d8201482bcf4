//! Which upstream models a key's requests can come to, as far as the spec names them.
//!
//! Rule: what is listed can be reached by some request; of names that only clients choose, nothing is listed unless all are alike.

use std::collections::BTreeSet;

use super::access::Access;
use super::sample::{Caller, Samples, facts};
use crate::plan::expr::Condition;
use crate::plan::types::{FallbackRef, Plan, Rule, RuleAction, Target, VirtualKey};

/// A provider and the name of a model there; `*` is every model of the provider.
pub(super) type Model<'p> = (&'p str, &'p str);

/// Most samples of one rule for one key.
const SAMPLES: u64 = 64;
/// Most evaluations of all rules for all keys; beyond, rules lead nowhere.
const EVALUATIONS: u64 = 20_000;

/// What can be reached, from aliases and from rules.
pub(super) struct Reach<'p> {
    plan: &'p Plan,
    evaluations: u64,
}

impl<'p> Reach<'p> {
    pub(super) const fn new(plan: &'p Plan) -> Self {
        Self { plan, evaluations: EVALUATIONS }
    }

    /// Returns what requests of a key can come to, which budgets may move to some aliases.
    pub(super) fn of_key(&mut self, name: &str, key: &'p VirtualKey, moved_to: &[&'p str]) -> BTreeSet<Model<'p>> {
        let access = Access::of(self.plan, key);
        let mut models: BTreeSet<Model<'p>> = access.models(self.plan).collect();
        let mut aliases: Vec<&'p str> = self.plan.models.keys().map(String::as_str).filter(|alias| access.allows(alias)).collect();
        if aliases.is_empty() && models.is_empty() {
            return models;
        }
        for rule in &self.plan.rules {
            if self.may_hold(rule, name, key) {
                match &rule.action {
                    RuleAction::Use(alias) => aliases.push(alias),
                    RuleAction::Targets(targets) => models.extend(targets.iter().map(id)),
                    RuleAction::Deny { .. } => {}
                }
            }
        }
        aliases.extend(moved_to);
        follow(self.plan, aliases, &mut models);
        models
    }

    /// Returns whether a request of the key is found for which the rule holds.
    fn may_hold(&mut self, rule: &Rule, name: &str, key: &VirtualKey) -> bool {
        let Some(condition) = Condition::compile(&rule.when).ok().filter(|_| self.evaluations > 0) else { return false };
        let callers = [Caller { key: Some((name, key)), facts: facts(name, key) }];
        let samples = Samples::new(&[condition.source()], &condition.facts(), &callers);
        samples.requests(SAMPLES.min(self.evaluations)).any(|(_, facts)| {
            self.evaluations = self.evaluations.saturating_sub(1);
            condition.eval(facts.into_value()) == Ok(true)
        })
    }
}

/// Collects the targets of aliases and of their whole chains.
fn follow<'p>(plan: &'p Plan, aliases: Vec<&'p str>, models: &mut BTreeSet<Model<'p>>) {
    let (mut waiting, mut seen) = (aliases, BTreeSet::new());
    while let Some(alias) = waiting.pop() {
        let Some(model) = plan.models.get(alias).filter(|_| seen.insert(alias)) else { continue };
        models.extend(model.targets.iter().map(id));
        for link in &model.fallbacks {
            match link {
                FallbackRef::Alias(alias) => waiting.push(alias),
                FallbackRef::Target { provider, model } => {
                    models.insert((provider, model));
                }
            }
        }
    }
}

fn id(target: &Target) -> Model<'_> {
    (&target.provider, &target.model)
}
