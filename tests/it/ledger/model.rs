//! Random operations on the ledger and on a reference of a few lines: after each, both say the same.
//!
//! `LEDGER_SEQUENCES=100000 cargo test --release --test it ledger::model` runs the long form.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bifrostctl::base::{Clock as _, Usd};
use bifrostctl::limit::budget::{Need, Payer, Refused, Reservation, Wanted, Window};
use bifrostctl::plan::{Budget, BudgetMode};
use bifrostctl::store::book::{Adjustment, AttemptId, Change, Opening, Progress, UsageSource, bucket_of};
use bifrostctl::wire::ir::Usage;
use proptest::prelude::*;

use super::support::{Rig, START_MS, budget, wanted};

#[derive(Debug, Clone)]
enum Op {
    /// By one of the payers: the most, where there is a bound, the first step, and what a crash charges.
    Admit(usize, Option<i64>, i64, i64),
    Extend(usize, i64),
    Progress(usize, i64),
    /// Twice, where it says so.
    Settle(usize, i64, bool),
    Drop(usize),
    /// Milliseconds, forward.
    Wait(u64),
    /// Milliseconds, back; some so far that the clock must have been wrong before, or is now.
    Back(u64),
    /// Another version of the spec.
    Reload(usize),
    Reset(usize),
    /// One account's past becomes another's.
    Rename(usize, usize),
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    let minute = 60_000;
    prop_oneof![
        8 => (0..3_usize, prop::option::weighted(0.9, 0..60_i64), 0..20_i64, 0..9_i64).prop_map(|(p, most, step, floor)| Op::Admit(p, most, step, floor)),
        2 => (0..9_usize, 0..90_i64).prop_map(|(at, upto)| Op::Extend(at, upto)),
        2 => (0..9_usize, 0..40_i64).prop_map(|(at, cost)| Op::Progress(at, cost)),
        6 => (0..9_usize, 0..70_i64, any::<bool>()).prop_map(|(at, cost, twice)| Op::Settle(at, cost, twice)),
        1 => (0..9_usize).prop_map(Op::Drop),
        3 => prop::sample::select(vec![minute, 17 * minute, 61 * minute, 25 * 60 * minute, 20 * 24 * 60 * minute]).prop_map(Op::Wait),
        1 => prop::sample::select(vec![minute, 40 * minute, 120 * minute, 27 * 60 * minute, 45 * 24 * 60 * minute]).prop_map(Op::Back),
        1 => (0..3_usize).prop_map(Op::Reload),
        1 => (0..3_usize).prop_map(Op::Reset),
        1 => (0..3_usize, 1..3_usize).prop_map(|(from, by)| Op::Rename(from, (from + by) % 3)),
        1 => Just(Op::Crash),
    ]
}

/// Every account there is.
const ACCOUNTS: [&str; 3] = ["key:a", "key:b", "budget:s"];

/// Who pays from what, in three versions of a spec: budgets are tightened, changed in their window, taken away and given back.
fn versions(version: usize) -> [Vec<Wanted>; 3] {
    let shared = |terms: Budget| wanted("budget:s", Some(terms));
    let of = |account: &str, limit, period, mode, zone| wanted(account, Some(budget(limit, period, mode, zone)));
    match version {
        0 => [
            vec![of("key:a", 100, "day", "strict", "UTC"), shared(budget(150, "month", "strict", "UTC"))],
            vec![of("key:b", 80, "hour", "progressive", "UTC"), shared(budget(150, "month", "strict", "UTC"))],
            vec![of("key:a", 100, "day", "strict", "UTC"), of("key:a", 130, "rolling 2h", "soft", "UTC")],
        ],
        1 => [
            vec![of("key:a", 60, "week", "strict", "Europe/Berlin")],
            vec![of("key:b", 80, "rolling 1h", "strict", "UTC"), shared(budget(400, "total", "progressive", "UTC"))],
            vec![wanted("key:a", None)],
        ],
        _ => [
            vec![of("key:a", 500, "day", "strict", "UTC"), shared(budget(90, "month", "soft", "Asia/Tokyo"))],
            vec![of("key:b", 500, "quarter", "progressive", "UTC")],
            vec![of("key:a", 500, "day", "strict", "UTC"), shared(budget(90, "month", "soft", "Asia/Tokyo"))],
        ],
    }
}

/// A request that runs, in the ledger and in the reference.
struct Running {
    reservation: Option<Reservation>,
    opening: Arc<Opening>,
    payer: Vec<Wanted>,
    bucket: u64,
    held: BTreeMap<String, i64>,
    /// What a crash charges.
    known: i64,
    is_settled: bool,
}

