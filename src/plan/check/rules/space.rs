//! Every kind of request that facts with few values can tell apart: keys, endpoints, flags and hours, looked at exhaustively.
//!
//! Facts with endless values (models, headers, counts of tokens and bytes) are unknown here. Rule: what holds at every point of the
//! space holds for every request.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::HeaderMap;

use super::logic::Outcomes;
use crate::plan::check::sample;
use crate::plan::expr::{Condition, ENDPOINTS, Endpoint, Facts, KeyFacts};
use crate::plan::types::{Auth, Plan};

/// Values of the dimensions: caller, endpoint, stream, tools, vision, JSON schema, hour.
pub(super) type Point = [usize; DIMENSIONS];
const DIMENSIONS: usize = 7;
const CALLER: usize = 0;
/// Facts with few values, with their dimensions.
const FINITE: [(&str, usize); 6] = [("endpoint", 1), ("stream", 2), ("tools", 3), ("vision", 4), ("json_schema", 5), ("hour_utc", 6)];
/// Largest table of a part; a part that would need a larger one is unknown.
const TABLE_LIMIT: usize = 100_000;
/// Most points that are looked at together.
const POINT_LIMIT: usize = 200_000;

/// Who may call, for a proof.
struct Caller {
    facts: Arc<KeyFacts>,
    /// Stands for keys that a team may get: nobody's name, unknown labels.
    is_stand_in: bool,
}

/// The parts of all conditions, each with its outcomes.
pub(super) struct Space {
    callers: Vec<Caller>,
    parts: Vec<Part>,
    /// The source of each part.
    sources: Vec<String>,
    /// Of each dimension, one value for each kind that the parts tell apart.
    kinds: [Vec<usize>; DIMENSIONS],
}

/// A part's outcomes over the dimensions it looks at.
struct Part {
    dimensions: Vec<usize>,
    table: Vec<Outcomes>,
}

