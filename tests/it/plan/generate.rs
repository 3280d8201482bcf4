//! Strategies for valid specs and plans: small pools of names, so that two of them have much in common, and hostile text wherever
//! the spec takes free text.
//!
//! References are picks that are resolved last, among what is there; so parts of two sketches can be mixed and stay valid.

use std::collections::{BTreeMap, BTreeSet};

use bifrostctl::plan::{self, Plan};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::priced::{PRICED, price};
use super::support;

const PROVIDERS: [&str; 5] = ["openai", "groq", "mistral", "local", "gpu.box"];
const ALIASES: [&str; 6] = ["cheap", "fast", "gpt-4.1", "smart", "tiny", "ünï"];
const TEAMS: [&str; 3] = ["growth", "research", "t.3"];
const KEYS: [&str; 4] = ["a`b", "batch", "ci", "web-app"];
const RULES: [&str; 5] = ["at-night", "big", "gold", "no-tools", "r.5"];
const BALANCES: &[&str] = &["weighted", "round_robin", "least_busy", "adaptive"];
const MODELS: [&str; 4] = ["gpt-4o", "llama/3-70b", "m", "qwen3"];
const HOSTILE: &[&str] =
    &["", "plain", "two words", "\u{1b}[2J\u{202e}evil", "| `cell` </details> @all #1", "CRLF\r\nline\n", "```\nfence\n~~~~"];

/// A spec whose references are not resolved yet.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    gateway: GatewaySketch,
    providers: BTreeMap<&'static str, Value>,
    models: BTreeMap<&'static str, ModelSketch>,
    rules: Vec<(&'static str, RuleSketch)>,
    teams: BTreeMap<&'static str, Value>,
    keys: BTreeMap<&'static str, KeySketch>,
    /// Which key has which digests, so that two sketches may have one digest under two names.
    digest_shift: usize,
    /// Both shared budgets are always there, so that keys and teams have something to name.
    budgets: (Value, Value),
    telemetry: Value,
    prices: BTreeMap<&'static str, Value>,
}

#[derive(Debug, Clone)]
struct GatewaySketch {
    listen: &'static str,
    auth: &'static str,
    rest: Value,
}

