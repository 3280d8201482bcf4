//! Running a file of tests: each in a world of its own.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::civil::Date;

use super::cover::Coverage;
use super::judge::{Miss, judge};
use super::request::{self, Made};
use super::seen::Seen;
use super::world::{Unready, World};
use crate::base::{Clock as _, Usd, glob};
use crate::plan::Plan;
use crate::server::{Handler as _, Peer};
use crate::spec::{Defaults, Outcomes, Test, TestFile};
use crate::table::RoutingTable;
use crate::table::explain::{Moment, explain};

/// What came of the tests of a file that were wanted, in their order.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What came of each, with its place in the file.
    pub verdicts: Vec<(usize, Verdict)>,
    /// What of the spec they used; nothing where none could run.
    pub coverage: Option<Coverage>,
}

/// What came of a test.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It ran: what came otherwise than expected, and the way of the last request.
    Done(Vec<Miss>, Box<Seen>),
    /// It cannot run: the member of the test that does not fit, as a JSON pointer in it, and why.
    Broken(String, String),
}

impl Verdict {
    /// Returns whether all was as expected.
    pub fn is_passed(&self) -> bool {
        matches!(self, Self::Done(misses, _) if misses.is_empty())
    }
}

/// Runs the tests of a file that are wanted. Whatever does not say when it is asked, is asked now: Unix milliseconds. A test that is not
/// wanted has no verdict.
pub fn run(plan: &Plan, file: &TestFile, now_ms: u64, is_wanted: impl Fn(&Test) -> bool) -> Ran {
    let mut coverage = None;
    let wanted = file.tests.iter().enumerate().filter(|(_, test)| is_wanted(test));
    let verdicts = wanted
        .map(|(place, test)| match once(plan, (test, &file.defaults), now_ms, &mut coverage) {
            Ok((misses, seen)) => (place, Verdict::Done(misses, Box::new(seen))),
            Err((member, why)) => (place, Verdict::Broken(member, why)),
        })
        .collect();
    Ran { verdicts, coverage }
}

type Broken = (String, String);

