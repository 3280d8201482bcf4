//! Whatever a file holds: nothing panics, no secret gets out, every value is told of, and what comes out validates.

use std::path::{Path, PathBuf};

use bifrostctl::import::{Peer, Unread, import};
use bifrostctl::spec::Memory;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{errors, listed, untold};

/// A secret that anybody would know for one, and its middle, which nothing else holds.
const KEY: &str = "sk-proj-Ca9nAr3yPq7Lm2Xw8Vt5Zb1Kd6Rf4Gh0";
/// A secret that nobody would, which is one only where secrets stand.
const WORD: &str = "canarybird";

/// Members of LiteLLM's files, and some that are none.
const LITELLM: &[&str] = &[
    "model_list",
    "model_name",
    "litellm_params",
    "model_info",
    "router_settings",
    "litellm_settings",
    "general_settings",
    "model",
    "api_base",
    "api_version",
    "rpm",
    "tpm",
    "weight",
    "order",
    "timeout",
    "stream_timeout",
    "max_retries",
    "num_retries",
    "fallbacks",
    "default_fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "model_group_alias",
    "routing_strategy",
    "aws_region_name",
    "vertex_project",
    "vertex_location",
    "base_model",
    "input_cost_per_token",
    "output_cost_per_token",
    "max_input_tokens",
    "extra_headers",
    "temperature",
    "stop",
    "tags",
    "max_budget",
    "budget_duration",
    "environment_variables",
    "credential_list",
    "litellm_credential_name",
    "include_not",
    "a/b",
    "x y",
    "custom_llm_provider",
    "organization",
    "max_parallel_requests",
    "global_max_parallel_requests",
    "max_request_size_mb",
];

/// Texts that mean something somewhere.
const TEXTS: &[&str] = &[
    "openai/gpt-4o",
    "gpt-4o",
    "anthropic/claude-sonnet-4-5",
    "azure/dep",
    "bedrock/amazon.nova-lite-v1:0",
    "vertex_ai/gemini-2.5-pro",
    "ollama/x",
    "openai/*",
    "*",
    "a",
    "b",
    "a/b",
    "my model",
    "https://api.example.com/v1",
    "http://10.0.0.1:8000/v1",
    "http://127.0.0.1:1/v1",
    "os.environ/NAME",
    "eu-central-1",
    "simple-shuffle",
    "30d",
    "",
    "${env:X}",
    "{{ x }}",
    "\u{202e}x",
    "none",
    "sagemaker/x",
    "hosted_vllm/q",
];

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => prop::sample::select(TEXTS).prop_map(|text| json!(text)),
        1 => Just(json!(KEY)),
        1 => Just(json!(format!("https://u:{KEY}@example.com/{KEY}"))),
        1 => "[ -~]{0,12}".prop_map(Value::String),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text(),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => (-5_i64..100_000).prop_map(|number| json!(number)),
        1 => (0.0..10.0_f64).prop_map(|number| json!(number)),
        1 => Just(Value::Null),
    ]
}

