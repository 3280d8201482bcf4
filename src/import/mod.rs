//! Configurations of other gateways as specs: LiteLLM's, Bifrost's and Portkey's.
//!
//! Not a proof that two gateways behave alike. Rules: the result is a spec that validates, or says what keeps it from that; each value of the
//! source is carried over or told of; a secret is neither written nor shown.
//!
//! A file becomes a tree with places (`tree`), one folder for each source reads it into a spec (`draft`) and findings (`finding`), and the two
//! are written as one file with comments (`emit`).

mod address;
mod amount;
mod bifrost;
mod draft;
mod emit;
mod finding;
mod header;
mod keys;
mod litellm;
mod portkey;
mod price;
mod secret;
mod server;
mod tree;
mod weight;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use finding::{Class, Finding};
pub use tree::Place;

use crate::plan;
use crate::spec::{self, Document, Environment, Files, Inputs, Memory, Rejected, Severity};
use tree::Tree;

/// Whose configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// LiteLLM's `config.yaml`.
    Litellm,
    /// Bifrost's `config.json`.
    Bifrost,
    /// A gateway config of Portkey's.
    Portkey,
}

impl Peer {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Litellm, Self::Bifrost, Self::Portkey];

    /// Returns the name that the command line takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Litellm => "litellm",
            Self::Bifrost => "bifrost",
            Self::Portkey => "portkey",
        }
    }

    /// Returns what its file is mostly called.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Litellm => "config.yaml",
            Self::Bifrost | Self::Portkey => "config.json",
        }
    }

    /// Returns the name that people know it by.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Litellm => "LiteLLM",
            Self::Bifrost => "Bifrost",
            Self::Portkey => "Portkey",
        }
    }

    const fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Litellm => &litellm::MARKS,
            Self::Bifrost => &bifrost::MARKS,
            Self::Portkey => &portkey::MARKS,
        }
    }
}

/// A configuration that was carried over.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The spec.
    pub spec: Value,
    /// The spec as a file, with comments where something is only nearly the same, or left to do.
    pub yaml: String,
    /// What became of each value, in the order of the source.
    pub findings: Vec<Finding>,
}

impl Imported {
    /// Counts the findings of a class.
    pub fn count(&self, class: Class) -> usize {
        self.findings.iter().filter(|it| it.class == class).count()
    }
}

/// Why a file was not carried over.
#[derive(Debug, Clone)]
pub enum Unread {
    /// It, or a file that it includes, is no YAML or JSON that can be read. No report of it shows a value.
    Rejected(Box<Rejected>),
    /// It is something else.
    NotOf {
        /// The members by which such a file is known.
        marks: &'static [&'static str],
        /// Whose it looks like.
        rather: Option<Peer>,
    },
}

/// Carries a configuration over. Reads files through `files` alone, and no secret.
///
/// # Errors
/// [`Unread`].
pub fn import(peer: Peer, files: &dyn Files, path: &Path) -> Result<Imported, Unread> {
    let tree = read(peer, files, path)?;
    let draft = match peer {
        Peer::Litellm => litellm::import(&tree),
        Peer::Bifrost => bifrost::import(&tree),
        Peer::Portkey => portkey::import(&tree, path),
    };
    let (spec, mut findings) = draft.finish();
    findings.rest(tree.root());
    let value = emit::value(&spec);
    let mut findings = findings.finish();
    let yaml = emit::yaml(&value, "", &findings);
    findings.extend(wrong(&yaml));
    let head = head(peer, path, &findings);
    let yaml = emit::yaml(&value, &head, &findings);
    // So that `fmt --check` has nothing to say about it.
    let yaml = spec::format(&yaml).unwrap_or(yaml);
    Ok(Imported { spec: value, yaml, findings })
}

/// Reads the file and what it includes.
fn read(peer: Peer, files: &dyn Files, path: &Path) -> Result<Tree, Unread> {
    let rejected = |rejected| Unread::Rejected(Box::new(rejected));
    let document = spec::document(files, path).map_err(rejected)?;
    let has = |peer: Peer| document.value.as_object().is_some_and(|it| peer.marks().iter().any(|mark| it.contains_key(*mark)));
    if !has(peer) {
        let rather = Peer::ALL.into_iter().find(|other| has(*other));
        return Err(Unread::NotOf { marks: peer.marks(), rather });
    }
    let mut tree = Tree::new(&document);
    if peer == Peer::Litellm {
        for included in includes(&document, path) {
            tree.include(&spec::document(files, &included).map_err(rejected)?);
        }
    }
    Ok(tree)
}

/// Lists the files that a configuration of LiteLLM's includes: relative to itself, and none of their own.
fn includes(document: &Document, path: &Path) -> Vec<PathBuf> {
    let listed = document.value.get("include").and_then(Value::as_array);
    let beside = path.parent().unwrap_or_else(|| Path::new(""));
    listed.into_iter().flatten().filter_map(Value::as_str).map(|name| spec::tidy(&beside.join(name))).collect()
}

/// An environment of which nothing is known.
struct Unknown;

impl Environment for Unknown {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

/// Checks the result as `validate` does, and makes what is wrong with it a finding.
fn wrong(yaml: &str) -> Vec<Finding> {
    let path = PathBuf::from("gateway.yaml");
    let files = Memory(BTreeMap::from([(path.clone(), yaml.as_bytes().to_vec())]));
    let inputs = Inputs { files: &files, paths: std::slice::from_ref(&path), env: &Unknown, strict_env: false };
    let found = match spec::load(&inputs) {
        Err(rejected) => rejected.diagnostics,
        Ok(loaded) => plan::compile(&loaded).err().unwrap_or_default(),
    };
    let errors = found.into_iter().filter(|it| it.severity == Severity::Error);
    let finding = |it: spec::Diagnostic| Finding {
        class: Class::Manual,
        pointer: String::new(),
        path: String::new(),
        place: None,
        became: it.pointer.clone().or_else(|| Some("/providers".to_owned())),
        why: format!("the result is not valid here yet: {} ({})", it.message, it.code),
    };
    errors.map(finding).collect()
}

/// Says at the top of the file where it comes from, and what is left to do that has no place in it.
fn head(peer: Peer, path: &Path, findings: &[Finding]) -> String {
    let count = |class: Class| findings.iter().filter(|it| it.class == class).count();
    let counts: Vec<String> = Class::ALL.into_iter().map(|class| format!("{} {}", count(class), class.word())).collect();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = tree::shown(&name);
    let mut head = format!("# From {}'s {name}: {}.\n", peer.title(), counts.join(", "));
    let left = findings.iter().filter(|it| it.class == Class::Manual && it.became.is_none());
    let mut said: Vec<(&Finding, usize)> = Vec::new();
    for finding in left.filter(|it| !it.why.is_empty()) {
        match said.iter_mut().find(|(first, _)| first.why == finding.why) {
            Some((_, more)) => *more += 1,
            None => said.push((finding, 0)),
        }
    }
    for (finding, more) in said {
        let at = finding.place.as_ref().map_or_else(String::new, |place| format!(" (line {})", place.line));
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        for line in emit::broken(&format!("to do: `{}`{at}{more}: {}", finding.path, finding.why), 108) {
            head.push_str("# ");
            head.push_str(&line);
            head.push('\n');
        }
    }
    head
}
