//! `key rotate`: a second secret for a virtual key, written into the spec, with an end for the older ones.
//!
//! Rule: the spec is checked with the change before a byte of it is written, and the secret is shown only once the file stands.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use similar::TextDiff;

use super::new::{generate, write_secret};
use crate::base::{Digest, Secret, Span, visible};
use crate::cli::context::Context;
use crate::cli::exit::CommandError;
use crate::cli::input::{Inflow, NoEnvironment, STDIN, Source, check, refused};
use crate::cli::output::Outcome;
use crate::cli::table_text::count;
use crate::cli::{prompt, runtime, virtual_key};
use crate::control;
use crate::spec::edit::{self, EditError};
use crate::spec::{self, Files, Inputs, Loaded};

/// Makes a new secret for a virtual key and writes its digest into the spec; the older ones work on until the overlap is over.
///
/// Digests whose time is up already are removed. The file is edited in place: nothing else in it changes.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The key's name in the spec.
    #[arg(value_name = "NAME")]
    name: String,
    /// How long the older secrets work on.
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    overlap: Span,
    /// Writes the secret to a new file that only you can read, instead of standard output.
    #[arg(long, value_name = "PATH")]
    out_secret: Option<PathBuf>,
    /// Does not ask.
    #[arg(short, long)]
    yes: bool,
    /// Shows what would change in the file, and stops; the secret is thrown away.
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl key rotate web-app
  bifrostctl key rotate web-app --overlap 30d --out-secret web-app.key --yes
  bifrostctl key rotate web-app --dry-run";

/// What a rotation does to the digests of a key.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps {
    /// Digests that end now, by their places.
    ended: Vec<usize>,
    /// Digests whose time is up, by their places.
    over: Vec<usize>,
    /// How many keep an end that is earlier, or that only the gateway's environment tells.
    kept: usize,
}

