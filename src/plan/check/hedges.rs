//! Second tries that ask too much, or can never be made.

use std::collections::BTreeSet;
use std::time::Duration;

use super::chains;
use crate::base::glob;
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Hedge, HedgeAfter, Model, Plan, TrafficShare};
use crate::spec::Diagnostic;

/// The most that may be asked twice: 50%.
const MOST: TrafficShare = TrafficShare::from_basis_points(5_000);

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    for (name, model) in &plan.models {
        if let Some(hedge) = &model.hedge {
            bounds(found, name, hedge);
            use_of(found, plan, (name, model), hedge);
        }
    }
}

fn bounds(found: &mut Findings<'_>, name: &str, hedge: &Hedge) {
    if hedge.max_share > MOST {
        let problem = Diagnostic::error(codes::HEDGE, format!("alias `{name}` would ask {} of its requests twice", hedge.max_share))
            .help("write 50% at most; a few percent are enough for what is unusually slow");
        found.add(On::Value, pointer(&["models", name, "hedge", "max_share"]), problem);
    }
    if matches!(hedge.after, HedgeAfter::Time(span) if span.get().is_zero()) {
        let problem = Diagnostic::error(codes::HEDGE, format!("alias `{name}` would ask a second target without waiting for the first"))
            .help("write a quantile of the target's own times, such as `p95`, or a time such as `800ms`");
        found.add(On::Value, pointer(&["models", name, "hedge", "after"]), problem);
    }
}

/// Notes where there is nobody to ask, or never a reason to.
fn use_of(found: &mut Findings<'_>, plan: &Plan, (name, model): (&str, &Model), hedge: &Hedge) {
    let own = model.targets.iter().map(|target| (target.provider.as_str(), target.model.as_str()));
    let targets: BTreeSet<_> = own.chain(model.fallbacks.iter().flat_map(|link| chains::reached(plan, link))).collect();
    let accounts = |(provider, model): &(&str, &str)| {
        let credentials = plan.providers.get(*provider).map(|provider| provider.credentials.values());
        credentials.map_or(0, |all| all.filter(|credential| glob::any(&credential.models, model)).count())
    };
    // What does not exist has findings of its own.
    let is_known = !targets.is_empty() && targets.iter().all(|(provider, _)| plan.providers.contains_key(*provider));
    if is_known && targets.len() == 1 && targets.iter().map(accounts).sum::<usize>() <= 1 {
        let problem = Diagnostic::warning(codes::HEDGE_IDLE, format!("alias `{name}` has nobody to ask beside its only target"))
            .help("add a target, a fallback or a second credential, or remove `hedge`");
        found.add(On::Key, pointer(&["models", name, "hedge"]), problem);
        return;
    }
    let firsts = model.targets.iter().filter_map(|target| plan.providers.get(&target.provider));
    let longest = firsts.map(|provider| provider.timeouts.total.get()).max().unwrap_or(Duration::MAX);
    if let HedgeAfter::Time(span) = hedge.after
        && span.get() >= longest
    {
        let problem = Diagnostic::warning(codes::HEDGE_IDLE, format!("alias `{name}` waits {span}, and by then no target has time left"))
            .help("write a shorter time than `timeouts.total` of the providers, or `p95`");
        found.add(On::Value, pointer(&["models", name, "hedge", "after"]), problem);
    }
}
