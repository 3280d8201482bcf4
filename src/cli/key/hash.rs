//! `key hash`: the digest of a key that exists already.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::prompt;
use crate::cli::virtual_key::{Spelling, digest, spelling};

/// Prints the SHA-256 of a virtual key or an admin token, read from standard input.
///
/// Any string will do: keys of another gateway keep working when the spec lists their digests.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Examples:
  bifrostctl key hash                 # asks for the key without showing it
  bifrostctl key hash < key.txt
  pass show gateway/web-app | bifrostctl key hash";

pub(super) fn run(_: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let key = prompt::secret(context, "key")?;
    let digest = digest(key.expose()).to_string();
    let spelling = spelling(key.expose());
    let outcome = Outcome::ok("").text(format!("{digest}\n")).result(json!({"sha256": digest, "spelling": spelling.word()}));
    Ok(match spelling {
        Spelling::Sound | Spelling::Foreign => outcome,
        Spelling::Mistyped => outcome.hint("the key's checksum does not match: a character may be mistyped"),
        Spelling::Cut => outcome.hint("the key does not have the length of a bifrostctl key: part of it may be missing"),
    })
}
