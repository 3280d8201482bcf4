//! Made-up requests: every kind that a condition or a template could tell apart, as far as its source shows.
//!
//! Rule: each sample is a request that somebody could send, so what fails on one is a fault; that nothing fails proves nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::plan::expr::{ENDPOINTS, Endpoint, Facts, KeyFacts};
use crate::plan::types::{Auth, Plan, VirtualKey};

/// Most numbers, and most strings, that are taken from one source.
const LITERALS: usize = 6;

/// Somebody who may call.
#[derive(Debug, Clone)]
pub(super) struct Caller<'p> {
    /// The key's name and what the plan says of it; none for a request without a key.
    pub(super) key: Option<(&'p str, &'p VirtualKey)>,
    pub(super) facts: Arc<KeyFacts>,
}

impl Caller<'_> {
    /// Says who it is, for the end of a sentence.
    pub(super) fn label(&self) -> String {
        match self.key {
            Some((name, _)) => format!("for key `{name}`"),
            None => "without a key".to_owned(),
        }
    }
}

/// Lists who may call: every key that is not disabled, and nobody in particular where keys are not needed.
pub(super) fn callers(plan: &Plan) -> Vec<Caller<'_>> {
    let mut callers = Vec::new();
    if plan.gateway.auth != Auth::Off {
        let keys = plan.virtual_keys.iter().filter(|(_, key)| !key.disabled);
        callers.extend(keys.map(|(name, key)| Caller { key: Some((name, key)), facts: facts(name, key) }));
    }
    if plan.gateway.auth != Auth::Required || callers.is_empty() {
        callers.push(Caller { key: None, facts: Arc::new(KeyFacts::anonymous()) });
    }
    callers
}

pub(super) fn facts(name: &str, key: &VirtualKey) -> Arc<KeyFacts> {
    Arc::new(KeyFacts::new(name, key.team.as_deref(), &key.labels))
}

/// The values of each fact that are worth trying.
pub(super) struct Samples<'c, 'p> {
    callers: Vec<&'c Caller<'p>>,
    endpoints: Vec<Endpoint>,
    models: Vec<Arc<str>>,
    /// stream, tools, vision, json_schema
    flags: [bool; 4],
    /// tokens.input, tokens.max_output, body_bytes
    counts: [Vec<u64>; 3],
    hours: Vec<u8>,
    headers: Vec<Arc<HeaderMap>>,
}

impl<'c, 'p> Samples<'c, 'p> {
    /// Collects the values that matter to sources which look at `used` facts. Callers that look the same to them count once.
    pub(super) fn new(sources: &[&str], used: &[String], callers: &'c [Caller<'p>]) -> Self {
        let uses = |fact: &str| used.iter().any(|path| path == fact);
        let strings: Vec<&str> = distinct(sources.iter().flat_map(|source| strings(source)));
        let numbers: Vec<u64> = distinct(sources.iter().flat_map(|source| numbers(source)));
        let edges: BTreeSet<u64> =
            numbers.iter().flat_map(|edge| [edge.saturating_sub(1), *edge, edge.saturating_add(1)]).chain([0, 1_000_000]).collect();
        let count = |fact: &str| if uses(fact) { edges.iter().copied().collect() } else { vec![0] };
        let mut models = vec![Arc::from("some-model")];
        if uses("model") {
            models.extend(strings.iter().map(|text| Arc::from(*text)));
        }
        Self {
            callers: unlike(callers, used),
            endpoints: if uses("endpoint") { ENDPOINTS.to_vec() } else { vec![Endpoint::Chat] },
            models,
            flags: ["stream", "tools", "vision", "json_schema"].map(uses),
            counts: ["tokens.input", "tokens.max_output", "body_bytes"].map(count),
            hours: if uses("hour_utc") { (0..24).collect() } else { vec![12] },
            headers: headers(&strings, used),
        }
    }

    /// Returns at most `limit` samples, each with who sends it; what is more is left out evenly.
    pub(super) fn requests(&self, limit: u64) -> impl Iterator<Item = (&'c Caller<'p>, Facts)> + '_ {
        let flags: u64 = self.flags.iter().map(|used| if *used { 2 } else { 1 }).product();
        let sizes = [
            self.callers.len(),
            self.endpoints.len(),
            self.models.len(),
            self.counts.iter().map(Vec::len).product(),
            self.hours.len(),
            self.headers.len(),
        ];
        let all = sizes.iter().fold(flags, |all, size| all.saturating_mul(*size as u64));
        // A large odd step, so that what is left out is spread over all facts.
        let step = if all > limit { (0x9E37_79B9_7F4A_7C15_u64 % all) | 1 } else { 1 };
        (0..all.min(limit)).filter_map(move |index| self.request((u128::from(index) * u128::from(step) % u128::from(all.max(1))) as u64))
    }

    fn request(&self, mut index: u64) -> Option<(&'c Caller<'p>, Facts)> {
        let mut flag = |used: bool| used && take(&mut index, 2) == 1;
        let [stream, tools, vision, json_schema] = self.flags.map(&mut flag);
        let [input, output, bytes] = &self.counts;
        let caller = pick(&self.callers, &mut index)?;
        let facts = Facts {
            key: Arc::clone(&caller.facts),
            model: Arc::clone(pick(&self.models, &mut index)?),
            endpoint: *pick(&self.endpoints, &mut index)?,
            stream,
            input_tokens: *pick(input, &mut index)?,
            max_output_tokens: *pick(output, &mut index)?,
            tools,
            vision,
            json_schema,
            body_bytes: *pick(bytes, &mut index)?,
            headers: Arc::clone(pick(&self.headers, &mut index)?),
            hour_utc: *pick(&self.hours, &mut index)?,
        };
        Some((caller, facts))
    }
}