#[derive(Debug, Clone)]
struct ModelSketch {
    targets: Vec<(Index, &'static str, u32)>,
    links: Vec<(Index, Option<u32>)>,
    rest: Value,
}

#[derive(Debug, Clone)]
struct RuleSketch {
    when: u32,
    action: u32,
    alias: Index,
    targets: Vec<(Index, &'static str, u32)>,
}

#[derive(Debug, Clone)]
struct KeySketch {
    hashes: Vec<(usize, Option<&'static str>)>,
    team: Option<Index>,
    rest: Value,
}

/// Valid specs as JSON.
pub(crate) fn spec() -> impl Strategy<Value = Value> {
    sketch().prop_map(|sketch| sketch.into_spec())
}

/// Valid plans.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    spec().prop_map(|spec| compiled(&spec))
}

/// Two valid plans, of which the second is the first after an edit: small, large, or none at all.
pub(crate) fn pair() -> impl Strategy<Value = (Plan, Plan)> {
    let share = select(vec![0.0, 0.05, 0.3, 1.0]);
    (sketch(), sketch(), share.prop_flat_map(|share| vec(proptest::bool::weighted(share), 64)))
        .prop_map(|(base, other, picks)| (compiled(&base.clone().into_spec()), compiled(&base.mixed(other, &picks).into_spec())))
}

fn compiled(spec: &Value) -> Plan {
    let loaded = support::loaded_value(spec.clone());
    plan::compile(&loaded).unwrap_or_else(|found| panic!("{found:#?}\n{spec:#}")).plan
}

fn text() -> impl Strategy<Value = &'static str> {
    select(HOSTILE)
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let rules = btree_map(select(&RULES[..]), rule(), 0..4).prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle();
    (
        gateway(),
        btree_map(select(&PROVIDERS[..]), provider(), 0..4),
        provider(),
        btree_map(select(&ALIASES[..]), model(), 1..5),
        rules,
        btree_map(select(&TEAMS[..]), team(), 0..3),
        btree_map(select(&KEYS[..]), key(), 1..4),
        0..2_usize,
        (budget(), budget(), telemetry(), btree_map(select(&PRICED[..]), price(), 0..3)),
    )
        .prop_map(|(gateway, mut providers, openai, models, rules, teams, keys, digest_shift, (daily, monthly, telemetry, prices))| {
            // One provider is always there, so that targets have somewhere to point and keys something to use.
            providers.entry("openai").or_insert(openai);
            Sketch { gateway, providers, models, rules, teams, keys, digest_shift, budgets: (daily, monthly), telemetry, prices }
        })
}

fn gateway() -> impl Strategy<Value = GatewaySketch> {
    let digest = |n: usize| format!("{n:064x}");
    let scopes = select(vec![json!(["read"]), json!(["read", "apply"]), json!(["apply"])]);
    let tokens = btree_map(select(vec!["ci", "ops"]), (900..904_usize, scopes), 1..3).prop_map(move |tokens| {
        tokens
            .into_iter()
            // Each name has digests of its own: one digest under two names is refused.
            .map(|(name, (n, scopes))| (name.to_owned(), json!({"sha256": digest(n + usize::from(name == "ops") * 4), "scopes": scopes})))
            .collect::<Map<_, _>>()
    });
    let admin = prop_oneof![
        select(vec!["unix:.bifrost/admin.sock", "unix:/run/bifrost.sock"]).prop_map(|it| json!(it)),
        (select(vec!["127.0.0.1:8081", "[::1]:9091"]), tokens, any::<bool>())
            .prop_map(|(listen, tokens, allowed)| json!({"listen": listen, "tokens": tokens, "allow_plain_http": allowed})),
    ];
    let tls = option::of(select(vec!["a", "b"]).prop_map(|it| json!({"cert": {"file": format!("{it}.pem")}, "key": {"file": "key.pem"}})));
    let limits = (option::of(select(vec!["1MiB", "32MiB"])), option::of(1..4_u32), option::of(1..4_u32));
    (
        select(vec!["127.0.0.1:8080", "127.0.0.1:9000", "0.0.0.0:8080"]),
        select(vec!["required", "optional", "off"]),
        (
            admin,
            tls,
            limits,
            (select(vec![".bifrost", "state"]), option::of(select(vec!["400d", "30d", "720h"]))),
            select(vec!["30s", "2m"]),
        ),
    )
        .prop_map(|(listen, auth, (admin, tls, (body, in_flight, connections), (state, retention), drain))| GatewaySketch {
            listen,
            auth,
            rest: json!({"admin": admin, "tls": tls, "state": state, "drain": drain, "retention": retention,
                "limits": {"body": body, "in_flight": in_flight, "queue": in_flight.map(|_| "3s"), "connections": connections}}),
        })
}

fn provider() -> impl Strategy<Value = Value> {
    prop_oneof![3 => server(), 1 => bedrock(), 1 => vertex()]
}

/// A provider whose credentials sign in.
fn vertex() -> impl Strategy<Value = Value> {
    let proof = select(vec![
        json!({"google": "environment"}),
        json!({"google": {"service_account": {"env": "KEY_A"}}}),
        json!({"google": {"service_account": {"file": "a b"}}}),
        json!({"secret": {"env": "KEY_A"}}),
    ]);
    let credentials = btree_map(select(vec!["backup", "default"]), proof, 1..3);
    (credentials, select(vec!["p-1", "p-2"]), select(vec!["eu", "global", "us-east5"])).prop_map(|(credentials, project, location)| {
        json!({"preset": "vertex", "project": project, "location": location, "credentials": credentials})
    })
}

/// A provider whose credentials sign requests.
fn bedrock() -> impl Strategy<Value = Value> {
    let identity = json!({"role_arn": "arn:aws:iam::1:role/r", "token_file": "t"});
    let proof = select(vec![
        json!({"aws": "environment"}),
        json!({"aws": {"profile": "p"}}),
        json!({"aws": {"profile": "p", "shared_credentials_file": "a b"}}),
        json!({"aws": {"web_identity": identity}}),
        json!({"aws": {"web_identity": {"role_arn": "arn:aws:iam::1:role/s", "token_file": "t", "session_name": "gw", "sts_url": "https://sts.example"}}}),
        json!({"aws": {"access_key_id": {"env": "KEY_A"}, "secret_access_key": {"env": "KEY_B"}}}),
        json!({"aws": {"access_key_id": {"env": "KEY_A"}, "secret_access_key": {"file": "k"}, "session_token": {"cred": "t"}}}),
        json!({"secret": {"env": "KEY_A"}}),
    ]);
    let credentials = btree_map(select(vec!["backup", "default"]), proof, 1..3);
    let region = select(vec!["eu-central-1", "cn-north-1"]);
    let url = option::of(select(vec!["https://vpce.example", "http://127.0.0.1:8000"]));
    (credentials, region, url)
        .prop_map(|(credentials, region, url)| json!({"preset": "bedrock", "region": region, "base_url": url, "credentials": credentials}))
}

fn server() -> impl Strategy<Value = Value> {
    let secret = select(vec![json!({"env": "KEY_A"}), json!({"env": "KEY_B"}), json!({"file": "/run/secrets/a b"}), json!({"cred": "k"})]);
    let patterns = select(vec![json!([]), json!(["gpt-*"]), json!(["qwen3", "gpt-*"]), json!(["gpt-*", "qwen3"])]);
    let credential = (secret, 0..3_u32, patterns, any::<bool>())
        .prop_map(|(secret, weight, models, optional)| json!({"secret": secret, "weight": weight, "models": models, "optional": optional}));
    let credentials = btree_map(select(vec!["backup", "c.3", "default"]), credential, 1..3).prop_map(|mut credentials| {
        // One of them takes every model, and traffic.
        if let Some(first) = credentials.values_mut().next() {
            first["weight"] = json!(2);
            first["models"] = json!([]);
        }
        credentials.into_iter().map(|(name, it)| (name.to_owned(), it)).collect::<Map<_, _>>()
    });
    let header = select(vec!["{{ key.team }}", "fixed", "{{ key.labels.tier | default(\"\") }}"]);
    let headers = btree_map(select(vec!["x-team", "x-env"]), header, 0..3);
    let quirks = (option::of(select(vec!["max_tokens", "max_completion_tokens"])), option::of(any::<bool>()), option::of(any::<bool>()));
    let timeouts = (option::of(select(vec!["1s", "60s", "1m"])), option::of(select(vec!["61s", "100s"])), option::of(select(vec!["20m"])));
    let auth = select(vec![json!("bearer"), json!({"header": "x-key"})]);
    let auth = (option::of(auth), (limits(), super::priced::capacity()));
    let urls = select(vec!["https://llm.example/v1", "https://eu.example/v1", "http://127.0.0.1:8000/v1", "https://llm.example/v2"]);
    (credentials, headers, quirks, timeouts, option::of(0..3_u32), auth, (urls, any::<bool>())).prop_map(
        |(credentials, headers, (field, usage, done), (connect, idle, total), max, (auth, (limits, capacity)), (url, allowed))| {
            json!({"api": "openai-chat", "base_url": url, "allow_plain_http": allowed, "auth": auth, "credentials": credentials, "headers": headers,
                "quirks": {"max_tokens_field": field, "stream_options": usage, "done_marker": done}, "concurrency": max.filter(|max| *max > 0).map(|max| json!({"max": max})),
                "timeouts": {"connect": connect, "idle": idle, "total": total}, "retries": {"max": max}, "limits": limits, "capacity": capacity})
        },
    )
}

/// Rate limits, some of which are one limit in two spellings.
fn limits() -> impl Strategy<Value = Value> {
    let rate = || {
        option::of(select(vec![
            json!("600/min"),
            json!({"rate": "600/min", "burst": 60}),
            json!({"rate": "1M/day", "burst": 5}),
            json!("7/s"),
        ]))
    };
    (rate(), rate(), option::of(1..3_u32))
        .prop_map(|(requests, tokens, concurrency)| json!({"requests": requests, "tokens": tokens, "concurrency": concurrency}))
}

fn targets() -> impl Strategy<Value = Vec<(Index, &'static str, u32)>> {
    vec((any::<Index>(), select(&MODELS[..]), 0..4_u32), 1..5)
}

fn model() -> impl Strategy<Value = ModelSketch> {
    let hedge = select(vec![json!({"after": "p50"}), json!({"after": "p95", "max_share": "12.5%"}), json!({"after": "800ms"})]);
    let failure = select(vec!["rate_limit", "timeout", "connect", "content_filter"]);
    let value = prop_oneof![
        select(vec![json!(1), json!(1.0), json!(0.0), json!(-0.0), json!(null), json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 3}]})]),
        text().prop_map(|text| json!(text)),
    ];
    let members = || btree_map(select(vec!["temperature", "top_p", "meta/data"]), value.clone(), 0..3);
    let lines = vec(select(vec!["You are {{ key.name }}.", "Be brief.", "```", "\u{202e}"]), 0..5).prop_map(|lines| lines.join("\n"));
    let position = option::of(select(vec!["prepend", "append"]));
    let prompt = option::of((lines, position).prop_map(|(text, position)| json!({"system": {"text": text}, "position": position})));
    (
        targets(),
        vec((any::<Index>(), option::of(0..3_u32)), 0..4),
        (option::of(text()), option::of(select(BALANCES)), option::of(vec(failure, 1..4)), prompt),
        (members(), members(), limits(), (option::of(Just("user")), option::of(hedge))),
    )
        .prop_map(|(targets, links, (description, balance, fallback_on, prompt), (defaults, overrides, limits, more))| ModelSketch {
            targets,
            links,
            rest: json!({"description": description, "balance": balance, "fallback_on": fallback_on, "prompt": prompt,
                "defaults": defaults, "overrides": overrides, "limits": limits, "sticky": more.0, "hedge": more.1}),
        })
}

