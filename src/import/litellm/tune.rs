//! The numbers of rows: limits, times, tries, prices and sizes. Several rows may share a provider, which has one of each.

use std::collections::{BTreeMap, BTreeSet};

use super::deployment::Deployment;
use super::group::{self, Asked, Names};
use crate::base::{Per, Span};
use crate::import::draft::{Draft, at};
use crate::import::tree::Cursor;
use crate::import::{amount, price};
use crate::spec::{ModelCapacity, RateLimits, Timeouts};

/// Settles everything that rows say in numbers.
pub(super) fn settle(draft: &mut Draft, rows: &[Deployment<'_>], names: &Names) {
    let shares = group::shares(rows);
    let providers: BTreeSet<&str> = rows.iter().map(|row| row.provider.as_str()).collect();
    for provider in providers {
        let own: Vec<&Deployment<'_>> = rows.iter().filter(|row| row.provider == provider).collect();
        credentials(draft, provider, &own, &shares);
        shared_keys(draft, provider, &own);
        for (member, kind) in [("rpm", Kind::Requests), ("tpm", Kind::Tokens), ("max_parallel_requests", Kind::Concurrency)] {
            limit(draft, names, (provider, rows), (member, kind));
        }
        times(draft, provider, &own);
        tries(draft, provider, &own);
    }
    for row in rows {
        info(draft, row);
    }
}

/// Which of the limits a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Requests,
    Tokens,
    Concurrency,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrency => "concurrency",
        }
    }

    fn write(self, limits: &mut RateLimits, count: u64) -> bool {
        match self {
            Self::Requests => limits.requests = amount::limit(count, Per::Minute),
            Self::Tokens => limits.tokens = amount::limit(count, Per::Minute),
            Self::Concurrency => limits.concurrency = u32::try_from(count).ok().filter(|count| *count > 0),
        }
        match self {
            Self::Requests => limits.requests.is_some(),
            Self::Tokens => limits.tokens.is_some(),
            Self::Concurrency => limits.concurrency.is_some(),
        }
    }
}