/// A file with a change.
struct Rotated {
    path: PathBuf,
    before: String,
    after: String,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = source.check(&NoEnvironment, false).map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let pointer = hashes_of(&args.name, &checked.loaded)?;
    let now = context.io.clock.unix_ms();
    let until = end(now, args.overlap)?;
    let hashes = checked.loaded.value.pointer(&pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let steps = steps(&hashes, now, until);
    let secret = generate()?;
    let digest = virtual_key::digest(secret.expose());
    let rotated = rotate(&pointer, &checked.loaded, &source, (&hashes, &steps), (digest, until))?;
    recheck(&source, &rotated, context)?;
    show(&rotated, context);
    let outcome = outcome(args, &rotated, &steps, (digest, until));
    if args.dry_run {
        return Ok(Outcome { summary: "dry run: nothing was written, and the new secret was thrown away".to_owned(), ..outcome });
    }
    agree(args, &rotated, context)?;
    let meanwhile = source.files.read(&rotated.path).ok();
    if meanwhile.as_deref() != Some(rotated.before.as_bytes()) {
        return Err(CommandError::failure(format!("{} has changed meanwhile; nothing was written", rotated.path.display())));
    }
    if let Some(path) = &args.out_secret {
        write_secret(path, &secret)?;
    }
    control::replace(vec![(rotated.path.clone(), rotated.after.clone())]).map_err(CommandError::failure)?;
    Ok(hand_over(args, &secret, outcome, context))
}

/// Finds the digests of a key in the merged spec.
fn hashes_of(name: &str, loaded: &Loaded) -> Result<String, CommandError> {
    if !loaded.spec.virtual_keys.contains_key(name) {
        let wrong = CommandError::failure(format!("the spec has no virtual key `{}`", visible(name)));
        let known = loaded.spec.virtual_keys.keys().map(String::as_str);
        return Err(match spec::suggest::nearest(name, known) {
            Some(near) => wrong.hint(format!("did you mean `{near}`?")),
            None => wrong.hint("`bifrostctl key new` makes one"),
        });
    }
    Ok(format!("{}/hashes", crate::cli::findings::pointer(&["virtual_keys", name])))
}

/// Returns when the older digests end: whole seconds, rounded up.
fn end(now: u64, overlap: Span) -> Result<Timestamp, CommandError> {
    let seconds = now.saturating_add(overlap.as_millis()).div_ceil(1_000);
    let end = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    end.ok_or_else(|| CommandError::usage("--overlap reaches further than a time can be written"))
}

fn steps(hashes: &[Value], now: u64, until: Timestamp) -> Steps {
    let mut steps = Steps::default();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    for (place, hash) in hashes.iter().enumerate() {
        let written = hash.get("not_after").and_then(Value::as_str);
        match (written, written.and_then(|end| end.parse::<Timestamp>().ok())) {
            (_, Some(end)) if end.as_millisecond() <= now => steps.over.push(place),
            (None, _) => steps.ended.push(place),
            (Some(_), Some(end)) if end > until => steps.ended.push(place),
            (Some(_), _) => steps.kept += 1,
        }
    }
    steps
}

/// Edits the file in which the digests stand.
fn rotate(
    pointer: &str,
    loaded: &Loaded,
    source: &Source,
    (hashes, steps): (&[Value], &Steps),
    (digest, until): (Digest, Timestamp),
) -> Result<Rotated, CommandError> {
    let file = loaded.spans.own(pointer).and_then(|place| loaded.sources.0.get(place.file));
    let path = file.map(|file| file.path.clone()).ok_or_else(|| CommandError::failure("the key's digests stand in no file"))?;
    if path == Path::new(STDIN) {
        return Err(CommandError::usage("standard input is no file that could be written").hint("name the spec's file with -f"));
    }
    let failed = |error: io::Error| CommandError::failure(format!("cannot read {}: {error}", path.display()));
    let bytes = source.files.read(&path).map_err(failed)?;
    let before = String::from_utf8(bytes).map_err(|_| CommandError::failure(format!("{} has changed meanwhile", path.display())))?;
    let refused = |error: EditError| {
        CommandError::failure(format!("cannot edit `virtual_keys` in {}: {error}", path.display())).hint(format!(
            "edit it by hand: add {{sha256: \"{digest}\"}}, whose secret `bifrostctl key new` makes; or run `bifrostctl fmt` first"
        ))
    };
    let mut after =
        edit::insert(&before, &format!("{pointer}/{}", hashes.len()), &json!({"sha256": digest.to_string()})).map_err(refused)?;
    let until = json!(until.to_string());
    for place in &steps.ended {
        let end = format!("{pointer}/{place}/not_after");
        let written = hashes.get(*place).is_some_and(|hash| hash.get("not_after").is_some());
        after = if written { edit::replace(&after, &end, &until) } else { edit::insert(&after, &end, &until) }.map_err(refused)?;
    }
    for place in steps.over.iter().rev() {
        after = edit::remove(&after, &format!("{pointer}/{place}")).map_err(refused)?;
    }
    Ok(Rotated { path, before, after })
}

/// The disk, with one file as it would be.
struct With<'a> {
    files: &'a Inflow,
    rotated: &'a Rotated,
}

impl Files for With<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.rotated.path { Ok(self.rotated.after.clone().into_bytes()) } else { self.files.read(path) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.files.list(dir)
    }
}

/// Checks the spec with the change.
fn recheck(source: &Source, rotated: &Rotated, context: &Context<'_>) -> Result<(), CommandError> {
    let files = With { files: &source.files, rotated };
    let inputs = Inputs { files: &files, paths: &source.paths, env: &NoEnvironment, strict_env: false };
    check(&inputs).map(drop).map_err(|rejected| refused(&format!("{} with the new digest", source.name()), &rejected, context))
}