fn rule() -> impl Strategy<Value = RuleSketch> {
    (0..3_u32, 0..5_u32, any::<Index>(), targets()).prop_map(|(when, action, alias, targets)| RuleSketch { when, action, alias, targets })
}

fn team() -> impl Strategy<Value = Value> {
    let models = select(vec![json!(null), json!(["*"]), json!(["openai/*", "fast"]), json!(["fast", "openai/*", "fast"])]);
    (option::of(text()), models, budgets(), limits()).prop_map(
        |(description, models, budgets, limits)| json!({"description": description, "models": models, "budgets": budgets, "limits": limits}),
    )
}

fn budget() -> impl Strategy<Value = Value> {
    let period = select(vec!["hour", "day", "month", "total", "rolling 30d", "rolling 720h"]);
    let mode = select(vec![json!(null), json!("strict"), json!("progressive"), json!("soft")]);
    let alerts = select(vec![json!(null), json!([]), json!(["50%", "100%"]), json!(["100%", "50%"])]);
    let rest = (select(vec!["deny", "allow"]), select(vec!["deny", "allow"]), select(vec!["UTC", "Europe/Berlin"]));
    (1..4_u32, period, mode, alerts, rest).prop_map(|(limit, period, mode, alerts, (unpriced, on_store_error, timezone))| {
        json!({"limit": format!("${limit}.50"), "period": period, "mode": mode, "alerts": alerts, "unpriced": unpriced,
            "on_store_error": on_store_error, "timezone": timezone})
    })
}

