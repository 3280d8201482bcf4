//! Everything but models: what of the other sections has a counterpart, and why the rest has none.

use super::deployment::SPELLING;
use super::tune::{all_times, all_tries};
use crate::base::ByteSize;
use crate::import::draft::{Draft, at};
use crate::import::finding::Class;
use crate::import::secret::{Held, held, length};
use crate::import::tree::Cursor;
use crate::import::{amount, keys};
use crate::spec::{BudgetRef, KeyHash, VirtualKey};

const DATABASE: &str = "keys, teams, budgets and models that LiteLLM keeps in its database are not in this file: write them under `virtual_keys` and `teams` (`bifrostctl key hash` makes a digest of a key, so that clients keep theirs)";
const BREAKER: &str = "when a target rests, and for how long, is built in: after five failures in a row, or fewer than 80 % successes";
const CALLBACKS: &str = "there are an access log in JSON lines and metrics for Prometheus, and no callbacks";
const CACHE: &str = "there is no cache of answers; caches of providers are passed on as clients ask for them";
const LIMITER: &str = "limits count in the process, or together with other gateways on the Redis of `gateway.state`";
const IN_SPEC: &str = "keys, teams, users and what they may do are written in the spec, and nobody makes them through the gateway";
const LOGGING: &str = "what is logged is said by `telemetry.access_log`; prompts and answers never are";

