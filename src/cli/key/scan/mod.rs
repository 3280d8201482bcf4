//! `key scan`: keys that stand in files where they do not belong.
//!
//! It knows keys by their form: virtual keys by their checksum, keys of providers by how they begin. Not a search for whatever looks
//! random. Rule: no part of what was found is printed, nor the line in which it stands; a fingerprint tells one from another.

mod tree;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::base::suspicion::{self, Suspicion};
use crate::base::{Digest, visible};
use crate::cli::codes;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::findings::Findings;
use crate::cli::output::{Format, Outcome};
use crate::cli::table_text::count;
use crate::spec::{Diagnostic, Location, Source, Sources};
use tree::{Looked, Text};

/// Looks for virtual keys and keys of providers in files; what .gitignore leaves out is left out.
///
/// Exits with 2 when one is found. Shows where it stands, its kind and a fingerprint, and never the key.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and directories.
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Looks at what is staged for the next commit, as it is staged; PATHs narrow that.
    #[arg(long)]
    staged: bool,
    /// Lets the key with this fingerprint pass, such as an example in a page; repeatable.
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    allow: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl key scan
  bifrostctl key scan --staged                     # in .git/hooks/pre-commit
  bifrostctl key scan src docs -o sarif=keys.sarif
  bifrostctl key scan --allow 1f0c9a6b3d2e4f58";

pub(in crate::cli) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Github, Format::Sarif];

/// Digits of a fingerprint: enough to tell keys from one another, too few to be mistaken for the digest.
const FINGERPRINT: usize = 16;

/// A key that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// Index of its text.
    file: usize,
    /// First byte, and one past the last.
    bytes: (usize, usize),
    kind: &'static str,
    fingerprint: String,
}

fn fingerprint(text: &str) -> Result<String, String> {
    let fits = text.len() == FINGERPRINT && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_ascii_lowercase()) } else { Err(format!("expected the {FINGERPRINT} hexadecimal digits that a finding shows")) }
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let looked = if args.staged { tree::staged(&args.paths)? } else { tree::walk(&args.paths)? };
    for complaint in &looked.unreadable {
        context.note(&format!("warning: {}", visible(complaint)));
    }
    let mut sources = Sources::default();
    let (mut found, mut allowed) = (Vec::new(), 0);
    for text in &looked.texts {
        let (passed, mut keys): (Vec<Found>, Vec<Found>) =
            search(text, sources.0.len()).into_iter().partition(|key| args.allow.contains(&key.fingerprint));
        allowed += passed.len();
        if !keys.is_empty() {
            found.append(&mut keys);
            let whole = std::iter::once(0..text.text.len()).collect();
            sources.0.push(Source {
                path: text.path.clone(),
                text: text.text.clone(),
                digest: Digest::of(text.text.as_bytes()),
                redacted: whole,
            });
        }
    }
    Ok(outcome(&found, &sources, &looked, allowed))
}

/// Finds every key in a text.
fn search(text: &Text, file: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.text.split_inclusive('\n') {
        let mut from = 0;
        while let Some(suspect) = line.get(from..).and_then(suspicion::known) {
            let (begin, end) = (from + suspect.range.start, from + suspect.range.end);
            if let (Suspicion::Known(kind), Some(secret)) = (suspect.suspicion, line.get(begin..end)) {
                let digest = Digest::of(secret.trim_end().as_bytes()).to_string();
                let fingerprint = digest.chars().take(FINGERPRINT).collect();
                found.push(Found { file, bytes: (start + begin, start + begin + secret.trim_end().len()), kind, fingerprint });
            }
            from = end.max(from + 1);
        }
        start += line.len();
    }
    found
}

fn outcome(found: &[Found], sources: &Sources, looked: &Looked, allowed: usize) -> Outcome {
    let location = |key: &Found| Location { file: key.file, start: key.bytes.0, end: key.bytes.1 };
    let place = |key: &Found| sources.place(location(key)).unwrap_or_default();
    let text: String =
        found.iter().map(|key| format!("{}: {}, fingerprint {}\n", visible(&place(key)), key.kind, key.fingerprint)).collect();
    let diagnostics: Vec<Diagnostic> = found.iter().map(|key| diagnostic(key).at(Some(location(key)))).collect();
    let keys: Vec<Value> = found
        .iter()
        .map(|key| {
            let file = sources.0.get(key.file).map(|source| source.path.display().to_string());
            let (line, column) = sources.line_column(location(key)).unwrap_or_default();
            json!({"file": file, "line": line, "column": column, "kind": key.kind, "fingerprint": key.fingerprint})
        })
        .collect();
    let result = json!({
        "findings": keys, "files": looked.texts.len(), "allowed": allowed,
        "skipped": {"binary": looked.binary, "large": looked.large, "unreadable": looked.unreadable.len()},
    });
    let outcome =
        Outcome::ok(summary(found.len(), looked, allowed)).text(text).result(result).details(Findings::new(diagnostics, sources).details());
    match (found.is_empty(), looked.unreadable.is_empty()) {
        (false, _) => {
            outcome.exit(Exit::Differences).hint("revoke what was found where it was issued; taking it out of the file is not enough")
        }
        (true, false) => outcome.exit(Exit::Failure).hint("what could not be read was not searched"),
        (true, true) => outcome,
    }
}

fn diagnostic(key: &Found) -> Diagnostic {
    Diagnostic::error(codes::KEY_IN_FILE, format!("{} stands in the open, fingerprint {}", key.kind, key.fingerprint))
        .help("revoke it where it was issued, and keep the new one in a variable or a file that is not committed")
        .sensitive()
}

fn summary(found: usize, looked: &Looked, allowed: usize) -> String {
    let mut parts =
        vec![format!("{} in {}", if found == 0 { "no keys".to_owned() } else { count(found, "key") }, count(looked.texts.len(), "file"))];
    for (number, what) in [(looked.binary, "binary"), (looked.large, "over 2 MiB"), (looked.unreadable.len(), "unreadable")] {
        if number > 0 {
            parts.push(format!("{number} {what} skipped"));
        }
    }
    if allowed > 0 {
        parts.push(format!("{allowed} allowed"));
    }
    parts.join(", ")
}