/// A list of budgets: shared ones and own ones of different windows, in any order.
fn budgets() -> impl Strategy<Value = Value> {
    let own = || vec(budget(), 0..2);
    let shared = proptest::sample::subsequence(vec![json!("daily"), json!("monthly")], 0..=2);
    (shared, own()).prop_map(|(mut all, own)| {
        all.extend(own);
        json!(all)
    })
}

fn key() -> impl Strategy<Value = KeySketch> {
    let ends = || option::of(select(vec!["2100-12-01", "2101-01-01T10:00:00Z", "2101-01-01T12:00:00+02:00"]));
    let hashes = btree_map(0..3_usize, ends(), 1..4).prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let patterns = vec(select(vec!["*", "fast", "smart", "groq/*", "openai/gpt-4o", "gpt-4.1"]), 0..4);
    let labels = btree_map(select(vec!["env", "cost/center"]), text(), 0..3);
    (hashes, option::of(any::<Index>()), patterns, ends(), (any::<bool>(), any::<bool>(), labels), (budgets(), limits())).prop_map(
        |(hashes, team, mut models, expires, (disabled, routing_headers, labels), (budgets, limits))| {
            models.push("openai/*");
            KeySketch {
                hashes,
                team,
                rest: json!({"models": models, "expires": expires, "disabled": disabled, "routing_headers": routing_headers,
                    "labels": labels, "budgets": budgets, "limits": limits}),
            }
        },
    )
}

