//! What a spec becomes: defaults, presets, one spelling for each value.

use bifrostctl::base::{ByteSize, Span};
use bifrostctl::catalog::{self, Cloud};
use bifrostctl::plan::{
    AccessLog, Admin, Api, Auth, AuthScheme, Balance, FallbackOn, MaxTokensField, MetricsOn, PromptPosition, Proof, RuleAction, SecretRef,
};

use super::support::{compiled, findings, loaded, plan};

const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000001";

#[test]
fn an_almost_empty_spec_gets_every_default() {
    let plan = plan("version: 1\nproviders: {mock: {}}\n");
    assert_eq!(plan.gateway.listen, "127.0.0.1:8080");
    assert_eq!(plan.gateway.admin, Admin::Unix(".bifrost/admin.sock".into()));
    assert_eq!(plan.gateway.state.directory(), ".bifrost");
    assert_eq!(plan.gateway.auth, Auth::Required);
    assert_eq!(plan.gateway.tls, None);
    assert_eq!(plan.gateway.limits.body, ByteSize::new(33_554_432));
    assert_eq!((plan.gateway.limits.in_flight, plan.gateway.limits.connections), (2_000, 10_000));
    assert_eq!(plan.gateway.drain, Span::from_secs(120));
    assert_eq!((plan.telemetry.access_log, plan.telemetry.metrics), (AccessLog::Stderr, MetricsOn::Admin));
    let mock = &plan.providers["mock"];
    assert_eq!((mock.base_url.as_str(), &mock.auth, mock.api), ("mock:", &AuthScheme::None, Api::OpenaiChat));
    assert_eq!(mock.preset.as_deref(), Some("mock"));
    assert_eq!(mock.credentials.keys().collect::<Vec<_>>(), ["default"]);
    assert_eq!(mock.credentials["default"].proof, Proof::Secret(SecretRef::None));
    assert_eq!(mock.credentials["default"].models, ["*"]);
    let times = &mock.timeouts;
    assert_eq!(
        [times.connect, times.first_byte, times.first_content, times.idle, times.total].map(|span| span.to_string()),
        ["5s", "2m", "2m", "1m", "15m"]
    );
    assert_eq!((mock.retries.max, mock.retries.only_if_failed_within, mock.retries.backoff.as_millis()), (2, Span::from_secs(5), 100));
}

#[test]
fn every_preset_compiles_by_its_name_alone() {
    for (name, preset) in catalog::presets() {
        let url = if preset.base_url.is_none() { "base_url: https://llm.example/v1/, " } else { "" };
        let place = match preset.cloud {
            Some(Cloud::Vertex) => "project: p, location: eu, ",
            Some(Cloud::AzureClassic) | None => "",
        };
        let yaml = format!(
            "version: 1\nproviders:\n  {name}: {{{url}{place}credentials: {{default: {{secret: {{env: KEY}}}}}}}}\nmodels: {{m: {{targets: [{name}/x]}}}}\n"
        );
        let plan = plan(&yaml);
        let provider = &plan.providers[name];
        assert_eq!(provider.base_url, preset.base_url.as_deref().unwrap_or("https://llm.example/v1"), "{name}");
        assert_eq!(provider.auth, preset.auth, "{name}");
        assert_eq!(provider.quirks.max_tokens_field, preset.quirks.max_tokens_field, "{name}");
        assert_eq!(provider.quirks.done_marker, preset.quirks.done_marker.unwrap_or(true), "{name}");
        assert_eq!(provider.credentials["default"].proof, Proof::Secret(SecretRef::Env("KEY".into())), "{name}");
    }
}

#[test]
fn the_spec_wins_over_the_preset() {
    let plan = plan(
        "version: 1\nproviders:\n  mistral:\n    base_url: https://eu.example/v1\n    auth: {header: X-Key}\n    quirks: {stream_options: true, done_marker: false}\n    credentials: {a: {secret: {file: /k}, weight: 3, models: [\"open-*\"], optional: true}}\n    headers: {X-Team: \"{{ key.team }}\"}\n",
    );
    let mistral = &plan.providers["mistral"];
    assert_eq!(mistral.base_url, "https://eu.example/v1");
    assert_eq!(mistral.auth, AuthScheme::Header("x-key".into()));
    assert_eq!((mistral.quirks.stream_options, mistral.quirks.done_marker), (true, false));
    assert_eq!(mistral.quirks.max_tokens_field, Some(MaxTokensField::MaxTokens));
    assert_eq!(mistral.headers.keys().collect::<Vec<_>>(), ["x-team"]);
    let a = &mistral.credentials["a"];
    assert_eq!((a.weight, a.optional, a.models.as_slice()), (3, true, ["open-*".to_owned()].as_slice()));
}