/// Fields that are known to have no counterpart, or one that is not set: section, field, class, and why.
const KNOWN: &[(&str, &str, Class, &str)] = &[
    ("router_settings", "allowed_fails", Class::Approximate, BREAKER),
    ("router_settings", "allowed_fails_policy", Class::Unsupported, BREAKER),
    ("router_settings", "cooldown_time", Class::Approximate, BREAKER),
    ("router_settings", "disable_cooldowns", Class::Unsupported, BREAKER),
    (
        "router_settings",
        "retry_after",
        Class::Approximate,
        "the first wait is `retries.backoff`, which doubles; what a provider asks for is waited for where that is short",
    ),
    ("router_settings", "retry_policy", Class::Unsupported, "which failures are tried again is built in: see the page on failover"),
    (
        "router_settings",
        "model_group_retry_policy",
        Class::Unsupported,
        "which failures are tried again is built in: see the page on failover",
    ),
    (
        "router_settings",
        "enable_pre_call_checks",
        Class::Approximate,
        "a prompt that is too long is refused by its target, and the chain goes on",
    ),
    (
        "router_settings",
        "enable_pre_call_check",
        Class::Approximate,
        "a prompt that is too long is refused by its target, and the chain goes on",
    ),
    ("router_settings", "redis_host", Class::Unsupported, LIMITER),
    ("router_settings", "redis_port", Class::Unsupported, LIMITER),
    ("router_settings", "redis_db", Class::Unsupported, LIMITER),
    ("router_settings", "redis_password", Class::Unsupported, LIMITER),
    ("router_settings", "redis_url", Class::Unsupported, LIMITER),
    ("router_settings", "routing_strategy_args", Class::Unsupported, "`balance` has no arguments"),
    ("router_settings", "enable_tag_filtering", Class::Unsupported, "there are no tags; rules route by key, team, labels and headers"),
    ("router_settings", "tag_filtering_match_any", Class::Unsupported, "there are no tags; rules route by key, team, labels and headers"),
    ("router_settings", "max_fallbacks", Class::Unsupported, "a chain is as long as it is written"),
    ("router_settings", "provider_budget_config", Class::Unsupported, "budgets are those of keys and teams, not of providers"),
    ("litellm_settings", "allowed_fails", Class::Approximate, BREAKER),
    ("litellm_settings", "cooldown_time", Class::Approximate, BREAKER),
    (
        "litellm_settings",
        "drop_params",
        Class::Approximate,
        "what a target has nothing for is left out and told in `x-bifrost-loss`; `strict_translation: true` on an alias refuses instead",
    ),
    (
        "litellm_settings",
        "modify_params",
        Class::Approximate,
        "requests are translated as each target needs; what is lost is told in `x-bifrost-loss`",
    ),
    ("litellm_settings", "set_verbose", Class::Unsupported, LOGGING),
    ("litellm_settings", "json_logs", Class::Approximate, "the access log is JSON lines already"),
    ("litellm_settings", "turn_off_message_logging", Class::Approximate, "prompts and answers are never logged"),
    ("litellm_settings", "redact_user_api_key_info", Class::Unsupported, LOGGING),
    ("litellm_settings", "success_callback", Class::Unsupported, CALLBACKS),
    ("litellm_settings", "failure_callback", Class::Unsupported, CALLBACKS),
    ("litellm_settings", "callbacks", Class::Unsupported, CALLBACKS),
    ("litellm_settings", "service_callback", Class::Unsupported, CALLBACKS),
    ("litellm_settings", "service_callbacks", Class::Unsupported, CALLBACKS),
    ("litellm_settings", "langfuse_default_tags", Class::Unsupported, CALLBACKS),
    ("litellm_settings", "cache", Class::Unsupported, CACHE),
    ("litellm_settings", "cache_params", Class::Unsupported, CACHE),
    ("litellm_settings", "enable_json_schema_validation", Class::Unsupported, "whether an answer keeps to a schema is the provider's work"),
    ("litellm_settings", "guardrails", Class::Unsupported, "there are no guardrails"),
    ("litellm_settings", "mcp_aliases", Class::Unsupported, "there is no gateway of MCP servers"),
    ("litellm_settings", "key_generation_settings", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "upperbound_key_generate_params", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "default_internal_user_params", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "default_team_settings", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "default_team_params", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "max_internal_user_budget", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "internal_user_budget_duration", Class::Unsupported, IN_SPEC),
    ("litellm_settings", "force_ipv4", Class::Unsupported, "addresses of both kinds are tried"),
    ("litellm_settings", "ssl_verify", Class::Unsupported, "certificates are always checked, against the system's store"),
    ("general_settings", "database_url", Class::Manual, DATABASE),
    ("general_settings", "database_type", Class::Unsupported, DATABASE),
    (
        "general_settings",
        "database_connection_pool_limit",
        Class::Unsupported,
        "there is no such database; `gateway.state` says where spend is kept",
    ),
    (
        "general_settings",
        "database_connection_timeout",
        Class::Unsupported,
        "there is no such database; `gateway.state` says where spend is kept",
    ),
    (
        "general_settings",
        "allow_requests_on_db_unavailable",
        Class::Approximate,
        "keys are known without a database; what budgets do without theirs is `on_store_error`",
    ),
    ("general_settings", "store_model_in_db", Class::Manual, DATABASE),
    ("general_settings", "supported_db_objects", Class::Unsupported, DATABASE),
    ("general_settings", "store_prompts_in_spend_logs", Class::Unsupported, LOGGING),
    ("general_settings", "disable_spend_logs", Class::Unsupported, "spend is always kept, for budgets are counted from it"),
    ("general_settings", "proxy_batch_write_at", Class::Unsupported, "spend is written as it happens"),
    ("general_settings", "alerting", Class::Manual, "alerts of budgets go to the log, the metrics and `telemetry.alerts.webhook`"),
    ("general_settings", "alerting_threshold", Class::Unsupported, "slow answers show in the metrics"),
    (
        "general_settings",
        "alerting_args",
        Class::Unsupported,
        "alerts of budgets go to the log, the metrics and `telemetry.alerts.webhook`",
    ),
    ("general_settings", "alert_types", Class::Unsupported, "alerts of budgets go to the log, the metrics and `telemetry.alerts.webhook`"),
    (
        "general_settings",
        "alert_to_webhook_url",
        Class::Manual,
        "alerts of budgets go to the log, the metrics and `telemetry.alerts.webhook`",
    ),
    (
        "general_settings",
        "background_health_checks",
        Class::Unsupported,
        "health is what real requests show: nothing is asked only to find out",
    ),
    (
        "general_settings",
        "health_check_interval",
        Class::Unsupported,
        "health is what real requests show: nothing is asked only to find out",
    ),
    (
        "general_settings",
        "health_check_details",
        Class::Unsupported,
        "health is what real requests show: nothing is asked only to find out",
    ),
    ("general_settings", "ui_access_mode", Class::Unsupported, "there is no web interface: changes are pull requests"),
    ("general_settings", "enable_jwt_auth", Class::Unsupported, "clients authenticate with virtual keys"),
    ("general_settings", "litellm_jwtauth", Class::Unsupported, "clients authenticate with virtual keys"),
    ("general_settings", "custom_auth", Class::Unsupported, "clients authenticate with virtual keys"),
    (
        "general_settings",
        "litellm_key_header_name",
        Class::Unsupported,
        "keys are taken from the headers that the vendors' own clients use",
    ),
    ("general_settings", "pass_through_endpoints", Class::Unsupported, "paths that the gateway does not know are not passed on"),
    (
        "general_settings",
        "key_management_system",
        Class::Unsupported,
        "secrets are variables, files and systemd credentials; what renews them writes a file",
    ),
    (
        "general_settings",
        "key_management_settings",
        Class::Unsupported,
        "secrets are variables, files and systemd credentials; what renews them writes a file",
    ),
    (
        "general_settings",
        "forward_client_headers_to_llm_api",
        Class::Unsupported,
        "headers go on only where `headers` of the provider say so",
    ),
    (
        "general_settings",
        "use_client_credentials_pass_through_routes",
        Class::Unsupported,
        "paths that the gateway does not know are not passed on",
    ),
    ("general_settings", "allowed_ips", Class::Unsupported, "who may connect is the network's business"),
    ("general_settings", "completion_model", Class::Unsupported, "a request names its model"),
];