/// Everything, added up anew each time.
#[derive(Default)]
struct Reference {
    spent: Vec<(String, u64, i64)>,
    latest: BTreeMap<String, u64>,
    running: Vec<Running>,
}

impl Reference {
    fn arrive(&mut self, account: &str, bucket: u64) -> u64 {
        let latest = self.latest.entry(account.to_owned()).or_default();
        *latest = (*latest).max(bucket);
        *latest
    }

    /// Arrives as a request does: one that is far ahead of the clock comes back.
    fn come(&mut self, account: &str, bucket: u64) -> u64 {
        let latest = self.latest.entry(account.to_owned()).or_default();
        *latest = if *latest > bucket + 104 { bucket } else { (*latest).max(bucket) };
        *latest
    }

    fn range(&self, wanted: &Wanted) -> Range<u64> {
        let (_, terms) = wanted.budget.as_ref().unwrap();
        Window::new(terms.period, &terms.timezone).around(self.latest[&*wanted.account])
    }

    fn standing(&self, wanted: &Wanted) -> (i64, i64) {
        let range = self.range(wanted);
        let account = &*wanted.account;
        let spent = self.spent.iter().filter(|(id, bucket, _)| id == account && range.contains(bucket)).map(|(_, _, cost)| cost).sum();
        let running = self.running.iter().filter(|it| it.reservation.is_some() && range.contains(&it.bucket));
        (spent, running.filter_map(|it| it.held.get(account)).sum())
    }

    /// Returns what each account must hold, or the names of the budgets that are in the way.
    fn fits(&self, payer: &[Wanted], need: Need) -> Result<BTreeMap<String, i64>, Vec<String>> {
        let (mut held, mut short) = (BTreeMap::new(), Vec::new());
        for wanted in payer.iter().filter(|wanted| wanted.budget.is_some()) {
            let (_, terms) = wanted.budget.as_ref().unwrap();
            let (spent, holds) = self.standing(wanted);
            let most = need.most.map(Usd::nano);
            let needed = match terms.mode {
                BudgetMode::Strict => most,
                BudgetMode::Progressive => Some(most.map_or(need.step.nano(), |most| most.min(need.step.nano()))),
                BudgetMode::Soft => Some(0),
            };
            let fits = match (terms.mode, needed) {
                (BudgetMode::Soft, _) => spent < terms.limit.nano() || most == Some(0),
                (_, None) => false,
                (_, Some(needed)) => needed == 0 || spent + holds + needed <= terms.limit.nano(),
            };
            match needed.filter(|_| fits) {
                Some(needed) => {
                    let slot: &mut i64 = held.entry(wanted.account.to_string()).or_default();
                    *slot = (*slot).max(needed);
                }
                None => short.push(wanted.account.to_string()),
            }
        }
        if short.is_empty() { Ok(held) } else { Err(short) }
    }

    fn charge(&mut self, at: usize, cost: i64) {
        let running = &mut self.running[at];
        running.is_settled = true;
        for wanted in &running.opening.accounts.clone()[..] {
            let bucket = self.running[at].bucket;
            self.spent.push((wanted.to_string(), bucket, cost));
        }
    }
}

struct Both {
    rig: Rig,
    reference: Reference,
    spec: [Vec<Wanted>; 3],
    payers: Vec<Arc<Payer>>,
    adjusted: u128,
}

impl Both {
    fn new() -> Self {
        let rig = Rig::new();
        let mut both = Self { rig, reference: Reference::default(), spec: versions(0), payers: Vec::new(), adjusted: 1 << 100 };
        both.reload(0);
        both
    }

    /// Lists the windows that somebody looks at already: those of the running spec and of requests that still run.
    fn looked_at(&self) -> BTreeSet<String> {
        let spec = self.spec.iter().filter(|_| !self.payers.is_empty()).flatten();
        let running = self.reference.running.iter().filter(|it| it.reservation.is_some()).flat_map(|it| &it.payer);
        spec.chain(running).filter_map(window).collect()
    }

    fn reload(&mut self, version: usize) {
        let known = self.looked_at();
        self.spec = versions(version);
        let payers = self.spec.iter().map(|wanted| self.rig.payer(wanted)).collect();
        self.payers = payers;
        let now = bucket_of(self.rig.clock.unix_ms());
        // Who looks at a new window reads the book, and believes what is a little ahead of the clock.
        for wanted in self.spec.iter().flatten().filter(|wanted| window(wanted).is_some_and(|window| !known.contains(&window))) {
            let known = self.reference.spent.iter().filter(|(id, ..)| *id == *wanted.account);
            let mut by_bucket: BTreeMap<u64, i64> = BTreeMap::new();
            known.for_each(|(_, bucket, cost)| *by_bucket.entry(*bucket).or_default() += cost);
            let ahead = by_bucket.iter().filter(|(bucket, cost)| **cost != 0 && **bucket <= now + 104).map(|(bucket, _)| *bucket).max();
            self.reference.arrive(&wanted.account, now.max(ahead.unwrap_or(0)));
        }
    }

