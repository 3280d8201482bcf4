//! Prompt templates that models name as files.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::node::{Kind, Node};
use super::read::Reading;

/// Reads every `models.*.prompt.system.file`. Afterwards the spec names each relative to its first file, wherever it was named.
pub(super) fn read(root: &mut Node, reading: &mut Reading<'_>) -> BTreeMap<String, String> {
    let mut prompts = BTreeMap::new();
    let base = reading.source(0).and_then(|source| source.path.parent()).map(Path::to_owned).unwrap_or_default();
    for model in children(root, "models") {
        let system = child(&mut model.node, "prompt").and_then(|prompt| child(prompt, "system"));
        // What says both `file` and `text` is wrong as it is.
        let Some(file) = system.filter(|system| system.entries().len() == 1).and_then(|system| child(system, "file")) else { continue };
        let Some(name) = file.text().map(str::to_owned).filter(|_| !file.doubtful) else { continue };
        let path = reading.beside(file.at.file, &name);
        let Some(index) = reading.open(&path, Some(file.at)) else { continue };
        let shown = if file.at.file == 0 { name } else { relative(&base, &path) };
        if let Kind::Scalar(scalar) = &mut file.kind {
            scalar.value = Value::String(shown.clone());
        }
        prompts.entry(shown).or_insert_with(|| reading.source(index).map(|source| source.text.clone()).unwrap_or_default());
    }
    prompts
}

fn children<'n>(node: &'n mut Node, name: &str) -> &'n mut [super::node::Entry] {
    match child(node, name).map(|node| &mut node.kind) {
        Some(Kind::Map(entries)) => entries,
        Some(Kind::Scalar(_) | Kind::List(_)) | None => &mut [],
    }
}

fn child<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.name == name).map(|entry| &mut entry.node),
        Kind::Scalar(_) | Kind::List(_) => None,
    }
}

/// Writes `path` as seen from `base`; both are relative to the same directory, or absolute.
fn relative(base: &Path, path: &Path) -> String {
    let (base, path): (Vec<Component<'_>>, Vec<Component<'_>>) = (base.components().collect(), path.components().collect());
    let common = base.iter().zip(&path).take_while(|(a, b)| a == b).count();
    if path.first() == Some(&Component::RootDir) && common == 0 {
        return path.iter().collect::<PathBuf>().display().to_string();
    }
    let up = base.iter().skip(common).map(|_| Component::ParentDir);
    up.chain(path.iter().skip(common).copied()).collect::<PathBuf>().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_seen_from_the_first_file() {
        for (base, path, expected) in [
            ("", "teams/p.j2", "teams/p.j2"),
            ("conf", "conf/teams/p.j2", "teams/p.j2"),
            ("conf", "p.j2", "../p.j2"),
            ("conf", "/etc/p.j2", "/etc/p.j2"),
        ] {
            assert_eq!(relative(Path::new(base), Path::new(path)), expected);
        }
    }
}