/// Sections that are known to have no counterpart.
const SECTIONS: &[(&str, &str)] = &[
    ("guardrails", "there are no guardrails"),
    ("mcp_servers", "there is no gateway of MCP servers"),
    ("vector_store_registry", "there are no stores of vectors"),
    ("callback_settings", CALLBACKS),
    ("prompts", "a system prompt stands in `prompt` of an alias"),
    ("search_tools", "there are no tools of the gateway's own"),
    ("finetune_settings", "files and fine-tuning are passed on to the provider that a request names"),
    ("files_settings", "files and fine-tuning are passed on to the provider that a request names"),
    ("assistant_settings", "assistants are not passed on"),
];

/// Settles the sections beside `model_list`.
pub(super) fn settle(draft: &mut Draft, root: Cursor<'_>) {
    globals(draft, root);
    if let Some(general) = root.get("general_settings") {
        process(draft, general);
        master_key(draft, general);
    }
    overall_budget(draft, root);
    for (section, field, class, why) in KNOWN {
        let Some(it) = root.get(section).and_then(|it| it.get(field)).filter(|it| !draft.findings.knows(*it)) else { continue };
        match class {
            Class::Approximate if it.is_leaf() => draft.findings.approximate(it, None, why),
            Class::Manual => draft.findings.manual(it, None, why),
            Class::Exact | Class::Approximate | Class::Unsupported => draft.findings.unsupported(it, why),
        }
    }
    for (section, why) in SECTIONS {
        if let Some(it) = root.get(section) {
            draft.findings.unsupported(it, why);
        }
    }
    variables(draft, root);
}

/// Times and tries that hold where a row says none.
fn globals(draft: &mut Draft, root: Cursor<'_>) {
    let of = |section: &str, name: &str| root.get(section).and_then(|it| it.get(name));
    let first = |name: &str, other: &str| of("router_settings", name).or_else(|| of("litellm_settings", other));
    let (whole, stream) = (first("timeout", "request_timeout"), of("router_settings", "stream_timeout"));
    let tries = first("num_retries", "num_retries");
    all_times(draft, whole, stream);
    all_tries(draft, tries);
    let parallel = of("router_settings", "default_max_parallel_requests").or_else(|| of("general_settings", "max_parallel_requests"));
    if let Some((it, most)) = parallel.and_then(|it| Some((it, u32::try_from(it.whole()?).ok().filter(|most| *most > 0)?))) {
        for provider in draft.spec.providers.values_mut().filter(|it| it.limits.concurrency.is_none()) {
            provider.limits.concurrency = Some(most);
        }
        draft.findings.approximate(it, at(&["providers"]), "at most so many at once for each provider, not for each row");
    }
    for (section, name) in [("litellm_settings", "request_timeout"), ("litellm_settings", "num_retries")] {
        if let Some(it) = of(section, name).filter(|it| !draft.findings.knows(*it)) {
            draft.findings.unsupported(it, "`router_settings` has the same, which holds");
        }
    }
}

