//! An explanation for a terminal: a fixed label in front of every line, the conclusion last.

use std::fmt::Write as _;

use super::HedgeTold;
use super::told::{BudgetTold, CandidateTold, CostTold, CredentialTold, Explanation, LimitTold, Outcome, PriceTold};
use crate::base::{Span, visible};
use crate::catalog::Meter;
use crate::plan::PromptPosition;
use crate::provider::PlacesSnapshot;

/// Writes an explanation for people.
pub fn human(told: &Explanation) -> String {
    let mut page = Page(String::new());
    let who = told.key.as_ref().map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
    // A table that was never served has no revision.
    let revision = if told.revision == 0 { String::new() } else { format!(", revision {}", told.revision) };
    let what = told.model.as_ref().map_or_else(|| "without a model".to_owned(), |model| format!("for {model}"));
    page.line("request", &format!("{} {what}, {who}{revision}", told.endpoint));
    for failed in &told.failed_rules {
        page.line("rule", &format!("{} does not match: its condition fails: {}", failed.name, failed.error));
    }
    page.line("rule", &told.rule.as_ref().map_or_else(|| "none matches".to_owned(), |rule| format!("{}: {}", rule.name, rule.does)));
    if let Some(alias) = &told.alias {
        page.line("alias", alias);
    }
    for (place, limit) in told.limits.iter().enumerate() {
        let LimitTold { scope, name, measure, limit, remaining } = limit;
        page.line(if place == 0 { "limits" } else { "" }, &format!("{scope} {name}: {measure} {limit}; {remaining} left"));
    }
    budgets(&mut page, told);
    targets(&mut page, told);
    if let Some(hedge) = &told.hedge {
        page.line("hedge", &beside(hedge));
    }
    for excluded in &told.excluded {
        page.line("left out", &format!("{}: {}{}", excluded.target, excluded.reason, wait(excluded.wait_ms)));
        let more = |credential: &&CredentialTold| credential.reason.as_ref() != Some(&excluded.reason);
        for credential in excluded.credentials.iter().filter(more) {
            page.line("", &format!("  {}", kept_out(credential)));
        }
    }
    if let Some(prompt) = &told.prompt {
        let position = match prompt.position {
            PromptPosition::Prepend => "before the client's messages",
            PromptPosition::Append => "after the client's messages",
        };
        let position = if prompt.is_blank { "blank on this request, so not added" } else { position };
        page.line("prompt", &format!("{}, {position}", prompt.name));
    }
    if !told.defaults.is_empty() {
        page.line("filled in", &told.defaults.join(", "));
    }
    if !told.overrides.is_empty() {
        page.line("set", &told.overrides.join(", "));
    }
    conclusion(&mut page, told);
    page.0
}

fn budgets(page: &mut Page, told: &Explanation) {
    for (place, budget) in told.budgets.iter().enumerate() {
        let BudgetTold { budget: name, mode, limit, period, timezone, ends, spent, held, others, left, .. } = budget;
        let window = match ends {
            Some(ends) => format!("{limit} per {period} ({timezone}, until {ends})"),
            None => format!("{limit}, {period}"),
        };
        let mut text = format!("{name}: {mode}, {window}");
        if let (Some(spent), Some(held), Some(left)) = (spent, held, left) {
            let others = others.map(|others| format!("{others} held by other gateways, ")).unwrap_or_default();
            let _ = write!(text, "; {spent} spent, {held} held, {others}{left} left");
        }
        if let Some(alias) = &budget.when_exhausted {
            let _ = write!(text, "; what does not fit is served as {alias}");
        }
        page.line(if place == 0 { "budgets" } else { "" }, &text);
    }
}

/// Says what a target costs, and what the request would cost there.
fn cost(candidate: &CandidateTold, price: &PriceTold) -> String {
    let mut text = match (price.is_known, price.is_free) {
        (false, _) => return "no price is known".to_owned(),
        (true, true) => return "costs nothing".to_owned(),
        (true, false) => {
            let rates = Meter::ALL.iter().filter_map(|meter| Some(format!("{} {}", meter.title(), price.rates.get(meter.name())?)));
            rates.collect::<Vec<_>>().join(", ")
        }
    };
    match &candidate.cost {
        Some(CostTold { input, most: Some(most) }) => _ = write!(text, "; this request about {input} for its input, at most {most}"),
        Some(CostTold { input, most: None }) => _ = write!(text, "; this request about {input} for its input, and nothing bounds the rest"),
        None => {}
    }
    text
}

