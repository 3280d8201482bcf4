//! `version`: what this binary is.

use serde_json::json;

use super::exit::CommandError;
use super::output::{Format, Outcome};

/// Prints the version of this binary and of the formats it speaks.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Examples:
  bifrostctl version
  bifrostctl version -o json | jq -r .result.version";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// The version of the spec's format that this binary reads.
const SPEC_VERSION: u32 = 1;

pub(super) fn run() -> Result<Outcome, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    Ok(Outcome::ok("").text(format!("bifrostctl {version} ({platform}), spec version {SPEC_VERSION}\n")).result(json!({
        "version": version,
        "spec_version": SPEC_VERSION,
        "arch": std::env::consts::ARCH,
        "os": std::env::consts::OS,
    })))
}