fn telemetry() -> impl Strategy<Value = Value> {
    let log = select(vec![json!("stdout"), json!("off"), json!({"file": "/var/log/a b.json"})]);
    (option::of(log), option::of(select(vec!["admin", "gateway"])))
        .prop_map(|(log, metrics)| json!({"access_log": log, "metrics": metrics}))
}

impl Sketch {
    /// Takes every part from `other` whose pick says so.
    fn mixed(self, other: Self, picks: &[bool]) -> Self {
        let mut picks = picks.iter().copied().cycle();
        let mut next = move || picks.next().unwrap_or_default();
        let gateway = GatewaySketch {
            listen: if next() { other.gateway.listen } else { self.gateway.listen },
            auth: if next() { other.gateway.auth } else { self.gateway.auth },
            rest: mix_members(self.gateway.rest, other.gateway.rest, &mut next),
        };
        let mut providers = mix(self.providers, other.providers.clone(), &mut next, mix_providers);
        providers.entry("openai").or_insert_with(|| other.providers["openai"].clone());
        let fallback_model = self.models.iter().next().map(|(name, it)| (*name, it.clone()));
        let fallback_key = self.keys.iter().next().map(|(name, it)| (*name, it.clone()));
        let mut models = mix(self.models, other.models, &mut next, |a, b, next| ModelSketch {
            targets: if next() { b.targets } else { a.targets },
            links: if next() { b.links } else { a.links },
            rest: mix_members(a.rest, b.rest, next),
        });
        let mut keys = mix(self.keys, other.keys, &mut next, |a, b, next| KeySketch {
            hashes: if next() { b.hashes } else { a.hashes },
            team: if next() { b.team } else { a.team },
            rest: mix_members(a.rest, b.rest, next),
        });
        if models.is_empty() {
            models.extend(fallback_model);
        }
        if keys.is_empty() {
            keys.extend(fallback_key);
        }
        Self {
            gateway,
            providers,
            models,
            rules: if next() { other.rules } else { self.rules },
            teams: mix(self.teams, other.teams, &mut next, |a, b, next| mix_members(a, b, next)),
            keys,
            digest_shift: if next() { other.digest_shift } else { self.digest_shift },
            budgets: (mix_members(self.budgets.0, other.budgets.0, &mut next), mix_members(self.budgets.1, other.budgets.1, &mut next)),
            telemetry: mix_members(self.telemetry, other.telemetry, &mut next),
            prices: mix(self.prices, other.prices, &mut next, |a, b, next| if next() { b } else { a }),
        }
    }

    fn into_spec(self) -> Value {
        let providers: Vec<&str> = self.providers.keys().copied().collect();
        let aliases: Vec<&str> = self.models.keys().copied().collect();
        let teams: Vec<&str> = self.teams.keys().copied().collect();
        let rules: Vec<Value> = self.rules.iter().map(|(name, rule)| rule.clone().into_spec(name, &aliases, &providers)).collect();
        let models: Map<String, Value> = self
            .models
            .into_iter()
            .map(|(name, it)| {
                let later: Vec<&str> = aliases.iter().copied().filter(|other| *other > name).collect();
                (name.to_owned(), it.into_spec(&later, &providers))
            })
            .collect();
        let shift = self.digest_shift;
        let keys: Map<String, Value> =
            self.keys.into_iter().map(|(name, it)| (name.to_owned(), it.into_spec(name, shift, &teams))).collect();
        let mut gateway = self.gateway.rest;
        gateway["listen"] = json!(self.gateway.listen);
        // Only a listener that nobody else reaches may go without keys.
        gateway["auth"] = json!(if self.gateway.listen.starts_with("0.0.0.0") { "required" } else { self.gateway.auth });
        let is_there = |key: &&str| key.split_once('/').is_some_and(|(provider, _)| providers.contains(&provider));
        let prices: BTreeMap<&str, Value> = self.prices.into_iter().filter(|(key, _)| is_there(key)).collect();
        json!({"version": 1, "gateway": gateway, "providers": self.providers, "models": models, "rules": rules, "teams": self.teams,
            "virtual_keys": keys, "budgets": {"daily": self.budgets.0, "monthly": self.budgets.1}, "telemetry": self.telemetry,
            "prices": prices})
    }
}

