//! `spend` and `budget`, from a state directory and through the admin API.

use std::sync::Arc;

use bifrostctl::base::Usd;
use bifrostctl::store::book::{AttemptId, Book, Closing, FILE, Opening, UsageSource};
use bifrostctl::wire::ir::{Tier, Usage};
use serde_json::json;

use super::Place;
use super::fake::Fake;

const SPEC: &str = "version: 1\ngateway: {admin: \"unix:admin.sock\"}\nproviders: {mock: {}}\n";
const DAY: u64 = 86_400_000;
/// 1 November 2026.
const NOVEMBER: u64 = 1_793_491_200_000;

fn line(number: u16, (key, model): (&str, &str), cost: i64, source: UsageSource) -> Closing {
    let opening = Opening {
        id: AttemptId::from_bits(1, number),
        admitted_ms: NOVEMBER + u64::from(number) * DAY,
        key: Some(key.into()),
        team: Some("growth".into()),
        alias: Some("fast".into()),
        provider: "mock".into(),
        model: model.into(),
        endpoint: "chat",
        accounts: Arc::new([format!("key:{key}").into(), "budget:monthly".into()]),
        floor: Usd::ZERO,
        reserved: Usd::ZERO,
    };
    Closing {
        closed_ms: opening.admitted_ms + 5,
        opening: Arc::new(opening),
        cost: Usd::from_nano(cost),
        usage: Usage { input: 1_000, cache_read: 200, output: 50, ..Usage::default() },
        source,
        tier: Tier::Standard,
        priced: model != "new",
        status: Some(200),
        outcome: "ok",
    }
}

/// A directory with a spec and a state directory whose book has some lines.
fn place() -> Place {
    let place = Place::new().file("gateway.yaml", SPEC).file(".bifrost/other", "");
    let (book, _) = Book::open(&place.path().join(".bifrost").join(FILE), 0, Arc::new(|_| {})).unwrap();
    drop(book.close(line(0, ("web", "small"), 1_500_000_000, UsageSource::Provider)));
    drop(book.close(line(1, ("web", "la,rge"), 12_340_000, UsageSource::Estimated)));
    drop(book.close(line(2, ("batch", "small"), 2_000_000_000, UsageSource::Provider)));
    drop(book.close(line(3, ("batch", "new"), 0, UsageSource::Provider)));
    place
}

#[test]
fn spend_is_a_table_for_people_and_one_for_spreadsheets() {
    let place = place();
    let done = place.run(&["spend", "--state", ".bifrost", "--by", "key,model", "--from", "2026-11", "--to", "2026-11"]);
    assert_eq!(done.code, 0, "{done:?}");
    insta::assert_snapshot!(format!("{}--\n{}", done.stdout, done.stderr));
    let csv = place.run(&["spend", "--state", ".bifrost", "--by", "model,day", "--from", "2026-11-02", "-o", "csv", "-q"]);
    assert_eq!(csv.code, 0, "{csv:?}");
    insta::assert_snapshot!("spend_csv", csv.stdout.replace("\r\n", "<CR>\n"));
    let json =
        place.run(&["spend", "--state", ".bifrost", "--from", "2026-11-01", "--budget", "monthly", "--key", "web", "-o", "json"]).json();
    assert_eq!(json["result"]["rows"][0]["group"], json!({"key": "web"}));
    assert_eq!((&json["result"]["total"]["cost"], &json["result"]["total"]["attempts"]), (&json!("$1.51234"), &json!(2)));
}