#[test]
fn a_provider_of_another_name_starts_from_the_preset_it_names() {
    let plan = plan("version: 1\nproviders: {eu: {preset: openai, credentials: {k: {secret: {env: K}}}}}\n");
    assert_eq!(plan.providers["eu"].preset.as_deref(), Some("openai"));
    assert_eq!(plan.providers["eu"].base_url, "https://api.openai.com/v1");
}

#[test]
fn a_provider_that_says_its_api_takes_nothing_from_the_preset_of_its_name() {
    let plan = plan("version: 1\nproviders: {mistral: {api: openai-chat, base_url: \"http://127.0.0.1:1/v1\", auth: none}}\n");
    assert_eq!(plan.providers["mistral"].preset, None);
    assert_eq!(plan.providers["mistral"].quirks.max_tokens_field, None);
    assert!(plan.providers["mistral"].quirks.stream_options);
}

#[test]
fn aliases_rules_teams_and_keys_are_resolved() {
    let plan = plan(&format!(
        r#"
version: 1
providers: {{mock: {{}}}}
models:
  fast: {{targets: [mock/a, {{provider: mock, model: b/c, weight: 4}}], fallbacks: [slow, mock/z], prompt: {{system: {{text: Hi}}}}}}
  slow: {{targets: [mock/s], balance: round_robin, fallback_on: [timeout]}}
rules:
  - {{name: r1, when: "stream", use: fast}}
  - {{name: r2, when: "tools", targets: [mock/t]}}
  - {{name: r3, when: "vision", deny: {{message: "no pictures"}}}}
teams: {{t: {{models: [fast]}}}}
virtual_keys:
  k: {{hashes: [{{sha256: "{DIGEST}", not_after: 2026-12-01}}], team: t, models: ["*"], expires: "2027-06-30T12:00:00+02:00", labels: {{env: prod}}}}
"#
    ));
    let fast = &plan.models["fast"];
    let targets: Vec<_> = fast.targets.iter().map(|it| (it.provider.as_str(), it.model.as_str(), it.weight)).collect();
    assert_eq!(targets, [("mock", "a", 1), ("mock", "b/c", 4)]);
    assert_eq!(fast.fallbacks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["slow", "mock/z"]);
    assert_eq!(fast.balance, Balance::Weighted);
    assert_eq!(fast.fallback_on.len(), 9);
    assert!(!fast.fallback_on.contains(&FallbackOn::ContentFilter));
    assert_eq!(fast.prompt.as_ref().map(|it| (it.system.as_str(), it.position)), Some(("Hi", PromptPosition::Prepend)));
    assert_eq!(plan.models["slow"].fallback_on.iter().collect::<Vec<_>>(), [&FallbackOn::Timeout]);
    assert_eq!(plan.rules[0].action, RuleAction::Use("fast".into()));
    assert!(matches!(&plan.rules[1].action, RuleAction::Targets(targets) if targets.len() == 1));
    assert_eq!(plan.rules[2].action, RuleAction::Deny { status: 403, message: "no pictures".into() });
    let key = &plan.virtual_keys["k"];
    assert_eq!(key.expires.as_deref(), Some("2027-06-30T10:00:00Z"));
    assert_eq!(key.hashes[0].not_after.as_deref(), Some("2026-12-01T00:00:00Z"));
    assert_eq!((key.team.as_deref(), key.disabled, key.routing_headers), (Some("t"), false, false));
}

#[test]
fn the_same_meaning_has_the_same_digest() {
    let short = plan("version: 1\nproviders: {mock: {timeouts: {connect: 60s}}}\nmodels: {m: {targets: [mock/x]}}\n");
    let long = plan(
        "version: 1\ngateway: {listen: \"127.0.0.1:8080\", drain: 2m}\nproviders: {mock: {base_url: \"mock:\", timeouts: {connect: 1m}, headers: {}}}\nmodels: {m: {targets: [{provider: mock, model: x, weight: 1}], fallbacks: []}}\nrules: []\n",
    );
    assert_eq!(short, long);
    assert_eq!(short.digest(), long.digest());
    let other = plan("version: 1\nproviders: {mock: {timeouts: {connect: 61s}}}\nmodels: {m: {targets: [mock/x]}}\n");
    assert_ne!(short.digest(), other.digest());
}

