//! One layer of the spec: a file of the command line and what it includes.
//!
//! Included files add to one another and never override: maps of names are united, every other section stands in one file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::mask;
use super::node::{Entry, Kind, Node, shown};
use super::parse;
use super::read::{Reading, tidy, unreadable};
use super::shape::shape;
use crate::base::glob;
use crate::spec::codes;
use crate::spec::{Diagnostic, Location};

/// Most entries of `include`; each may list a directory.
const LIST_LIMIT: usize = 1_000;

/// Reads a file of the command line and everything that it includes. `mains` are all files of the command line.
pub(super) fn layer(reading: &mut Reading<'_>, path: &Path, mains: &[PathBuf]) -> Option<Node> {
    let index = reading.open(path, None)?;
    let mut root = file(reading, index)?;
    let mut included: Vec<usize> = Vec::new();
    if let Some(list) = root.remove("include") {
        for (pattern, at) in patterns(reading, &list) {
            for path in paths(reading, index, &pattern, at, mains) {
                let opened = reading.open(&path, Some(at));
                included.extend(opened.filter(|index| !included.contains(index)));
            }
        }
    }
    for index in included {
        if let Some(more) = file(reading, index) {
            unite(&mut root, more, reading);
        }
    }
    Some(root)
}

/// Parses one file; reports one that is not a map.
pub(super) fn file(reading: &mut Reading<'_>, index: usize) -> Option<Node> {
    let text = reading.source(index).map(|source| source.text.clone()).unwrap_or_default();
    let before = reading.found.len();
    let parsed = parse::parse(&text, index, &mut reading.found);
    // What stands beside a key that was dropped is judged by nobody further on.
    let dropped = |problem: &Diagnostic| [codes::DUPLICATE_KEY, codes::KEY_NOT_TEXT].contains(&problem.code);
    if (parsed.is_none() || reading.found.iter().skip(before).any(dropped))
        && let Some(source) = reading.sources.0.get_mut(index)
    {
        source.redacted.extend(mask::unread(&text));
    }
    let Some(root) = parsed else {
        reading.incomplete = true;
        return None;
    };
    if !matches!(root.kind, Kind::Map(_)) {
        let problem = Diagnostic::error(codes::NOT_A_SPEC, "a spec is a map of sections").at(Some(root.at));
        reading.refuse(problem.help("begin with `version: 1` and `providers:`"));
        return None;
    }
    Some(root)
}

fn invalid(reading: &mut Reading<'_>, at: Location, message: &str, help: &str) {
    reading.refuse(Diagnostic::error(codes::INCLUDE_INVALID, message).at(Some(at)).help(help));
}

/// Checks the list itself and returns its patterns.
fn patterns(reading: &mut Reading<'_>, list: &Entry) -> Vec<(String, Location)> {
    let Kind::List(nodes) = &list.node.kind else {
        invalid(reading, list.node.at, "`include` is a list of paths", "write `include: [teams/*.yaml]`");
        return Vec::new();
    };
    if let Some(first) = nodes.get(LIST_LIMIT) {
        invalid(reading, first.at, "more than 1,000 entries", "name several files with `*`");
    }
    let mut patterns = Vec::new();
    for node in nodes.iter().take(LIST_LIMIT) {
        match node.text() {
            Some(text) if text.contains("${") => {
                invalid(
                    reading,
                    node.at,
                    "interpolation is not possible in `include`",
                    "choose with an overlay on the command line instead",
                );
            }
            Some(text) if !text.is_empty() => patterns.push((text.to_owned(), node.at)),
            _ => invalid(reading, node.at, "an entry of `include` is a path", "write `include: [teams/*.yaml]`"),
        }
    }
    patterns
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Finds the files of one pattern, sorted by name.
fn paths(reading: &mut Reading<'_>, index: usize, pattern: &str, at: Location, mains: &[PathBuf]) -> Vec<PathBuf> {
    let is_main = |path: &Path| mains.iter().any(|main| tidy(main) == path);
    let path = reading.beside(index, pattern);
    let (folder, name) = match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) => (folder.to_owned(), name.to_owned()),
        _ => (PathBuf::new(), pattern.to_owned()),
    };
    if has_wildcard(&folder.to_string_lossy()) {
        invalid(reading, at, "only the file name may hold `*` and `?`", "list the directories one by one");
        return Vec::new();
    }
    if !has_wildcard(&name) {
        if is_main(&path) {
            invalid(reading, at, "the spec includes a file of its own command line", "remove the entry");
            return Vec::new();
        }
        return vec![path];
    }
    let names = match reading.files.list(&folder) {
        Ok(names) => names,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
        Err(error) => {
            reading.refuse(unreadable(&folder, &error).at(Some(at)));
            return Vec::new();
        }
    };
    let mut found: Vec<PathBuf> = names
        .iter()
        .filter_map(|found| found.to_str())
        // As in a shell, hidden files are named openly.
        .filter(|found| glob::matches(&name, found) && (name.starts_with('.') || !found.starts_with('.')))
        .map(|found| tidy(&folder.join(found)))
        .filter(|path| !is_main(path))
        .collect();
    found.sort();
    if found.is_empty() {
        let problem = Diagnostic::warning(codes::INCLUDE_NOTHING, format!("no file matches `{}`", shown(&path.to_string_lossy())));
        reading.found.push(problem.at(Some(at)).help("the path is relative to the file that includes"));
    }
    found
}

/// Adds an included file's sections.
fn unite(root: &mut Node, more: Node, reading: &mut Reading<'_>) {
    let Kind::Map(sections) = more.kind else { return };
    let Kind::Map(known) = &mut root.kind else { return };
    for section in sections {
        if matches!(section.name.as_str(), "version" | "include") {
            let message = format!("`{}` belongs in the file that includes this one", section.name);
            reading.found.push(Diagnostic::error(codes::INCLUDE_NESTED, message).at(Some(section.at)).help("remove it here"));
            continue;
        }
        match known.iter_mut().find(|known| known.name == section.name) {
            None => known.push(section),
            Some(first) => add(first, section, &mut reading.found),
        }
    }
}

fn add(first: &mut Entry, second: Entry, found: &mut Vec<Diagnostic>) {
    let named = shape().top().member(&first.name).is_named();
    match (&mut first.node.kind, second.node.kind) {
        (Kind::Map(known), Kind::Map(more)) if named => {
            let places: HashMap<String, Location> = known.iter().map(|known| (known.name.clone(), known.at)).collect();
            for entry in more {
                if let Some(place) = places.get(&entry.name) {
                    let message = format!("`{}.{}` stands in two files", first.name, shown(&entry.name));
                    let problem = Diagnostic::error(codes::NAME_TWICE, message).at(Some(entry.at)).related(*place, "first here");
                    found.push(problem.help("remove or rename one of them; to override, use an overlay"));
                } else {
                    known.push(entry);
                }
            }
        }
        _ => {
            let message = format!("`{}` stands in two files", first.name);
            let problem = Diagnostic::error(codes::SECTION_TWICE, message).at(Some(second.at)).related(first.at, "first here");
            found.push(problem.help("keep the section in one file"));
        }
    }
}
