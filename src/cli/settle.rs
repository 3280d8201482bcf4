//! The two ends of every change to a running gateway: agreeing to it beforehand, and seeing it served afterwards.

use serde_json::{Value, json};

use super::admin::Admin;
use super::changes::Changes;
use super::context::Context;
use super::deploy;
use super::exit::CommandError;
use super::output::{Details, Format, Outcome, color};
use super::prompt;
use super::table_text::diagnostic_line;

/// How a change is agreed to.
pub(crate) struct Agreed<'a> {
    /// Without asking.
    pub(crate) yes: bool,
    /// Not at all: it is only shown.
    pub(crate) dry_run: bool,
    /// Why it may not be done, whoever agrees.
    pub(crate) gate: Option<CommandError>,
    /// What is asked.
    pub(crate) question: &'a str,
}

/// Shows the changes and gets an answer. `None` is yes; an outcome is the end of a dry run.
///
/// # Errors
/// The gate; a usage error where nobody can be asked; a failure where the answer is no.
pub(crate) async fn agree(
    context: &mut Context<'_>,
    changes: &Changes<'_>,
    warnings: &[Value],
    agreed: Agreed<'_>,
) -> Result<Option<Outcome>, CommandError> {
    show(context, changes, warnings);
    let details = Details { diagnostics: warnings.to_vec(), ..changes.details() };
    if let Some(gate) = agreed.gate {
        return Err(gate.details(details));
    }
    if agreed.dry_run {
        return Ok(Some(Outcome::ok("dry run: nothing was applied").details(details)));
    }
    if agreed.yes {
        return Ok(None);
    }
    if !context.can_ask() {
        return Err(CommandError::usage("this changes a running gateway, and nobody can be asked here")
            .hint("agree to it with --yes, or look only with --dry-run")
            .details(details));
    }
    if prompt::confirm(context, agreed.question).await {
        return Ok(None);
    }
    Err(CommandError::failure("nothing was applied").details(details))
}

/// Prints the changes at once: on standard output where a person reads it, else as a message.
fn show(context: &mut Context<'_>, changes: &Changes<'_>, warnings: &[Value]) {
    let data = context.global.output.iter().all(|sink| sink.format == Format::Human && sink.path.is_none());
    let terminal = if data { context.io.terminal.stdout } else { context.io.terminal.stderr };
    let text = changes.human(color(context.global.color, terminal, context.io));
    if data {
        context.io.stdout.put(&text);
        context.io.stdout.flush();
    } else if !context.global.quiet {
        context.io.stderr.put(&text);
    }
    for warning in warnings {
        context.note(&diagnostic_line(warning));
    }
}

/// Waits until the new revision serves, and says so.
///
/// # Errors
/// As [`deploy::serves`].
pub(crate) async fn done(context: &Context<'_>, admin: &Admin, revision: u64, changes: &Changes<'_>) -> Result<Outcome, CommandError> {
    let live = deploy::serves(admin, revision, context.global.timeout.get()).await.map_err(|error| error.details(changes.details()))?;
    let summary = if live == revision {
        format!("revision {revision} serves")
    } else {
        format!("revision {revision} was taken; by now {live} serves")
    };
    let result = json!({"outcome": "applied", "revision": revision, "serving": live, "diff": changes.diff.json()});
    Ok(Outcome::ok(summary).result(result).details(changes.details()))
}
