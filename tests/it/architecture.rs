//! The house rules that the compiler does not check: the rank of modules, the length of files, where things may stand.
//!
//! The map is the table in the crate doc of `src/lib.rs`. Because a module may use only modules of a *smaller* rank, a tree that
//! passes has no cycle between modules either. Test code inside `src` obeys too.

mod rust_paths;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rust_paths::{Reach, Use, uses};

/// Lines that a Rust file may have.
const LINE_LIMIT: usize = 500;
/// Tables of data in Rust: what makes them long is rows, not ideas.
const LONG_TABLES: &[&str] = &[];

/// Where each module stands: name → rank.
type Map = BTreeMap<String, u32>;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lists every file under `folder`, relative to the package, sorted.
pub(crate) fn files_under(folder: &str) -> Vec<PathBuf> {
    let mut waiting = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    files_under(folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Reads the rows of the map: ``//! | 3 | [`spec`] | what the user wrote |``.
fn parse_map(crate_doc: &str) -> Map {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
        let rank = cells.next()?.parse().ok()?;
        let name = cells.next()?.strip_prefix("[`")?.strip_suffix("`]")?;
        Some((name.to_owned(), rank))
    };
    let rows: Vec<(String, u32)> = crate_doc.lines().filter_map(row).collect();
    let map: Map = rows.iter().cloned().collect();
    assert_eq!(map.len(), rows.len(), "the map in src/lib.rs lists a module twice");
    map
}

fn the_map() -> Map {
    let map = parse_map(&read(Path::new("src/lib.rs")));
    assert!(map.len() >= 10, "the map in src/lib.rs could not be read: {map:?}");
    map
}

/// Turns `src/spec/types.rs` into `["spec", "types"]`, `src/spec/mod.rs` into `["spec"]`, `src/lib.rs` and `src/main.rs` into `[]`.
fn module_path(file: &Path) -> Vec<&str> {
    let within = file.strip_prefix("src").unwrap();
    let mut parts: Vec<&str> = within.components().map(|c| c.as_os_str().to_str().unwrap()).collect();
    let stem = parts.pop().unwrap().strip_suffix(".rs").unwrap();
    let is_top = parts.is_empty() && matches!(stem, "lib" | "main");
    if stem != "mod" && !is_top {
        parts.push(stem);
    }
    parts
}

/// Says what is wrong with one use, from a file of module `own` (`None` for `lib.rs` and `main.rs`, which may use everything).
fn fault(map: &Map, own: Option<&str>, used: &Use) -> Option<String> {
    let name = match &used.what {
        Reach::Hidden(what) => return Some(format!("{what} would hide which modules are used")),
        Reach::Module(name) => name,
    };
    let Some(rank) = map.get(name) else {
        return Some(format!("`crate::{name}` is not a module of the map in src/lib.rs"));
    };
    let own = own.filter(|own| own != name)?;
    let own_rank = map.get(own)?;
    (rank >= own_rank).then(|| format!("`{own}` (rank {own_rank}) may not use `{name}` (rank {rank})"))
}

fn faults_in(map: &Map, file: &Path, source: &str) -> Vec<String> {
    let path = module_path(file);
    uses(source, &path)
        .iter()
        .filter_map(|used| Some(format!("{}:{}: {}", file.display(), used.line, fault(map, path.first().copied(), used)?)))
        .collect()
}

#[test]
fn modules_use_only_modules_of_a_smaller_rank() {
    let map = the_map();
    let faults: Vec<String> = rust_files("src").iter().flat_map(|file| faults_in(&map, file, &read(file))).collect();
    assert!(faults.is_empty(), "the rank rule is broken:\n{}", faults.join("\n"));
}

#[test]
fn the_rank_rule_sees_upward_sideways_and_unknown_uses() {
    let map = parse_map("//! | rank | module |\n//! |---|---|\n//! | 1 | [`a`] | x |\n//! | 2 | [`b`] | x |\n//! | 2 | [`c`] | x |");
    let faults = |file: &str, source: &str| faults_in(&map, Path::new(file), source);
    assert_eq!(faults("src/a.rs", "\nuse crate::b::X;"), ["src/a.rs:2: `a` (rank 1) may not use `b` (rank 2)"]);
    assert_eq!(faults("src/b/deep/mod.rs", "use super::super::c;"), ["src/b/deep/mod.rs:1: `b` (rank 2) may not use `c` (rank 2)"]);
    assert_eq!(faults("src/c.rs", "use crate::z;"), ["src/c.rs:1: `crate::z` is not a module of the map in src/lib.rs"]);
    assert_eq!(faults("src/c.rs", "use crate::*;"), ["src/c.rs:1: a glob of the crate root would hide which modules are used"]);
    assert_eq!(faults("src/b/deep.rs", "use crate::{a, b::X}; use super::X; use super::super::a;"), [""; 0]);
    assert_eq!(faults("src/main.rs", "use crate::c;"), [""; 0]);
}

#[test]
fn the_map_lists_what_stands_in_src_and_nothing_else() {
    let map = the_map();
    let mut standing: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix(".rs").unwrap_or(&name).to_owned())
        .filter(|name| !matches!(name.as_str(), "lib" | "main"))
        .collect();
    standing.sort();
    assert_eq!(standing, map.keys().cloned().collect::<Vec<_>>(), "left: files and folders of src; right: the map in src/lib.rs");
}

