//! Which files an apply may write. Decides; the file system is asked through an argument.
//!
//! Rule: a file of the running spec may change. A file that is new to the spec may be made where nothing stands yet, below the
//! spec's directory, with the name of a spec or a prompt. Nothing hidden, nothing above, nothing elsewhere: whoever may apply a spec
//! must not be able to write a script, a key or a Git hook.

use std::path::{Component, Path};

use super::write::Change;
use crate::control::origin::{Origin, Texts};

/// What new files of a spec may end with: specs and prompt templates.
const NEW: [&str; 8] = ["yaml", "yml", "md", "txt", "j2", "jinja", "jinja2", "prompt"];

/// A file that may not be written, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} may not be written through the admin API: {why}")]
pub(in crate::control) struct Refused {
    /// The file, as it was posted.
    pub(in crate::control) name: String,
    why: &'static str,
}

/// Returns what makes the files on the disk hold what `next` says. `is_known` tells the files that the running spec has or would take
/// in; `standing` names what the next spec's patterns would find on the disk; `disk` reads it.
///
/// # Errors
/// [`Refused`] for the first file that may not be written.
pub(in crate::control) fn changes(
    origin: &Origin,
    next: &Texts,
    is_known: impl Fn(&str) -> bool,
    standing: &[String],
    disk: impl Fn(&Path) -> Option<Vec<u8>>,
) -> Result<Vec<Change>, Refused> {
    let mut changes = Vec::new();
    for (name, text) in &next.files {
        let path = origin.path(name);
        let there = disk(&path);
        if there.as_deref() == Some(text.as_bytes()) {
            continue;
        }
        if let Some(why) = plain(name).or_else(|| if is_known(name) { None } else { new(name, there.is_some()) }) {
            return Err(Refused { name: name.clone(), why });
        }
        changes.push(Change::Write(path, text.clone()));
    }
    // What would be read again goes. What was never the gateway's stays; the load that follows then says that it is in the way.
    let gone = standing.iter().filter(|name| !next.files.contains_key(*name) && is_known(name) && plain(name).is_none());
    changes.extend(gone.map(|name| Change::Remove(origin.path(name))));
    Ok(changes)
}

/// Says what is wrong with a name.
fn plain(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.chars().any(char::is_control) || name.contains('\\') {
        return Some("it has no usable name");
    }
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) if part.to_string_lossy().starts_with('.') => return Some("its name is hidden"),
            Component::Normal(_) => {}
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
                return Some("it is not below the directory of the spec");
            }
        }
    }
    None
}

/// Says what is wrong with a file that the running spec does not have.
fn new(name: &str, exists: bool) -> Option<&'static str> {
    if exists {
        return Some("it exists and is not a file of the running spec");
    }
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| NEW.contains(&ending)) {
        None
    } else {
        Some("a new file must be a spec (.yaml) or a prompt (.md, .txt, .j2)")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    /// The running spec is what is on the disk, and takes in what stands in `teams`.
    fn decide(disk: Files<'_>, standing: &[&str], next: Files<'_>) -> Result<Vec<Change>, Refused> {
        let origin = Origin::new(&[PathBuf::from("/etc/b/gateway.yaml")]);
        let known = |name: &str| name.starts_with("teams/") || (name != "taken.yaml" && disk.iter().any(|(known, _)| *known == name));
        let read = |path: &Path| {
            let (_, text) = disk.iter().find(|(name, _)| origin.path(name) == path)?;
            Some(text.as_bytes().to_vec())
        };
        let next = Texts {
            files: next.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
            paths: vec!["gateway.yaml".to_owned()],
        };
        let standing: Vec<String> = standing.iter().map(|name| (*name).to_owned()).collect();
        changes(&origin, &next, known, &standing, read)
    }

    #[test]
    fn only_what_differs_is_written_and_only_what_would_be_read_again_is_removed() {
        let disk = [("gateway.yaml", "a"), ("teams/x.yaml", "x"), ("teams/y.yaml", "y"), ("prompts/old.md", "o")];
        let next = [("gateway.yaml", "b"), ("teams/x.yaml", "x"), ("teams/z.yaml", "z")];
        let expected = [
            Change::Write("/etc/b/gateway.yaml".into(), "b".to_owned()),
            Change::Write("/etc/b/teams/z.yaml".into(), "z".to_owned()),
            Change::Remove("/etc/b/teams/y.yaml".into()),
        ];
        assert_eq!(decide(&disk, &["teams/x.yaml", "teams/y.yaml"], &next).unwrap(), expected);
        assert_eq!(decide(&disk, &["teams/x.yaml", "teams/y.yaml"], &disk).unwrap(), []);
    }

    #[test]
    fn a_pattern_that_takes_in_what_was_never_the_gateways_removes_nothing() {
        let disk = [("gateway.yaml", "a"), ("taken.yaml", "not ours")];
        assert_eq!(decide(&disk, &["taken.yaml"], &[("gateway.yaml", "a")]).unwrap(), []);
    }

    #[test]
    fn nothing_but_the_spec_can_be_written() {
        let bad = [
            "../outside.yaml",
            "teams/../../outside.yaml",
            "/etc/passwd",
            "/etc/b/new.yaml",
            ".git/config",
            ".git/hooks/x.yaml",
            ".env",
            "deploy.sh",
            "Makefile",
            "taken.yaml",
            "",
            "a\nb.yaml",
            "..",
            "teams\\x.yaml",
            "teams/.hidden.yaml",
        ];
        let disk = [("gateway.yaml", "a"), ("taken.yaml", "not ours")];
        for name in bad {
            assert!(decide(&disk, &[], &[("gateway.yaml", "a"), (name, "evil")]).is_err(), "{name}");
        }
        for name in ["teams/new.yaml", "prompts/a.md", "p.j2", "deep/er/x.yml"] {
            assert!(decide(&disk, &[], &[("gateway.yaml", "a"), (name, "fine")]).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_file_of_the_running_spec_that_stands_elsewhere_may_stay_but_not_change() {
        let shared = "/run/shared.yaml";
        assert_eq!(decide(&[(shared, "a")], &[], &[(shared, "a")]).unwrap(), []);
        assert!(decide(&[(shared, "a")], &[], &[(shared, "b")]).is_err());
    }
}
