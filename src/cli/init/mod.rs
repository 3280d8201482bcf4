//! `init`: the files to start from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::context::{Context, DEFAULT_FILE};
use super::exit::CommandError;
use super::import;
use super::key::new::{generate, write_secret};
use super::output::{Format, Outcome};
use super::virtual_key;
use crate::base::Secret;
use crate::catalog::{self, Cloud};
use crate::import::{Imported, Peer};
use crate::spec::{self, Api};

/// Writes a commented gateway.yaml, a CI workflow and a .gitignore to start from.
///
/// The spec holds the digest of a fresh virtual key; the key itself is printed once, on standard output.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to write; created when missing.
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Takes what the spec says from somewhere: `env` looks for the API keys of known providers in the environment, `litellm`,
    /// `bifrost` and `portkey` import another gateway's configuration [default FILE: config.yaml, config.json].
    #[arg(long, num_args = 1..=2, value_names = ["SOURCE", "FILE"])]
    from: Vec<String>,
    /// Overwrites files that exist already.
    #[arg(long)]
    force: bool,
    /// Writes the virtual key to a new file that only you can read, instead of standard output.
    #[arg(long, value_name = "PATH")]
    out_secret: Option<PathBuf>,
}

/// Where what the spec says is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    /// The environment.
    Env,
    /// Another gateway's configuration.
    Peer(Peer, PathBuf),
}

impl From {
    /// Reads `--from SOURCE [FILE]`. None where it was not given.
    fn read(words: &[String]) -> Result<Option<Self>, CommandError> {
        let [source, rest @ ..] = words else { return Ok(None) };
        let file = rest.first().map(PathBuf::from);
        if source == "env" {
            return match file {
                None => Ok(Some(Self::Env)),
                Some(_) => {
                    Err(CommandError::usage("`--from env` takes no file")
                        .hint("name the directory before it: bifrostctl init DIR --from env"))
                }
            };
        }
        let Some(peer) = Peer::ALL.into_iter().find(|peer| peer.name() == source) else {
            let known: Vec<&str> = std::iter::once("env").chain(Peer::ALL.into_iter().map(Peer::name)).collect();
            return Err(CommandError::usage(format!("there is no source `{source}`")).hint(format!("expected one of {}", known.join(", "))));
        };
        Ok(Some(Self::Peer(peer, file.unwrap_or_else(|| PathBuf::from(peer.file())))))
    }
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl init
  bifrostctl init --from env                      # the providers whose API keys are set here
  bifrostctl init infra/gateway --from litellm litellm/config.yaml
  bifrostctl init infra/gateway --out-secret ~/.bifrost-key
  export BIFROST_KEY=$(bifrostctl init)";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

const WORKFLOW: &str = ".github/workflows/gateway.yaml";
const WORKFLOW_TEXT: &str = include_str!("workflow.yaml");
const SPEC_TEXT: &str = include_str!("gateway.yaml");
const IGNORED: [&str; 3] = ["/.bifrost/", "*.key", ".env"];
const MOCK: &str = "  mock: {}                         # built in: answers offline. Remove it when you have a real provider\n";
const OPENAI: &str =
    "  openai:                          # a known name needs only a key; `optional` = out of use while the variable is not set
    credentials:
      default: {secret: {env: OPENAI_API_KEY}, optional: true}
";
const OTHERS: &str = "  # Any OpenAI-compatible server:
  # local-vllm:
  #   api: openai-chat
  #   base_url: http://127.0.0.1:8000/v1
  #   credentials: {default: {secret: none}}
";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let spec = args.dir.join(DEFAULT_FILE);
    let workflow = args.dir.join(WORKFLOW);
    if !args.force {
        refuse_to_overwrite(&[&spec, &workflow])?;
    }
    let start = match From::read(&args.from)? {
        Some(From::Env) => Start::Providers(from_env(context)?),
        Some(From::Peer(peer, file)) => Start::Imported(import::read(peer, &file, context)?),
        None => Start::Providers(vec![("openai".to_owned(), OPENAI.to_owned())]),
    };
    let key = generate()?;
    let digest = virtual_key::digest(key.expose()).to_string();
    let (text, has_key) = start.text(&digest);
    if let Start::Imported(imported) = &start {
        let report = import::report::Report { imported, verbose: context.global.verbose };
        context.note(&format!("{}{}", report.human(false), report.summary()));
    }
    if let Some(path) = args.out_secret.as_ref().filter(|_| has_key) {
        write_secret(path, &key)?;
    }
    write(&spec, &text)?;
    write(&workflow, WORKFLOW_TEXT)?;
    let ignore = args.dir.join(".gitignore");
    extend_ignore(&ignore)?;
    let files = [&spec, &workflow, &ignore].map(|path| path.display().to_string());
    let outcome = Outcome::ok(format!("wrote {}", files.join(", ")));
    let outcome = if has_key { told(args, (&key, &digest), files, outcome, context) } else { outcome.result(json!({"files": files})) };
    let at = if args.dir == Path::new(".") { String::new() } else { format!("cd {} && ", args.dir.display()) };
    let outcome = outcome.hint(format!("{at}bifrostctl serve"));
    Ok(match start {
        Start::Providers(_) => outcome.hint("then, elsewhere: BIFROST_KEY=<the key> bifrostctl chat --model fast \"hi\""),
        Start::Imported(_) => outcome.hint("what is `manual` in its comments is left to you"),
    })
}