fn pick<'v, T>(values: &'v [T], index: &mut u64) -> Option<&'v T> {
    values.get(take(index, values.len() as u64) as usize)
}

fn take(index: &mut u64, size: u64) -> u64 {
    let digit = *index % size.max(1);
    *index /= size.max(1);
    digit
}

/// Leaves out callers that look like an earlier one.
fn unlike<'c, 'p>(callers: &'c [Caller<'p>], used: &[String]) -> Vec<&'c Caller<'p>> {
    let whole = used.iter().any(|path| path == "key");
    let name = whole || used.iter().any(|path| path == "key.name");
    let labels = whole || used.iter().any(|path| path.starts_with("key.labels"));
    let team = whole || used.iter().any(|path| path == "key.team");
    let mut seen = BTreeSet::new();
    let look = |caller: &Caller<'p>| {
        let key = caller.key.map(|(_, key)| key);
        (
            name.then(|| caller.key.map(|(name, _)| name)),
            team.then(|| key.and_then(|key| key.team.as_deref())),
            labels.then(|| key.map(|key| &key.labels)),
        )
    };
    callers.iter().filter(|caller| seen.insert(look(caller))).collect()
}

/// Requests without headers, and with the headers that the strings could name.
fn headers(strings: &[&str], used: &[String]) -> Vec<Arc<HeaderMap>> {
    let mut variants = vec![Arc::new(HeaderMap::new())];
    if used.iter().any(|path| path == "header" || path.starts_with("headers")) {
        let dotted = used.iter().filter_map(|path| path.strip_prefix("headers."));
        let names: Vec<HeaderName> = strings.iter().copied().chain(dotted).filter_map(|text| text.parse().ok()).collect();
        for value in strings.iter().copied().chain(["some-value"]) {
            let Ok(value) = HeaderValue::from_str(value) else { continue };
            variants.push(Arc::new(names.iter().map(|name| (name.clone(), value.clone())).collect()));
        }
    }
    variants
}

fn distinct<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    values.filter(|value| seen.insert(value.clone())).take(LITERALS).collect()
}

/// Returns what stands between quotes; escapes are left as they are.
fn strings(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(open) = rest.find(['"', '\'']) {
        let Some((quote, after)) = rest.get(open..open + 1).zip(rest.get(open + 1..)) else { break };
        let Some(close) = after.find(quote) else { break };
        found.extend(after.get(..close));
        rest = after.get(close + 1..).unwrap_or_default();
    }
    found
}

fn numbers(source: &str) -> Vec<u64> {
    source.split(|c: char| !c.is_ascii_digit() && c != '_').filter_map(|digits| digits.replace('_', "").parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(list: &[&str]) -> Vec<String> {
        list.iter().map(|path| (*path).to_owned()).collect()
    }

    fn anonymous() -> Vec<Caller<'static>> {
        vec![Caller { key: None, facts: Arc::new(KeyFacts::anonymous()) }]
    }

    #[test]
    fn facts_that_are_used_vary_and_others_do_not() {
        let callers = anonymous();
        let samples = Samples::new(&["tokens.input > 8000 and stream"], &used(&["tokens.input", "stream"]), &callers);
        let seen: BTreeSet<(u64, bool, bool)> =
            samples.requests(1_000).map(|(_, facts)| (facts.input_tokens, facts.stream, facts.tools)).collect();
        assert_eq!(seen.len(), 10);
        assert!(seen.contains(&(8_001, true, false)) && seen.contains(&(7_999, false, false)));
    }

    #[test]
    fn headers_are_absent_and_present() {
        let callers = anonymous();
        let samples = Samples::new(&["header('x-tier', '') == \"gold\""], &used(&["header"]), &callers);
        let tiers: BTreeSet<Option<String>> = samples
            .requests(1_000)
            .map(|(_, facts)| facts.headers.get("x-tier").and_then(|value| value.to_str().ok()).map(str::to_owned))
            .collect();
        assert!(tiers.contains(&None) && tiers.contains(&Some("gold".to_owned())), "{tiers:?}");
    }

    #[test]
    fn the_number_of_samples_has_a_limit_and_what_is_left_out_is_spread() {
        let callers = anonymous();
        let all = ["tokens.input", "tokens.max_output", "body_bytes", "hour_utc", "endpoint", "stream", "tools", "vision", "json_schema"];
        let samples = Samples::new(&["1 100 10_000 1000000"], &used(&all), &callers);
        let seen: Vec<Facts> = samples.requests(1_000).map(|(_, facts)| facts).collect();
        assert_eq!(seen.len(), 1_000);
        assert_eq!(seen.iter().map(|facts| facts.hour_utc).collect::<BTreeSet<_>>().len(), 24);
        assert_eq!(seen.iter().map(|facts| facts.endpoint.name()).collect::<BTreeSet<_>>().len(), 4);
        assert!(seen.iter().any(|facts| facts.input_tokens == 10_001));
    }
}
