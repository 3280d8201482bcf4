//! Upstreams.

use super::super::support::findings;
use super::{expect, spec};

fn vllm(members: &str) -> String {
    format!("providers: {{vllm: {{api: openai-chat, auth: none, {members}}}}}\nmodels: {{m: {{targets: [vllm/x]}}}}")
}

#[test]
fn a_base_url_is_one_that_may_be_dialled() {
    for bad in [
        "api.example.com/v1",
        "ftp://host/v1",
        "https://user:pw@host/v1",
        "https://host/v1?key=1",
        "https://host/v1#x",
        "http://169.254.169.254/v1",
        "http://0.0.0.0:80",
        "http://metadata.google.internal/",
        "https://",
    ] {
        expect(&[(&vllm(&format!("base_url: \"{bad}\"")), &["BF0204 /providers/vllm/base_url"])]);
    }
    for good in [
        "https://host/v1",
        "http://127.0.0.1:8000/v1/",
        "http://localhost:1/v1",
        "http://[::1]:1",
        "mock:",
        "http://host.docker.internal:1/v1",
    ] {
        expect(&[(&vllm(&format!("base_url: \"{good}\"")), &[])]);
    }
}

#[test]
fn a_bad_base_url_is_not_repeated() {
    for bad in ["https://user:canary@host/v1", "https://host/v1?key=canary", "canary", "canary:x"] {
        for found in findings(&spec(&vllm(&format!("base_url: \"{bad}\"")))) {
            assert!(found.sensitive, "{found:?}");
            assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        }
    }
}

#[test]
fn plain_http_is_for_this_machine() {
    for url in ["http://10.0.0.5:8000/v1", "http://vllm:8000/v1", "http://example.com/v1"] {
        expect(&[(&vllm(&format!("base_url: \"{url}\"")), &["BF0205 /providers/vllm/base_url"])]);
    }
}

#[test]
fn a_key_does_not_leave_for_the_internet_in_clear_text() {
    let remote = |url: &str, more: &str| {
        format!("providers: {{far: {{api: openai-chat, base_url: \"{url}\"{more}}}}}\nmodels: {{m: {{targets: [far/x]}}}}")
    };
    let keyed = ", credentials: {a: {secret: {env: A}}}";
    let outside = ["http://api.example.com/v1", "http://8.8.8.8/v1", "http://vllm.prod/v1", "http://[2001:4860:4860::8888]:80/v1"];
    let inside = [
        "http://10.0.0.5:8000/v1",
        "http://vllm:8000/v1",
        "http://vllm.ns.svc/v1",
        "http://vllm.ns.svc.cluster.local/v1",
        "http://gpu.internal/v1",
        "http://[fd00::5]:80/v1",
    ];
    let here = ["http://127.0.0.1/v1", "http://localhost/v1", "http://host.docker.internal/v1", "https://api.example.com/v1"];
    for url in outside {
        expect(&[
            (&remote(url, keyed), &["BF0230 /providers/far/base_url"]),
            (&remote(url, ", auth: none"), &["BF0205 /providers/far/base_url"]),
            (&remote(url, ", credentials: {a: {secret: none}}"), &["BF0205 /providers/far/base_url"]),
            (&remote(url, &format!("{keyed}, allow_plain_http: true")), &[]),
        ]);
    }
    for url in inside {
        expect(&[
            (&remote(url, keyed), &["BF0205 /providers/far/base_url"]),
            (&remote(url, &format!("{keyed}, allow_plain_http: true")), &[]),
        ]);
    }
    here.iter().for_each(|url| expect(&[(&remote(url, keyed), &[])]));
}

#[test]
fn a_provider_that_nothing_leads_to_is_reported() {
    let two = "providers: {mock: {}, ollama: {}}\n";
    expect(&[
        (two, &[]),
        (&format!("{two}virtual_keys: {{k: {{hashes: [], models: [m]}}}}"), &["BF0206 /providers/ollama"]),
        (&format!("{two}virtual_keys: {{k: {{hashes: [], models: [m, \"ollama/*\"]}}}}"), &[]),
        (&format!("{two}virtual_keys: {{k: {{hashes: [], models: [m, \"*-mini\"]}}}}"), &[]),
        (
            &format!("{two}virtual_keys: {{k: {{hashes: [], models: [m]}}}}\nmodels: {{m: {{targets: [mock/x], fallbacks: [ollama/y]}}}}"),
            &[],
        ),
        (&format!("{two}virtual_keys: {{k: {{hashes: [], models: [m]}}}}\nrules: [{{name: r, when: stream, targets: [ollama/y]}}]"), &[]),
        (&format!("{two}virtual_keys: {{}}\ngateway: {{auth: \"off\"}}"), &[]),
    ]);
}