/// Shows the lines that change.
fn show(rotated: &Rotated, context: &mut Context<'_>) {
    let name = visible(&rotated.path.display().to_string());
    let diff = TextDiff::from_lines(&rotated.before, &rotated.after);
    let text = diff.unified_diff().context_radius(0).missing_newline_hint(false).header(&name, &name).to_string();
    for line in spec::masked(&text).lines() {
        context.note(&visible(line));
    }
}

/// Gets an answer to whether the file may be written.
fn agree(args: &Args, rotated: &Rotated, context: &mut Context<'_>) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    let name = rotated.path.display().to_string();
    if !context.can_ask() {
        return Err(CommandError::usage(format!("this writes {name}, and nobody can be asked here"))
            .hint("agree to it with --yes, or look only with --dry-run"));
    }
    if runtime::block_on(async { Ok(prompt::confirm(context, &format!("Write this to {name}?")).await) })? {
        return Ok(());
    }
    Err(CommandError::failure("nothing was written"))
}

fn outcome(args: &Args, rotated: &Rotated, steps: &Steps, (digest, until): (Digest, Timestamp)) -> Outcome {
    let mut parts = vec!["1 digest added".to_owned()];
    if !steps.ended.is_empty() {
        parts.push(format!("{} until {until}", count(steps.ended.len(), "older one")));
    }
    if steps.kept > 0 {
        parts.push(format!("{} with the end that was written", count(steps.kept, "older one")));
    }
    if !steps.over.is_empty() {
        parts.push(format!("{} that was over removed", count(steps.over.len(), "digest")));
    }
    let result = json!({
        "name": args.name, "file": rotated.path.display().to_string(), "sha256": digest.to_string(), "not_after": until.to_string(),
        "ended": steps.ended.len(), "kept": steps.kept, "removed": steps.over.len(), "written": !args.dry_run,
    });
    Outcome::ok(format!("{}: `{}`: {}", rotated.path.display(), args.name, parts.join(", "))).result(result)
}

/// Hands the secret over, now that the spec knows it.
fn hand_over(args: &Args, secret: &Secret<String>, outcome: Outcome, context: &mut Context<'_>) -> Outcome {
    let outcome = outcome.hint("a running gateway takes it once it has the file: it watches it, or `bifrostctl apply`");
    match &args.out_secret {
        Some(path) => {
            context.note(&format!("The key is in {}; it is stored nowhere else.", path.display()));
            outcome
        }
        None => {
            context.note("The key is printed this once and stored nowhere.");
            let mut result = outcome.result.clone();
            if let Some(result) = result.as_object_mut() {
                result.insert("secret".to_owned(), json!(secret.expose()));
            }
            outcome.result(result).text(format!("{}\n", secret.expose()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_set_kept_and_removed_by_the_clock() {
        let hashes = [
            json!({"sha256": "a"}),
            json!({"sha256": "b", "not_after": "2027-01-15T07:59:59Z"}),
            json!({"sha256": "c", "not_after": "2027-01-15T08:00:00Z"}),
            json!({"sha256": "d", "not_after": "2027-01-16T00:00:00Z"}),
            json!({"sha256": "e", "not_after": "2030-01-01T00:00:00Z"}),
            json!({"sha256": "f", "not_after": "${env:END}"}),
        ];
        let now = 1_800_000_000_000; // 2027-01-15T08:00:00Z
        let until = end(now, Span::from_secs(7 * 86_400)).unwrap();
        assert_eq!(until.to_string(), "2027-01-22T08:00:00Z");
        assert_eq!(steps(&hashes, now, until), Steps { ended: vec![0, 4], over: vec![1, 2], kept: 2 });
    }

    #[test]
    fn an_end_is_a_whole_second_and_never_too_early() {
        assert_eq!(end(1_800_000_000_001, Span::from_secs(1)).unwrap().to_string(), "2027-01-15T08:00:02Z");
        assert_eq!(end(u64::MAX, Span::from_secs(1)).unwrap_err().exit, crate::cli::exit::Exit::Usage);
    }
}
