//! What `explain` answers, in words and as data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bifrostctl::base::{Digest, ManualClock};
use bifrostctl::limit::budget::Ledger;
use bifrostctl::plan::{Plan, Rule, RuleAction};
use bifrostctl::provider::{Clients, Health, Proxies, Signers, SystemLookup};
use bifrostctl::table::explain::{Explanation, Moment, Outcome, Question, explain, human};
use bifrostctl::table::{RoutingTable, Services, prepare};
use bifrostctl::telemetry::Metrics;
use serde_json::json;

use crate::plan::support::plan;

/// A table, and what its health can be made to know.
pub(super) struct Rig {
    pub(super) table: RoutingTable,
    services: Services,
}

/// 14:00 UTC of some day.
pub(super) const AT: Moment = Moment { unix_ms: 20_000 * 86_400_000 + 14 * 3_600_000, now_ms: 1_000_000, roll: 1 };

fn yaml(extra: &str) -> String {
    let digest = |key: &str| Digest::of(key.as_bytes());
    format!(
        r#"
version: 1
gateway: {{auth: required}}
providers:
  openai: {{credentials: {{main: {{secret: {{env: A}}, weight: 3}}, spare: {{secret: {{env: B}}}}, gone: {{secret: {{env: NOT_SET}}, optional: true}}}}, headers: {{x-team: "{{{{ key.team }}}}"}}}}
  groq: {{credentials: {{default: {{secret: {{env: A}}}}}}}}
  bare: {{preset: mistral, credentials: {{only: {{secret: {{env: NOT_SET}}, optional: true}}}}}}
models:
  fast:
    targets: [{{provider: openai, model: mini, weight: 3}}, {{provider: groq, model: llama, weight: 1}}]
    fallbacks: [smart, bare/m]
    prompt: {{system: {{text: "For {{{{ key.team }}}}."}}}}
    defaults: {{temperature: 0.2}}
    overrides: {{store: false}}
  smart: {{targets: [openai/big]}}
  turns: {{balance: round_robin, targets: [openai/a, openai/b, openai/c]}}
rules:
  - {{name: night, when: "hour_utc < 6", use: smart}}
  - {{name: huge, when: "tokens.input > 1000", deny: {{status: 413, message: "too long"}}}}
  - {{name: direct, when: "header(\"x-direct\", \"\") == \"1\"", targets: [groq/x]}}
teams: {{growth: {{models: [fast, smart, turns]}}}}
virtual_keys:
  web: {{hashes: [{{sha256: {}}}], team: growth, models: [fast, turns, "groq/*"]}}
  all: {{hashes: [{{sha256: {}}}], models: ["*"]}}
  old: {{hashes: [{{sha256: {}, not_after: 2020-01-01}}], models: ["*"]}}
  off: {{hashes: [{{sha256: {}}}], models: ["*"], disabled: true}}
{extra}"#,
        digest("web"),
        digest("all"),
        digest("old"),
        digest("off"),
    )
}

fn rig() -> Rig {
    rig_of(&yaml(""), |_| {})
}

/// Conditions and templates that may fail are refused by the checks, so they are slipped in behind them: an absent fact is not the
/// only way to fail.
fn with_failing_rule(plan: &mut Plan) {
    let when = "headers[\"x-odd\"] == \"1\"".to_owned();
    plan.rules.insert(0, Rule { name: "odd".to_owned(), when, action: RuleAction::Use("smart".to_owned()) });
}

pub(super) fn rig_of(yaml: &str, change: impl FnOnce(&mut Plan)) -> Rig {
    let mut plan = plan(yaml);
    change(&mut plan);
    let env: BTreeMap<String, String> = ["A", "B"].iter().map(|name| ((*name).to_owned(), format!("CANARY-{name}"))).collect();
    let services = Services {
        clients: Arc::new(Clients::new(Proxies::default(), Arc::new(SystemLookup))),
        health: Arc::new(Health::default()),
        signers: Arc::new(Signers::default()),
        ledger: Arc::new(Ledger::new(Arc::new(ManualClock::at(AT.unix_ms)))),
        counters: Arc::default(),
        metrics: Metrics::new(),
        env: Arc::new(env),
        base_dir: PathBuf::from("."),
        mock_url: None,
    };
    let table = prepare(Arc::new(plan), 7, &services).unwrap();
    Rig { table, services }
}

pub(super) fn asks(key: &str, model: &str) -> Question {
    Question { key: Some(key.to_owned()).filter(|key| !key.is_empty()), model: Some(model.to_owned()), ..Question::default() }
}

fn with_header(mut question: Question, name: &str, value: &str) -> Question {
    question.headers.insert(name.to_owned(), value.to_owned());
    question
}

impl Rig {
    pub(super) fn told(&self, question: &Question) -> Explanation {
        explain(&self.table, question, AT).unwrap()
    }

