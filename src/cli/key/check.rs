//! `key check`: is a key well spelt, does the spec know it, and may it be used now. The key itself is never shown.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::base::Digest;
use crate::base::Secret;
use crate::cli::context::{Context, DEFAULT_FILE, read_secret_file};
use crate::cli::exit::{CommandError, Exit};
use crate::cli::input::{NoEnvironment, Source, refused};
use crate::cli::output::Outcome;
use crate::cli::prompt;
use crate::cli::virtual_key::{Spelling, digest, spelling};
use crate::plan::{Plan, VirtualKey};

/// Checks a virtual key from standard input: its spelling and checksum, whether the spec knows it, and whether it is valid now.
///
/// Exits with 0 when the gateway of this spec would accept the key, and with 1 when it would not.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file with the key, instead of standard input.
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl key check                      # asks for the key without showing it
  bifrostctl key check --key-file web.key
  pass show gateway/web-app | bifrostctl key check -f prod/gateway.yaml";

/// What the spec says of a key.
struct Known<'p> {
    name: &'p str,
    key: &'p VirtualKey,
    not_after: Option<&'p str>,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let key = match &args.key_file {
        Some(path) => Secret::new(read_secret_file(path)?),
        None => prompt::secret(context, "key")?,
    };
    let (spelling, digest) = (spelling(key.expose()), digest(key.expose()));
    let judged = match spelling {
        Spelling::Sound => "spelt as a bifrostctl key, and its checksum agrees",
        Spelling::Foreign => "not spelt as a bifrostctl key; that is fine for imported keys",
        Spelling::Mistyped => "the checksum does not match: a character may be mistyped",
        Spelling::Cut => "not as long as a bifrostctl key: part of it may be missing",
    };
    let fits = matches!(spelling, Spelling::Sound | Spelling::Foreign);
    let mut result = json!({"spelling": spelling.word(), "sha256": digest.to_string()});
    let Some(source) = open(context)? else {
        let text = format!("spelling  {judged}\nspec      not looked at: there is no {DEFAULT_FILE} here\n");
        let exit = if fits { Exit::Ok } else { Exit::Failure };
        return Ok(Outcome::ok("").text(text).result(result).exit(exit));
    };
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let known = find(&checked.plan, digest);
    let state = known.as_ref().map_or("unknown", |known| state(known, context.io.clock.unix_ms()));
    let said = match &known {
        Some(known) => said(known, state),
        None => "no key of the spec has this digest".to_owned(),
    };
    let text = format!("spelling  {judged}\nspec      {}: {said}\n", source.name());
    if let Some(members) = result.as_object_mut() {
        members.insert("state".to_owned(), json!(state));
        members.insert("key".to_owned(), known.as_ref().map_or(Value::Null, entry));
    }
    let outcome = Outcome::ok("").text(text).result(result);
    Ok(match (state, fits) {
        ("valid", _) => outcome,
        ("unknown", true) => outcome.exit(Exit::Failure).hint(format!("to let it in, add its digest under `virtual_keys`: {digest}")),
        (_, _) => outcome.exit(Exit::Failure),
    })
}

/// Opens the spec. `None` where none was named and none is here: the spelling can be checked anywhere.
fn open(context: &mut Context<'_>) -> Result<Option<Source>, CommandError> {
    let named = !context.global.file.is_empty() || context.global.env.is_some();
    if context.global.file.iter().any(|path| path.as_os_str() == "-") {
        return Err(CommandError::usage("standard input holds the key, not the spec").hint("name the spec's file with -f"));
    }
    if !named && !std::path::Path::new(DEFAULT_FILE).exists() {
        return Ok(None);
    }
    Source::open(context).map(Some)
}

fn find(plan: &Plan, digest: Digest) -> Option<Known<'_>> {
    plan.virtual_keys.iter().find_map(|(name, key)| {
        let hash = key.hashes.iter().find(|hash| hash.sha256 == digest)?;
        Some(Known { name, key, not_after: hash.not_after.as_deref() })
    })
}

fn is_over(end: Option<&str>, unix_ms: u64) -> bool {
    let end = end.and_then(|end| end.parse::<Timestamp>().ok());
    end.is_some_and(|end| u64::try_from(end.as_millisecond()).is_ok_and(|end| end <= unix_ms))
}

/// Judges as the gateway does: the earlier of the key's end and the digest's counts.
fn state(known: &Known<'_>, unix_ms: u64) -> &'static str {
    if known.key.disabled {
        "disabled"
    } else if is_over(known.key.expires.as_deref(), unix_ms) {
        "expired"
    } else if is_over(known.not_after, unix_ms) {
        "rotated_out"
    } else {
        "valid"
    }
}

fn said(known: &Known<'_>, state: &str) -> String {
    let name = known.name;
    let ends = [known.key.expires.as_deref().map(|end| format!("expires {end}")), known.not_after.map(|end| format!("rotated out {end}"))];
    let ends: Vec<String> = ends.into_iter().flatten().collect();
    match state {
        "disabled" => format!("`{name}`, which is disabled"),
        "expired" => format!("`{name}`, which expired {}", known.key.expires.as_deref().unwrap_or_default()),
        "rotated_out" => format!("`{name}`, but this one of its keys ended {}", known.not_after.unwrap_or_default()),
        _ if ends.is_empty() => format!("`{name}`, valid"),
        _ => format!("`{name}`, valid ({})", ends.join(", ")),
    }
}

fn entry(known: &Known<'_>) -> Value {
    json!({"name": known.name, "team": known.key.team, "models": known.key.models, "expires": known.key.expires,
        "not_after": known.not_after, "disabled": known.key.disabled})
}
