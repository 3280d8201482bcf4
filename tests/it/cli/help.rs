//! Help, usage errors, completion and version.

use super::run;

/// Every command with its parents; a new command adds a line and a snapshot.
pub(super) const COMMANDS: &[&[&str]] = &[
    &[],
    &["init"],
    &["validate"],
    &["fmt"],
    &["render"],
    &["schema"],
    &["diff"],
    &["drift"],
    &["apply"],
    &["serve"],
    &["upgrade"],
    &["status"],
    &["test"],
    &["history"],
    &["rollback"],
    &["explain"],
    &["import"],
    &["key"],
    &["key", "new"],
    &["key", "hash"],
    &["key", "check"],
    &["key", "rotate"],
    &["key", "scan"],
    &["simulate"],
    &["spend"],
    &["budget"],
    &["budget", "status"],
    &["budget", "audit"],
    &["budget", "reset"],
    &["catalog"],
    &["catalog", "list"],
    &["catalog", "show"],
    &["catalog", "verify"],
    &["catalog", "diff"],
    &["catalog", "update"],
    &["catalog", "convert"],
    &["chat"],
    &["bench"],
    &["mock"],
    &["completion"],
    &["man"],
    &["version"],
];

#[test]
fn the_list_of_commands_in_this_test_is_complete() {
    let script = run(&["completion", "bash", "--static"]).stdout;
    let mut named: Vec<String> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("bifrostctl__subcmd__")?.strip_suffix(')'))
        .filter(|name| !name.contains(','))
        .map(|name| name.replace("__subcmd__", " "))
        .filter(|name| !name.contains("help"))
        .collect();
    named.sort();
    named.dedup();
    let mut expected: Vec<String> = COMMANDS.iter().filter(|path| !path.is_empty()).map(|path| path.join(" ")).collect();
    expected.sort();
    assert_eq!(named, expected);
}

#[test]
fn every_help_opens_with_examples() {
    for path in COMMANDS {
        let done = run(&[path as &[&str], &["--help"]].concat());
        assert_eq!(done.code, 0, "{path:?}");
        assert!(done.stdout.starts_with("Examples:\n  bifrostctl"), "{path:?} begins with {:?}", done.stdout.lines().next());
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn help_reads_like_this() {
    for path in COMMANDS {
        let name = if path.is_empty() { "help".to_owned() } else { format!("help_{}", path.join("_")) };
        let text = run(&[path as &[&str], &["--help"]].concat()).stdout;
        // The options that every command takes are shown once, with the first of them.
        let own = match (path.is_empty(), text.split_once("\nGlobal options:")) {
            (false, Some((own, _))) => own.to_owned(),
            _ => text,
        };
        insta::assert_snapshot!(name, own);
    }
}

#[test]
fn a_wrong_command_line_is_usage_and_says_what_is_known() {
    for (args, said) in [
        (&["frobnicate"] as &[&str], "unrecognized subcommand 'frobnicate'"),
        (&["versoin"], "a similar subcommand exists: 'version'"),
        (&["version", "--nope"], "unexpected argument '--nope'"),
        (&["version", "-o", "yaml"], "expected one of human, json, github, sarif, markdown, csv"),
        (&["version", "-o", "json="], "expected a path after `=`"),
        (&["version", "-o", "sarif"], "`version` has no output format `sarif`"),
        (&["version", "-q", "-v"], "cannot be used with"),
        (&["version", "--timeout", "30"], "expected a duration such as `250ms`"),
        (&["version", "-o", "json", "-o", "json"], "two machine formats cannot share standard output"),
        (&["key", "new"], "required arguments were not provided"),
        (&["key", "new", "--name", "a b"], "expected 1 to 64 letters"),
        (&["mock", "--listen", "0.0.0.0:0"], "this machine only"),
        (&["status", "--endpoint", "127.0.0.1:1"], "--endpoint: expected unix:PATH"),
        (&["status", "--endpoint", "http://user:pw@h"], "holds no credentials"),
        (&[], "Usage:"),
        (&["key"], "Usage:"),
    ] {
        let done = run(args);
        assert_eq!(done.code, 64, "{args:?}: {done:?}");
        assert!(done.stderr.contains(said), "{args:?}: {}", done.stderr);
        assert_eq!(done.stdout, "", "{args:?}: messages are not data");
    }
}

#[test]
fn version_is_for_people_and_for_scripts() {
    let done = run(&["version"]);
    assert_eq!(done.code, 0);
    assert!(done.stdout.starts_with(concat!("bifrostctl ", env!("CARGO_PKG_VERSION"), " (")), "{}", done.stdout);
    let envelope = run(&["version", "-o", "json"]).json();
    assert_eq!(envelope["command"], "version");
    assert_eq!(envelope["ok"], true);
    assert_eq!(envelope["result"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(envelope["result"]["spec_version"], 1);
    let flag = run(&["--version"]);
    assert_eq!((flag.code, flag.stdout.as_str()), (0, concat!("bifrostctl ", env!("CARGO_PKG_VERSION"), "\n")));
}
