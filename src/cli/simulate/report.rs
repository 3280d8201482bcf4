//! What came of a simulation, for people and machines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::replay::{Done, Group};
use crate::base::visible;
use crate::cli::table_text;

/// Rows of each table that a person is shown.
const MOST_ROWS: usize = 20;

pub(super) fn human(done: &Done) -> String {
    let mut text = String::new();
    if let Some((from, to)) = &done.span {
        text.push_str(&format!("{} requests from {} to {}\n\n", done.requests, visible(from), visible(to)));
    }
    text.push_str(&table_text::table(&groups("MODEL", &done.by_model)));
    text.push('\n');
    text.push_str(&table_text::table(&groups("TEAM", &done.by_team)));
    for (model, group) in done.by_model.iter().filter(|(_, group)| group.moved() > 0) {
        text.push_str(&format!("\n{}: at least {} of {} sent elsewhere\n", visible(model), group.moved(), group.requests));
        text.push_str(&table_text::table(&targets(group)));
    }
    if !done.denials.is_empty() {
        text.push_str("\nserved, and would be denied\n");
        let mut rows = vec![["CODE", "KEY", "MODEL", "REQUESTS"].map(str::to_owned).to_vec()];
        rows.extend(
            worst(&done.denials).map(|((code, key, model), count)| vec![visible(code), visible(key), visible(model), count.to_string()]),
        );
        text.push_str(&table_text::table(&rows));
    }
    if done.admitted > 0 {
        text.push_str(&format!("\n{} denied, and would be served\n", done.admitted));
    }
    if done.turned_away > 0 {
        let what = "turned away by a limit, a budget or for want of a provider, which is not played again";
        text.push_str(&format!("\n{} {what}\n", done.turned_away));
    }
    if !done.losses.is_empty() {
        text.push_str("\nwould be lost in translation\n");
        let mut rows = vec![["MODEL", "FIELD", "REQUESTS"].map(str::to_owned).to_vec()];
        rows.extend(worst(&done.losses).map(|((model, path), count)| vec![visible(model), visible(path), count.to_string()]));
        text.push_str(&table_text::table(&rows));
    }
    text
}

fn worst<K: Ord>(of: &BTreeMap<K, u64>) -> impl Iterator<Item = (&K, &u64)> {
    let mut rows: Vec<_> = of.iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    rows.into_iter().take(MOST_ROWS)
}

fn groups(title: &str, of: &BTreeMap<String, Group>) -> Vec<Vec<String>> {
    let mut rows = vec![[title, "REQUESTS", "MOVED", "COST BEFORE", "COST AFTER", "CHANGE"].map(str::to_owned).to_vec()];
    let mut sorted: Vec<_> = of.iter().collect();
    sorted.sort_by_key(|(_, group)| std::cmp::Reverse(group.requests));
    for (name, group) in sorted.into_iter().take(MOST_ROWS) {
        let cost = |amount: crate::base::Usd| if group.priced == 0 { "-".to_owned() } else { amount.to_string() };
        rows.push(vec![
            visible(name),
            group.requests.to_string(),
            group.moved().to_string(),
            cost(group.cost_before),
            cost(group.cost_after),
            change(group),
        ]);
    }
    rows
}

fn change(group: &Group) -> String {
    match group.cost_before.nano() {
        0 => "-".to_owned(),
        before => format!("{:+.1}%", (group.cost_after.nano() - before) as f64 * 100.0 / before as f64),
    }
}

fn targets(group: &Group) -> Vec<Vec<String>> {
    let mut rows = vec![["  TARGET", "BEFORE", "AFTER"].map(str::to_owned).to_vec()];
    let names: BTreeSet<&String> = group.before.keys().chain(group.after.keys()).collect();
    for name in names {
        let share = |of: &BTreeMap<String, u64>| {
            let all: u64 = of.values().sum();
            let part = of.get(name).copied().unwrap_or_default();
            if all == 0 { "-".to_owned() } else { format!("{:.1}%", part as f64 * 100.0 / all as f64) }
        };
        rows.push(vec![format!("  {}", visible(name)), share(&group.before), share(&group.after)]);
    }
    rows
}

pub(super) fn markdown(done: &Done, summary: &str) -> String {
    let table = |rows: Vec<Vec<String>>| {
        let line = |row: &Vec<String>| format!("| {} |\n", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
        let mut lines = rows.iter().map(line);
        let head = lines.next().unwrap_or_default();
        let rule = format!("|{}\n", "---|".repeat(rows.first().map_or(0, Vec::len)));
        format!("{head}{rule}{}\n", lines.collect::<String>())
    };
    let mut text = format!("**{summary}**\n\n");
    text.push_str(&table(groups("Model", &done.by_model)));
    text.push_str(&table(groups("Team", &done.by_team)));
    if !done.denials.is_empty() {
        let mut rows = vec![["Would be denied", "Key", "Model", "Requests"].map(str::to_owned).to_vec()];
        rows.extend(
            worst(&done.denials).map(|((code, key, model), count)| vec![visible(code), visible(key), visible(model), count.to_string()]),
        );
        text.push_str(&table(rows));
    }
    text
}

pub(super) fn json(done: &Done, passed_over: u64) -> Value {
    let group = |(name, group): (&String, &Group)| {
        let shares = |of: &BTreeMap<String, u64>| {
            of.iter().map(|(target, part)| (target.clone(), json!(*part as f64 / 100.0))).collect::<serde_json::Map<_, _>>()
        };
        (
            name.clone(),
            json!({"requests": group.requests, "moved": group.moved(), "priced": group.priced, "cost_before": group.cost_before,
            "cost_after": group.cost_after, "first_before": shares(&group.before), "first_after": shares(&group.after)}),
        )
    };
    let groups = |of: &BTreeMap<String, Group>| of.iter().map(group).collect::<serde_json::Map<_, _>>();
    let denials: Vec<Value> = done
        .denials
        .iter()
        .map(|((code, key, model), count)| json!({"code": code, "key": key, "model": model, "requests": count}))
        .collect();
    let losses: Vec<Value> =
        done.losses.iter().map(|((model, path), count)| json!({"model": model, "path": path, "requests": count})).collect();
    json!({
        "requests": done.requests, "skipped": done.skipped, "passed_over": passed_over,
        "from": done.span.as_ref().map(|span| &span.0), "to": done.span.as_ref().map(|span| &span.1),
        "denied": done.denied(), "admitted": done.admitted, "turned_away": done.turned_away, "moved": done.moved(), "cost_rise_percent": done.rise_percent(),
        "denials": denials, "losses": losses, "by_model": groups(&done.by_model), "by_team": groups(&done.by_team),
    })
}
