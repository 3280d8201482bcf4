//! `man`: a page for every command.

use bifrostctl::cli::Exit;

use super::help::COMMANDS;
use super::{Place, run};
use crate::architecture::{files_under, root};

#[test]
fn every_command_has_its_page_with_examples_exit_codes_and_variables() {
    let place = Place::new();
    let done = place.run(&["man", "--out", "man1", "-o", "json"]);
    let envelope = done.json();
    let files = envelope["result"]["files"].as_array().unwrap();
    assert_eq!(files.len(), COMMANDS.len());
    for path in COMMANDS {
        let name = [&["bifrostctl"] as &[&str], path].concat().join("-");
        let page = place.read(&format!("man1/{name}.1"));
        assert!(page.contains(&format!(".TH {name} 1")), "{name}: {}", &page[..200]);
        for heading in ["NAME", "SYNOPSIS", "EXAMPLES", "OPTIONS", "EXIT STATUS", "ENVIRONMENT"] {
            assert!(page.contains(&format!(".SH {heading}")) || page.contains(&format!(".SH \"{heading}\"")), "{name} has no {heading}");
        }
        for exit in Exit::ALL {
            assert!(page.contains(&format!("\\fB{}\\fR", exit.code())), "{name} does not tell exit code {}", exit.code());
        }
        let printed = run(&[&["man"] as &[&str], path].concat());
        assert_eq!((printed.code, printed.stdout == page), (0, true), "{name}");
    }
}

#[test]
fn a_page_reads_like_this() {
    let page = run(&["man", "key", "rotate"]).stdout;
    insta::assert_snapshot!(page.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn every_variable_that_the_command_line_reads_is_in_the_manual() {
    let page = run(&["man"]).stdout;
    let mut seen = 0;
    for path in files_under("src/cli") {
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        for rest in text.split("variable(\"").skip(1) {
            let name = rest.split('"').next().unwrap();
            assert!(page.contains(&name.replace('_', "\\_")) || page.contains(name), "{name} of {} is not told", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6 && page.contains("BIFROST_COMPLETE"), "{seen}");
}

#[test]
fn an_unknown_command_and_a_directory_that_cannot_be_made_are_told() {
    let done = run(&["man", "key", "rotat"]);
    assert_eq!(done.code, 64);
    assert!(done.stderr.contains("no command `key rotat`") && done.stderr.contains("known here: new, hash"), "{done:?}");
    let place = Place::new().file("taken", "x");
    assert_eq!(place.run(&["man", "--out", "taken/man1"]).code, 1);
}
