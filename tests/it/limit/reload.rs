//! Whatever becomes of the spec, what was used stays used, and nothing else becomes so.

use std::sync::Arc;

use bifrostctl::limit::{Counters, Identity, Limiter, Measure, Scope, admit};
use bifrostctl::plan::RateLimits;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

/// What happens to a consumer.
#[derive(Debug, Clone)]
enum Step {
    /// Asks, with a prompt of so many tokens of which so many are used.
    Ask(u64, u64),
    /// Time passes.
    Wait(u64),
    /// Another limit.
    Relimit(usize),
    /// Another name; the spec says so.
    Rename(usize),
    /// Goes from the spec, and comes back after a while.
    Remove(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..300_u64, 0..600_u64).prop_map(|(tokens, used)| Step::Ask(tokens, used)),
        2 => (0..3_000_000_000_u64).prop_map(Step::Wait),
        2 => (0..4_usize).prop_map(Step::Relimit),
        1 => (0..3_usize).prop_map(Step::Rename),
        1 => (0..3_000_000_000_u64).prop_map(Step::Remove),
    ]
}

fn limits(which: usize) -> RateLimits {
    let all = ["60/min", "7/s", "1M/day", "600/min"];
    let rate = json!({"rate": all[which % 4], "burst": 20});
    serde_json::from_value(json!({"requests": rate, "tokens": {"rate": "10k/min", "burst": 900}, "concurrency": 3})).unwrap()
}

const NAMES: [&str; 3] = ["web", "site", "shop"];

struct World {
    counters: Counters,
    name: usize,
    which: usize,
    limiter: Arc<Limiter>,
    now_ns: u64,
}

impl World {
    fn debts(&self) -> [u64; 2] {
        [Measure::Requests, Measure::Tokens].map(|measure| self.limiter.level(measure, self.now_ns).unwrap().full_in_ns)
    }

    /// A new table: what was there before is gone with its last request.
    fn apply(&mut self, renamed_from: Option<usize>) {
        let renamed_from = renamed_from.map(|name| NAMES[name]);
        let identity = Identity { renamed_from, ..Identity::new(Scope::Key, NAMES[self.name]) };
        self.limiter = Arc::new(Limiter::new(identity, &limits(self.which), &self.counters).unwrap());
        let name = NAMES[self.name];
        self.counters.forget_unused(|_, known| known == name, self.now_ns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn edits_of_the_spec_change_no_consumption(steps in vec(step(), 1..60)) {
        let counters = Counters::default();
        let limiter = Arc::new(Limiter::new(Identity::new(Scope::Key, NAMES[0]), &limits(0), &counters).unwrap());
        let mut world = World { counters, name: 0, which: 0, limiter, now_ns: 1 };
        for step in steps {
            let before = world.debts();
            match step {
                Step::Ask(tokens, used) => {
                    if let Ok(grant) = admit(std::slice::from_ref(&world.limiter), Some(tokens), world.now_ns) {
                        grant.settle(used, world.now_ns);
                    }
                    continue;
                }
                Step::Wait(ns) => world.now_ns += ns,
                Step::Relimit(which) => {
                    world.which = which;
                    world.apply(None);
                }
                Step::Rename(name) => {
                    let old = std::mem::replace(&mut world.name, name);
                    world.apply((old != name).then_some(old));
                }
                Step::Remove(ns) => {
                    // The table without it.
                    let other = Identity::new(Scope::Key, "somebody else");
                    world.limiter = Arc::new(Limiter::new(other, &limits(0), &world.counters).unwrap());
                    world.counters.forget_unused(|_, _| false, world.now_ns);
                    world.now_ns += ns;
                    world.counters.forget_unused(|_, _| false, world.now_ns);
                    world.apply(None);
                    let worked_off = before.map(|debt| debt.saturating_sub(ns));
                    prop_assert_eq!(world.debts(), worked_off);
                    continue;
                }
            }
            if let Step::Relimit(_) | Step::Rename(_) = step {
                prop_assert_eq!(world.debts(), before);
            }
            prop_assert_eq!(world.limiter.in_use(), Some(0));
        }
    }
}
