//! Which upstream models a key's requests can come to, as far as the spec names them.
//!
//! Rule: what is listed can be reached by some request; of names that only clients choose, nothing is listed unless all are alike.

use std::collections::{BTreeMap, BTreeSet};

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
    aliases: BTreeMap<&'p str, BTreeSet<Model<'p>>>,
    evaluations: u64,
}

impl<'p> Reach<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let aliases = plan.models.keys().map(|name| {
            let (mut models, mut seen) = (BTreeSet::new(), BTreeSet::new());
            follow(plan, name, &mut models, &mut seen);
            (name.as_str(), models)
        });
        Self { plan, aliases: aliases.collect(), evaluations: EVALUATIONS }
    }

    /// Returns what requests for an alias can come to.
    pub(super) fn of_alias(&self, alias: &str) -> impl Iterator<Item = Model<'p>> + '_ {
        self.aliases.get(alias).into_iter().flatten().copied()
    }

    /// Returns what requests of a key can come to.
    pub(super) fn of_key(&mut self, name: &str, key: &'p VirtualKey) -> BTreeSet<Model<'p>> {
        let access = Access::of(self.plan, key);
        let mut models: BTreeSet<Model<'p>> = access.models(self.plan).collect();
        let asked: Vec<&str> = self.aliases.keys().copied().filter(|alias| access.allows(alias)).collect();
        for alias in &asked {
            models.extend(self.of_alias(alias));
        }
        if asked.is_empty() && models.is_empty() {
            return models;
        }
        for rule in &self.plan.rules {
            if self.may_hold(rule, name, key) {
                match &rule.action {
                    RuleAction::Use(alias) => models.extend(self.of_alias(alias)),
                    RuleAction::Targets(targets) => models.extend(targets.iter().map(id)),
                    RuleAction::Deny { .. } => {}
                }
            }
        }
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

/// Collects the targets of an alias and of its whole chain.
fn follow<'p>(plan: &'p Plan, alias: &'p str, models: &mut BTreeSet<Model<'p>>, seen: &mut BTreeSet<&'p str>) {
    let mut waiting = vec![alias];
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
