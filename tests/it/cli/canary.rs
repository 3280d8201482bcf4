//! Secrets in wrong places, in the environment and in files: no command shows one in any format.

use serde_json::json;

use super::Place;
use super::fake::Fake;

/// What no output may hold. Every planted secret has it in its middle.
const MARK: &str = "CANARY";
/// Looks like a key of OpenAI's.
const KEY: &str = "sk-proj-Zx8CANARYq7Xk2Lw9Tb4Vn6Rm1Jd5Hs3Pf0Gc";

/// Spec fragments with `KEY` in places where it does not belong, each under the providers, and after them.
const PLANTED: &[(&str, &str)] = &[
    // Where a reference belongs.
    ("openai: {credentials: {a: {secret: KEY}}}", ""),
    ("openai: {credentials: {a: {secret: \"KEY\"}}}", ""),
    ("openai: {credentials: {a: KEY}}", ""),
    ("openai: {credentials: KEY}", ""),
    ("openai: {credentials: {a: {secret: [KEY]}}}", ""),
    ("openai: {credentials: {a: {secret: {env: KEY}}}}", ""),
    ("openai: {credentials: {a: {secret: {value: KEY}}}}", ""),
    ("openai: {credentials: {a: {secret: {file: KEY, env: KEY}}}}", ""),
    ("openai: {credentials: {a: {secret: \"${env:UPSTREAM_KEY}\"}}}", ""),
    ("openai: {credentials: {a: {secret: \"x${env:UPSTREAM_KEY:-KEY}\"}}}", ""),
    ("openai: {credentials: {a: {secret: |\n        KEY\n      }}}", ""),
    ("bedrock: {region: r, credentials: {a: {aws: KEY}}}", ""),
    ("bedrock: {region: r, credentials: {a: {aws: {access_key_id: KEY, secret_access_key: KEY}}}}", ""),
    (
        "bedrock: {region: r, credentials: {a: {aws: {access_key_id: {env: KEY}, secret_access_key: {env: A, file: KEY}, session_token: [KEY]}}}}",
        "",
    ),
    ("bedrock: {region: r, credentials: {a: {aws: {access_key: KEY, secret_key: KEY, web_identity: {token: KEY}}}}}", ""),
    ("bedrock: {region: KEY, credentials: {a: {aws: {profile: KEY}}}}", ""),
    ("vertex: {project: p, location: eu, credentials: {a: {google: KEY}}}", ""),
    ("vertex: {project: p, location: eu, credentials: {a: {google: {service_account: KEY}}}}", ""),
    ("vertex: {project: p, location: eu, credentials: {a: {google: {service_account: {env: UPSTREAM_KEY}}}}}", ""),
    // Where nothing secret belongs.
    ("openai: {api_key: KEY}", ""),
    ("openai: {key: KEY, credentials: {a: {secret: none}}}", ""),
    ("x: {api: openai-chat, base_url: \"https://user:KEY@example.com/v1\", credentials: {a: {secret: none}}}", ""),
    ("x: {api: openai-chat, base_url: \"https://example.com/v1?key=KEY\", credentials: {a: {secret: none}}}", ""),
    ("x: {api: openai-chat, base_url: \"${env:UPSTREAM_KEY}\", credentials: {a: {secret: none}}}", ""),
    ("x: {api: KEY, base_url: KEY}", ""),
    ("x: {preset: KEY}", ""),
    ("openai: {headers: {authorization: \"Bearer KEY\"}, credentials: {a: {secret: none}}}", ""),
    ("openai: {headers: {x-key: KEY}, credentials: {a: {secret: none}}}", ""),
    ("openai: {timeouts: {idle: KEY}}", ""),
    ("openai: {timeouts: {idle: \"${env:UPSTREAM_KEY}\"}}", ""),
    ("openai: {retries: {max: \"${env:UPSTREAM_KEY}\"}}", ""),
    ("openai: {auth: KEY}", ""),
    ("openai: {auth: {header: KEY}}", ""),
    // Elsewhere in the file.
    ("mock: {}", "models: {fast: {targets: [KEY]}}"),
    ("mock: {}", "models: {fast: {targets: [mock/a], description: KEY}}"),
    ("mock: {}", "models: {fast: {targets: [mock/a], prompt: {system: {text: \"the key is KEY\"}}}}"),
    ("mock: {}", "models: {fast: {targets: [mock/a], defaults: {user: KEY}}}"),
    ("mock: {}", "models: {fast: {targets: [mock/a], fallbacks: [KEY]}}"),
    ("mock: {}", "models: {fast: {targets: [mock/a], balance: KEY}}"),
    ("mock: {}", "virtual_keys: {web: {hashes: [KEY], models: [\"*\"]}}"),
    ("mock: {}", "virtual_keys: {web: {hashes: [{sha256: KEY}], models: [\"*\"]}}"),
    ("mock: {}", "virtual_keys: {web: {hashes: KEY, models: [\"*\"]}}"),
    ("mock: {}", "virtual_keys: {web: {key: KEY, models: [\"*\"]}}"),
    ("mock: {}", "virtual_keys: {web: {hashes: [{sha256: \"${env:UPSTREAM_KEY}\"}], models: [\"*\"]}}"),
    ("mock: {}", "virtual_keys: {web: {expires: KEY, models: [KEY], labels: {a: KEY}}}"),
    ("mock: {}", "rules: [{name: r, when: \"header('x') == 'KEY'\", deny: {message: KEY}}]"),
    ("mock: {}", "gateway: {admin: {listen: \"127.0.0.1:1\", tokens: {ci: {sha256: KEY, scopes: [read]}}}}"),
    ("mock: {}", "gateway: {admin: {listen: \"127.0.0.1:1\", tokens: {ci: KEY}}}"),
    ("mock: {}", "gateway: {tls: {cert: {file: a}, key: KEY}}"),
    ("mock: {}", "gateway: {listen: KEY}"),
    ("mock: {}", "gateway: {auth: \"${env:UPSTREAM_KEY}\", admin: \"${env:UPSTREAM_KEY}\"}"),
    ("mock: {}", "KEY: 1"),
    ("mock: {}", "telemetry: {access_log: KEY}"),
    // Text that is not even YAML.
    ("openai: {credentials: {a: {secret: KEY}}", ""),
    ("openai: {credentials: {a: {secret: \"KEY}}}", ""),
    ("openai:\n\tcredentials: KEY", ""),
    ("openai: !secret KEY", ""),
    ("openai: {credentials: {a: {secret: KEY, secret: KEY}}}", ""),
    ("openai: {credentials: {a: *KEY}}", ""),
    // Where it may be: the environment and a file.
    ("openai: {credentials: {a: {secret: {env: UPSTREAM_KEY}}, b: {secret: {file: b.key}}, c: {secret: {file: broken.key}}}}", ""),
    ("bedrock: {region: r, credentials: {a: {aws: {access_key_id: {env: UPSTREAM_KEY}, secret_access_key: {file: broken.key}}}}}", ""),
    ("mock: {headers: {x-zone: \"${env:UPSTREAM_KEY}\"}}", "models: {fast: {targets: [mock/a]}}"),
];