#[test]
fn the_map_is_in_the_order_of_ranks() {
    let source = read(Path::new("src/lib.rs"));
    let map = the_map();
    let mut last = (0, 0);
    for (name, rank) in &map {
        assert!(source.contains(&format!("\npub mod {name};")), "`{name}` is in the map but src/lib.rs does not declare it");
        assert!(*rank < 100, "rank {rank} of `{name}`");
    }
    let mut rows: Vec<(usize, u32)> = map.iter().map(|(name, rank)| (source.find(&format!("| [`{name}`] |")).unwrap(), *rank)).collect();
    rows.sort_unstable();
    for row in rows {
        assert!(row.1 >= last.1, "the row of rank {} stands after rank {}", row.1, last.1);
        last = row;
    }
}

#[test]
fn rust_files_are_short_enough_to_read() {
    let rust = ["src", "tests", "benches", "fuzz/fuzz_targets"].into_iter().flat_map(rust_files);
    let long: Vec<String> = rust
        .filter(|file| !LONG_TABLES.contains(&file.to_str().unwrap()))
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LINE_LIMIT)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "split by idea what has over {LINE_LIMIT} lines:\n{}", long.join("\n"));
}

#[test]
fn exempt_tables_exist() {
    let gone: Vec<&&str> = LONG_TABLES.iter().filter(|path| !root().join(path).is_file()).collect();
    assert!(gone.is_empty(), "LONG_TABLES names files that are not there: {gone:?}");
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    let folders = ["src", "tests", "benches", "examples", "schemas", "docs", "ci", ".ci", "kits", "charts"];
    let loose = [
        "action.yml",
        ".pre-commit-hooks.yaml",
        "README.md",
        "CHANGELOG.md",
        "NOTICE",
        "gateway.yaml",
        "Cargo.toml",
        "deny.toml",
        "clippy.toml",
    ];
    let files = folders.into_iter().flat_map(files_under).chain(loose.into_iter().map(PathBuf::from));
    let banned = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "wt"), concat!("/Us", "ers/")];
    let mut found = Vec::new();
    for file in files.filter(|file| !is_installed_or_recorded(file)) {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue }; // not there yet, or not text
        for (number, line) in text.lines().enumerate() {
            found.extend(
                banned.iter().filter(|path| line.contains(**path)).map(|path| format!("{}:{}: {path}", file.display(), number + 1)),
            );
        }
    }
    assert!(found.is_empty(), "paths of somebody's machine:\n{}", found.join("\n"));
}

/// Tells what is not ours: packages that the SDK tests install, and recorded traffic.
fn is_installed_or_recorded(file: &Path) -> bool {
    file.components().any(|part| matches!(part.as_os_str().to_str(), Some("node_modules" | ".venv" | "fixtures")))
}

#[test]
fn lock_files_name_no_download_host() {
    let cargo = read(Path::new("Cargo.lock"));
    let sources = cargo.lines().filter(|line| line.starts_with("source = "));
    let official = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
    let elsewhere: Vec<&str> = sources.filter(|line| *line != official).collect();
    assert!(elsewhere.is_empty(), "Cargo.lock takes packages from elsewhere: {elsewhere:?}");
    let Ok(node) = fs::read_to_string(root().join("tests/sdk/node/package-lock.json")) else { return };
    assert!(!node.contains("\"resolved\""), "package-lock.json records where packages came from; see tests/sdk/node/.npmrc");
}
