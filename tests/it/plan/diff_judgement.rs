//! What a reviewer is told of one edit: path, what happened, risk, consequence.

use std::fmt::Write as _;

use bifrostctl::plan::diff::{Risk, diff};

use super::diff::{A, B, C, base_yaml, edited, only};
use super::support::plan;

/// Digests of admin tokens, which no key has.
const D: &str = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";
const E: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

/// Makes one edit after the other to the same gateway, and returns a line for each.
fn told(edits: &[(&str, &str)]) -> String {
    let base = plan(&base_yaml());
    let mut text = String::new();
    for (replace, by) in edits {
        let found = diff(&base, &edited(replace, by));
        let change = only(&found);
        let reason = change.reason.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{} | {} | {} | {reason}", change.path, change.summary, change.risk.word());
    }
    text
}

#[test]
fn the_gateway_is_judged_by_the_consequences() {
    let told = told(&[
        ("auth: required", "auth: optional"),
        ("\"127.0.0.1:8080\"", "\"0.0.0.0:8080\""),
        ("\"127.0.0.1:8080\"", "\"127.0.0.1:9000\""),
        ("drain: 120s", "drain: 60s"),
        ("drain: 120s", "retention: 30d"),
        ("drain: 120s", "retention: 800d"),
        ("drain: 120s", "limits: {body: 1MiB}"),
        ("drain: 120s", "limits: {in_flight: 9000}"),
        ("drain: 120s", "limits: {queue: 0s}"),
        ("drain: 120s", "limits: {memory: 512MiB}"),
        ("drain: 120s", "limits: {connections: 10}"),
        ("drain: 120s", "state: elsewhere"),
        ("drain: 120s", "tls: {cert: {file: c.pem}, key: {file: k.pem}}"),
        ("drain: 120s", "admin: \"unix:/run/a.sock\""),
        ("drain: 120s", &format!("admin: {{listen: \"127.0.0.1:9\", tokens: {{ci: {{sha256: {C}, scopes: [apply]}}}}}}")),
        ("version: 1", "version: 1\ntelemetry: {access_log: \"off\"}"),
        ("version: 1", "version: 1\ntelemetry: {metrics: gateway}"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn admin_tokens_are_judged_by_what_their_holders_can_do() {
    let yaml =
        |tokens: &str| plan(&base_yaml().replace("drain: 120s", &format!("admin: {{listen: \"127.0.0.1:9\", tokens: {{{tokens}}}}}")));
    let token = |name: &str, hash: &str, scopes: &str| format!("{name}: {{sha256: {hash}, scopes: [{scopes}]}}");
    let base = token("ci", D, "read");
    let mut text = String::new();
    for new in [
        token("ci", E, "read"),
        token("ci", D, "read, apply"),
        format!("{base}, {}", token("ops", E, "read")),
        format!("{base}, {}", token("ops", E, "apply")),
        token("ops", D, "read"),
    ] {
        for change in diff(&yaml(&base), &yaml(&new)).changes {
            let reason = change.reason.unwrap_or_default();
            let _ = writeln!(text, "{} | {} | {} | {reason}", change.path, change.summary, change.risk.word());
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn providers_are_judged_by_the_consequences() {
    let told = told(&[
        ("https://old.example/v1", "https://new.example/v1"),
        ("https://old.example/v1", "http://old.internal/v1"),
        ("https://old.example/v1\"", "https://old.example/v1\", allow_plain_http: true"),
        ("https://old.example/v1", "https://old.example/v2"),
        ("https://old.example/v1\"", "https://old.example/v1\", auth: none"),
        ("https://old.example/v1\"", "https://old.example/v1\", auth: {header: api-key}"),
        ("https://old.example/v1\"", "https://old.example/v1\", quirks: {stream_options: false}"),
        ("https://old.example/v1\"", "https://old.example/v1\", timeouts: {total: 10m}"),
        ("https://old.example/v1\"", "https://old.example/v1\", retries: {max: 0}"),
        ("https://old.example/v1\"", "https://old.example/v1\", health_check: {}"),
        ("https://old.example/v1\"", "https://old.example/v1\", concurrency: {max: 8}"),
        ("https://old.example/v1\"", "https://old.example/v1\", concurrency: {adaptive: {max: 90}}"),
        ("https://old.example/v1\"", "https://old.example/v1\", capacity: {qwen3: {max_output_tokens: 8192}}"),
        ("{env: OPENAI_API_KEY}", "{file: /run/secrets/openai}"),
        ("{env: OPENAI_API_KEY}", "none"),
        ("{env: OPENAI_API_KEY}", "{env: OPENAI_API_KEY}, optional: true"),
        ("{env: GROQ_2}", "{env: GROQ_2}, models: [\"llama*\"]"),
        ("weight: 3}", "weight: 4}"),
        (", backup: {secret: {env: GROQ_2}, weight: 3}", ""),
        (", backup: {secret", ", third: {secret: {env: GROQ_3}}, backup: {secret"),
        ("{{ key.team }}", "{{ key.name }}"),
        (", headers: {x-team: \"{{ key.team }}\"}", ""),
        ("  legacy:", "  mistral: {credentials: {d: {secret: {env: M}}}}\n  legacy:"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn aliases_are_judged_by_the_consequences() {
    let told = told(&[
        ("model: gpt-4o-mini, weight: 1", "model: gpt-4o-mini, weight: 3"),
        ("model: gpt-4o-mini, weight: 1", "model: gpt-4o-mini, weight: 0"),
        (", {provider: groq, model: llama-3.3-70b, weight: 1}", ""),
        ("[openai/gpt-4o]", "[openai/gpt-4o, groq/x]"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], balance: round_robin"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], balance: least_busy"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], balance: cheapest"),
        ("[openai/gpt-4o]", "[openai/gpt-4o, {provider: groq, model: x, share: 5%}]"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], balance: fastest"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], sticky: {header: x-session-id}"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], hedge: {after: p95}"),
        ("model: gpt-4o-mini, weight: 1", "model: gpt-4o-mini, share: 12.5%"),
        ("[smart, groq/qwen3]", "[smart]"),
        ("[smart, groq/qwen3]", "[smart, groq/qwen3, legacy/x]"),
        ("[smart, groq/qwen3]", "[groq/qwen3, smart]"),
        ("[smart, groq/qwen3]", "[]"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], fallback_on: [timeout, connect]"),
        (
            "[openai/gpt-4o]",
            "[openai/gpt-4o], fallback_on: [rate_limit, quota, auth, overload, server_error, timeout, connect, context_window, malformed, content_filter]",
        ),
        ("Anything interactive", "Something"),
        ("Be brief.\\n", ""),
        ("    prompt: {system: {text: \"You are helpful.\\nBe brief.\\nAnswer in English.\\n\"}}\n", ""),
        ("temperature: 0.2", "temperature: 0.7"),
        ("defaults: {temperature: 0.2}", "defaults: {temperature: 0.2}\n    overrides: {store: false}"),
        ("  cheap: {targets: [legacy/old-model]}\n", ""),
        ("  cheap:", "  tiny: {targets: [groq/x]}\n  cheap:"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn rules_are_judged_by_the_consequences() {
    let told = told(&[
        ("rules:\n", "rules:\n  - {name: first, when: stream, use: fast}\n"),
        ("rules:\n", "rules:\n  - {name: first, when: stream, deny: {status: 429, message: later}}\n"),
        ("  - {name: big, when: \"tokens.input > 8000\", use: smart}\n", ""),
        ("  - {name: no-tools, when: \"tools\", deny: {message: \"no tools\"}}\n", ""),
        ("deny: {message: \"no tools\"}", "use: fast"),
        ("deny: {message: \"no tools\"}", "deny: {message: \"no tools, sorry\"}"),
        ("deny: {message: \"no tools\"}", "deny: {status: 400, message: \"no tools\"}"),
        ("when: \"tools\"", "when: \"tools and stream\""),
        ("tokens.input > 8000", "tokens.input > 9000"),
        ("use: smart}", "use: fast}"),
        ("use: smart}", "targets: [groq/big]}"),
        ("use: smart}", "deny: {message: sorry}}"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn keys_and_teams_are_judged_by_the_consequences() {
    let hash = format!("[{{sha256: {A}}}]");
    let (old, new) = (format!("sha256: {A}"), format!("sha256: {C}"));
    let ci = format!("  ci: {{hashes: [{{sha256: {B}}}], models: [smart]}}\n");
    let told = told(&[
        (&hash, &format!("[{{{old}, not_after: 2026-12-01}}, {{{new}}}]")),
        (&hash, &format!("[{{{new}}}]")),
        (&hash, &format!("[{{{old}}}, {{{new}}}]")),
        (&hash, &format!("[{{{old}, not_after: 2026-12-01}}]")),
        (&ci, ""),
        (&ci, &format!("{ci}  bot: {{hashes: [{{{new}}}], models: [fast]}}\n")),
        (&ci, &format!("{ci}  bot: {{hashes: [{{{new}}}], models: [\"*\"]}}\n")),
        ("models: [smart]}", "models: [smart, \"*\"]}"),
        ("models: [smart]}", "models: [smart], disabled: true}"),
        ("models: [smart]}", "models: [smart], expires: 2027-06-30}"),
        ("models: [smart]}", "models: [smart], routing_headers: true}"),
        ("models: [smart]}", "models: [smart], priority: batch}"),
        ("models: [smart]}", "models: [smart], priority: critical}"),
        ("models: [smart]}", "models: [smart], team: growth}"),
        ("models: [fast, cheap]", "models: [fast]"),
        ("models: [fast, cheap]", "models: [fast, cheap, smart]"),
        ("models: [fast, cheap]", "models: [fast, cheap, \"openai/*\"]"),
        ("models: [fast, smart, cheap]", "models: [fast, smart]"),
        ("models: [fast, smart, cheap]", "models: [fast, smart, cheap, \"groq/*\"]"),
        ("{models: [fast, smart, cheap]}", "{}"),
        ("env: prod", "env: test"),
        ("teams: {", "teams: {research: {}, "),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn limits_are_judged_by_whom_they_stop() {
    let limited = |limits: &str| base_yaml().replace("models: [smart]}", &format!("models: [smart], limits: {limits}}}"));
    let mut text = String::new();
    for (before, after) in [
        ("{}", "{requests: 600/min, tokens: 1M/day, concurrency: 2}"),
        ("{requests: 600/min}", "{requests: 300/min}"),
        ("{requests: 600/min}", "{requests: 10/s}"),
        ("{requests: 600/min}", "{requests: {rate: 600/min, burst: 61}}"),
        ("{requests: 600/min, concurrency: 2}", "{requests: {rate: 600/min, burst: 60}, concurrency: 3}"),
        ("{tokens: 1M/day, concurrency: 2}", "{}"),
    ] {
        for change in diff(&plan(&limited(before)), &plan(&limited(after))).changes {
            let _ = writeln!(text, "{} | {} | {} | {}", change.path, change.summary, change.risk.word(), change.reason.unwrap_or_default());
        }
    }
    let elsewhere = told(&[
        ("https://old.example/v1\"", "https://old.example/v1\", limits: {requests: 10/s}"),
        ("[openai/gpt-4o]", "[openai/gpt-4o], limits: {tokens: 1M/min}"),
        ("models: [fast, smart, cheap]", "models: [fast, smart, cheap], limits: {concurrency: 5}"),
    ]);
    insta::assert_snapshot!(text + &elsewhere);
}

#[test]
fn the_end_of_a_rotation_is_told_from_a_revocation() {
    let yaml = |hashes: &str| plan(&base_yaml().replace(&format!("[{{sha256: {A}}}]"), &format!("[{hashes}]")));
    let (open, ending, later) =
        (format!("{{sha256: {A}}}"), format!("{{sha256: {A}, not_after: 2026-12-01}}"), format!("{{sha256: {A}, not_after: 2027-01-01}}"));
    let new = format!("{{sha256: {C}}}");
    let mut text = String::new();
    for (before, after) in [
        (format!("{ending}, {new}"), new.clone()),
        (format!("{open}, {new}"), new.clone()),
        (format!("{ending}, {new}"), format!("{later}, {new}")),
        (format!("{later}, {new}"), format!("{ending}, {new}")),
        (format!("{ending}, {new}"), format!("{open}, {new}")),
    ] {
        let found = diff(&yaml(&before), &yaml(&after));
        let change = only(&found);
        let _ = writeln!(text, "{} | {} | {}", change.summary, change.risk.word(), change.reason.as_deref().unwrap_or_default());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_renamed_key_is_told_from_a_revoked_one() {
    let found = diff(&plan(&base_yaml()), &edited("  web-app: {", "  site: {"));
    let risks: Vec<_> = found.changes.iter().map(|change| (change.path.as_str(), change.risk)).collect();
    assert_eq!(risks, [("virtual_keys.site", Risk::Medium), ("virtual_keys.web-app", Risk::Medium)]);
}

#[test]
fn a_rename_does_not_hide_what_a_key_gains_or_loses() {
    let old = format!("  ci: {{hashes: [{{sha256: {B}}}], models: [smart]}}\n");
    for (models, extra, added, removed) in [
        ("[smart, \"*\"]", "", Risk::High, Risk::Medium),
        ("[fast]", "", Risk::Medium, Risk::High),
        ("[smart]", ", disabled: true", Risk::None, Risk::High),
    ] {
        let new = format!("  bot: {{hashes: [{{sha256: {B}}}], models: {models}{extra}}}\n");
        let found = diff(&plan(&base_yaml()), &edited(&old, &new));
        assert_eq!(found.changes.iter().map(|change| change.risk).collect::<Vec<_>>(), [added, removed], "{models}");
    }
}

#[test]
fn what_a_credential_proves_itself_with_is_judged_by_the_consequences() {
    let with = |provider: &str, credential: &str| {
        plan(&format!("version: 1\nproviders: {{x: {{{provider}, credentials: {{a: {{{credential}}}}}}}}}\n"))
    };
    let keys = "aws: {access_key_id: {env: A}, secret_access_key: {env: B}}";
    let bedrock = "preset: bedrock, region: eu-central-1";
    let vertex = "preset: vertex, project: p-1, location: eu";
    let key_file = "google: {service_account: {file: a.json}}";
    let mut text = String::new();
    for (base, new) in [
        ((bedrock, keys), ("preset: bedrock, region: us-east-1", keys)),
        ((bedrock, keys), (bedrock, "aws: {access_key_id: {env: A}, secret_access_key: {file: b}, session_token: {env: C}}")),
        ((bedrock, keys), (bedrock, "aws: {profile: prod}")),
        ((bedrock, "aws: {profile: prod}"), (bedrock, "aws: environment")),
        ((bedrock, "aws: environment"), (bedrock, "aws: {web_identity: {role_arn: \"arn:aws:iam::1:role/r\", token_file: t}}")),
        (
            (bedrock, "aws: {web_identity: {role_arn: \"arn:aws:iam::1:role/r\", token_file: t}}"),
            (
                bedrock,
                "aws: {web_identity: {role_arn: \"arn:aws:iam::1:role/s\", token_file: u, session_name: gw, sts_url: \"https://sts.example\"}}",
            ),
        ),
        ((bedrock, keys), (bedrock, "secret: {env: AWS_BEARER_TOKEN_BEDROCK}")),
        ((vertex, key_file), (vertex, "google: {service_account: {env: A}}")),
        ((vertex, key_file), (vertex, "google: environment")),
        ((vertex, "secret: {file: token}"), (vertex, key_file)),
        (
            (vertex, key_file),
            ("preset: vertex, project: p-2, location: global, base_url: \"https://aiplatform.eu.rep.googleapis.com/v1beta1\"", key_file),
        ),
        (
            ("preset: azure-classic, base_url: \"https://r.example\"", "secret: {env: A}"),
            ("preset: azure-classic, base_url: \"https://r.example\", api_version: preview", "secret: {env: A}"),
        ),
    ] {
        for change in &diff(&with(base.0, base.1), &with(new.0, new.1)).changes {
            let reason = change.reason.as_deref().unwrap_or("-");
            let _ = writeln!(text, "{} | {} | {} | {reason}", change.path, change.summary, change.risk.word());
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

const SANDBOX: &str = "policy: {risks: [{path: \"virtual_keys.ci*\", risk: low, reason: it is a sandbox}, {path: \"models.fast.targets*\", action: changed, risk: high}]}\n";

#[test]
fn the_policy_of_the_base_judges_and_not_that_of_the_change() {
    let base = base_yaml();
    let with_policy = plan(&format!("{base}{SANDBOX}"));
    let edit = |text: &str| text.replace("models: [smart]}", "models: []}").replace("gpt-4o-mini, weight: 1", "gpt-4o-mini, weight: 2");
    let risks =
        |found: &bifrostctl::plan::diff::Diff| found.changes.iter().map(|change| (change.path.clone(), change.risk)).collect::<Vec<_>>();
    let key = "virtual_keys.ci.models".to_owned();
    let target = "models.fast.targets[openai/gpt-4o-mini].weight".to_owned();
    let plain = diff(&plan(&base), &plan(&edit(&base)));
    assert_eq!(risks(&plain), [(target.clone(), Risk::Low), (key.clone(), Risk::High)]);
    let judged = diff(&with_policy, &plan(&format!("{}{SANDBOX}", edit(&base))));
    assert_eq!(risks(&judged), [(target, Risk::High), (key.clone(), Risk::Low)]);
    let reason = judged.changes[1].reason.clone().unwrap();
    assert!(reason.ends_with("(high by itself; it is a sandbox)"), "{reason}");
    // Whoever brings a policy along is not judged by it, and bringing it is a risk of its own.
    let brought = diff(&plan(&base), &plan(&format!("{}{SANDBOX}", edit(&base))));
    assert_eq!(risks(&brought)[1..], [(key, Risk::High), ("policy.risks".to_owned(), Risk::High)]);
    let dropped = diff(&with_policy, &plan(&base));
    assert_eq!((only(&dropped).risk, only(&dropped).summary.as_str()), (Risk::High, "2 removed"));
}

#[test]
fn a_limit_below_what_is_spent_is_told_with_the_sum() {
    let text = |limit: &str, own: &str| {
        format!(
            "{}budgets: {{growth: {{limit: {limit}, period: month}}}}\n",
            base_yaml().replace(
                "growth: {models: [fast, smart, cheap]}",
                &format!("growth: {{models: [fast, smart, cheap], budgets: [growth, {{limit: {own}, period: day}}]}}")
            )
        )
    };
    let told = |limit: &str, own: &str| {
        let mut found = diff(&plan(&text("$500", "$10")), &plan(&text(limit, own)));
        found.note_spent(|name| match name {
            "growth" => "$210".parse().ok(),
            "team:growth per day" => "$4".parse().ok(),
            _ => None,
        });
        found.changes.iter().map(|change| (change.risk, change.reason.clone().unwrap_or_default())).collect::<Vec<_>>()
    };
    assert_eq!(told("$50", "$10"), [(Risk::High, "$210 is spent in the running window: requests are refused at once".to_owned())]);
    assert_eq!(told("$300", "$10"), [(Risk::High, "$210 of it is spent in the running window; requests are refused sooner".to_owned())]);
    assert_eq!(told("$600", "$10")[0].0, Risk::Medium, "more is more, whatever is spent");
    assert!(told("$500", "$5")[0].1.starts_with("$4 of it is spent"), "{:?}", told("$500", "$5"));
    // What a policy says of the risk is not lost with the reason.
    let policy = |limit: &str| {
        format!("{}policy: {{risks: [{{path: \"budgets.*\", risk: low, reason: it is a (small) one}}]}}\n", text(limit, "$10"))
    };
    let mut found = diff(&plan(&policy("$500")), &plan(&policy("$50")));
    found.note_spent(|_| "$210".parse().ok());
    let said = "$210 is spent in the running window: requests are refused at once (high by itself; it is a (small) one)";
    assert_eq!((only(&found).risk, only(&found).reason.as_deref()), (Risk::Low, Some(said)));
}
