//! One pull request from end to end, as `docs/walk.md` tells it: every output there is what a command said here.

use std::fmt::Write as _;
use std::path::Path;

use bifrostctl::control::Running;

use crate::cli::Place;
use crate::cli::whole_loop::serve;

const SPEC: &str = r#"version: 1
include: [teams/*.yaml]
gateway: {listen: "127.0.0.1:0", admin: "unix:ROOT/admin.sock", state: ROOT/state}
providers:
  openai: {base_url: "mock:", credentials: {default: {secret: none}}, auth: none}
  groq:
    base_url: "mock:"
    credentials: {default: {secret: none}}
    auth: none
    capacity: {llama-3.3-70b-versatile: {max_output_tokens: 32768}}
models:
  fast: {targets: [openai/gpt-4o-mini], fallbacks: [groq/llama-3.3-70b-versatile]}
  deep: {targets: [openai/gpt-4o]}
prices: {"openai/*": {as: "openai/*"}, "groq/*": {as: "groq/*"}}
telemetry: {access_log: "off"}
"#;

const CODEOWNERS: &str = "gateway.yaml         @acme/platform
teams/search.yaml    @acme/search @acme/platform
teams/support.yaml   @acme/support @acme/platform
teams/growth.yaml    @acme/growth @acme/platform
";

const TESTS: &str = "version: 1
tests:
  - name: support is answered by the small model
    request: {key: support-desk, model: fast}
    expect: {status: 200, target: openai/gpt-4o-mini}
  - name: and by somebody else while that is down
    request: {key: support-desk, model: fast}
    outcomes: {\"openai/*\": 503}
    expect: {status: 200, target: groq/*}
";

fn team(name: &str, key: &str, digit: &str, models: &str, limit: &str) -> String {
    format!(
        "teams: {{{name}: {{budgets: [{name}-monthly]}}}}\nvirtual_keys:\n  {key}: {{team: {name}, hashes: [{{sha256: {}}}], models: [{models}]}}\nbudgets: {{{name}-monthly: {{limit: {limit}, period: month}}}}\n",
        digit.repeat(64)
    )
}

struct Walk {
    place: Place,
    gateway: Running,
    page: String,
}

impl Walk {
    fn tell(&mut self, text: &str) {
        let _ = write!(self.page, "\n{text}\n");
    }

    fn show(&mut self, language: &str, text: &str) {
        let _ = write!(self.page, "\n```{language}\n{}\n```\n", text.trim_end());
    }

    /// Runs a command in the checkout and shows what it says, which must end with this code.
    fn run(&mut self, line: &str, code: i32) {
        let args: Vec<String> = super::words(line).into_iter().skip(1).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = self.place.command(&args);
        command.current_dir(self.place.path().join("checkout")).env("USER", "ana");
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        let ends = if code == 0 { String::new() } else { format!("\n# exits with {code}") };
        let shown = format!("$ {line}\n{}{ends}", steady(&said, &self.place));
        self.show("text", &shown);
    }

    fn git(&self, args: &[&str]) {
        self.place.git(&[&["-C", "checkout"], args].concat());
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.place.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }
}

/// Puts what is the same on every run in place of what is not: directories, times, digests and commits.
fn steady(text: &str, place: &Place) -> String {
    let root = place.path().canonicalize().unwrap();
    let user = format!("(uid {})", rustix::process::getuid().as_raw());
    let text = text.replace(root.to_str().unwrap(), "/run/bifrost").replace(&user, "(uid 1000)");
    // Columns are as wide as what stands in them, which differs by user and moment.
    let is_table = text.starts_with("REVISION");
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<String> = line.split_inclusive(' ').map(word).collect();
        let line = words.concat();
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let _ = writeln!(out, "{}", if is_table { cells.join("  ") } else { line.trim_end().to_owned() });
    }
    out
}

fn word(word: &str) -> String {
    let bare = word.trim_end_matches([' ', ',', ':']);
    let rest = word.get(bare.len()..).unwrap_or_default();
    let is_time = bare.len() >= 20 && bare.starts_with("20") && bare.contains('T') && bare.ends_with('Z');
    let is_hex = matches!(bare.len(), 12 | 40)
        && bare.bytes().all(|byte| byte.is_ascii_hexdigit())
        && bare.bytes().any(|byte| byte.is_ascii_digit());
    match (is_time, is_hex) {
        (true, _) => format!("2026-12-01T09:30:00Z{rest}"),
        (_, true) => format!("{}{rest}", "3f9c0b7d1e52a86440c1d9e7".repeat(2).get(..bare.len()).unwrap()),
        (false, false) => word.to_owned(),
    }
}

fn lay_out(place: Place) -> Place {
    let root = place.path().canonicalize().unwrap();
    let spec = SPEC.replace("ROOT", root.to_str().unwrap());
    let teams = [
        ("search", team("search", "search-api", "a", "deep, fast", "$900")),
        ("support", team("support", "support-desk", "b", "fast", "$500")),
        ("growth", team("growth", "growth-batch", "c", "fast", "$200")),
    ];
    let mut place = place.file("checkout/CODEOWNERS", CODEOWNERS).file("checkout/gateway.test.yaml", TESTS);
    for folder in ["checkout", "live"] {
        place = place.file(&format!("{folder}/gateway.yaml"), &spec);
        for (name, text) in &teams {
            place = place.file(&format!("{folder}/teams/{name}.yaml"), text);
        }
    }
    place
}

/// Walks, and returns what a reader sees.
pub(super) fn walk() -> String {
    // Whoever writes pages may be inside a runtime already.
    let walked = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(walked())
    });
    walked.join().unwrap()
}

async fn walked() -> String {
    let place = lay_out(Place::new());
    let gateway = serve(&place.path().join("live/gateway.yaml")).await;
    let mut walk = Walk { place, gateway, page: String::new() };
    walk.git(&["init", "--quiet", "--initial-branch=main"]);
    walk.git(&["add", "--all"]);
    walk.git(&["commit", "--quiet", "--message=Three teams"]);

    walk.tell("## What lies in Git");
    walk.show("text", "gateway.yaml          providers, models, prices\ngateway.test.yaml     what they are meant to do\nteams/search.yaml     a team, its keys, its budget\nteams/support.yaml\nteams/growth.yaml\nCODEOWNERS");
    walk.show("text", CODEOWNERS);
    let support = walk.place.read("checkout/teams/support.yaml").replace(&"b".repeat(64), "3b1f…");
    walk.show("text", &format!("# teams/support.yaml\n{support}"));

    review(&mut walk);
    merge(&mut walk);
    afterwards(&mut walk).await;
    walk.gateway.drain();
    walk.page + "\n"
}

fn review(walk: &mut Walk) {
    walk.tell("## The pull request\n\nThe support team wants the deep model, and takes the small one off its key by mistake. The budget is cut in the same breath.");
    walk.git(&["checkout", "--quiet", "-b", "support-deep"]);
    walk.edit("checkout/teams/support.yaml", "models: [fast]", "models: [deep]");
    walk.edit("checkout/teams/support.yaml", "limit: $500", "limit: $300");
    walk.tell("The spec is valid: nothing is wrong with it but that it is not what was meant.");
    walk.run("bifrostctl validate --deny-warnings", 0);
    walk.tell("That is what the tests are for:");
    walk.run("bifrostctl test", 2);
    walk.tell("And the diff says who is met by it. As Markdown, this is the comment in the pull request.");
    walk.run("bifrostctl diff --against git:main --fail-on-risk high", 7);
    walk.tell("The mistake is mended; the tests pass, and what is left is what was wanted.");
    walk.edit("checkout/teams/support.yaml", "models: [deep]", "models: [deep, fast]");
    walk.run("bifrostctl test", 0);
    walk.run("bifrostctl diff --against git:main", 0);
    walk.git(&["commit", "--quiet", "--all", "--message=support: the deep model, and less money"]);
}

fn merge(walk: &mut Walk) {
    walk.tell("## The merge\n\nAgainst the running gateway, a plan is saved. Whoever approves it approves this text, for this revision.");
    walk.git(&["checkout", "--quiet", "main"]);
    walk.git(&["merge", "--quiet", "--ff-only", "support-deep"]);
    walk.run("bifrostctl diff --out gateway.plan", 0);
    walk.run("bifrostctl apply gateway.plan --yes --reason \"support: deep\" --auto-rollback \"errors>5%/1s\"", 0);
}

async fn afterwards(walk: &mut Walk) {
    walk.tell("## Weeks later\n\nEvery night, CI asks whether anybody has changed the gateway by hand. Nobody has:");
    walk.run("bifrostctl drift", 0);
    walk.tell("Then somebody does, on the machine, in the file of another team:");
    walk.edit("live/teams/growth.yaml", "limit: $200", "limit: $20000");
    walk.gateway.hang_up();
    while walk.gateway.revision() < 3 {
        tokio::task::yield_now().await;
    }
    walk.run("bifrostctl drift", 2);
    walk.tell("The history says what happened, and the reviewed state comes back with one command.");
    walk.run("bifrostctl history", 0);
    walk.run("bifrostctl rollback --to 2 --yes --reason \"changed by hand\"", 0);
    walk.run("bifrostctl drift", 0);
    assert!(Path::new(&walk.place.path().join("live/teams/growth.yaml")).exists());
}
