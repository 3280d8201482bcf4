//! `status`: three separate words — sync, health, revision — and what they rest on.

use serde_json::Value;

use super::admin::Call;
use super::context::Context;
use super::exit::CommandError;
use super::output::{Format, Outcome, Paint, color};
use super::{runtime, table_text};
use crate::base::visible;

/// Shows what a running gateway serves: whether its file is live, its health, its revision, its last rejection.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Examples:
  bifrostctl status
  bifrostctl status -o json | jq -r .result.sync
  bifrostctl status --endpoint http://gateway.internal:8081 --token-file ci.token";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let admin = context.admin()?;
    let status = runtime::block_on(async { admin.send(Call::get("/v1/status")).await?.success() })?;
    let paint = Paint(color(context.global.color, context.io.terminal.stdout, context.io));
    Ok(Outcome::ok("").text(human(&status, paint, context.global.verbose)).result(status))
}

fn word<'a>(status: &'a Value, pointer: &str) -> &'a str {
    status.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown")
}

fn number(status: &Value, pointer: &str) -> String {
    status.pointer(pointer).and_then(Value::as_u64).map_or_else(|| "unknown".to_owned(), |number| number.to_string())
}

fn human(status: &Value, paint: Paint, verbose: bool) -> String {
    let digest = word(status, "/digest");
    let mut rows = vec![
        vec!["Sync".to_owned(), judged(word(status, "/sync"), paint), sync_reason(status)],
        vec!["Health".to_owned(), judged(word(status, "/health"), paint), health_reason(status)],
        vec![
            "Revision".to_owned(),
            number(status, "/revision"),
            format!("digest {}, up since {}", digest.get(..12).unwrap_or(digest), word(status, "/started")),
        ],
    ];
    if verbose {
        rows.push(vec!["Listen".to_owned(), word(status, "/listen").to_owned(), format!("admin {}", word(status, "/admin"))]);
        rows.push(vec![
            "Load".to_owned(),
            number(status, "/in_flight"),
            format!("requests running, {} routing tables alive", number(status, "/tables_alive")),
        ]);
        rows.push(vec!["Version".to_owned(), word(status, "/version").to_owned(), String::new()]);
    }
    let mut text = table_text::table(&rows);
    text.push_str(&last_reload(status, paint));
    text.push_str(&credentials(status, paint));
    text.push_str(&limits_reached(status));
    text
}

fn judged(word: &str, paint: Paint) -> String {
    match word {
        "synced" | "healthy" | "ready" => paint.green(word),
        "unhealthy" | "out" => paint.red(word),
        _ => paint.yellow(word),
    }
}

fn sync_reason(status: &Value) -> String {
    let paths = status.get("spec_paths").and_then(Value::as_array).into_iter().flatten();
    let files = paths.filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let watching = match word(status, "/watching") {
        "off" => "not watched",
        "notify" => "watched",
        "poll" => "polled",
        other => other,
    };
    match word(status, "/sync") {
        "synced" => format!("{files} is live ({watching})"),
        "out_of_sync" => format!("{files} is not what is live ({watching})"),
        _ => format!("{files} ({watching})"),
    }
}

/// Counts the credentials that cannot be used now.
fn health_reason(status: &Value) -> String {
    let states: Vec<&str> = each_credential(status).map(|(_, _, state)| word(state, "/state")).collect();
    let count = |wanted: &str| states.iter().filter(|state| **state == wanted).count();
    let mut parts = vec![format!("{} of {} credentials ready", count("ready"), states.len())];
    for (state, text) in [("out", "out"), ("absent", "not set")] {
        if count(state) > 0 {
            parts.push(format!("{} {text}", count(state)));
        }
    }
    let limited =
        each_credential(status).filter(|(_, _, state)| word(state, "/state") == "ready" && resting(state).next().is_some()).count();
    if limited > 0 {
        parts.push(format!("{limited} not for every model"));
    }
    parts.join(", ")
}

fn each_credential(status: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let providers = status.get("providers").and_then(Value::as_object).into_iter().flatten();
    providers.flat_map(|(provider, state)| {
        let credentials = state.get("credentials").and_then(Value::as_object).into_iter().flatten();
        credentials.map(move |(name, state)| (provider, name, state))
    })
}

/// Lists the models that a credential is not used for.
fn resting(credential: &Value) -> impl Iterator<Item = (&String, &Value)> {
    credential.get("models").and_then(Value::as_object).into_iter().flatten()
}

fn credentials(status: &Value, paint: Paint) -> String {
    let mut rows = Vec::new();
    let row = |what: String, state: &Value| {
        let reason = state.get("reason").and_then(Value::as_str).unwrap_or_default();
        vec![what, judged(word(state, "/state"), paint), reason.to_owned()]
    };
    for (provider, name, state) in each_credential(status) {
        if word(state, "/state") != "ready" {
            rows.push(row(format!("  {provider}/{name}"), state));
        }
        for (model, state) in resting(state) {
            rows.push(row(format!("  {provider}/{name} for {}", visible(model)), state));
        }
    }
    if rows.is_empty() { String::new() } else { format!("\nCredentials not in use\n{}", table_text::table(&rows)) }
}

fn limits_reached(status: &Value) -> String {
    let reached = status.get("limits_reached").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<_> = reached
        .map(|it| {
            let who = format!("  {} {}", word(it, "/scope"), visible(word(it, "/name")));
            vec![who, word(it, "/limits").to_owned(), word(it, "/limit").to_owned()]
        })
        .collect();
    if rows.is_empty() { String::new() } else { format!("\nLimits that are reached\n{}", table_text::table(&rows)) }
}

fn last_reload(status: &Value, paint: Paint) -> String {
    let Some(reload) = status.get("last_reload").filter(|reload| reload.is_object()) else {
        return String::new();
    };
    let outcome = word(reload, "/outcome");
    if matches!(outcome, "applied" | "unchanged") {
        return String::new();
    }
    let mut text =
        format!("\n{} by {} at {}\n", paint.red(&format!("Last reload {outcome}")), word(reload, "/trigger"), word(reload, "/time"));
    for diagnostic in reload.get("diagnostics").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!("  {}\n", table_text::diagnostic_line(diagnostic)));
    }
    text
}