    fn admit(&mut self, which: usize, need: Need, floor: i64) {
        let now_ms = self.rig.clock.unix_ms();
        let (payer, spec) = (Arc::clone(&self.payers[which]), self.spec[which].clone());
        let accounts: Vec<String> = payer.ids.iter().map(ToString::to_string).collect();
        let bucket = accounts.iter().map(|id| self.reference.come(id, bucket_of(now_ms))).max().unwrap();
        accounts.iter().for_each(|id| {
            self.reference.arrive(id, bucket);
        });
        let expected = self.reference.fits(&spec, need);
        match (self.rig.ledger.reserve(&payer, need, now_ms), expected) {
            (Ok(mut reservation), Ok(held)) => {
                assert_eq!(reservation.bucket(), bucket);
                let opening = self.rig.open(&payer, &mut reservation, Usd::from_nano(floor));
                let reservation = Some(reservation);
                self.reference.running.push(Running { reservation, opening, payer: spec, bucket, held, known: floor, is_settled: false });
            }
            (Err(Refused::Short(short)), Err(mut expected)) => {
                let mut names: Vec<String> = short.iter().map(|short| short.budget.to_string()).collect();
                names.sort();
                expected.sort();
                assert_eq!(names, expected);
            }
            (got, expected) => panic!("{got:?}, but expected {expected:?}"),
        }
    }

    fn extend(&mut self, at: usize, upto: i64) {
        let running = &self.reference.running[at];
        if running.held.values().copied().max().unwrap_or(0) >= upto {
            return;
        }
        let stepwise = |wanted: &&Wanted| wanted.budget.as_ref().is_some_and(|(_, terms)| terms.mode == BudgetMode::Progressive);
        let steps: Vec<Wanted> = running.payer.iter().filter(stepwise).cloned().collect();
        let fits = |wanted: &Wanted| {
            let (spent, holds) = self.reference.standing(wanted);
            let more = upto - running.held.get(&*wanted.account).copied().unwrap_or(0);
            more <= 0 || spent + holds + more <= wanted.budget.as_ref().unwrap().1.limit.nano()
        };
        let expected = steps.iter().all(fits);
        let running = &mut self.reference.running[at];
        let got = running.reservation.as_mut().unwrap().extend(Usd::from_nano(upto), Usd::ZERO);
        assert_eq!(got.is_ok(), expected, "{got:?}");
        if expected {
            for wanted in steps {
                let held = running.held.entry(wanted.account.to_string()).or_default();
                *held = (*held).max(upto);
            }
        }
    }

    fn settle(&mut self, at: usize, cost: i64, twice: bool) {
        let running = &mut self.reference.running[at];
        let closing = self.rig.closing(&running.opening, Usd::from_nano(cost));
        running.reservation.take().unwrap().settle(closing.clone());
        if twice {
            drop(self.rig.book.close(closing));
        }
        self.reference.charge(at, cost);
    }

    fn reset(&mut self, which: usize) {
        let Some((_, budget)) = self.payers[which].budgets.first().cloned() else { return };
        let spec = self.spec[which]
            .iter()
            .find(|wanted| wanted.account == budget.account.id && wanted.budget.as_ref().is_some_and(|(_, terms)| *terms == budget.terms));
        let range = self.reference.range(spec.unwrap());
        self.adjusted += 1;
        let (id, account, at_ms) = (AttemptId::from_bits(self.adjusted, 0), Arc::clone(&budget.account.id), self.rig.clock.unix_ms());
        let change = Change::Clear { buckets: budget.buckets(at_ms) };
        self.rig.ledger.correct(Adjustment { id, at_ms, account, change, actor: "test".into(), reason: "test".into() }).unwrap();
        self.reference.spent.retain(|(id, bucket, _)| *id != *budget.account.id || !range.contains(bucket));
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.adjusted += 1;
        let (id, at_ms) = (AttemptId::from_bits(self.adjusted, 0), self.rig.clock.unix_ms());
        let adjustment = |change| Adjustment { id, at_ms, account: to.into(), change, actor: "test".into(), reason: "test".into() };
        self.rig.ledger.rename(from, to, adjustment).unwrap();
        let latest = self.reference.arrive(from, 0).max(self.reference.arrive(to, 0));
        self.reference.arrive(from, latest);
        self.reference.arrive(to, latest);
        for (account, ..) in self.reference.spent.iter_mut().filter(|(account, ..)| account == from) {
            *account = to.to_owned();
        }
    }