#[test]
fn a_misspelt_reference_does_not_make_its_provider_unused() {
    let two = "providers: {mock: {}, ollama: {}}\nvirtual_keys: {k: {hashes: [], models: [m]}}\n";
    expect(&[
        (&format!("{two}models: {{m: {{targets: [mock/x, olama/y]}}}}"), &["BF0207 /models/m/targets/1"]),
        (&format!("{two}models: {{m: {{targets: [mock/x, {{provider: olama, model: z}}]}}}}"), &["BF0207 /models/m/targets/1/provider"]),
    ]);
}

#[test]
fn credentials_must_add_up() {
    let openai = |members: &str| format!("providers: {{openai: {{{members}}}}}\nmodels: {{m: {{targets: [openai/gpt-4o]}}}}");
    expect(&[
        (&openai("credentials: {a: {secret: {env: A}}}"), &[]),
        (
            &openai("credentials: {a: {secret: {env: A}, weight: 0}, b: {secret: {env: B}, weight: 0}}"),
            &["BF0213 /providers/openai/credentials"],
        ),
        (&openai("credentials: {a: {secret: {env: A}, weight: 0}, b: {secret: {env: B}}}"), &[]),
        (&openai("credentials: {a: {secret: {env: A}, optional: true}}"), &["BF0220 /providers/openai/credentials"]),
        (&openai("credentials: {a: {secret: {env: A}, optional: true}, b: {secret: {env: B}}}"), &[]),
        (&openai("credentials: {a: {secret: {env: A}, models: [\"gpt-3*\"]}}"), &["BF0217 /models/m/targets/0"]),
        (&openai("credentials: {a: {secret: {env: A}, models: [\"gpt-3*\"]}, b: {secret: {env: B}, models: [\"*-4o\"]}}"), &[]),
        (&openai("auth: {header: api-key}, credentials: {a: {secret: none}}"), &["BF0218 /providers/openai/credentials/a/secret"]),
        (&openai("credentials: {a: {secret: none}}"), &[]),
        ("providers: {ollama: {auth: {header: x-key}}}\nmodels: {m: {targets: [ollama/x]}}", &["BF0218 /providers/ollama"]),
    ]);
}

#[test]
fn providers_that_may_stand_idle_have_one_note_together() {
    let idle = |name: &str| format!("{name}: {{credentials: {{a: {{secret: {{env: A}}, optional: true}}}}}}");
    let yaml = spec(&format!("providers: {{mock: {{}}, {}, {}}}", idle("groq"), idle("openai")));
    let found = findings(&yaml);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].pointer.as_deref(), Some("/providers"));
    assert_eq!(found[0].message, "2 providers serve nothing until a secret of theirs is set: `groq`, `openai`");
}

#[test]
fn a_provider_that_is_not_known_is_reported_once() {
    expect(&[
        ("providers: {opnai: {}}\nmodels: {m: {targets: [opnai/x]}}", &["BF0202 /providers/opnai"]),
        ("providers: {x: {preset: mistrall}}\nmodels: {m: {targets: [x/x]}}", &["BF0201 /providers/x/preset"]),
        ("providers: {vllm: {}}\nmodels: {m: {targets: [vllm/x]}}", &["BF0203 /providers/vllm"]),
        ("providers: {groq: {}}\nmodels: {m: {targets: [groq/x]}}", &["BF0218 /providers/groq"]),
    ]);
}

#[test]
fn written_timeouts_must_not_contradict_each_other() {
    let at = |limit: &str| format!("BF0227 /providers/vllm/timeouts/{limit}");
    for (timeouts, expected) in [
        ("total: 10s", vec![]),
        ("first_byte: 10m", vec![]),
        ("idle: 30m", vec![]),
        ("connect: 3s, first_byte: 60s, first_content: 120s, idle: 60s, total: 15m", vec![]),
        ("connect: 5s, total: 5s", vec![]),
        ("idle: 30s, first_byte: 10s, first_content: 10s", vec![]),
        ("connect: 10s, first_byte: 5s", vec![at("connect")]),
        ("first_byte: 20s, total: 10s", vec![at("first_byte")]),
        ("first_byte: 60s, first_content: 30s", vec![at("first_byte")]),
        ("idle: 60s, total: 30s", vec![at("idle")]),
        (
            "connect: 9s, first_byte: 8s, first_content: 7s, idle: 60s, total: 6s",
            vec![at("connect"), at("first_byte"), at("first_content"), at("idle")],
        ),
        ("total: 0s", vec![at("total")]),
        ("connect: 0s, total: 10s", vec![at("connect")]),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expect(&[(&vllm(&format!("base_url: \"http://127.0.0.1:1\", timeouts: {{{timeouts}}}")), &expected)]);
    }
}