impl Space {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { callers: callers(plan), parts: Vec::new(), sources: Vec::new(), kinds: Default::default() }
    }

    /// Returns the number of a part; equal sources are one part.
    pub(super) fn part(&mut self, source: &str) -> usize {
        let source = single_spaced(source);
        if let Some(number) = self.sources.iter().position(|known| *known == source) {
            return number;
        }
        self.parts.push(self.table(&source));
        self.sources.push(source);
        self.parts.len() - 1
    }

    /// Finds out which values the parts cannot tell apart. To be called once all parts are known.
    pub(super) fn sort_into_kinds(&mut self) {
        self.kinds = std::array::from_fn(|dimension| {
            let mut seen = BTreeSet::new();
            (0..self.size(dimension)).filter(|value| seen.insert(self.signature(dimension, *value))).collect()
        });
    }

    /// Returns the outcomes of a part at a point.
    pub(super) fn outcomes(&self, part: usize, point: &Point) -> Outcomes {
        let Some(part) = self.parts.get(part) else { return Outcomes::UNKNOWN };
        let place = part.dimensions.iter().try_fold(0, |place, dimension| Some(place * self.size(*dimension) + point.get(*dimension)?));
        place.and_then(|place| part.table.get(place)).copied().unwrap_or(Outcomes::UNKNOWN)
    }

    /// Lists the points that these parts can tell apart; `None` where they are too many.
    pub(super) fn points(&self, parts: impl IntoIterator<Item = usize>) -> Option<Vec<Point>> {
        let used: BTreeSet<usize> =
            parts.into_iter().filter_map(|part| self.parts.get(part)).flat_map(|part| &part.dimensions).copied().collect();
        let mut points: Vec<Point> = vec![[0; DIMENSIONS]];
        for (dimension, kinds) in self.kinds.iter().enumerate().filter(|(dimension, _)| used.contains(dimension)) {
            if points.len().saturating_mul(kinds.len()) > POINT_LIMIT {
                return None;
            }
            points = points.iter().flat_map(|point| kinds.iter().map(|value| set(*point, dimension, *value))).collect();
        }
        Some(points)
    }

    fn size(&self, dimension: usize) -> usize {
        match dimension {
            CALLER => self.callers.len(),
            1 => ENDPOINTS.len(),
            6 => 24,
            _ => 2,
        }
    }

    fn signature(&self, dimension: usize, value: usize) -> Vec<u8> {
        let mut signature = Vec::new();
        for part in self.parts.iter().filter(|part| part.dimensions.contains(&dimension)) {
            let behind = part.dimensions.iter().skip_while(|other| **other != dimension).skip(1);
            let stride: usize = behind.map(|dimension| self.size(*dimension)).product();
            let size = self.size(dimension);
            let of_value = part.table.iter().enumerate().filter(|(place, _)| place / stride.max(1) % size.max(1) == value);
            signature.extend(of_value.map(|(_, outcomes)| outcomes.byte()));
        }
        signature
    }

    fn table(&self, source: &str) -> Part {
        let unknown = Part { dimensions: Vec::new(), table: vec![Outcomes::UNKNOWN] };
        let Ok(condition) = Condition::compile(source) else { return unknown };
        let used = condition.facts();
        let mut dimensions = BTreeSet::new();
        for fact in &used {
            let finite = FINITE.iter().find(|(name, _)| name == fact).map(|(_, dimension)| *dimension);
            match finite {
                Some(dimension) => dimensions.insert(dimension),
                None if fact == "key" || fact.starts_with("key.") => dimensions.insert(CALLER),
                None => return unknown,
            };
        }
        let dimensions: Vec<usize> = dimensions.into_iter().collect();
        let size = dimensions.iter().fold(1_usize, |size, dimension| size.saturating_mul(self.size(*dimension)));
        if size > TABLE_LIMIT {
            return unknown;
        }
        let uses_labels = used.iter().any(|fact| fact == "key" || fact.starts_with("key.labels"));
        let table = (0..size).map(|place| self.evaluate(&condition, &self.point(&dimensions, place), uses_labels)).collect();
        Part { dimensions, table }
    }

    fn point(&self, dimensions: &[usize], mut place: usize) -> Point {
        let mut point = [0; DIMENSIONS];
        for dimension in dimensions.iter().rev() {
            let size = self.size(*dimension).max(1);
            point = set(point, *dimension, place % size);
            place /= size;
        }
        point
    }

    fn evaluate(&self, condition: &Condition, point: &Point, uses_labels: bool) -> Outcomes {
        let [caller, endpoint, stream, tools, vision, json_schema, hour] = *point;
        let Some(caller) = self.callers.get(caller).filter(|caller| !uses_labels || !caller.is_stand_in) else { return Outcomes::UNKNOWN };
        let facts = Facts {
            key: Arc::clone(&caller.facts),
            model: Arc::from(""),
            endpoint: ENDPOINTS.get(endpoint).copied().unwrap_or(Endpoint::Other),
            stream: stream == 1,
            input_tokens: 0,
            max_output_tokens: 0,
            tools: tools == 1,
            vision: vision == 1,
            json_schema: json_schema == 1,
            body_bytes: 0,
            headers: Arc::new(HeaderMap::new()),
            hour_utc: u8::try_from(hour).unwrap_or_default(),
        };
        match condition.eval(facts.into_value()) {
            Ok(true) => Outcomes::TRUE,
            Ok(false) => Outcomes::FALSE,
            // Inside `and` and `or`, what is no boolean counts as true or false, whichever it is.
            Err(_) => Outcomes::UNKNOWN,
        }
    }
}

fn set(mut point: Point, dimension: usize, value: usize) -> Point {
    if let Some(place) = point.get_mut(dimension) {
        *place = value;
    }
    point
}

/// Lists who may call, disabled keys included, for they may be enabled; and a stand-in for every team that has no key yet.
fn callers(plan: &Plan) -> Vec<Caller> {
    let mut callers = Vec::new();
    if plan.gateway.auth != Auth::Off {
        callers.extend(plan.virtual_keys.iter().map(|(name, key)| Caller { facts: sample::facts(name, key), is_stand_in: false }));
        let used: BTreeSet<&String> = plan.virtual_keys.values().filter_map(|key| key.team.as_ref()).collect();
        let stand_in = |team: &String| Caller { facts: Arc::new(KeyFacts::new("", Some(team), &Default::default())), is_stand_in: true };
        callers.extend(plan.teams.keys().filter(|team| !used.contains(team)).map(stand_in));
    }
    if plan.gateway.auth != Auth::Required || plan.virtual_keys.is_empty() {
        callers.push(Caller { facts: Arc::new(KeyFacts::anonymous()), is_stand_in: false });
    }
    callers
}

/// Makes every run of blanks outside strings one space, so that spelling alone makes no difference.
fn single_spaced(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let (mut quote, mut escaped) = (None, false);
    for c in source.trim().chars() {
        match quote {
            None if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None | Some(_) => {}
        }
        out.push(c);
    }
    out
}