/// Keeps each key to the models that it is written for, and gives several keys of one model their weights.
fn credentials(draft: &mut Draft, provider: &str, rows: &[&Deployment<'_>], shares: &BTreeMap<usize, u32>) {
    let mut uneven = Vec::new();
    let Some(it) = draft.spec.providers.get_mut(provider).filter(|it| it.credentials.len() > 1) else { return };
    for (name, credential) in &mut it.credentials {
        let own = rows.iter().filter(|row| row.credential == *name);
        let models: BTreeSet<&String> = own.clone().map(|row| &row.model).collect();
        credential.models = if models.iter().any(|model| *model == "*") { Vec::new() } else { models.into_iter().cloned().collect() };
        let weights: BTreeSet<u32> = own.clone().filter_map(|row| shares.get(&row.row.id())).copied().collect();
        // One number for all models: where rows differ, the keys share alike.
        credential.weight = weights.first().copied().filter(|weight| weights.len() == 1 && *weight != 1);
        if weights.len() > 1 {
            uneven.extend(own.filter_map(|row| row.params.get("weight")));
        }
    }
    if it.credentials.values().all(|credential| credential.weight == Some(0)) {
        it.credentials.values_mut().for_each(|credential| credential.weight = None);
    }
    for it in uneven {
        let why = "a key has one weight for all models, and the rows with this key differ in theirs: it has none here";
        draft.findings.approximate(it, at(&["providers", provider, "credentials"]), why);
    }
}

/// Tells of rows whose model another row's key may serve, too.
fn shared_keys(draft: &mut Draft, provider: &str, rows: &[&Deployment<'_>]) {
    let Some(it) = draft.spec.providers.get(provider).filter(|it| it.credentials.len() > 1) else { return };
    let whole: BTreeSet<&String> = it.credentials.iter().filter(|(_, key)| key.models.is_empty()).map(|(name, _)| name).collect();
    if whole.is_empty() {
        return;
    }
    let others: Vec<Cursor<'_>> =
        rows.iter().filter(|row| !whole.contains(&row.credential)).filter_map(|row| row.params.get("model")).collect();
    for it in others {
        let why = "the key for all models of this provider may serve it, too: give that key `models` where it should not";
        draft.findings.approximate(it, at(&["providers", provider, "credentials"]), why);
    }
}

/// Puts a limit of rows where it means the same: on the provider of one row, on the alias of one row, else nearly so on the provider.
fn limit(draft: &mut Draft, names: &Names, (provider, rows): (&str, &[Deployment<'_>]), (member, kind): (&str, Kind)) {
    let own: Vec<&Deployment<'_>> = rows.iter().filter(|row| row.provider == provider).collect();
    let written: Vec<(&Deployment<'_>, Cursor<'_>, u64)> =
        own.iter().filter_map(|row| row.params.get(member).and_then(|it| Some((*row, it, it.whole()?)))).collect();
    let is_sole = own.len() == 1;
    let all_have = written.len() == own.len();
    let sum = written.iter().fold(0_u64, |sum, (_, _, count)| sum.saturating_add(*count));
    let mut summed = Vec::new();
    for (row, it, count) in &written {
        let alias = match names.asked.get(row.asked) {
            Some(Asked::Alias(alias)) if rows.iter().filter(|other| other.asked == row.asked).count() == 1 => Some(alias.clone()),
            Some(Asked::Alias(_) | Asked::Direct(_)) | None => None,
        };
        if is_sole || (alias.is_none() && all_have) {
            summed.push(*it);
        } else if let Some(alias) = alias {
            on_alias(draft, &alias, (*it, *count), kind);
        } else {
            let is_weight = row.params.get("weight").is_none() && rows.iter().filter(|other| other.asked == row.asked).count() > 1;
            let also = if is_weight { " (it still decides the weight of the target)" } else { "" };
            let why = format!("limits are those of a whole provider or a whole alias, and this row is a part of both{also}");
            draft.findings.unsupported(*it, why);
        }
    }
    if summed.is_empty() {
        return;
    }
    let done = draft.spec.providers.get_mut(provider).is_some_and(|it| kind.write(&mut it.limits, sum));
    for it in summed {
        let became = at(&["providers", provider, "limits", kind.name()]);
        match (done, is_sole) {
            (true, true) => draft.findings.exact(it, became),
            (true, false) => {
                draft.findings.approximate(it, became, "the sum of all rows at this provider: it has one limit for all of them")
            }
            (false, _) => draft.findings.manual(it, None, "the number cannot be a limit"),
        }
    }
}

fn on_alias(draft: &mut Draft, alias: &str, (it, count): (Cursor<'_>, u64), kind: Kind) {
    let Some(model) = draft.spec.models.get_mut(alias) else { return };
    let has_chain = !model.fallbacks.is_empty();
    let done = kind.write(&mut model.limits, count);
    let became = at(&["models", alias, "limits", kind.name()]);
    match (done, has_chain) {
        (true, false) => draft.findings.exact(it, became),
        (true, true) => draft.findings.approximate(it, became, "over its limit an alias answers 429 and does not go on to its chain"),
        (false, _) => draft.findings.manual(it, None, "the number cannot be a limit"),
    }
}

/// Takes the longest of the rows' times, for a provider has one of each.
fn times(draft: &mut Draft, provider: &str, rows: &[&Deployment<'_>]) {
    let written = |member: &str| -> Vec<Cursor<'_>> { rows.iter().filter_map(|row| row.params.get(member)).collect() };
    let (whole, stream) = (written("timeout"), written("stream_timeout"));
    let times = Times { first_byte: longest(&whole), first_content: longest(&stream) };
    times.put(draft, provider);
    let place = at(&["providers", provider, "timeouts"]);
    tell_times(draft, &whole, place.clone(), &format!("{ATTEMPT}; a provider has one for all its models, and here it is the longest"));
    tell_times(draft, &stream, place, if times.is_shorter() { SHORTER } else { "of one attempt, until the first content of a stream" });
}

const ATTEMPT: &str = "of one attempt, until the head of the answer";
const SHORTER: &str = "one time holds for streams and whole answers until their head, so the longer one does";

fn longest(all: &[Cursor<'_>]) -> Option<Span> {
    all.iter().filter_map(|it| it.number().and_then(amount::seconds)).max()
}

fn tell_times(draft: &mut Draft, all: &[Cursor<'_>], became: Option<String>, why: &str) {
    for it in all {
        match it.number().and_then(amount::seconds) {
            Some(_) => draft.findings.approximate(*it, became.clone(), why),
            None => draft.findings.manual(*it, None, "the time is no number of seconds that a limit can have"),
        }
    }
}

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Until the head of the answer.
    first_byte: Option<Span>,
    /// Until the first content of a stream.
    first_content: Option<Span>,
}

impl Times {
    /// Returns whether streams are waited for less long than whole answers, which is one time here.
    fn is_shorter(self) -> bool {
        self.first_content.zip(self.first_byte).is_some_and(|(content, byte)| content < byte)
    }

    /// Writes them into a provider that has none yet.
    fn put(self, draft: &mut Draft, provider: &str) {
        let Some(it) = draft.spec.providers.get_mut(provider).filter(|it| it.timeouts == Timeouts::default()) else { return };
        it.timeouts.first_byte = self.first_byte;
        it.timeouts.first_content = self.first_content.filter(|_| !self.is_shorter());
    }
}

/// Writes the times of the whole file into the providers whose rows say none.
pub(super) fn all_times(draft: &mut Draft, whole: Option<Cursor<'_>>, stream: Option<Cursor<'_>>) {
    let times = Times { first_byte: longest(whole.as_slice()), first_content: longest(stream.as_slice()) };
    for provider in draft.spec.providers.keys().cloned().collect::<Vec<_>>() {
        times.put(draft, &provider);
    }
    tell_times(draft, whole.as_slice(), at(&["providers"]), ATTEMPT);
    tell_times(
        draft,
        stream.as_slice(),
        at(&["providers"]),
        if times.is_shorter() { SHORTER } else { "of one attempt, until the first content of a stream" },
    );
}

const TRIES: &str = "further tries at the same target, at most 10; other keys, targets and the chain are tried beside them";

fn tries(draft: &mut Draft, provider: &str, rows: &[&Deployment<'_>]) {
    let written: Vec<Cursor<'_>> =
        rows.iter().flat_map(|row| [row.params.get("max_retries"), row.params.get("num_retries")]).flatten().collect();
    let most = written.iter().filter_map(|it| it.whole()).max();
    put_tries(draft, provider, most);
    for it in written.into_iter().filter(|it| it.whole().is_some()) {
        draft.findings.approximate(it, at(&["providers", provider, "retries", "max"]), TRIES);
    }
}

fn put_tries(draft: &mut Draft, provider: &str, most: Option<u64>) {
    let most = most.map(|most| u32::try_from(most.min(10)).unwrap_or(10));
    if let Some(it) = draft.spec.providers.get_mut(provider).filter(|it| it.retries.max.is_none()) {
        it.retries.max = most;
    }
}

/// Writes the tries of the whole file into the providers whose rows say none.
pub(super) fn all_tries(draft: &mut Draft, it: Option<Cursor<'_>>) {
    let Some((it, most)) = it.and_then(|it| Some((it, it.whole()?))) else { return };
    for provider in draft.spec.providers.keys().cloned().collect::<Vec<_>>() {
        put_tries(draft, &provider, Some(most));
    }
    draft.findings.approximate(it, at(&["providers"]), TRIES);
}

/// What `model_info` and the parameters say of a model: prices, sizes, what it is like.
fn info(draft: &mut Draft, row: &Deployment<'_>) {
    let info = row.row.get("model_info");
    let key = format!("{}/{}", row.provider, row.model.replace("$${", "${"));
    let members: Vec<(&str, Cursor<'_>)> = row.params.own.members().chain(info.into_iter().flat_map(Cursor::members)).collect();
    let prices: Vec<(&str, Cursor<'_>)> = members.iter().copied().filter(|(name, _)| price::is_price(name)).collect();
    price::take(draft, &key, &prices);
    let Some(info) = info else { return };
    if let Some(it) = info.get("base_model") {
        let is_priced = it.text().is_some_and(|named| price::same_as(draft, &key, named));
        match is_priced {
            true => draft.findings.exact(it, at(&["prices", &key])),
            false => draft.findings.unsupported(it, "the model has a price of its own already, or the catalogue has none under this name"),
        }
    }
    capacity(draft, row, info);
    for (name, it) in info.members() {
        let why = match name {
            "id" => "targets are known by provider and model",
            "mode" => "what is asked for is told by the endpoint",
            name if name.starts_with("supports_") => {
                "what a model can do is known from the catalogue, and a target that refuses is passed over"
            }
            "health_check_model" | "disable_background_health_check" | "health_check_timeout" => {
                "health is what real requests show: nothing is asked only to find out"
            }
            "access_groups" | "team_id" | "team_public_model_name" | "tier" => "who may use what is said by `models` of keys and teams",
            _ => continue,
        };
        draft.findings.unsupported(it, why);
    }
}

fn capacity(draft: &mut Draft, row: &Deployment<'_>, info: Cursor<'_>) {
    let input = info.get("max_input_tokens");
    let output = info.any(&["max_output_tokens", "max_tokens"]);
    let count = |it: Option<Cursor<'_>>| it.and_then(Cursor::whole).and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    let own = ModelCapacity { max_input_tokens: count(input), max_output_tokens: count(output) };
    if own == ModelCapacity::default() || row.model.contains("$${") {
        return;
    }
    let Some(provider) = draft.spec.providers.get_mut(&row.provider) else { return };
    let entry = provider.capacity.entry(row.model.clone()).or_insert(own);
    let holds = *entry == own;
    let place = at(&["providers", &row.provider, "capacity", &row.model]);
    for it in [input, output].into_iter().flatten().filter(|it| it.whole().is_some()) {
        match holds {
            true => draft.findings.exact(it, place.clone()),
            false => draft.findings.unsupported(it, "another row gives the same model at the same provider other sizes"),
        }
    }
    if let Some(it) = info.get("max_tokens").filter(|it| !draft.findings.knows(*it)) {
        draft.findings.unsupported(it, "`max_output_tokens` says the same");
    }
}