fn spec(providers: &str, rest: &str) -> String {
    let fill = |text: &str| text.replace("KEY", KEY).replace(&format!("UPSTREAM_{KEY}"), "UPSTREAM_KEY");
    let text = format!("version: 1\nproviders:\n  {}\n{}\n", fill(providers), fill(rest));
    let gateway = if text.contains("gateway:") { "" } else { "gateway: {admin: \"unix:admin.sock\"}\n" };
    format!("{text}{gateway}")
}

fn place(text: &str) -> Place {
    Place::new()
        .file("gateway.yaml", text)
        .file("plain.yaml", "version: 1\nproviders: {mock: {}}\n")
        .file("b.key", KEY)
        .file("broken.key", &format!("{KEY}\nsecond line"))
        .env("UPSTREAM_KEY", KEY)
        .env("BIFROST_KEY", KEY)
}

/// Every command that reads a spec, with the formats that it has. `@` stands for the planted spec, `%` for a plain one.
const COMMANDS: &[(&[&str], &[&str])] = &[
    (&["validate", "-f", "@"], &["json", "github", "sarif", "markdown"]),
    (&["validate", "-f", "@", "--level", "syntax"], &["json", "github", "sarif", "markdown"]),
    (&["validate", "-f", "@", "--level", "env"], &["json", "github", "sarif", "markdown"]),
    (&["validate", "-f", "@", "--level", "live"], &["json", "github", "sarif", "markdown"]),
    (&["validate", "-f", "%", "-f", "@"], &["json", "github", "sarif", "markdown"]),
    (&["diff", "-f", "@", "--against", "%"], &["json", "github", "markdown"]),
    (&["diff", "-f", "%", "--against", "@"], &["json", "github", "markdown"]),
    (&["diff", "-f", "%", "--against", "revision:1"], &["json", "github", "markdown"]),
    (&["diff", "-f", "@"], &["json", "github", "markdown"]),
    (&["apply", "-f", "@", "--yes", "--color", "always"], &["json"]),
    (&["rollback", "-f", "@", "--to", "1", "--yes"], &["json"]),
    (&["status", "-f", "@", "-v"], &["json"]),
    (&["explain", "-f", "@", "--model", "fast", "-H", "authorization: Bearer sk-proj-Zx8CANARYq7Xk2Lw9Tb4Vn6Rm1Jd5Hs3Pf0Gc"], &["json"]),
    (&["key", "check", "-f", "@"], &["json"]),
];

