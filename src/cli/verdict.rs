//! What a gateway said to a proposal, for people: refusals with their exit codes, and diffs.

use serde_json::Value;

use super::changes::Changes;
use super::context::Context;
use super::deploy::{Kept, Verdict};
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::input::Bundle;
use super::output::{Details, color};
use super::validate::live::read;
use crate::plan::diff::Diff;
use crate::spec::{Loaded, Sources};

/// Reads the diff in a gateway's answer.
///
/// # Errors
/// A failure when it is none, or one of a newer gateway.
pub(crate) fn diff(value: &Value) -> Result<Diff, CommandError> {
    Diff::from_json(value).map_err(|error| {
        CommandError::failure(format!("the gateway's diff cannot be read: {error}"))
            .hint("is the gateway of a newer version than this bifrostctl?")
    })
}

/// Makes the error of a proposal that was not taken. `new` is the spec that was sent, where it is at hand.
pub(crate) fn refusal(verdict: Verdict, base: &Kept, new: Option<&Loaded>, context: &Context<'_>) -> CommandError {
    match verdict {
        Verdict::Stale { revision, diff: value } => {
            let title = format!("Plan for live revision {revision} → what was proposed");
            let details = diff(&value).ok().map(|diff| shown(&Changes { diff: &diff, title: &title, new }, context));
            let message = format!("the live revision is now {revision}; the proposal was made for {}", base.revision);
            CommandError::new(Exit::Conflict, message)
                .hint("look at what now differs, and do it again")
                .details(details.unwrap_or_default())
        }
        Verdict::Invalid { message, diagnostics } => {
            let empty = Sources::default();
            let sources = new.map_or(&empty, |loaded| &loaded.sources);
            let paths: Vec<_> = sources.0.iter().map(|source| source.path.clone()).collect();
            let bundle = Bundle::new(sources, &paths);
            let list = diagnostics.iter().map(|value| read(value, sources, &bundle)).collect();
            let findings = Findings::new(list, sources);
            CommandError::new(Exit::Rejected, format!("the gateway refuses it: {message}")).details(findings.messages(context))
        }
        Verdict::Refused { code, message, changes } => {
            let lines: String = changes.iter().map(|change| format!("  {}\n", line(change))).collect();
            let wrong = CommandError::new(Exit::Rejected, format!("the gateway refuses it: {message}"));
            let details = Details { messages: lines, changes, ..Details::default() };
            let wrong = wrong.details(details);
            match code.as_str() {
                "needs_restart" => wrong.hint("start the gateway anew with the new spec, or apply the rest without these changes"),
                "paths_differ" => wrong.hint("name files of these names with -f and --env, in this order; the directory does not matter"),
                "read_only" => wrong.hint("its files are managed elsewhere (Git, a ConfigMap): change them there"),
                _ => wrong,
            }
        }
        Verdict::Unchanged { revision } | Verdict::Accepted { revision, .. } => {
            CommandError::failure(format!("the gateway's answer about revision {revision} makes no sense here"))
        }
    }
}

/// Renders changes for machines, and for a person as messages.
pub(super) fn shown(changes: &Changes<'_>, context: &Context<'_>) -> Details {
    let color = color(context.global.color, context.io.terminal.stderr, context.io);
    Details { messages: changes.human(color), ..changes.details() }
}

fn line(change: &Value) -> String {
    let text = |name: &str| change.get(name).and_then(Value::as_str).unwrap_or_default();
    let path = if text("path").is_empty() { text("pointer") } else { text("path") };
    format!("{path} {}", text("summary")).trim_end().to_owned()
}
