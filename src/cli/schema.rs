//! `schema`: the JSON schema of the spec that is compiled into this binary.

use clap::ValueEnum;

use super::exit::CommandError;
use super::output::{Format, Outcome, pretty};
use crate::spec::{self, Draft};

/// Prints the JSON schema of the spec, or of files of tests, as this binary checks it.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The draft of JSON Schema: 2020-12, or 7 for editors that know no later one.
    #[arg(long, value_enum, default_value_t = Version::Latest, hide_possible_values = true)]
    draft: Version,
    /// What it is of: spec, or test for files of tests.
    #[arg(long = "for", value_enum, default_value_t = Subject::Spec, value_name = "FILE", hide_possible_values = true)]
    subject: Subject,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl schema > gateway.v1.schema.json
  bifrostctl schema --draft 7 > gateway.v1.draft-07.schema.json
  bifrostctl schema --for test > test.v1.schema.json
  bifrostctl schema | jq '.properties | keys'";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// A draft of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Version {
    #[value(name = "2020-12")]
    Latest,
    #[value(name = "7", alias = "07", alias = "draft-07")]
    Seven,
}

/// What a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    Spec,
    Test,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CommandError> {
    let draft = match args.draft {
        Version::Latest => Draft::Latest,
        Version::Seven => Draft::Seven,
    };
    let schema = match args.subject {
        Subject::Spec => spec::schema(draft),
        Subject::Test => spec::test_schema(draft),
    };
    Ok(Outcome::ok("").text(pretty(&schema)).result(schema))
}
