//! Requests of a log, asked of a table.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::base::Usd;
use crate::cli::request_log::{Attempt, Line};
use crate::error::Kind;
use crate::scenario;
use crate::spec::{Feature, TestEndpoint, TestRequest};
use crate::table::RoutingTable;
use crate::table::explain::{Explanation, Moment, Outcome, explain};
use crate::wire::ir::{Tier, Usage};

/// A request as the table sees it: what is alike is asked once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Alike {
    key: Option<String>,
    model: String,
    endpoint: &'static str,
    stream: bool,
    uses: Vec<String>,
    headers: Vec<(String, String)>,
    tokens: u64,
    max_output: Option<u64>,
    /// Hours since the Unix epoch: rules may look at the hour, and keys end.
    hour: u64,
}

/// What the table says to it.
struct Said {
    /// The code of the refusal.
    denied: Option<String>,
    /// First choices, in percent.
    first: Vec<(String, u64)>,
    losses: Vec<String>,
}

/// What a group of requests came to, and would come to.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) requests: u64,
    pub(super) cost_before: Usd,
    pub(super) cost_after: Usd,
    /// Of them, with a cost on both sides.
    pub(super) priced: u64,
    /// First choices, in hundredths of a request.
    pub(super) before: BTreeMap<String, u64>,
    pub(super) after: BTreeMap<String, u64>,
}

/// What came of all.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) requests: u64,
    /// Of a kind of which a log tells too little.
    pub(super) skipped: u64,
    /// First and last time.
    pub(super) span: Option<(String, String)>,
    /// Were served and would be denied: by code, key and model.
    pub(super) denials: BTreeMap<(String, String, String), u64>,
    /// Were denied and would be served.
    pub(super) admitted: u64,
    /// Were turned away by what had been used up or was not reachable then, which is not played again.
    pub(super) turned_away: u64,
    /// Fields that would be lost where nothing was: by model and field.
    pub(super) losses: BTreeMap<(String, String), u64>,
    pub(super) by_model: BTreeMap<String, Group>,
    pub(super) by_team: BTreeMap<String, Group>,
}

/// Asks one request after another.
pub(super) struct Replay<'t> {
    table: &'t RoutingTable,
    now_ms: u64,
    said: HashMap<Alike, Option<Said>>,
    done: Done,
}

impl Group {
    /// Returns how many of its requests go elsewhere at least: the part by which the shares of targets differ.
    pub(super) fn moved(&self) -> u64 {
        let gone = |target: &String, before: u64| before.saturating_sub(self.after.get(target).copied().unwrap_or_default());
        // What is denied goes nowhere, and is told as such.
        let denied = self.total(&self.before).saturating_sub(self.total(&self.after));
        let gone: u64 = self.before.iter().map(|(target, before)| gone(target, *before)).sum();
        gone.saturating_sub(denied).div_ceil(100)
    }

    fn total(&self, of: &BTreeMap<String, u64>) -> u64 {
        of.values().sum()
    }
}

impl Done {
    pub(super) fn denied(&self) -> u64 {
        self.denials.values().sum()
    }

    pub(super) fn moved(&self) -> u64 {
        self.by_model.values().map(Group::moved).sum()
    }

    /// Returns by how many percent all would be dearer; less than nothing where it would be cheaper, none where nothing was paid.
    pub(super) fn rise_percent(&self) -> Option<f64> {
        let sum = |of: fn(&Group) -> Usd| self.by_model.values().map(of).sum::<Usd>().nano();
        let (before, after) = (sum(|group| group.cost_before), sum(|group| group.cost_after));
        (before > 0).then(|| (after - before) as f64 * 100.0 / before as f64)
    }
}

impl<'t> Replay<'t> {
    pub(super) fn new(table: &'t RoutingTable, now_ms: u64) -> Self {
        Self { table, now_ms, said: HashMap::new(), done: Done::default() }
    }

    pub(super) fn done(self) -> Done {
        self.done
    }