#[test]
fn a_plan_survives_its_own_model() {
    let plan = plan(
        "version: 1\nproviders: {groq: {credentials: {k: {secret: {cred: groq}}}}}\nmodels: {m: {targets: [groq/x], fallbacks: [groq/y]}}\n",
    );
    assert_eq!(serde_json::from_value::<bifrostctl::plan::Plan>(plan.model()).unwrap(), plan);
}

#[test]
fn a_prompt_file_is_in_the_plan_as_text() {
    let yaml = "version: 1\nproviders: {mock: {}}\nmodels: {m: {targets: [mock/x], prompt: {system: {file: p.j2}, position: append}}}\n";
    let mut loaded = loaded(yaml);
    loaded.prompts.insert("p.j2".into(), "Be brief.".into());
    let compiled = bifrostctl::plan::compile(&loaded).unwrap();
    assert_eq!(compiled.plan.models["m"].prompt.as_ref().unwrap().system, "Be brief.");
    assert_eq!(findings(yaml)[0].code, "BF0226");
}

#[test]
fn all_errors_come_out_at_once() {
    let codes: Vec<_> = findings(
        "version: 1\nproviders: {opnai: {}, groq: {}, vllm: {}, x: {preset: mistrall}}\nmodels: {m: {targets: [groq/x]}}\nrules: [{name: r, when: \"true\"}]\nvirtual_keys: {k: {hashes: [], expires: never}}\n",
    )
    .into_iter()
    .map(|found| found.code)
    .collect();
    for code in ["BF0201", "BF0202", "BF0203", "BF0218", "BF0302", "BF0406"] {
        assert!(codes.contains(&code), "{code} is not in {codes:?}");
    }
}

#[test]
fn compiling_ten_thousand_keys_is_quick() {
    use std::fmt::Write as _;
    let mut yaml = String::from("version: 1\nproviders: {mock: {}}\nmodels: {m: {targets: [mock/x]}}\nvirtual_keys:\n");
    for n in 0..10_000 {
        let _ = writeln!(yaml, "  k{n}: {{hashes: [{{sha256: \"{n:064x}\"}}], models: [m], expires: 2030-01-01}}");
    }
    let loaded = loaded(&yaml);
    let started = std::time::Instant::now();
    let compiled = bifrostctl::plan::compile(&loaded).unwrap();
    assert_eq!(compiled.plan.virtual_keys.len(), 10_000);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    assert!(compiled.warnings.is_empty(), "{:?}", compiled.warnings.first());
}

#[test]
fn a_keyless_preset_needs_no_credentials() {
    let plan = compiled("version: 1\nproviders: {ollama: {}, vllm: {base_url: \"http://127.0.0.1:8000/v1\"}}\n").plan;
    for provider in plan.providers.values() {
        assert_eq!(provider.credentials["default"].proof, Proof::Secret(SecretRef::None));
        assert_eq!(provider.auth, AuthScheme::Bearer);
    }
}

#[test]
fn a_clouds_address_follows_from_the_place_unless_it_is_given() {
    let url = |provider: &str| {
        let text = format!("version: 1\nproviders: {{x: {{{provider}, credentials: {{a: {{secret: {{env: K}}}}}}}}}}\n");
        plan(&text).providers["x"].base_url.clone()
    };
    for (provider, expected) in [
        ("preset: bedrock, region: eu-central-1", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        ("api: bedrock, region: cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("preset: bedrock, base_url: https://vpce.example/", "https://vpce.example"),
        ("preset: vertex, project: p, location: europe-west4", "https://europe-west4-aiplatform.googleapis.com/v1beta1"),
        ("preset: vertex, project: p, location: global", "https://aiplatform.googleapis.com/v1beta1"),
        ("preset: vertex-anthropic, project: p, location: eu", "https://aiplatform.eu.rep.googleapis.com/v1"),
        ("api: anthropic, project: p, location: us-east5", "https://us-east5-aiplatform.googleapis.com/v1"),
        ("preset: vertex, project: p, location: eu, base_url: https://private.example/v1", "https://private.example/v1"),
    ] {
        assert_eq!(url(provider), expected, "{provider}");
    }
}
