//! What became of a request that was made, by its line in the access log.

use std::path::Path;

use serde_json::{Value, json};

use crate::base::visible;
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::input::{NoEnvironment, Source, refused};
use crate::cli::output::Outcome;
use crate::cli::request_log::{self, Attempt, Line};
use crate::cli::table_text;

/// Finds a request in a log and tells its way.
///
/// # Errors
/// A log that cannot be read; a failure where it has no such request, or several whose ids begin so.
pub(super) fn run(id: &str, log: Option<&Path>, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let path = match log {
        Some(path) => path.to_owned(),
        None => {
            let source = Source::open(context)?;
            let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
            request_log::place(None, &checked)?
        }
    };
    let mut found: Vec<Line> = Vec::new();
    request_log::each(&path, context, |line| {
        if line.request_id.starts_with(id) && found.len() < 2 {
            found.push(line);
        }
    })?;
    let (name, shown) = (path.display(), visible(id));
    match found.as_slice() {
        [] => Err(CommandError::failure(format!("{name} has no request `{shown}`"))
            .hint("the id stands in the header `x-bifrost-request-id` of every answer, and in errors")),
        [line] => Ok(Outcome::ok("").text(human(line)).result(result(line))),
        _ => Err(CommandError::failure(format!("{name} has several requests whose ids begin with `{shown}`")).hint("give more of the id")),
    }
}

fn human(line: &Line) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), visible(&text)]);
    let known = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
    let stream = if line.stream { ", streamed" } else { "" };
    row("request", format!("{} {}, {}", line.request_id, line.time, known(&line.endpoint, "unknown endpoint")));
    row(
        "asked",
        format!(
            "{}{stream} by {}",
            known(&line.model, "no model"),
            line.key.as_ref().map_or("no key".to_owned(), |key| format!("key {key}"))
        ),
    );
    row("revision", line.revision.to_string());
    row("rule", known(&line.rule, "none matched"));
    row("alias", known(&line.alias, "none"));
    for (place, attempt) in line.attempts.iter().enumerate() {
        row(&format!("attempt {}", place + 1), attempted(attempt));
    }
    if let Some(loss) = &line.loss {
        row("lost", loss.clone());
    }
    let first = line.ttft_ms.map_or_else(String::new, |ms| format!(", first content after {ms} ms"));
    row("answer", format!("{} after {} ms{first}", line.status, line.duration_ms));
    if let Some(error) = &line.error {
        row("error", line.detail.as_ref().map_or_else(|| error.clone(), |detail| format!("{error}: {detail}")));
    }
    if let (Some(input), Some(output)) = (line.tokens_in, line.tokens_out) {
        row("usage", format!("{input} tokens in, {output} out"));
    }
    if let Some(cost) = line.cost {
        row("cost", cost.to_string());
    }
    table_text::table(&rows)
}

fn attempted(attempt: &Attempt) -> String {
    let with = attempt.credential.as_ref().map_or_else(String::new, |credential| format!(" with {credential}"));
    let status = attempt.status.map_or_else(String::new, |status| format!(" (status {status})"));
    let detail = attempt.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
    let beside = if attempt.hedge { ", beside the one before" } else { "" };
    format!("{}{with}{beside}: {}{status} after {} ms{detail}", attempt.target, attempt.outcome, attempt.ms)
}

fn result(line: &Line) -> Value {
    let attempts: Vec<Value> = line
        .attempts
        .iter()
        .map(|it| json!({"target": it.target, "credential": it.credential, "outcome": it.outcome, "status": it.status, "detail": it.detail, "ms": it.ms, "hedge": it.hedge}))
        .collect();
    json!({"request_id": line.request_id, "time": line.time, "revision": line.revision, "endpoint": line.endpoint, "key": line.key,
        "team": line.team, "model": line.model, "rule": line.rule, "alias": line.alias, "target": line.target, "attempts": attempts,
        "loss": line.loss, "status": line.status, "error": line.error, "detail": line.detail, "stream": line.stream,
        "duration_ms": line.duration_ms, "ttft_ms": line.ttft_ms, "tokens_in": line.tokens_in, "tokens_out": line.tokens_out, "cost": line.cost})
}