    /// Asks what a line tells of.
    pub(super) fn take(&mut self, line: &Line) {
        let Some(alike) = alike(line) else {
            self.done.skipped += 1;
            return;
        };
        let (table, now_ms) = (self.table, self.now_ms);
        let Some(said) = self.said.entry(alike.clone()).or_insert_with(|| ask(table, &alike, now_ms)) else {
            self.done.skipped += 1;
            return;
        };
        self.done.requests += 1;
        let span = self.done.span.get_or_insert_with(|| (line.time.clone(), line.time.clone()));
        span.0 = span.0.clone().min(line.time.clone());
        span.1 = span.1.clone().max(line.time.clone());
        let model = alike.model.clone();
        // Whoever was never sent anywhere was denied by the gateway itself.
        let was_denied = line.status >= 400 && !line.attempts.iter().any(was_sent);
        match (&said.denied, was_denied) {
            (Some(code), false) => {
                let who = alike.key.clone().unwrap_or_else(|| "no key".to_owned());
                *self.done.denials.entry((code.clone(), who, model.clone())).or_default() += 1;
            }
            (None, true) if line.error.as_deref().is_some_and(is_the_specs) => self.done.admitted += 1,
            (None, true) => self.done.turned_away += 1,
            (Some(_), true) | (None, false) => {}
        }
        if line.loss.is_none() && !was_denied {
            for path in &said.losses {
                *self.done.losses.entry((model.clone(), path.clone())).or_default() += 1;
            }
        }
        let after = cost(table, said, line, self.now_ms);
        let team = line.team.clone().unwrap_or_else(|| "no team".to_owned());
        for group in [self.done.by_model.entry(model).or_default(), self.done.by_team.entry(team).or_default()] {
            group.requests += 1;
            if was_denied {
                continue;
            }
            if let Some(first) = line.attempts.iter().find(|attempt| was_sent(attempt)) {
                *group.before.entry(first.target.clone()).or_default() += 100;
            }
            for (target, share) in &said.first {
                *group.after.entry(target.clone()).or_default() += share;
            }
            if let (Some(before), Some(after)) = (line.cost, after) {
                group.priced += 1;
                group.cost_before += before;
                group.cost_after += after;
            }
        }
    }
}

/// Returns whether a provider was asked: what budgets and strict translations refuse stands among the attempts, too.
fn was_sent(attempt: &Attempt) -> bool {
    let unsent = [Kind::BudgetExceeded, Kind::Unpriced, Kind::LedgerUnavailable, Kind::LossyTranslation];
    !unsent.iter().any(|kind| kind.code() == attempt.outcome)
}

/// Returns whether a refusal follows from the spec alone, so that another spec may take it back.
fn is_the_specs(code: &str) -> bool {
    let all = [Kind::Unauthenticated, Kind::Forbidden, Kind::Denied, Kind::NotFound, Kind::Unpriced, Kind::LossyTranslation];
    all.iter().any(|kind| kind.code() == code)
}

fn alike(line: &Line) -> Option<Alike> {
    let endpoint = match line.endpoint.as_deref()? {
        "chat_completions" => "chat",
        "responses" => "responses",
        "messages" => "messages",
        "generate_content" => "generate_content",
        "converse" => "converse",
        "cohere_chat" => "cohere_chat",
        "completions" => "completions",
        "embeddings" => "embeddings",
        _ => return None,
    };
    let at = line.time.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_second()).ok())?;
    Some(Alike {
        key: line.key.clone(),
        model: line.model.clone()?,
        endpoint,
        stream: line.stream,
        uses: line.uses.clone(),
        headers: line.headers.clone().into_iter().collect(),
        tokens: rounded(line.tokens_in.unwrap_or(1)),
        max_output: line.max_output,
        hour: at / 3_600,
    })
}

/// Keeps two digits, so that prompts of nearly one length are asked about once.
fn rounded(tokens: u64) -> u64 {
    let mut step = 1;
    while tokens / step >= 100 {
        step *= 10;
    }
    (tokens / step * step).max(1)
}