    pub(super) fn fail(&self, provider: &str, model: &str) {
        for _ in 0..5 {
            self.services.health.target(provider, model).breaker.failure(AT.now_ms - 1, AT.now_ms, 0.0);
        }
    }

    fn credential(&self, provider: &str, name: &str) -> &bifrostctl::provider::CredentialHealth {
        let provider = &self.table.providers[provider];
        &provider.credentials.iter().find(|credential| credential.name == name).unwrap().health
    }
}

#[test]
fn an_alias_in_good_health_is_explained() {
    let told = rig().told(&asks("web", "fast"));
    insta::assert_snapshot!("alias", human(&told));
    insta::assert_json_snapshot!("alias_json", told);
}

#[test]
fn breakers_and_credentials_that_are_out_are_explained() {
    let rig = rig();
    rig.fail("openai", "mini");
    rig.credential("openai", "main").cool("big", AT.now_ms, Some(12_000));
    rig.credential("groq", "default").refuse(AT.now_ms);
    insta::assert_snapshot!("ill", human(&rig.told(&asks("web", "fast"))));
}

#[test]
fn what_ends_first_is_the_reason_that_the_client_is_told() {
    let rig = rig();
    rig.credential("openai", "main").refuse(AT.now_ms);
    for model in ["a", "b", "c"] {
        rig.credential("openai", "spare").cool(model, AT.now_ms, Some(12_000));
    }
    let told = rig.told(&asks("web", "turns"));
    let denial = told.denial.as_ref().unwrap();
    assert_eq!((denial.status, denial.code.as_str(), denial.retry_after_ms), (429, "rate_limited", Some(12_000)));
    assert_eq!(denial.detail, None, "what is left out is told in its own place");
    let left_out: Vec<_> = told.excluded.iter().map(|it| (it.code.as_str(), it.wait_ms)).collect();
    assert_eq!(left_out, [("rate_limited", Some(12_000)); 3]);
    rig.credential("openai", "spare").exhaust(AT.now_ms);
    let told = rig.told(&asks("web", "turns"));
    let denial = told.denial.as_ref().unwrap();
    assert_eq!((denial.status, denial.code.as_str(), denial.retry_after_ms), (503, "no_candidate", Some(600_000)));
    assert_eq!((told.excluded[0].code.as_str(), told.excluded[0].wait_ms), ("credentials_out", Some(600_000)));
}

#[test]
fn a_model_that_a_credential_is_refused_for_is_the_only_one_that_it_is_not_used_for() {
    let rig = rig();
    rig.credential("openai", "main").forbid("a", AT.now_ms);
    let told = rig.told(&asks("web", "turns"));
    let left_out = |at: usize| told.candidates[at].left_out.iter().map(|it| (it.name.as_str(), it.wait_ms)).collect::<Vec<_>>();
    assert_eq!((left_out(0), left_out(1)), (vec![("main", Some(600_000)), ("gone", None)], vec![("gone", None)]));
    assert!(human(&told).contains("not with main: the provider refused it for this model, for 10m"), "{}", human(&told));
}

#[test]
fn nobody_left_is_a_last_resort() {
    let rig = rig();
    for model in ["a", "b", "c"] {
        rig.fail("openai", model);
    }
    let told = rig.told(&asks("web", "turns"));
    assert!(told.candidates.iter().all(|candidate| candidate.standing == "last_resort"));
    assert_eq!(told.candidates.iter().map(|candidate| candidate.share_percent).collect::<Vec<_>>(), [33, 33, 33]);
    assert!(told.excluded.is_empty());
}

#[test]
fn whoever_is_left_out_gives_its_turn_to_the_next() {
    let rig = rig();
    rig.fail("openai", "b");
    rig.table.aliases["turns"].turn.store(1, Ordering::Relaxed);
    let told = rig.told(&asks("web", "turns"));
    let shares: Vec<_> = told.candidates.iter().map(|candidate| (candidate.target.as_str(), candidate.share_percent)).collect();
    assert_eq!(shares, [("openai/c", 67), ("openai/a", 33)]);
    assert_eq!(rig.table.aliases["turns"].turn.load(Ordering::Relaxed), 1, "asking uses up no turn");
    assert_eq!(told.excluded[0].wait_ms, Some(5_000));
}

#[test]
fn a_rule_that_decides_is_named_and_one_that_fails_does_not_match() {
    let rig = rig_of(&yaml(""), with_failing_rule);
    let mut question = asks("all", "fast");
    question.body = Some(json!({"messages": [{"role": "user", "content": "word ".repeat(2_000)}]}));
    insta::assert_snapshot!("denied_by_rule", human(&rig.told(&question)));
    let told = rig.told(&with_header(asks("all", "fast"), "x-direct", "1"));
    assert_eq!(told.rule.as_ref().map(|rule| (rule.name.as_str(), rule.does.as_str())), Some(("direct", "targets")));
    assert_eq!((told.alias.as_deref(), told.candidates[0].target.as_str(), told.prompt.as_ref()), (None, "groq/x", None));
    let told = rig.told(&with_header(asks("all", "fast"), "x-odd", "1"));
    assert_eq!(told.failed_rules, [], "the header is there");
    assert_eq!(told.rule.map(|rule| rule.does).as_deref(), Some("use smart"));
    let early = Moment { unix_ms: AT.unix_ms - 10 * 3_600_000, ..AT };
    let told = explain(&rig.table, &asks("web", "fast"), early).unwrap();
    assert_eq!(told.failed_rules[0].name, "odd");
    assert_eq!((told.rule.map(|rule| rule.name).as_deref(), told.alias.as_deref()), (Some("night"), Some("smart")));
}