    fn crash(&mut self) {
        for at in 0..self.reference.running.len() {
            // What was given back or still runs is open in the book.
            if !self.reference.running[at].is_settled {
                let known = self.reference.running[at].known;
                self.reference.charge(at, known);
            }
        }
        self.payers.clear();
        self.rig.crash();
        self.reference.running.clear();
        self.reference.latest.clear();
        let spec = std::mem::replace(&mut self.spec, versions(0));
        self.spec = spec.clone();
        let version = (0..3).find(|version| names(&versions(*version)) == names(&spec)).unwrap();
        self.reload(version);
    }

    fn run(&mut self, op: &Op) {
        let open: Vec<usize> = (0..self.reference.running.len()).filter(|at| self.reference.running[*at].reservation.is_some()).collect();
        let pick = |at: &usize| (!open.is_empty()).then(|| open[at % open.len()]);
        let clock = Arc::clone(&self.rig.clock);
        match op {
            Op::Admit(which, most, step, floor) => {
                let need = Need { most: most.map(Usd::from_nano), step: Usd::from_nano(most.map_or(*step, |most| most.min(*step))) };
                self.admit(*which, need, *floor);
            }
            Op::Extend(at, upto) => pick(at).into_iter().for_each(|at| self.extend(at, *upto)),
            Op::Progress(at, cost) => pick(at).into_iter().for_each(|at| {
                let running = &mut self.reference.running[at];
                running.known = *cost;
                let progress = Progress { cost: Usd::from_nano(*cost), usage: Usage::default(), source: UsageSource::Estimated };
                running.reservation.as_ref().unwrap().progress(progress);
            }),
            Op::Settle(at, cost, twice) => pick(at).into_iter().for_each(|at| self.settle(at, *cost, *twice)),
            Op::Drop(at) => pick(at).into_iter().for_each(|at| self.reference.running[at].reservation = None),
            Op::Wait(ms) => clock.set(clock.unix_ms() + ms),
            Op::Back(ms) => clock.set((clock.unix_ms() - ms).max(START_MS)),
            Op::Reload(version) => self.reload(*version),
            Op::Reset(which) => self.reset(*which),
            Op::Rename(from, to) => self.rename(ACCOUNTS[*from], ACCOUNTS[*to]),
            Op::Crash => self.crash(),
        }
    }

    fn check(&mut self) {
        let now_ms = self.rig.clock.unix_ms();
        for (which, payer) in self.payers.iter().enumerate() {
            for (_, budget) in &payer.budgets {
                self.reference.arrive(&budget.account.id, bucket_of(now_ms));
                let same = |wanted: &&Wanted| {
                    wanted.account == budget.account.id && wanted.budget.as_ref().is_some_and(|(_, terms)| *terms == budget.terms)
                };
                let wanted = self.spec[which].iter().find(same).unwrap();
                let standing = budget.standing(now_ms);
                assert_eq!((standing.spent.nano(), standing.held.nano()), self.reference.standing(wanted), "{}", budget.name);
            }
        }
    }

    /// What the book holds is what was spent, account by account.
    fn audit(&self) {
        self.rig.book.flush().wait().unwrap();
        for account in ACCOUNTS {
            let spent: i64 = self.reference.spent.iter().filter(|(id, ..)| id == account).map(|(_, _, cost)| cost).sum();
            assert_eq!(self.rig.book.usage(account, 0..u64::MAX).unwrap().nano(), spent, "{account}");
        }
    }
}

/// What tells the windows of accounts apart.
fn window(wanted: &Wanted) -> Option<String> {
    let (_, terms) = wanted.budget.as_ref()?;
    Some(format!("{} {} {}", wanted.account, terms.period, terms.timezone))
}

fn names(spec: &[Vec<Wanted>; 3]) -> String {
    format!("{spec:?}")
}

fn sequences() -> u32 {
    std::env::var("LEDGER_SEQUENCES").ok().and_then(|text| text.parse().ok()).unwrap_or(150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: sequences(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_and_a_reference_say_the_same(ops in prop::collection::vec(op(), 1..40)) {
        let mut both = Both::new();
        for op in &ops {
            both.run(op);
            both.check();
        }
        both.audit();
    }
}