fn mix<V: Clone>(
    a: BTreeMap<&'static str, V>,
    b: BTreeMap<&'static str, V>,
    next: &mut impl FnMut() -> bool,
    mut both: impl FnMut(V, V, &mut dyn FnMut() -> bool) -> V,
) -> BTreeMap<&'static str, V> {
    let mut names: Vec<&'static str> = a.keys().chain(b.keys()).copied().collect();
    names.dedup();
    let mut mixed = BTreeMap::new();
    for name in names {
        let entry = match (a.get(name), b.get(name)) {
            (Some(a), Some(b)) => Some(both(a.clone(), b.clone(), next)),
            (Some(a), None) => (!next()).then(|| a.clone()),
            (None, b) => b.filter(|_| next()).cloned(),
        };
        mixed.extend(entry.map(|entry| (name, entry)));
    }
    mixed
}

fn mix_providers(a: Value, b: Value, next: &mut dyn FnMut() -> bool) -> Value {
    // What is said of one kind of provider means nothing to another.
    let is_same = a.get("preset") == b.get("preset");
    if is_same {
        mix_members(a, b, next)
    } else if next() {
        b
    } else {
        a
    }
}

fn mix_members(mut a: Value, b: Value, next: &mut (impl FnMut() -> bool + ?Sized)) -> Value {
    let (Some(members), Value::Object(others)) = (a.as_object_mut(), b) else { return a };
    for (name, value) in others {
        if next() {
            members.insert(name, value);
        }
    }
    a
}

fn resolve(targets: &[(Index, &'static str, u32)], providers: &[&str]) -> Vec<Value> {
    let (mut seen, mut out) = (BTreeSet::new(), Vec::<Value>::new());
    for (provider, model, weight) in targets {
        let id = (*provider.get(providers), *model);
        if seen.insert(id) {
            let part = if *weight == 2 && !out.is_empty() { ("share", json!("12.5%")) } else { ("weight", json!(weight)) };
            out.push(json!({"provider": id.0, "model": id.1, part.0: part.1}));
        }
    }
    if out.iter().all(|target| target["weight"] == 0 || target["weight"].is_null()) {
        out[0]["weight"] = json!(1);
    }
    out
}

impl ModelSketch {
    fn into_spec(self, later: &[&str], providers: &[&str]) -> Value {
        let mut links: Vec<String> = Vec::new();
        for (pick, number) in self.links {
            let link = match number {
                // A name that no list of targets holds: a chain does not repeat a target.
                Some(number) => format!("{}/spare-{number}", pick.get(providers)),
                None if later.is_empty() => continue,
                None => (*pick.get(later)).to_owned(),
            };
            if !links.contains(&link) {
                links.push(link);
            }
        }
        let mut model = self.rest;
        model["targets"] = json!(resolve(&self.targets, providers));
        model["fallbacks"] = json!(links);
        model
    }
}

impl RuleSketch {
    fn into_spec(self, name: &str, aliases: &[&str], providers: &[&str]) -> Value {
        // Every rule looks at a header of its own, so that none hides another.
        let mut rule = json!({"name": name, "when": format!("header(\"x-{name}\", \"\") == \"{}\"", self.when)});
        match self.action {
            0 | 1 => rule["use"] = json!(self.alias.get(aliases)),
            2 => rule["targets"] = json!(resolve(&self.targets, providers)),
            other => rule["deny"] = json!({"status": 400 + other, "message": "no | `not` @now"}),
        }
        rule
    }
}

impl KeySketch {
    fn into_spec(self, name: &str, shift: usize, teams: &[&str]) -> Value {
        let slot = (KEYS.iter().position(|key| *key == name).unwrap() + shift) % KEYS.len();
        let hashes: Vec<Value> = self.hashes.iter().map(|(n, end)| json!({"sha256": digest(slot * 3 + n), "not_after": end})).collect();
        let mut key = self.rest;
        key["hashes"] = json!(hashes);
        key["team"] = json!(self.team.filter(|_| !teams.is_empty()).map(|team| *team.get(teams)));
        key
    }
}

/// Returns a digest that looks like one, so that its short forms differ.
fn digest(n: usize) -> String {
    bifrostctl::base::Digest::of(&[u8::try_from(n).unwrap()]).to_string()
}
