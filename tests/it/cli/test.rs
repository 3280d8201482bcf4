//! `test`: the command. What tests may say: see `scenario`.

use super::{Place, run};

const SPEC: &str = r#"version: 1
providers:
  one: {api: openai-chat, base_url: "https://one.example/v1", credentials: {default: {secret: {env: ONE}}}, retries: {max: 0}}
  two: {api: openai-chat, base_url: "https://two.example/v1", credentials: {default: {secret: {env: TWO}}}}
models:
  fast: {targets: [one/m], fallbacks: [two/n]}
virtual_keys:
  web: {hashes: [{sha256: 7b52009b64fd0a2a49e6d8a939753077792b0554a1ac7e9a0d1f4c9b8a1d0c3e}], models: [fast]}
"#;

/// The second says what is not so.
const TESTS: &str = r#"version: 1
defaults: {request: {key: web, model: fast}}
tests:
  - name: one answers
    expect: {target: one/m}
  - name: "two & <three> take over"
    outcomes: {one/m: 503}
    expect:
      status: 200
      target: one/m    # as it was
      attempts:
        - one/m
"#;

fn place() -> Place {
    Place::new().file("gateway.yaml", SPEC).file("tests/failover.test.yaml", TESTS)
}

#[test]
fn tests_beside_the_spec_are_found_and_those_that_fail_are_shown_with_their_places() {
    let place = place();
    let done = place.run(&["test"]);
    assert_eq!(done.code, 2, "{done:?}");
    insta::assert_snapshot!("test_human", format!("{}---\n{}", done.stdout, done.stderr));
    let done = place.run(&["test", "--run", "one answers"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.stderr, "1 test: 1 passed; coverage 66% (models 1 of 1, keys 1 of 1, fallbacks 0 of 1)\n");
}

#[test]
fn machines_get_what_they_read() {
    let place = place();
    let sinks = ["test", "-o", "json", "-o", "junit=j.xml", "-o", "markdown=m.md", "-o", "github=g.txt", "-o", "sarif=s.json"];
    let done = place.run(&sinks);
    let envelope = done.json();
    assert_eq!((done.code, &envelope["result"]["failed"], &envelope["result"]["total"]), (2, &1.into(), &2.into()));
    assert_eq!(envelope["result"]["tests"][1]["attempts"][0]["outcome"], "upstream_overload");
    assert_eq!(envelope["result"]["coverage"]["percent"], 100);
    assert_eq!(envelope["diagnostics"][0]["code"], "BF0605");
    insta::assert_snapshot!("test_junit", place.read("j.xml"));
    insta::assert_snapshot!("test_markdown", place.read("m.md"));
    insta::assert_snapshot!("test_github", place.read("g.txt"));
    assert!(place.read("s.json").contains("BF0605"));
}

#[test]
fn update_writes_what_came_and_leaves_the_rest() {
    let place = place();
    let done = place.run(&["test", "--update"]);
    assert_eq!(done.code, 2, "what was written is to be reviewed: {done:?}");
    let expected = TESTS
        .replace("target: one/m    # as it was", "target: two/n    # as it was")
        .replace("\n        - one/m\n", "\n        [one/m, two/n]\n");
    assert_eq!(place.read("tests/failover.test.yaml"), expected);
    assert_eq!(place.run(&["test"]).code, 0);
}

#[test]
fn update_writes_nothing_that_would_say_something_else() {
    let tests = r#"version: 1
defaults: {request: {key: web, model: fast}}
tests:
  - name: shared
    expect: &all {target: x, status: 201}
  - name: shared and different
    outcomes: {one/m: 503}
    expect: *all
  - name: a header that is not sent
    expect: {sent_headers: {x-a: b}, alias: slow}
  - name: a price that nobody knows
    expect: {cost_at_most: $1, status: 200}
  - name: as it is
    expect: &ok {status: 200, alias: fast}
  - name: shared with one that passed
    request: {model: one/m}
    expect: *ok
"#;
    let place = Place::new().file("gateway.yaml", SPEC).file("a.test.yaml", tests);
    let done = place.run(&["test", "--update"]);
    assert_eq!(done.code, 2, "{done:?}");
    let expected = tests.replace("target: x, status: 201", "target: x, status: 200").replace("alias: slow", "alias: fast");
    assert_eq!(place.read("a.test.yaml"), expected);
    for said in [
        "`target` of `shared` (a.test.yaml:4): other tests share it",
        "`target` of `shared and different` (a.test.yaml:6): other",
        "`sent_headers` of `a header that is not sent` (a.test.yaml:9): a test cannot say",
        "`cost_at_most` of `a price that nobody knows` (a.test.yaml:11): a test cannot say",
        "`alias` of `shared with one that passed` (a.test.yaml:15): other",
    ] {
        assert!(done.stderr.contains(&format!("hint: not written: {said}")), "{said}: {done:?}");
    }
}

#[test]
fn update_keeps_how_a_file_is_written() {
    let tests = "\u{feff}version: 1\r\ntests:\r\n  - name: a\r\n    request: {key: web, model: fast}\r\n    expect:\r\n      attempts:\r\n        - two/n\r\n      status: 201 # why\r\n";
    let place = Place::new().file("gateway.yaml", SPEC).file("a.test.yaml", tests);
    assert_eq!(place.run(&["test", "--update"]).code, 2);
    let expected = tests.replace("- two/n", "[one/m]").replace("201", "200");
    assert_eq!(place.read("a.test.yaml"), expected);
}

#[test]
fn too_little_coverage_fails() {
    let place = place();
    assert_eq!(place.run(&["test", "--run", "one answers", "--coverage-at-least", "60"]).code, 0);
    let done = place.run(&["test", "--run", "one answers", "--coverage-at-least", "80%"]);
    assert!(done.code == 2 && done.stderr.contains("less than --coverage-at-least 80"), "{done:?}");
    assert!(done.stdout.contains("no test uses these fallbacks: fast → two/n"), "{done:?}");
    assert_eq!(place.run(&["test", "--coverage-at-least", "101"]).code, 64);
}

#[test]
fn what_is_wrong_in_a_file_of_tests_has_its_place() {
    let wrong = TESTS.replace("expect: {target: one/m}", "expect: {taget: one/m}").replace("status: 200", "status: yes");
    let place = Place::new().file("gateway.yaml", SPEC).file("a.test.yaml", &wrong);
    let done = place.run(&["test"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains("a.test.yaml:5:14") && done.stderr.contains("did you mean `target`?"), "{done:?}");
    assert!(done.stderr.contains("a.test.yaml:9:15"), "{done:?}");
    // What fits the format but not the spec is that test's fault alone.
    let place = Place::new()
        .file("gateway.yaml", SPEC)
        .file("a.test.yaml", &TESTS.replacen("expect: {target: one/m}", "request: {key: wep}\n    expect: {target: one/m}", 1));
    let done = place.run(&["test", "-o", "junit=j.xml"]);
    assert!(done.code == 2 && done.stderr.contains("error[BF0606]") && done.stderr.contains("a.test.yaml:5:20"), "{done:?}");
    assert!(place.read("j.xml").contains("errors=\"1\""), "{}", place.read("j.xml"));
}

#[test]
fn without_tests_or_a_valid_spec_nothing_passes() {
    let done = Place::new().file("gateway.yaml", SPEC).run(&["test"]);
    assert!(done.code == 1 && done.stderr.contains("there are no tests"), "{done:?}");
    let done = place().run(&["test", "--run", "nothing like it"]);
    assert!(done.code == 1 && done.stderr.contains("no test has such a name"), "{done:?}");
    let broken = Place::new().file("gateway.yaml", &SPEC.replace("[one/m]", "[three/m]")).file("a.test.yaml", TESTS);
    let done = broken.run(&["test", "-o", "junit"]);
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stdout.contains("<error message=\"gateway.yaml is not valid: 1 error, 1 warning\"/>"), "{done:?}");
    assert_eq!(run(&["validate", "-o", "junit"]).code, 64, "only tests are told so");
}
