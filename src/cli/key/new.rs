//! `key new`: a fresh virtual key.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::{Digest, Secret};
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::output::Outcome;
use crate::cli::virtual_key;

/// Makes a virtual key: prints the secret once, and the stanza for the spec, which holds only its digest.
///
/// The secret goes to standard output and the stanza to standard error; with --out-secret the secret goes to that file and the
/// stanza to standard output.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The key's name in the spec.
    #[arg(long, value_parser = name)]
    name: String,
    /// The team it belongs to.
    #[arg(long, value_parser = name)]
    team: Option<String>,
    /// Aliases and provider/model that it may use; glob patterns; `*` is everything.
    #[arg(long, value_delimiter = ',', value_name = "PATTERNS")]
    models: Vec<String>,
    /// Writes the secret to a new file that only you can read, instead of standard output.
    #[arg(long, value_name = "PATH")]
    out_secret: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl key new --name web-app --team growth --models fast,openai/*
  bifrostctl key new --name ci --models fast --out-secret ci.key > ci.yaml
  bifrostctl key new --name ci --models fast -o json | jq -r .result.secret";

/// Checks a name before it is pasted into a spec.
fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 64 letters, digits, `-`, `_` or `.`".to_owned()) }
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let secret = generate()?;
    let digest = virtual_key::digest(secret.expose());
    let stanza = stanza(args, digest);
    let mut result = json!({"name": args.name, "team": args.team, "models": args.models, "sha256": digest, "stanza": stanza});
    let outcome = match &args.out_secret {
        Some(path) => {
            write_secret(path, &secret)?;
            context.note(&format!("The key is in {}; it is stored nowhere else.", path.display()));
            Outcome::ok("").text(stanza)
        }
        None => {
            if let Some(result) = result.as_object_mut() {
                result.insert("secret".to_owned(), json!(secret.expose()));
            }
            context.note("The key is printed this once and stored nowhere. The spec gets its digest:");
            context.note(&stanza);
            Outcome::ok("").text(format!("{}\n", secret.expose()))
        }
    };
    let outcome = outcome.result(result);
    Ok(if args.models.is_empty() { outcome.hint("the key may use no model yet: list some under `models`") } else { outcome })
}

/// Makes a key, or says why not.
pub(crate) fn generate() -> Result<Secret<String>, CommandError> {
    virtual_key::generate().map_err(|error| CommandError::failure(format!("the system gave no randomness: {error}")))
}

/// Writes a secret to a new file with mode 0600; an existing file is never overwritten.
pub(crate) fn write_secret(path: &Path, secret: &Secret<String>) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        let wrong = CommandError::failure(format!("cannot write {}: {error}", path.display()));
        if error.kind() == std::io::ErrorKind::AlreadyExists { wrong.hint("a secret is never overwritten: name a new file") } else { wrong }
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(format!("{}\n", secret.expose()).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn stanza(args: &Args, digest: Digest) -> String {
    let mut text = format!("virtual_keys:\n  {}:\n    hashes: [{{sha256: \"{digest}\"}}]\n", quote(&args.name));
    if let Some(team) = &args.team {
        text.push_str(&format!("    team: {}\n", quote(team)));
    }
    let models: Vec<String> = args.models.iter().map(|pattern| quote(pattern)).collect();
    text.push_str(&format!("    models: [{}]\n", models.join(", ")));
    text
}

/// Writes a YAML scalar that is a string in every YAML version: plain where that is safe, else in double quotes.
fn quote(text: &str) -> String {
    const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_is_yaml_whose_strings_stay_strings() {
        let args = Args {
            name: "123".to_owned(),
            team: Some("no".to_owned()),
            models: vec!["fast".to_owned(), "openai/*".to_owned(), "a\"b".to_owned()],
            out_secret: None,
        };
        let text = stanza(&args, Digest::of(b"key"));
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({"virtual_keys": {"123": {
                "hashes": [{"sha256": Digest::of(b"key").to_string()}], "team": "no", "models": ["fast", "openai/*", "a\"b"]
            }}})
        );
    }

    #[test]
    fn a_name_that_would_need_escaping_is_refused() {
        for bad in ["", "a b", "a:b", "a/b", "ä", "a\nb", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert_eq!(name("web-app.v2_x").unwrap(), "web-app.v2_x");
    }
}