#[test]
fn refusals_are_worded_as_the_client_reads_them_with_what_it_is_not_told() {
    let rig = rig();
    let mut text = String::new();
    for question in [
        asks("", "fast"),
        asks("off", "fast"),
        asks("old", "fast"),
        asks("web", "smart"),
        asks("web", "groq/llama"),
        asks("all", "fats"),
        asks("all", "nobody/x"),
        asks("all", "bare/x"),
        Question { body: Some(json!([1])), ..asks("all", "fast") },
        Question { body: Some(json!({"messages": "hi"})), ..asks("all", "fast") },
    ] {
        let told = rig.told(&question);
        assert_eq!((told.outcome, told.candidates.len()), (Outcome::Denied, 0));
        let denial = told.denial.unwrap();
        text.push_str(&format!("{} {} {} | {}\n", denial.status, denial.code, denial.message, denial.detail.unwrap_or_default()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_gateway_that_does_not_look_at_keys_does_not_look_at_this_one() {
    let rig = rig_of(&yaml("").replace("auth: required", "auth: \"off\""), |_| {});
    let told = rig.told(&asks("off", "smart"));
    assert_eq!((told.outcome, told.alias.as_deref()), (Outcome::Routed, Some("smart")));
}

#[test]
fn a_template_that_fails_ends_the_request() {
    let rig = rig_of(&yaml(""), |plan| {
        plan.models.get_mut("fast").unwrap().prompt.as_mut().unwrap().system = "{{ headers['x-a'] }}".to_owned();
    });
    let denial = rig.told(&asks("web", "fast")).denial.unwrap();
    assert_eq!((denial.status, denial.code.as_str()), (500, "template_failed"));
    assert!(denial.message.contains("models.fast.prompt"), "{}", denial.message);
    let told = rig.told(&with_header(asks("web", "fast"), "x-a", "secret-value"));
    assert_eq!(told.prompt.as_ref().map(|prompt| prompt.is_blank), Some(false));
    assert!(!serde_json::to_string(&told).unwrap().contains("secret-value"));
    let rig = rig_of(&yaml(""), |plan| {
        plan.providers.get_mut("openai").unwrap().headers.insert("x-team".to_owned(), "{{ headers['x-a'] }}".to_owned());
    });
    let told = rig.told(&asks("web", "fast"));
    assert!(told.candidates[0].headers[0].failure.is_some());
    assert!(human(&told).contains("its header x-team fails"));
}

#[test]
fn a_question_about_what_does_not_exist_says_what_does() {
    let rig = rig();
    let said = |question: &Question| explain(&rig.table, question, AT).unwrap_err().to_string();
    assert_eq!(said(&asks("wbe", "fast")), "there is no virtual key `wbe`; did you mean `web`?");
    assert_eq!(
        said(&Question { endpoint: Some("chats".to_owned()), ..asks("web", "fast") }),
        "there is no endpoint `chats`; did you mean `chat`?"
    );
    let nameless = "a request of `chat` names a model; only `other` ones, such as files and batches, may name none";
    assert_eq!(said(&Question { model: None, ..asks("web", "fast") }), nameless);
    assert_eq!(said(&with_header(asks("web", "fast"), "a b", "c")), "the header `a b` cannot be sent");
    let refused = said(&with_header(asks("web", "fast"), "Authorization", "Bearer CANARY"));
    assert!(refused.contains("name the virtual key") && !refused.contains("CANARY"));
}

#[test]
fn nothing_that_is_shown_acts_on_a_terminal_and_no_secret_is_in_it() {
    let rig = rig();
    let told = rig.told(&asks("all", "\u{1b}[2J/\u{202e}"));
    let shown = human(&told);
    assert!(!shown.chars().any(|it| (it.is_control() && it != '\n') || it == '\u{202e}'), "{shown:?}");
    let told = rig.told(&asks("web", "fast"));
    assert!(!(human(&told) + &serde_json::to_string(&told).unwrap()).contains("CANARY"));
}

#[test]
fn an_answer_reads_back_from_json() {
    let rig = rig();
    rig.fail("openai", "mini");
    let told = rig.told(&asks("web", "fast"));
    let back: Explanation = serde_json::from_value(serde_json::to_value(&told).unwrap()).unwrap();
    assert_eq!(back, told);
}