fn once(
    plan: &Plan,
    (test, defaults): (&Test, &Defaults),
    now_ms: u64,
    coverage: &mut Option<Coverage>,
) -> Result<(Vec<Miss>, Seen), Broken> {
    let asked = request::over(&defaults.request, &test.request);
    if let Some(key) = asked.key.as_deref().filter(|key| !plan.virtual_keys.contains_key(*key)) {
        let help = crate::spec::suggest::suggest(key, "keys", plan.virtual_keys.keys().map(String::as_str));
        return Err(("/request/key".to_owned(), format!("the spec has no key `{key}`; {help}")));
    }
    let made = request::make(&asked).map_err(|(member, why)| (format!("/request/{member}"), why))?;
    let at = test.at.as_ref().or(defaults.at.as_ref());
    let unix_ms = at.map_or(Ok(now_ms), |at| {
        moment(at).ok_or_else(|| ("/at".to_owned(), format!("`{at}` is no day and no time; write `2026-12-24` or `2026-12-24T18:00:00Z`")))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| (String::new(), format!("cannot start the async runtime: {error}")))?;
    let seed = test.seed.or(defaults.seed).unwrap_or(0);
    let outcomes: BTreeMap<String, Outcomes> = over(&defaults.outcomes, &test.outcomes);
    let spent: BTreeMap<String, Usd> = over(&defaults.spent, &test.spent);
    runtime.block_on(async {
        let world = World::new(plan, (unix_ms, seed), &outcomes).map_err(|unready| told(&unready))?;
        every_outcome_is_somebodys(&world.table(), made.question.model.as_deref(), (test, defaults))?;
        for (name, amount) in &spent {
            world.spend(name, *amount).map_err(|unready| told(&unready))?;
        }
        let seen = ask(&world, &made, test).await?;
        let table = world.table();
        let coverage = coverage.get_or_insert_with(|| Coverage::of(&table));
        seen.iter().for_each(|seen| coverage.note(&table, seen));
        let last = seen.into_iter().next_back().ok_or_else(|| (String::new(), "the request left no line in the access log".to_owned()))?;
        Ok((judge(&test.expect, &last), last))
    })
}

/// Asks as often as the test says. Returns what came of each; of the last one, all that is known.
async fn ask(world: &World, made: &Made, test: &Test) -> Result<Vec<Seen>, Broken> {
    let times = test.times.unwrap_or(1);
    let mut all = Vec::new();
    for number in 1..=times {
        if let Some(every) = test.every.filter(|_| number > 1) {
            tokio::time::sleep(every.get()).await;
        }
        let at =
            Moment { unix_ms: world.clock.unix_ms(), now_ms: world.clock.monotonic_ms(), roll: world.gateway.seed.load(Ordering::Relaxed) };
        let is_last = number == times;
        let foretold = is_last.then(|| explain(&world.table(), &made.question, at)).transpose();
        let foretold = foretold.map_err(|error| ("/request".to_owned(), error.to_string()))?;
        let before = world.upstreams.last().map_or(0, |request| request.number);
        let request = made.request().map_err(|why| ("/request".to_owned(), why))?;
        let response = world.gateway.handle(request, Peer::default()).await;
        // A stream that is cut is an outcome, too: the log says which.
        let _ = response.into_body().collect().await;
        let mut seen = Seen::read(&world.gateway.log.take());
        if let Some(last) = seen.last_mut() {
            last.foretold = foretold;
            if let Some(request) = world.upstreams.last().filter(|request| request.number > before) {
                last.send(&request);
            }
        }
        all.extend(seen);
    }
    Ok(all)
}

/// Refuses outcomes that nobody would have: such a test shows nothing of what it says. What holds for the whole file need only name a
/// provider, for the models that clients name differ from test to test.
fn every_outcome_is_somebodys(table: &RoutingTable, asked: Option<&str>, (test, defaults): (&Test, &Defaults)) -> Result<(), Broken> {
    let providers = &table.plan.providers;
    let is_provider = |pattern: &str| providers.keys().any(|name| glob::may_match_below(pattern, &format!("{name}/")));
    let has_credential = |target: &str, name: &str| {
        let provider = target.split_once('/').and_then(|(provider, _)| providers.get(provider));
        provider.is_some_and(|provider| provider.credentials.contains_key(name))
    };
    let is_target = |text: &str| {
        let mut known = table.targets.keys().map(String::as_str).chain(asked);
        known.any(|target| match text.strip_prefix(target) {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|credential| has_credential(target, credential)),
            None => false,
        })
    };
    let is_somebodys =
        |pattern: &str, is_exact: bool| is_provider(pattern) && (!is_exact || pattern.contains(['*', '?']) || is_target(pattern));
    let own = test.outcomes.keys().filter(|pattern| !is_somebodys(pattern, true));
    let shared = defaults.outcomes.keys().filter(|pattern| !is_somebodys(pattern, false));
    let Some(pattern) = own.chain(shared).next() else { return Ok(()) };
    let mut targets: Vec<&str> = table.targets.keys().map(String::as_str).collect();
    targets.sort_unstable();
    let help = crate::spec::suggest::suggest(pattern, "targets", targets);
    Err((outcome_at(pattern), format!("nobody is `{pattern}`, so the outcome would never come; {help}")))
}

/// Points to an outcome in its test.
fn outcome_at(pattern: &str) -> String {
    format!("/outcomes/{}", pattern.replace('~', "~0").replace('/', "~1"))
}

/// Lays some entries over others.
fn over<T: Clone>(below: &BTreeMap<String, T>, above: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let mut all = below.clone();
    all.extend(above.clone());
    all
}

/// Reads a day (UTC) or an exact time, in Unix milliseconds.
fn moment(text: &str) -> Option<u64> {
    // jiff reads a date out of a longer text as well, and would lose the rest of it.
    let is_day = text.len() == "2026-12-24".len() && text.parse::<Date>().is_ok();
    let time = if is_day { format!("{text}T00:00:00Z").parse::<Timestamp>() } else { text.parse() }.ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

fn told(unready: &Unready) -> Broken {
    match unready {
        Unready::Table(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            (String::new(), format!("no table can be made of the spec: {}", errors.join("; ")))
        }
        Unready::Outcome(whose, why) => (outcome_at(whose), why.clone()),
        Unready::Account(name) => {
            let place = format!("/spent/{}", name.replace('~', "~0").replace('/', "~1"));
            (
                place,
                format!(
                    "there is no budget `{name}`; write a shared budget's name, or `key:NAME` or `team:NAME` of who has budgets of their own"
                ),
            )
        }
    }
}
