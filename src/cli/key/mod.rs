//! `key`: makes, digests, checks and rotates virtual keys, and finds keys in files. The gateway stores digests only; a key is seen once, by whoever made it.

mod check;
mod hash;
pub(super) mod new;
mod rotate;
mod scan;

use clap::Subcommand;

use super::context::Context;
use super::exit::CommandError;
use super::output::{Format, Outcome};

/// Makes, digests, checks and rotates virtual keys, and finds keys in files.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl key new --name web-app --models fast   # a new key: the secret once, and its stanza
  bifrostctl key hash < key.txt                      # the digest that the spec stores
  bifrostctl key check < key.txt                     # whether the spec knows it, and whether it is valid
  bifrostctl key rotate web-app                      # another secret, written into the spec
  bifrostctl key scan                                # keys that stand where they do not belong";

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Hash(hash::Args),
    Check(check::Args),
    Rotate(rotate::Args),
    Scan(scan::Args),
}

impl Args {
    /// Returns the formats that the command prints.
    pub(super) const fn formats(&self) -> &'static [Format] {
        match &self.command {
            Command::New(_) | Command::Hash(_) | Command::Check(_) | Command::Rotate(_) => &[Format::Human, Format::Json],
            Command::Scan(_) => scan::FORMATS,
        }
    }

    /// Returns the command's whole name.
    pub(super) const fn name(&self) -> &'static str {
        match &self.command {
            Command::New(_) => "key new",
            Command::Hash(_) => "key hash",
            Command::Check(_) => "key check",
            Command::Rotate(_) => "key rotate",
            Command::Scan(_) => "key scan",
        }
    }
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    match &args.command {
        Command::New(args) => new::run(args, context),
        Command::Hash(args) => hash::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::Rotate(args) => rotate::run(args, context),
        Command::Scan(args) => scan::run(args, context),
    }
}
