//! Awkward texts, as a person sees them.

use bifrostctl::spec::report::{github, json, markdown, sarif};
use bifrostctl::spec::{Diagnostic, Location};
use insta::assert_snapshot;

use super::{at, human, sources};

fn wrong(message: &str) -> Diagnostic {
    Diagnostic::error("BF0101", message)
}

#[test]
fn tabs_and_wide_characters_keep_the_caret_under_the_word() {
    let sources = sources(&[("a.yaml", "a:\t日本語: 🦀 here\ne\u{301}té: there\n")]);
    assert_snapshot!(human(wrong("after wide").at(Some(at(&sources, 0, "here"))), &sources), @r"
    error[BF0101]: after wide
     --> a.yaml:1:11
      |
    1 | a:    日本語: 🦀 here
      |                  ^^^^

    1 error
    ");
    assert_snapshot!(human(wrong("after combining").at(Some(at(&sources, 0, "there"))), &sources), @r"
    error[BF0101]: after combining
     --> a.yaml:2:7
      |
    2 | été: there
      |      ^^^^^

    1 error
    ");
}

#[test]
fn windows_line_endings_are_no_part_of_a_line() {
    let sources = sources(&[("a.yaml", "a: 1\r\nb:\r\n  - x\r\n  - y\r\n")]);
    assert_snapshot!(human(wrong("list").at(Some(at(&sources, 0, "- x\r\n  - y\r\n"))), &sources), @r"
    error[BF0101]: list
     --> a.yaml:3:3
      |
    3 | /   - x
    4 | |   - y
      | |_____^

    1 error
    ");
}

#[test]
fn a_tall_span_is_pointed_at_by_its_first_line() {
    let text = format!("providers:\n  a:\n{}", "    x: 1\n".repeat(30));
    let sources = sources(&[("a.yaml", &text)]);
    let location = Location { file: 0, start: 13, end: text.len() };
    assert_snapshot!(human(wrong("tall").at(Some(location)), &sources), @r"
    error[BF0101]: tall
     --> a.yaml:2:3
      |
    2 |   a:
      |   ^^

    1 error
    ");
}

#[test]
fn the_end_of_a_file_and_an_empty_file_have_a_place() {
    let sources = sources(&[("a.yaml", "a: [\n"), ("empty.yaml", "")]);
    assert_snapshot!(human(wrong("end").at(Some(Location { file: 0, start: 5, end: 5 })), &sources), @r"
    error[BF0101]: end
     --> a.yaml:2:1
      |
    2 |
      | ^

    1 error
    ");
    assert_snapshot!(human(wrong("empty").at(Some(Location { file: 1, start: 0, end: 0 })), &sources), @r"
    error[BF0101]: empty
     --> empty.yaml:1:1
      |
    1 |
      | ^

    1 error
    ");
}

#[test]
fn a_huge_line_is_cut() {
    let text = format!("a: {} b {}", "x".repeat(1_000), "y".repeat(1_000_000));
    let sources = sources(&[("a.yaml", &text)]);
    assert_snapshot!(human(wrong("in the middle").at(Some(at(&sources, 0, " b "))), &sources), @r"
    error[BF0101]: in the middle
     --> a.yaml:1:1004
      |
    1 | ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx b yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...
      |                                                                   ^^^

    1 error
    ");
    let far = Location { file: 0, start: 500_000, end: 600_000 };
    assert_snapshot!(human(wrong("far out").at(Some(far)), &sources), @r"
    error[BF0101]: far out
    --> a.yaml:1:500001

    1 error
    ");
    let long = Location { file: 0, start: 3, end: 600_000 };
    assert!(human(wrong("long").at(Some(long)), &sources).len() < 2_000);
}

#[test]
fn related_places_share_the_picture_when_near_and_have_their_own_when_far() {
    let text = format!("a: 1\nb: 2\n{}a: 3\n", "c: 0\n".repeat(40));
    let sources = sources(&[("a.yaml", &text), ("b.yaml", "d: 4\n")]);
    let finding = wrong("twice")
        .at(Some(at(&sources, 0, "b")))
        .related(at(&sources, 0, "a"), "first here")
        .related(at(&sources, 0, "a: 3"), "then here")
        .related(at(&sources, 1, "d"), "and there")
        .help("remove one");
    assert_snapshot!(human(finding, &sources), @r"
    error[BF0101]: twice
      --> a.yaml:2:1
       |
     1 | a: 1
       | - first here
     2 | b: 2
       | ^
       |
      ::: a.yaml:43:1
       |
    43 | a: 3
       | ---- then here
       |
      ::: b.yaml:1:1
       |
     1 | d: 4
       | - and there
       |
       = help: remove one

    1 error
    ");
}

#[test]
fn nothing_reaches_the_terminal_that_moves_it() {
    let sources = sources(&[("a\u{1b}]0;x\u{7}.yaml", "a: \u{1b}[31mred\u{202e}\u{200b}\u{9b}2J here\r\r\n")]);
    let finding = wrong("bad \u{1b}[2J\u{2066} thing\nnext: \u{7f}\u{85}").at(Some(at(&sources, 0, "here"))).help("a\tb\u{0}");
    assert_snapshot!(human(finding.clone(), &sources), @r"
    error[BF0101]: bad ␛[2J� thing next: ␡ 
     --> a␛]0;x␇.yaml:1:18
      |
    1 | a: ␛[31mred���2J here␍
      |                  ^^^^
      |
      = help: a b␀

    1 error
    ");
    let all = [finding];
    let texts =
        [json(&all, &sources).to_string(), github(&all, &sources), markdown(&all, &sources), sarif(&all, &sources, &|_| None).to_string()];
    for text in texts {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{text:?}");
    }
}

#[test]
fn secrets_are_masked_in_the_picture_of_whatever_stands_beside_them() {
    let mut sources = sources(&[("a.yaml", "a: {secret: hunter2, weigth: 3}\nb: pässwörd\nc: |\n  one\n  two\n")]);
    let secret = at(&sources, 0, "hunter2");
    sources.0[0].redacted.push(secret.start..secret.end);
    assert_snapshot!(human(wrong("unknown field").at(Some(at(&sources, 0, "weigth"))), &sources), @r"
    error[BF0101]: unknown field
     --> a.yaml:1:22
      |
    1 | a: {secret: •••••••, weigth: 3}
      |                      ^^^^^^

    1 error
    ");
    let literal = wrong("looks like a key").at(Some(at(&sources, 0, "pässwörd"))).sensitive();
    let beside = wrong("beside").at(Some(at(&sources, 0, "b")));
    assert_snapshot!(bifrostctl::spec::report::human(&[literal, beside], &sources, false), @r"
    error[BF0101]: beside
     --> a.yaml:2:1
      |
    2 | b: ••••••••
      | ^

    error[BF0101]: looks like a key
     --> a.yaml:2:4
      |
    2 | b: ••••••••
      |    ^^^^^^^^

    2 errors
    ");
    let block = at(&sources, 0, "one\n  two");
    sources.0[0].redacted.push(block.start..block.end);
    assert_snapshot!(human(wrong("block").at(Some(at(&sources, 0, "|\n  one\n  two\n"))), &sources), @r"
    error[BF0101]: block
     --> a.yaml:3:4
      |
    3 |   c: |
      |  ____^
    4 | |   •••
    5 | | •••••
      | |_____^

    1 error
    ");
}

#[test]
fn a_place_that_does_not_exist_is_moved_to_one_that_does() {
    let sources = sources(&[("a.yaml", "é: 1")]);
    for (start, end) in [(1, 1), (0, 99), (50, 99), (3, 1), (usize::MAX, 0)] {
        let text = human(wrong("somewhere").at(Some(Location { file: 0, start, end })), &sources);
        assert!(text.contains("--> a.yaml:1:"), "{start}..{end}: {text}");
    }
    let nowhere = wrong("nowhere").at(Some(Location { file: 7, start: 0, end: 1 })).pointer("/models/fast");
    assert_snapshot!(human(nowhere, &sources), @r"
    error[BF0101]: nowhere
     |
     = note: at /models/fast

    1 error
    ");
}