/// Says where the fresh key is: on standard output, or in its file.
fn told(args: &Args, (key, digest): (&Secret<String>, &str), files: [String; 3], outcome: Outcome, context: &mut Context<'_>) -> Outcome {
    let mut result = json!({"files": files, "key": {"name": "default", "sha256": digest}});
    let outcome = match &args.out_secret {
        Some(path) => {
            context.note(&format!("The virtual key `default` is in {}; it is stored nowhere else.", path.display()));
            outcome
        }
        None => {
            if let Some(secret) = result.pointer_mut("/key").and_then(|key| key.as_object_mut()) {
                secret.insert("secret".to_owned(), json!(key.expose()));
            }
            context.note("The virtual key `default` is printed this once; the spec holds only its digest.");
            outcome.text(format!("{}\n", key.expose()))
        }
    };
    outcome.result(result)
}

/// What the spec starts from.
enum Start {
    /// Providers by their names, as YAML.
    Providers(Vec<(String, String)>),
    /// Another gateway's configuration.
    Imported(Imported),
}

impl Start {
    /// Returns the spec, and whether a fresh key is in it: clients of another gateway keep theirs.
    fn text(&self, digest: &str) -> (String, bool) {
        match self {
            Self::Providers(found) => (spec_text(found, digest), true),
            Self::Imported(imported) if imported.spec.get("virtual_keys").is_some() => (imported.yaml.clone(), false),
            Self::Imported(imported) => {
                let key = format!("\nvirtual_keys:\n  default:\n    hashes: [{{sha256: \"{digest}\"}}]\n    models: [\"*\"]\n");
                // Behind what was imported, it may not stand where the layout wants it.
                let text = format!("{}{key}", imported.yaml);
                (spec::format(&text).unwrap_or(text), true)
            }
        }
    }
}

/// Finds the presets whose documented variable is set. Its value is looked at for being there, and no further.
fn from_env(context: &Context<'_>) -> Result<Vec<(String, String)>, CommandError> {
    let mut found = Vec::new();
    // Regions of one provider share a variable; the first of them is taken.
    let mut seen = BTreeSet::new();
    for (name, preset) in catalog::presets() {
        let Some(variable) = preset.env.as_ref().filter(|variable| context.io.variable(variable).is_some()) else {
            continue;
        };
        if !seen.insert(variable) {
            continue;
        }
        let address = match (&preset.base_url, preset.api) {
            (Some(_), _) => "",
            (None, Api::Bedrock) => "    region: us-east-1   # or where your models are\n",
            (None, Api::Gemini | Api::Anthropic) if preset.cloud == Some(Cloud::Vertex) => {
                "    project: fill-in\n    location: global   # or where your models are\n"
            }
            // Some providers have an address of their own for every customer; the user must fill that in.
            (None, Api::OpenaiChat | Api::Anthropic | Api::Gemini | Api::Cohere | Api::Ollama) => {
                "    base_url: https://FILL-IN   # every installation has its own\n"
            }
        };
        let proof = match preset.cloud {
            Some(Cloud::Vertex) => "google: environment".to_owned(),
            Some(Cloud::AzureClassic) | None => format!("secret: {{env: {variable}}}"),
        };
        let entry = format!("  {name}:\n{address}    credentials:\n      default: {{{proof}}}\n");
        found.push((name.clone(), entry));
    }
    if found.is_empty() {
        return Err(CommandError::failure("no API key of a known provider is set in the environment")
            .hint("set one, such as OPENAI_API_KEY, or leave --from out"));
    }
    Ok(found)
}

fn spec_text(found: &[(String, String)], digest: &str) -> String {
    let entries: String = found.iter().map(|(_, entry)| entry.as_str()).collect();
    let models: Vec<String> = found.iter().map(|(name, _)| format!("\"{name}/*\"")).collect();
    SPEC_TEXT
        .replace("{{providers}}\n", &format!("{MOCK}{entries}{OTHERS}\n"))
        .replace("{{target}}", "mock/mock-small")
        .replace("{{models}}", &models.join(", "))
        .replace("{{sha256}}", digest)
}

fn refuse_to_overwrite(paths: &[&Path]) -> Result<(), CommandError> {
    match paths.iter().find(|path| path.exists()) {
        Some(path) => {
            Err(CommandError::usage(format!("{} exists already", path.display()))
                .hint("overwrite it with --force, or name another directory"))
        }
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| CommandError::failure(format!("cannot write {}: {error}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// Adds the lines that are missing; what stands in the file already stays.
fn extend_ignore(path: &Path) -> Result<(), CommandError> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(CommandError::failure(format!("cannot read {}: {error}", path.display()))),
    };
    let mut text = before.clone();
    for line in IGNORED {
        if !before.lines().any(|present| present.trim() == line) {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    if text == before { Ok(()) } else { write(path, &text) }
}
