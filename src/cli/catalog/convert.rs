//! `catalog convert`: makes the embedded catalogue of published files. For whoever builds bifrostctl.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::visible;
use crate::catalog::convert::{Conflict, Published, convert};
use crate::catalog::text;
use crate::cli::context::{Context, read_all};
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::table_text::{count, table};

/// Makes the embedded catalogue of files that genai-prices and LiteLLM publish: prints it, and says what of them was not taken.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, hide = true)]
pub(crate) struct Args {
    /// A published file.
    #[arg(long = "from", value_name = "FILE", required = true)]
    from: Vec<PathBuf>,
    /// Each file's version, in the same order.
    #[arg(long = "as", value_name = "VERSION", required = true)]
    version: Vec<String>,
    /// The day on which the files were read.
    #[arg(long, value_name = "DATE")]
    read: String,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog convert --from prices.json --as 0.2.1 --from litellm.json --as 1.109.1 --read 2026-11-25 > src/catalog/data.txt";

/// Largest published file that is read. Bytes.
pub(super) const FILE_LIMIT: u64 = 64 * 1024 * 1024;

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let now = text::day_ms(&args.read).ok_or_else(|| CommandError::usage("--read is no day").hint("write it as 2026-11-25"))?;
    if args.from.len() != args.version.len() {
        return Err(CommandError::usage("each --from needs an --as"));
    }
    let mut files = Vec::new();
    for (path, version) in args.from.iter().zip(&args.version) {
        files.push(published(path, version, &args.read, context)?);
    }
    let done = convert(&files, now);
    for unread in &done.unread {
        context.detail(&format!("not taken: {}", visible(unread)));
    }
    context.detail(&conflicts(&done.conflicts));
    let models: usize = done.catalogue.vendors.values().map(|vendor| vendor.entries.len()).sum();
    let conflicts: Vec<_> = done.conflicts.iter().map(conflict).collect();
    let summary = format!(
        "{} of {}; {} of prices between the sources; {} left without a price (-v names them)",
        count(models, "model"),
        count(done.catalogue.vendors.len(), "vendor"),
        count(done.conflicts.len(), "conflict"),
        done.unread.len()
    );
    Ok(Outcome::ok(summary).text(text::write(&done.catalogue)).result(json!({"conflicts": conflicts, "unread": done.unread})))
}

/// Reads a published file.
pub(super) fn published(path: &Path, version: &str, read: &str, context: &mut Context<'_>) -> Result<Published, CommandError> {
    let name = path.display().to_string();
    let bytes = read_all(path, FILE_LIMIT, context).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
    Published::read(&bytes, version, read).map_err(|error| CommandError::failure(format!("{name}: {error}")))
}

fn conflicts(list: &[Conflict]) -> String {
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|conflict| {
            let Conflict { vendor, model, meter, held, other } = conflict;
            vec![format!("{vendor}/{model}"), meter.name().to_owned(), meter.written(*held), meter.written(*other)]
        })
        .collect();
    table(&rows)
}

fn conflict(conflict: &Conflict) -> serde_json::Value {
    let Conflict { vendor, model, meter, held, other } = conflict;
    json!({"vendor": vendor, "model": model, "meter": meter.name(), "held": meter.written(*held), "other": meter.written(*other)})
}
