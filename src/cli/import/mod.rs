//! `import`: another gateway's configuration as a spec, with what became of each value.

pub(super) mod report;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::context::Context;
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::input::Source as InputFiles;
use super::output::{Format, Outcome, color};
use crate::import::{Class, Imported, Peer, Unread, import};
use report::Report;

/// Turns another gateway's configuration into a gateway.yaml, and says what became of each value.
///
/// Each value is carried over exactly or approximately, left to you (manual), or has nothing like it here (unsupported). Secrets that stand in
/// the file become names of variables, keys of clients become digests; neither is ever shown. Without --out the spec goes to standard output.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whose configuration it is: litellm, bifrost, portkey.
    #[arg(value_enum, value_name = "SOURCE", hide_possible_values = true)]
    source: Source,
    /// The configuration; `-` reads standard input.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Writes the spec to this file, and the findings to standard output.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Overwrites a file that exists already.
    #[arg(long, requires = "out")]
    force: bool,
    /// Ends with exit code 3 when anything is manual or unsupported.
    #[arg(long)]
    strict: bool,
}

/// Whose configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// LiteLLM's config.yaml.
    Litellm,
    /// Bifrost's config.json.
    Bifrost,
    /// A gateway config of Portkey's, as JSON.
    Portkey,
}

impl Source {
    /// Returns the same as the importer calls it.
    pub(crate) const fn peer(self) -> Peer {
        match self {
            Self::Litellm => Peer::Litellm,
            Self::Bifrost => Peer::Bifrost,
            Self::Portkey => Peer::Portkey,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl import litellm config.yaml --out gateway.yaml
  bifrostctl import bifrost config.json --out gateway.yaml
  bifrostctl import portkey support.json          # the alias is called as the file is
  bifrostctl import litellm config.yaml -o markdown=findings.md > gateway.yaml
  bifrostctl import litellm config.yaml --out gateway.yaml --strict         # exit code 3 when something is left to do";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Markdown];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    if let Some(out) = args.out.as_deref().filter(|out| !args.force && out.exists()) {
        return Err(
            CommandError::usage(format!("{} exists already", out.display())).hint("overwrite it with --force, or name another file")
        );
    }
    let imported = read(args.source.peer(), &args.from, context)?;
    if let Some(out) = &args.out {
        let failed = |error: std::io::Error| CommandError::failure(format!("cannot write {}: {error}", out.display()));
        std::fs::write(out, &imported.yaml).map_err(failed)?;
    }
    let report = Report { imported: &imported, verbose: context.global.verbose };
    let left = imported.count(Class::Manual) + imported.count(Class::Unsupported);
    let exit = if args.strict && left > 0 { Exit::Invalid } else { Exit::Ok };
    let mut details = report.details();
    let (text, yaml) = match &args.out {
        // The findings are what somebody reads who has the spec in a file.
        Some(_) => (report.human(false), None),
        None => {
            details.messages = report.human(color(context.global.color, context.io.terminal.stderr, context.io));
            (imported.yaml.clone(), Some(&imported.yaml))
        }
    };
    let result = json!({
        "source": args.source.peer().name(),
        "out": args.out.as_ref().map(|out| out.display().to_string()),
        "counts": report.counts(),
        "findings": report.json(),
        "spec": imported.spec,
        "yaml": yaml,
    });
    let outcome = Outcome::ok(report.summary()).exit(exit).text(text).result(result).details(details);
    Ok(match &args.out {
        Some(out) => outcome.hint(format!("bifrostctl validate -f {}", out.display())),
        None => outcome,
    })
}

/// Reads a configuration, or says what is wrong with it.
pub(super) fn read(peer: Peer, path: &Path, context: &mut Context<'_>) -> Result<Imported, CommandError> {
    let source = InputFiles::of(&[path.to_owned()], context)?;
    let path = source.paths.first().map_or(path, PathBuf::as_path);
    let name = path.display();
    match import(peer, &source.files, path) {
        Ok(imported) => Ok(imported),
        Err(Unread::Rejected(rejected)) => {
            let findings = Findings::new(rejected.diagnostics.clone(), &rejected.sources);
            let message = format!("{name} cannot be read: {}", findings.tally());
            Err(CommandError::new(Exit::Invalid, message).details(findings.messages(context)))
        }
        Err(Unread::NotOf { marks, rather }) => {
            let marks: Vec<String> = marks.iter().map(|mark| format!("`{mark}`")).collect();
            let message = format!("{name} is no configuration of {}'s: it has none of {}", peer.title(), marks.join(", "));
            let wrong = CommandError::new(Exit::Invalid, message);
            Err(match rather {
                Some(other) => wrong.hint(format!("it looks like {}'s: bifrostctl import {} {name}", other.title(), other.name())),
                None => wrong,
            })
        }
    }
}
