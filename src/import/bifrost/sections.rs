//! Everything but providers and governance: what of the other sections has a counterpart, and why the rest has none.

use crate::base::{ByteSize, Span};
use crate::import::draft::{Draft, at};
use crate::import::tree::Cursor;
use crate::spec::Auth;

const WEB: &str = "there is no web interface: changes are pull requests";
const LOGGING: &str = "the access log has a JSON line per request; prompts and answers are never logged";
const STORE: &str = "the spec is the configuration, and what must survive a restart is in `gateway.state`";
const MCP: &str = "there is no gateway of MCP servers";

/// Sections that are known to have no counterpart.
const SECTIONS: &[(&str, &str)] = &[
    ("$schema", "the schema of the spec is named in its first line"),
    ("source_of_truth", STORE),
    ("encryption_key", "no secret is stored, so there is nothing to encrypt"),
    ("config_store", STORE),
    ("logs_store", LOGGING),
    ("vector_store", "there is no cache of answers"),
    ("plugins", "there are no plugins: what they mostly do is said by the spec (limits, budgets, telemetry)"),
    ("framework", "prices are those of the embedded catalogue, and of `prices`"),
    ("mcp", MCP),
    ("websocket", "requests and answers travel over HTTP"),
    ("webhooks", "alerts of budgets go to the log, the metrics and `telemetry.alerts.webhook`"),
    ("alerting", "alerts of budgets go to the log, the metrics and `telemetry.alerts.webhook`"),
    ("feature_flags", "there are none"),
    ("load_balancer_config", "targets are picked by weight or in turn"),
    ("guardrails_config", "there are no guardrails"),
    ("cluster_config", "gateways share budgets through a PostgreSQL in `gateway.state`"),
    ("scim_config", "who may ask for what stands in the spec"),
    ("access_profiles", "who may ask for what stands in the spec"),
    ("audit_logs", "`bifrostctl history` says who changed what, and Git why"),
    ("auth_config", WEB),
    ("setup_token", WEB),
];

const GOVERNANCE: &[(&str, &str)] = &[
    ("auth_config", WEB),
    ("model_configs", "budgets and limits are those of keys and teams; an alias has `limits` of its own"),
    ("pricing_overrides", "prices stand in `prices`: `provider/model: {input: $1/Mtok, output: $4/Mtok}`"),
    ("providers", "what a provider is said to be stands in `providers`; its `limits` are those of the provider here"),
    ("business_units", "there is nothing above a team"),
    ("roles", "who may change what is said by the repository of the spec, and by scopes of admin tokens"),
    ("projects", "there is nothing above a team"),
    ("complexity_analyzer_config", "rules route by facts of the request"),
    ("complexity", "rules route by facts of the request"),
];

const CLIENT: &[(&str, &str)] = &[
    ("drop_excess_requests", "what finds no room is never queued: it goes on to the next target, or is answered 429"),
    ("initial_pool_size", "memory is taken as it is needed"),
    ("enable_logging", LOGGING),
    ("disable_content_logging", "prompts and answers are never logged"),
    ("logging_headers", "the access log has no headers of requests"),
    ("allow_direct_keys", "clients bring virtual keys, never those of providers"),
    ("allowed_origins", "browsers are not clients: there are no CORS headers"),
    ("allowed_headers", "browsers are not clients: there are no CORS headers"),
    ("prometheus_labels", "metrics have the labels that the page on metrics lists"),
    ("required_headers", "a rule can deny requests without a header: `header(\"x-tenant\", \"\") == \"\"`"),
    ("header_filter_config", "headers go on only where `headers` of the provider say so"),
    ("enable_litellm_fallbacks", "clients' paths of other gateways are not known"),
    ("compat", "requests are translated where client and target speak different formats"),
    ("mcp_agent_depth", MCP),
    ("mcp_tool_execution_timeout", MCP),
    ("mcp_code_mode_binding_level", MCP),
    ("mcp_tool_sync_interval", MCP),
    ("async_job_result_ttl", "answers are not kept"),
    ("disable_db_pings_in_health", "`/readyz` asks no database"),
    ("whitelisted_routes", WEB),
    ("hide_deleted_virtual_keys_in_filters", WEB),
];

/// Settles the sections beside `providers` and `governance`.
pub(super) fn read(draft: &mut Draft, root: Cursor<'_>) {
    if let Some(client) = root.get("client") {
        process(draft, client);
        for (name, why) in CLIENT {
            tell(draft, client.get(name), why);
        }
    }
    for (name, why) in GOVERNANCE {
        tell(draft, root.get("governance").and_then(|it| it.get(name)), why);
    }
    for (name, why) in SECTIONS {
        tell(draft, root.get(name), why);
    }
}

fn tell(draft: &mut Draft, it: Option<Cursor<'_>>, why: &str) {
    if let Some(it) = it {
        draft.findings.unsupported(it, why);
    }
}

/// What of the process's settings is one here.
fn process(draft: &mut Draft, client: Cursor<'_>) {
    let whole = |name: &str, range: std::ops::RangeInclusive<u64>| {
        client.get(name).and_then(|it| Some((it, it.whole().filter(|it| range.contains(it))?)))
    };
    if let Some((it, size)) = whole("max_request_body_size_mb", 1..=4_096) {
        draft.spec.gateway.limits.body = Some(ByteSize::new(size * 1_024 * 1_024));
        draft.findings.exact(it, at(&["gateway", "limits", "body"]));
    }
    if let Some((it, days)) = whole("log_retention_days", 1..=3_650) {
        draft.spec.gateway.retention = Some(Span::from_secs(days * 86_400));
        draft.findings.approximate(
            it,
            at(&["gateway", "retention"]),
            "it is the book of what was spent that is kept so long; the access log is yours to keep",
        );
    }
    let enforce = client.any(&["enforce_auth_on_inference", "enforce_governance_header"]);
    if let Some((it, is_needed)) = enforce.and_then(|it| Some((it, it.bool()?))) {
        if is_needed {
            draft.findings.exact(it, at(&["gateway"]));
        } else {
            draft.spec.gateway.auth = Some(Auth::Optional);
            draft.findings.approximate(
                it,
                at(&["gateway", "auth"]),
                "a request without a key reaches aliases only, and no `provider/model`",
            );
        }
    }
}