/// Runs one command with all of its formats at once and returns everything that it wrote.
fn everything(place: &Place, args: &[&str], formats: &[&str]) -> String {
    let path = |name: &str| place.path().join(name).display().to_string();
    let mut line: Vec<String> =
        args.iter().map(|word| word.replace('@', &path("gateway.yaml")).replace('%', &path("plain.yaml"))).collect();
    line.extend(["--endpoint".to_owned(), format!("unix:{}", path("admin.sock")), "-o".to_owned(), "human".to_owned()]);
    line.extend(formats.iter().flat_map(|format| ["-o".to_owned(), format!("{format}={}", path(&format!("out.{format}")))]));
    let done = place.inside(&line.iter().map(String::as_str).collect::<Vec<_>>(), KEY);
    assert!([0, 1, 3, 6].contains(&done.code), "{args:?}: {done:?}");
    let files: String = formats.iter().map(|format| place.read(&format!("out.{format}"))).collect();
    format!("{}{}{files}", done.stdout, done.stderr)
}

/// A gateway whose kept spec is the planted one, and which refuses everything.
fn gateway(place: &Place) -> Fake {
    let text = place.read("gateway.yaml");
    Fake::start(place.path(), move |_, asked| {
        let line = asked.line.as_str();
        if line.starts_with("GET /v1/spec") {
            (200, json!({"revision": 1, "files": {"gateway.yaml": text}, "paths": ["gateway.yaml"], "plan": {}}))
        } else if line.starts_with("GET /v1/status") {
            (200, json!({"revision": 2, "sync": "synced"}))
        } else {
            let found = json!([{"code": "BF0101", "severity": "error", "message": "wrong", "file": "gateway.yaml",
                "line": 3, "column": 3, "end_line": 3, "end_column": 9, "pointer": null, "help": null, "related": []}]);
            (422, json!({"error": {"code": "invalid", "message": "1 error"}, "diagnostics": found}))
        }
    })
}

#[test]
fn no_command_shows_a_secret_in_any_format() {
    let mut leaks = Vec::new();
    for (providers, rest) in PLANTED {
        let place = place(&spec(providers, rest));
        let _gateway = gateway(&place);
        for (args, formats) in COMMANDS {
            let said = everything(&place, args, formats);
            leaks.extend(said.lines().filter(|line| line.contains(MARK)).map(|line| format!("{providers} / {rest}\n  {args:?}: {line}")));
        }
    }
    let first = leaks.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(leaks.is_empty(), "{} lines show a secret, such as:\n{first}", leaks.len());
}

#[test]
fn what_is_rendered_holds_no_value_of_the_environment_or_of_a_secret_file() {
    let providers =
        "openai: {credentials: {a: {secret: {env: UPSTREAM_KEY}}, b: {secret: {file: b.key}}}, headers: {x-zone: \"${env:UPSTREAM_KEY}\"}}";
    let place = place(&spec(providers, "models: {fast: {targets: [openai/a]}}"));
    for args in [&["render", "-f", "@"] as &[&str], &["render", "-f", "@", "--merged"], &["render", "-f", "@", "--show-origin"]] {
        let said = everything(&place, args, &["json"]);
        assert!(!said.contains(MARK), "{args:?}: {said}");
        assert!(said.contains("UPSTREAM_KEY"), "{args:?}: {said}");
    }
}