/// Caps of the process.
fn process(draft: &mut Draft, general: Cursor<'_>) {
    if let Some((it, most)) = general.get("global_max_parallel_requests").and_then(|it| Some((it, it.whole()?)))
        && let Some(most) = u32::try_from(most).ok().filter(|most| *most > 0)
    {
        draft.spec.gateway.limits.in_flight = Some(most);
        draft.findings.exact(it, at(&["gateway", "limits", "in_flight"]));
    }
    if let Some((it, size)) = general.get("max_request_size_mb").and_then(|it| Some((it, it.whole()?)))
        && (1..=4_096).contains(&size)
    {
        draft.spec.gateway.limits.body = Some(ByteSize::new(size * 1_024 * 1_024));
        draft.findings.exact(it, at(&["gateway", "limits", "body"]));
    }
}

/// LiteLLM's master key is what small installations give their clients; here it is a key like others.
fn master_key(draft: &mut Draft, general: Cursor<'_>) {
    let Some(it) = general.get("master_key") else { return };
    match held(it, SPELLING) {
        Some(Held::Literal(sha256)) => {
            let key =
                VirtualKey { hashes: vec![KeyHash { sha256, not_after: None }], models: vec!["*".to_owned()], ..VirtualKey::default() };
            draft.spec.virtual_keys.insert("master".to_owned(), key);
            let short =
                if length(it) < 20 { "; it is so short that its digest can be guessed: replace it (`bifrostctl key new`)" } else { "" };
            let why = format!("clients that use it go on, but it manages nothing: the admin API has tokens of its own{short}");
            draft.findings.approximate(it, at(&["virtual_keys", "master"]), why);
        }
        Some(Held::Variable(name)) => draft.findings.manual(it, None, keys::from_variable(&name)),
        Some(Held::Placeholder) | None => draft.findings.manual(it, None, "make a key with `bifrostctl key new`"),
    }
}

/// `max_budget` of the whole proxy.
fn overall_budget(draft: &mut Draft, root: Cursor<'_>) {
    let Some(settings) = root.get("litellm_settings") else { return };
    let Some(it) = settings.get("max_budget") else { return };
    let window = settings.get("budget_duration");
    let mut by_hand = |why: &str| [Some(it), window].into_iter().flatten().for_each(|it| draft.findings.manual(it, None, why));
    let period = match window.map(|it| amount::Length::read(it.text()?)?.period(false)) {
        None => crate::spec::Period::Total,
        Some(Some((period, _))) => period,
        Some(None) => return by_hand("the window is none that a budget here can have; write the budget by hand"),
    };
    let Some(limit) = it.number().and_then(amount::dollars) else {
        return by_hand("the amount is none that a budget here can have; write the budget by hand");
    };
    if draft.spec.virtual_keys.is_empty() {
        return by_hand("name a budget like this one in `budgets` of every key");
    }
    draft.spec.budgets.insert("whole-gateway".to_owned(), keys::budget(limit, period));
    for key in draft.spec.virtual_keys.values_mut() {
        key.budgets.push(BudgetRef::Shared("whole-gateway".to_owned()));
    }
    let why = "keys that are added draw on it only where they name it";
    draft.findings.approximate(it, at(&["budgets", "whole-gateway", "limit"]), why);
    if let Some(window) = window {
        draft.findings.approximate(window, at(&["budgets", "whole-gateway", "period"]), "windows are those of the calendar, in UTC");
    }
}

/// Variables that LiteLLM sets for itself.
fn variables(draft: &mut Draft, root: Cursor<'_>) {
    for (_, it) in root.get("environment_variables").into_iter().flat_map(Cursor::members) {
        draft.findings.manual(it, None, "set the variable where the gateway runs, if the spec names it; values do not stand in the spec");
    }
}