fn targets(page: &mut Page, told: &Explanation) {
    let width = told.candidates.iter().map(|candidate| visible(&candidate.target).chars().count()).max().unwrap_or(0);
    let mut stage = 0;
    for candidate in &told.candidates {
        let label = match (stage, candidate.stage) {
            (0, _) => "targets",
            (before, now) if before != now => "then",
            (_, _) => "",
        };
        stage = candidate.stage;
        page.line(label, &row(candidate, width));
        if let Some(price) = &candidate.price {
            page.line("", &format!("  {}", cost(candidate, price)));
        }
        for credential in &candidate.left_out {
            page.line("", &format!("  not with {}", kept_out(credential)));
        }
        if !candidate.losses.is_empty() {
            let losses: Vec<String> = candidate.losses.iter().map(|loss| format!("{} ({})", loss.path, loss.reason)).collect();
            let verb = if candidate.is_refused { "  not tried, because the alias is strict and it would lose" } else { "  loses" };
            page.line("", &format!("{verb} {}", losses.join(", ")));
        }
        for header in candidate.headers.iter().filter(|header| header.failure.is_some()) {
            let failure = header.failure.as_deref().unwrap_or_default();
            page.line("", &format!("  its header {} fails, and with it the request: {failure}", header.name));
        }
    }
}

/// Says when a second target is asked beside the first.
fn beside(hedge: &HedgeTold) -> String {
    let HedgeTold { after, wait_ms, max_share, not } = hedge;
    let now = wait_ms.map(|ms| Span::from_millis(ms).to_string()).filter(|now| now != after);
    let now = now.map(|now| format!(" (now {now})")).unwrap_or_default();
    let not = not.as_ref().map(|not| format!("; not here: {not}")).unwrap_or_default();
    format!("a second is asked where the first takes longer than {after}{now}, for up to {max_share} of the requests{not}")
}

fn row(candidate: &CandidateTold, width: usize) -> String {
    let target = visible(&candidate.target);
    let mut text = format!("{target:<width$}  {:>3}%", candidate.share_percent);
    let credentials: Vec<String> = candidate.credentials.iter().map(named).collect();
    let _ = write!(text, "  with {}", credentials.join(", then "));
    match candidate.standing.as_str() {
        "half_open" => text.push_str("; one request at a time probes it"),
        "last_resort" => text.push_str("; its breaker is open, but nobody else is left"),
        _ => {}
    }
    let sent: Vec<&str> = candidate.headers.iter().filter(|header| header.failure.is_none()).map(|header| header.name.as_str()).collect();
    if !sent.is_empty() {
        let _ = write!(text, "; headers {}", sent.join(", "));
    }
    text
}

fn named(credential: &CredentialTold) -> String {
    let share = credential.share_percent.filter(|share| *share != 100).map(|share| format!("{share}%"));
    let busy = credential.concurrency.map(|PlacesSnapshot { limit, running, waiting }| match waiting {
        0 => format!("{running} of {limit} at once"),
        waiting => format!("{running} of {limit} at once, {waiting} waiting"),
    });
    let told: Vec<String> = share.into_iter().chain(busy).collect();
    if told.is_empty() { credential.name.clone() } else { format!("{} ({})", credential.name, told.join(", ")) }
}

fn kept_out(credential: &CredentialTold) -> String {
    format!("{}: {}{}", credential.name, credential.reason.as_deref().unwrap_or("ready"), wait(credential.wait_ms))
}

fn wait(wait_ms: Option<u64>) -> String {
    wait_ms.map(|ms| format!(", for {}", Span::from_millis(ms))).unwrap_or_default()
}

fn conclusion(page: &mut Page, told: &Explanation) {
    let text = match (told.outcome, &told.denial, told.candidates.first()) {
        (Outcome::Denied, Some(denial), _) => {
            format!("the client gets {} {}: {}{}", denial.status, denial.code, denial.message, again(denial.retry_after_ms))
        }
        (Outcome::Routed, _, Some(first)) if first.share_percent < 100 => {
            format!("one of the targets by chance or turn; this time {} first", first.target)
        }
        (Outcome::Routed, _, Some(first)) => format!("{} first", first.target),
        (Outcome::Denied, None, _) | (Outcome::Routed, _, None) => "nothing is tried".to_owned(),
    };
    page.line("so", &text);
    if let Some(alias) = &told.instead {
        page.line("instead", &format!("it is served as {alias}, where that fits"));
    }
    if let Some(detail) = told.denial.as_ref().and_then(|denial| denial.detail.as_deref()) {
        page.line("because", detail);
    }
}

fn again(retry_after_ms: Option<u64>) -> String {
    retry_after_ms.map(|ms| format!(" Again after {}.", Span::from_millis(ms))).unwrap_or_default()
}

/// Lines with a label in front.
struct Page(String);

impl Page {
    fn line(&mut self, label: &str, text: &str) {
        let _ = writeln!(self.0, "{label:<10} {}", visible(text));
    }
}