/// Any tree of such members. What stands under the name of a secret is one that nobody would know.
fn tree(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 60, 6, move |inner| {
        let name = prop_oneof![
            12 => prop::sample::select(names).prop_map(str::to_owned),
            1 => Just(KEY.to_owned()),
        ];
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            5 => prop::collection::vec((name, inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A row of LiteLLM's as it may be, with parameters that are as likely right as wrong.
fn row() -> impl Strategy<Value = Value> {
    let params = prop::collection::vec((prop::sample::select(LITELLM), leaf()), 0..6);
    let secret = prop::sample::select(&["api_key", "aws_secret_access_key", "vertex_credentials", "client_secret", "azure_ad_token"][..]);
    (text(), text(), params, secret, prop::option::of(tree(LITELLM))).prop_map(|(name, model, params, secret, info)| {
        let mut members: Map<String, Value> = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        members.insert("model".to_owned(), model);
        members.insert(secret.to_owned(), json!(WORD));
        json!({"model_name": name, "litellm_params": members, "model_info": info})
    })
}

fn litellm() -> impl Strategy<Value = Value> {
    let rows = prop::collection::vec(row(), 0..6);
    (rows, tree(LITELLM), tree(LITELLM), tree(LITELLM)).prop_map(|(rows, router, library, other)| {
        json!({
            "model_list": rows,
            "router_settings": router,
            "litellm_settings": library,
            "general_settings": {"master_key": WORD, "database_url": WORD, "more": other},
        })
    })
}

/// Members of Bifrost's files.
const BIFROST: &[&str] = &[
    "keys",
    "name",
    "models",
    "weight",
    "network_config",
    "base_url",
    "extra_headers",
    "default_request_timeout_in_seconds",
    "max_retries",
    "retry_backoff_initial",
    "concurrency_and_buffer_size",
    "concurrency",
    "buffer_size",
    "custom_provider_config",
    "base_provider_type",
    "aliases",
    "azure_key_config",
    "endpoint",
    "api_version",
    "deployments",
    "bedrock_key_config",
    "region",
    "vertex_key_config",
    "project_id",
    "enabled",
    "budgets",
    "max_limit",
    "reset_duration",
    "rate_limits",
    "request_max_limit",
    "request_reset_duration",
    "token_max_limit",
    "token_reset_duration",
    "customers",
    "teams",
    "virtual_keys",
    "id",
    "team_id",
    "customer_id",
    "budget_id",
    "rate_limit_id",
    "provider_configs",
    "provider",
    "allowed_models",
    "is_active",
    "expires_at",
    "routing_rules",
    "cel_expression",
    "targets",
    "fallbacks",
    "model",
    "priority",
    "scope",
    "scope_id",
    "max_request_body_size_mb",
    "log_retention_days",
    "description",
    "calendar_aligned",
    "x y",
];

fn bifrost() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(&["openai", "anthropic", "azure", "bedrock", "vertex", "mine", "ollama", "vllm", "a b", KEY][..]);
    let key = (tree(BIFROST), prop::bool::ANY).prop_map(|(mut key, has_secret)| {
        if let Some(members) = key.as_object_mut().filter(|_| has_secret) {
            members.insert("value".to_owned(), json!(WORD));
        }
        key
    });
    let provider = (prop::collection::vec(key, 0..3), tree(BIFROST), tree(BIFROST))
        .prop_map(|(keys, network, custom)| json!({"keys": keys, "network_config": network, "custom_provider_config": custom}));
    let caller = (tree(BIFROST), text()).prop_map(|(mut key, name)| {
        if let Some(members) = key.as_object_mut() {
            members.insert("value".to_owned(), json!(WORD));
            members.insert("name".to_owned(), name);
        }
        key
    });
    let governance = (prop::collection::vec(caller, 0..3), tree(BIFROST), prop::collection::vec(tree(BIFROST), 0..3));
    let providers = prop::collection::vec((names, provider), 0..4);
    (providers, governance, tree(BIFROST)).prop_map(|(providers, (keys, teams, rules), client)| {
        let providers: Map<String, Value> = providers.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
        let governance = json!({"virtual_keys": keys, "teams": [teams], "routing_rules": rules});
        json!({"providers": providers, "governance": governance, "client": client, "encryption_key": WORD})
    })
}

/// Members of Portkey's files.
const PORTKEY: &[&str] = &[
    "strategy",
    "mode",
    "targets",
    "provider",
    "virtual_key",
    "override_params",
    "model",
    "weight",
    "retry",
    "attempts",
    "on_status_codes",
    "cache",
    "request_timeout",
    "custom_host",
    "conditions",
    "query",
    "then",
    "default",
    "name",
    "metadata.a",
    "params.model",
    "$eq",
    "$in",
    "$and",
    "$regex",
    "azure_resource_name",
    "azure_deployment_id",
    "aws_region",
    "vertex_project_id",
    "openai_organization",
    "seed",
];

fn portkey() -> impl Strategy<Value = Value> {
    let providers =
        prop::sample::select(&["openai", "anthropic", "google", "azure-openai", "bedrock", "vertex-ai", "ollama", "mine", "@groq-1"][..]);
    let leaf = (providers, text(), tree(PORTKEY), tree(PORTKEY)).prop_map(|(provider, model, more, params)| {
        let mut leaf = more.as_object().cloned().unwrap_or_default();
        let mut params = params.as_object().cloned().unwrap_or_default();
        params.insert("model".to_owned(), model);
        leaf.insert("provider".to_owned(), json!(provider));
        leaf.insert("api_key".to_owned(), json!(WORD));
        leaf.insert("aws_secret_access_key".to_owned(), json!(WORD));
        leaf.insert("override_params".to_owned(), Value::Object(params));
        Value::Object(leaf)
    });
    let modes = prop::sample::select(&["single", "fallback", "loadbalance", "conditional", "odd"][..]);
    leaf.prop_recursive(3, 20, 4, move |inner| {
        (modes.clone(), prop::collection::vec(inner, 0..4), tree(PORTKEY)).prop_map(|(mode, targets, more)| {
            let mut node = more.as_object().cloned().unwrap_or_default();
            node.insert("strategy".to_owned(), json!({"mode": mode, "on_status_codes": [429, 500]}));
            node.insert("targets".to_owned(), Value::Array(targets));
            Value::Object(node)
        })
    })
}

/// Checks the laws on one file.
fn holds(peer: Peer, source: &Value) -> Result<(), TestCaseError> {
    let files = Memory([(PathBuf::from("x.yaml"), serde_json::to_vec_pretty(source).unwrap())].into());
    let imported = match import(peer, &files, Path::new("x.yaml")) {
        Ok(imported) => imported,
        Err(Unread::NotOf { .. }) => return Ok(()),
        Err(Unread::Rejected(rejected)) => {
            let shown = bifrostctl::spec::report::human(&rejected.diagnostics, &rejected.sources, false);
            prop_assert!(!shown.contains("Ca9nAr3y") && !shown.contains(WORD), "{shown}");
            return Ok(());
        }
    };
    let shown = format!("{}{}{:?}", imported.yaml, listed(&imported.findings), imported.spec);
    prop_assert!(!shown.contains("Ca9nAr3y"), "{shown}");
    prop_assert!(!shown.contains(WORD), "{shown}");
    let wrong = errors(&imported.yaml);
    prop_assert!(wrong.is_empty(), "{}\n{}", wrong.concat(), imported.yaml);
    let hidden: Vec<String> = untold(source, &imported.findings).into_iter().filter(|leaf| !leaf.contains(KEY)).collect();
    prop_assert!(hidden.is_empty(), "{hidden:?}\n{}", listed(&imported.findings));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(96, |cases| cases.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_of_litellms_shape_keeps_its_secrets_and_becomes_a_sound_spec(source in litellm()) {
        holds(Peer::Litellm, &source)?;
    }

    #[test]
    fn any_file_of_bifrosts_shape_keeps_its_secrets_and_becomes_a_sound_spec(source in bifrost()) {
        holds(Peer::Bifrost, &source)?;
    }

    #[test]
    fn any_file_of_portkeys_shape_keeps_its_secrets_and_becomes_a_sound_spec(source in portkey()) {
        holds(Peer::Portkey, &source)?;
    }
}