fn ask(table: &RoutingTable, alike: &Alike, now_ms: u64) -> Option<Said> {
    let endpoint = match alike.endpoint {
        "responses" => TestEndpoint::Responses,
        "messages" => TestEndpoint::Messages,
        "generate_content" => TestEndpoint::GenerateContent,
        "converse" => TestEndpoint::Converse,
        "cohere_chat" => TestEndpoint::CohereChat,
        "completions" => TestEndpoint::Completions,
        "embeddings" => TestEndpoint::Embeddings,
        _ => TestEndpoint::Chat,
    };
    let uses = |word: &str, feature| alike.uses.iter().any(|used| used == word).then_some(feature);
    let features = [uses("tools", Feature::Tools), uses("vision", Feature::Vision), uses("json_schema", Feature::JsonSchema)];
    let asked = TestRequest {
        // A key that the spec no longer has is denied; whose name it was does not matter.
        key: alike.key.clone().filter(|key| table.plan.virtual_keys.contains_key(key)),
        model: Some(alike.model.clone()),
        endpoint: Some(endpoint),
        headers: alike.headers.iter().cloned().collect(),
        stream: Some(alike.stream),
        prompt_tokens: Some(u32::try_from(alike.tokens).unwrap_or(2_000_000).min(2_000_000)),
        max_tokens: alike.max_output,
        features: if endpoint == TestEndpoint::Chat { features.into_iter().flatten().collect() } else { Vec::new() },
        body: None,
    };
    if alike.key.is_some() && asked.key.is_none() {
        return Some(Said { denied: Some("invalid_api_key".to_owned()), first: Vec::new(), losses: Vec::new() });
    }
    let question = scenario::question(&asked).ok()?;
    let at = Moment { unix_ms: alike.hour * 3_600_000, now_ms, roll: 0 };
    let told: Explanation = explain(table, &question, at).ok()?;
    let first: Vec<_> = told.first_choices().collect();
    let whole: u64 = first.iter().map(|it| it.share_percent).sum();
    let denied = match told.outcome {
        Outcome::Denied => Some(told.denial.as_ref().map(|denial| denial.code.clone()).unwrap_or_default()),
        // Strict aliases refuse what their targets cannot be told.
        Outcome::Routed if first.is_empty() => Some(Kind::LossyTranslation.code().to_owned()),
        Outcome::Routed => None,
    };
    Some(Said {
        denied,
        losses: first.first().map(|it| it.losses.iter().map(|loss| loss.path.clone()).collect()).unwrap_or_default(),
        first: first.iter().map(|it| (it.target.clone(), (it.share_percent * 100).checked_div(whole).unwrap_or(0))).collect(),
    })
}

/// Returns what a request would cost on the average of its first choices. Where it was paid for, that is scaled by what the targets cost by
/// list, so that cached input counts as it did; none where a price is not known.
fn cost(table: &RoutingTable, said: &Said, line: &Line, now_ms: u64) -> Option<Usd> {
    if said.denied.is_some() {
        return Some(Usd::ZERO);
    }
    let usage = Usage { input: line.tokens_in?, output: line.tokens_out.unwrap_or_default(), ..Usage::default() };
    let list = |target: &str| {
        let (provider, model) = target.split_once('/')?;
        Some(i128::from(table.plan.terms_of(provider, model).0?.at(now_ms)?.cost(&usage, Tier::default()).nano()))
    };
    let mut expected = 0;
    for (target, share) in &said.first {
        expected += list(target)? * i128::from(*share);
    }
    let expected = expected / 100;
    let paid = line.cost.map(|cost| i128::from(cost.nano())).filter(|paid| *paid > 0);
    let scaled = match (paid, line.target.as_deref().and_then(list).filter(|listed| *listed > 0)) {
        (Some(paid), Some(listed)) => paid * expected / listed,
        _ => expected,
    };
    i64::try_from(scaled).ok().map(Usd::from_nano)
}