#[test]
fn spend_asks_the_running_gateway_for_exactly_what_was_typed() {
    let place = Place::new().file("gateway.yaml", SPEC);
    let answer =
        json!({"from_ms": NOVEMBER, "to_ms": null, "timezone": "UTC", "by": ["key"], "rows": [], "total": {"attempts": 0, "cost": "$0"}});
    let fake = Fake::start(place.path(), move |_, _| (200, answer.clone()));
    let args =
        ["--by", "key,day", "--from", "2026-11-02", "--to", "2026-11-02", "--timezone", "Europe/Berlin", "--model", "meta/llama 3 & co"];
    let done = place.run(&[&["spend"], &args as &[&str]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let line = "GET /v1/spend?by=key%2Cday&from=1793574000000&to=1793660400000&timezone=Europe%2FBerlin&model=meta%2Fllama%203%20%26%20co HTTP/1.1";
    assert_eq!(fake.asked()[0].line, line);
}

#[test]
fn what_cannot_be_asked_is_usage() {
    let place = place();
    for (args, said) in [
        (&["spend", "--by", "color"] as &[&str], "expected some of key, team"),
        (&["spend", "--from", "yesterday"], "expected a day"),
        (&["spend", "--timezone", "Mars/Base"], "expected the name of a time zone"),
        (&["spend", "--from", "2026-11-03", "--to", "2026-11-02"], "--to is not after --from"),
        (&["budget", "reset", "monthly", "--reason", " "], "--reason says why"),
        (&["budget", "reset", "monthly", "--reason", "x"], "agree to it with --yes"),
        (&["budget", "reset", "monthly"], "--reason"),
    ] {
        let done = place.run(args);
        assert!(done.code == 64 && done.stderr.contains(said), "{args:?}: {done:?}");
    }
    let done = place.run(&["spend", "--state", "elsewhere"]);
    assert!(done.code == 1 && done.stderr.contains("there is no book in elsewhere"), "{done:?}");
}

#[test]
fn budget_status_lists_accounts_and_tells_of_a_book_that_cannot_be_written() {
    let place = place();
    let done = place.run(&["budget", "status", "--state", ".bifrost"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    assert_eq!(done.stdout, "ACCOUNT         SPENT     ADJUSTED\nbudget:monthly  $3.51234\nkey:batch       $2\nkey:web         $1.51234\n");
    let budget = json!({"budget": "key:web per month", "account": "key:web", "mode": "strict", "limit": "$50", "spent": "$0", "held": "$1.20",
        "left": "$48.80", "period": "month", "timezone": "UTC", "ends": "2026-12-01T00:00:00Z"});
    let answer = json!({"budgets": [budget], "accounts": [{"account": "key:web", "spent": "$0", "adjusted": "-$5"}],
        "book": {"writes": false, "failure": {"kind": "full", "why": "disk is full"}}});
    let _fake = Fake::start(place.path(), move |_, _| (200, answer.clone()));
    let done = place.run(&["budget", "status"]);
    insta::assert_snapshot!(done.stdout);
    assert_eq!(done.stderr, "the gateway cannot write its book: disk is full\n");
}

#[test]
fn budget_audit_ends_with_1_where_the_book_does_not_add_up() {
    let place = place();
    let done = place.run(&["budget", "audit", "--state", ".bifrost"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{done:?}");
    assert_eq!(done.stderr, "the book adds up: 4 lines, 0 adjustments, 6 balances, 0 open\n");
    let file = rusqlite::Connection::open(place.path().join(".bifrost").join(FILE)).unwrap();
    file.execute_batch("UPDATE balances SET nano = nano - 40 WHERE nano = 12340000").unwrap();
    let done = place.run(&["budget", "audit", "--state", ".bifrost"]);
    assert_eq!(done.code, 1, "{done:?}");
    insta::assert_snapshot!(format!("{}--\n{}", done.stdout, done.stderr));
    let json = place.run(&["budget", "audit", "--state", ".bifrost", "-o", "json"]).json();
    assert_eq!((&json["ok"], &json["result"]["different"]), (&json!(false), &json!(2)));
}

#[test]
fn budget_reset_names_the_budget_and_whoever_did_it() {
    let place = Place::new().file("gateway.yaml", SPEC).env("USER", "ana");
    let fake = Fake::start(place.path(), |_, asked| match asked.body["budget"].as_str() {
        Some("monthly") => (200, json!({"budget": "monthly", "cleared": "$3.50"})),
        Some(_) | None => (404, json!({"error": {"code": "no_such_budget", "message": "no"}})),
    });
    let done = place.run(&["budget", "reset", "monthly", "-m", "goodwill", "--yes"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, "monthly is back at nothing; $3.50 was taken off\n"), "{done:?}");
    assert_eq!(fake.asked()[0].body, json!({"budget": "monthly", "reason": "goodwill", "actor": "ana"}));
    let done = place.run(&["budget", "reset", "team:none", "-m", "x", "--yes"]);
    assert!(done.code == 1 && done.stderr.contains("no budget `team:none` limits a key"), "{done:?}");
}
