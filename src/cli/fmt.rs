//! `fmt`: the spec's files in their canonical form.
//!
//! Rule: all files or none. One that does not parse, or whose canonical form would not mean the same, leaves all of them as they are.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::TextDiff;

use super::context::Context;
use super::exit::{CommandError, Exit};
use super::input::{STDIN, Source, refused_by};
use super::output::{Details, Format, Outcome};
use super::table_text::{count, workflow_property};
use crate::base::visible;
use crate::control;
use crate::spec::{self, FormatError, Sources};

/// Writes the spec's files in their canonical form: the spec, its overlays, and what they include.
///
/// Blanks, empty lines, indentation and the order of the top level's sections; comments, quotes and the order of everything else stay.
/// Files that do not parse are left alone, all of them.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The files, instead of those of -f; `-` reads standard input and writes standard output.
    #[arg(value_name = "FILE", conflicts_with_all = ["file", "env"])]
    files: Vec<PathBuf>,
    /// Writes nothing: shows what would change, and exits with 2 where something would.
    #[arg(long)]
    check: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl fmt
  bifrostctl fmt --check -o github                 # in CI
  bifrostctl fmt teams/*.yaml
  bifrostctl fmt - < gateway.yaml                  # from an editor";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json, Format::Github];

/// Lines of a file's difference that are shown.
const SHOWN_LINES: usize = 40;

/// A file before and after.
struct Formatted<'s> {
    path: &'s Path,
    before: String,
    after: String,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let on_stdin = args.files.iter().any(|path| path.as_os_str() == "-");
    if on_stdin && args.files.len() > 1 {
        return Err(CommandError::usage("standard input is formatted alone").hint("name the files in another command"));
    }
    let included = args.files.is_empty();
    let source = if included { Source::open(context)? } else { Source::of(&args.files, context)? };
    if included && source.paths.iter().any(|path| path == Path::new(STDIN)) {
        return Err(CommandError::usage("`-f -` is no file that could be written").hint("`bifrostctl fmt -` writes to standard output"));
    }
    let sources = spec::texts(&source.files, &source.paths, included)
        .map_err(|rejected| refused_by("does not parse", &source.name(), &rejected, context))?;
    let all = format_all(&sources, &source)?;
    let changed: Vec<&Formatted<'_>> = all.iter().filter(|file| file.before != file.after).collect();
    if args.check {
        return Ok(checked(&all, &changed));
    }
    if on_stdin {
        let text = all.first().map(|file| file.after.clone()).unwrap_or_default();
        return Ok(Outcome::ok("").result(result(&all, &changed, Some(&text))).text(text));
    }
    let texts = changed.iter().map(|file| (file.path.to_owned(), file.after.clone())).collect();
    control::replace(texts).map_err(CommandError::failure)?;
    let text: String = changed.iter().map(|file| format!("{}\n", file.path.display())).collect();
    Ok(Outcome::ok(summary(&all, &changed, "formatted")).text(text).result(result(&all, &changed, None)))
}

fn format_all<'s>(sources: &'s Sources, read: &Source) -> Result<Vec<Formatted<'s>>, CommandError> {
    let formatted = sources.0.iter().map(|source| {
        let name = source.path.display();
        // Without the byte order mark, which the loader takes off, a file would seem to change when it does not.
        let bytes =
            spec::Files::read(&read.files, &source.path).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
        let before = String::from_utf8(bytes).map_err(|_| CommandError::failure(format!("{name} has changed meanwhile")))?;
        let after = spec::format(&before).map_err(|error: FormatError| {
            CommandError::failure(format!("{name} was not formatted: {error}"))
                .hint("no file was changed; this is a fault of this program, so please report it with the file")
        })?;
        Ok(Formatted { path: &source.path, before, after })
    });
    formatted.collect()
}

fn checked(all: &[Formatted<'_>], changed: &[&Formatted<'_>]) -> Outcome {
    let text: String = changed.iter().map(|file| difference(file)).collect();
    let github: String = changed.iter().map(|file| annotation(file)).collect();
    let details = Details { renditions: [(Format::Github, github)].into(), ..Details::default() };
    let outcome = Outcome::ok(summary(all, changed, "not canonical")).text(text).result(result(all, changed, None)).details(details);
    if changed.is_empty() { outcome } else { outcome.exit(Exit::Differences).hint("`bifrostctl fmt` writes them") }
}

fn summary(all: &[Formatted<'_>], changed: &[&Formatted<'_>], verb: &str) -> String {
    match (changed.len(), all.len() - changed.len()) {
        (0, same) => format!("{} canonical", count(same, "file")),
        (some, 0) => format!("{} {verb}", count(some, "file")),
        (some, same) => format!("{} {verb}, {same} canonical", count(some, "file")),
    }
}

fn result(all: &[Formatted<'_>], changed: &[&Formatted<'_>], text: Option<&str>) -> Value {
    let differs = |file: &Formatted<'_>| changed.iter().any(|changed| changed.path == file.path);
    let files: Vec<Value> = all.iter().map(|file| json!({"file": file.path.display().to_string(), "changed": differs(file)})).collect();
    let mut result = json!({"files": files});
    if let (Some(text), Some(members)) = (text, result.as_object_mut()) {
        members.insert("text".to_owned(), json!(text));
    }
    result
}

/// Shows what would change, without what may be a secret, and no more of it than a person reads.
fn difference(file: &Formatted<'_>) -> String {
    let (before, after) = (spec::concealed(&file.before), spec::concealed(&file.after));
    let diff = TextDiff::from_lines(&before, &after);
    let name = visible(&file.path.display().to_string());
    let text = diff.unified_diff().context_radius(1).missing_newline_hint(false).header(&name, &format!("{name} (canonical)")).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let mut shown: String = lines.iter().take(SHOWN_LINES).map(|line| format!("{}\n", visible(line))).collect();
    if lines.len() > SHOWN_LINES {
        shown.push_str(&format!("… {} more\n", count(lines.len() - SHOWN_LINES, "line")));
    }
    shown
}

/// Marks the first line that would change.
fn annotation(file: &Formatted<'_>) -> String {
    let same = file.before.lines().zip(file.after.lines()).take_while(|(before, after)| before == after).count();
    let path = workflow_property(&file.path.display().to_string());
    format!("::error file={path},line={},title=bifrostctl fmt::not canonical: run `bifrostctl fmt`\n", same + 1)
}
