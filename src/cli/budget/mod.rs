//! `budget`: where budgets stand, whether the book adds up, and setting a budget back.

mod audit;
mod reset;
mod status;

use clap::Subcommand;

use super::context::Context;
use super::exit::CommandError;
use super::output::{Format, Outcome};

/// Shows what budgets spent, checks that the book adds up, and sets a budget back.
///
/// An account is what a limit is counted on: `key:NAME` and `team:NAME` for budgets of their own, `budget:NAME` for a shared one.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl budget status                                       # where each stands
  bifrostctl budget audit                                        # whether it adds up, line by line
  bifrostctl budget reset growth-monthly --reason \"goodwill\"     # back to nothing";

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
    Audit(audit::Args),
    Reset(reset::Args),
}

impl Args {
    /// Returns the command's whole name.
    pub(super) const fn name(&self) -> &'static str {
        match &self.command {
            Command::Status(_) => "budget status",
            Command::Audit(_) => "budget audit",
            Command::Reset(_) => "budget reset",
        }
    }
}

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    match &args.command {
        Command::Status(args) => status::run(args, context),
        Command::Audit(args) => audit::run(args, context),
        Command::Reset(args) => reset::run(args, context),
    }
}
