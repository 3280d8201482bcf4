//! The book of a running gateway: opened in the state directory, asked through the admin API, closed at the end.

use std::sync::Arc;

use bifrostctl::base::Usd;
use bifrostctl::store::StoreError;
use bifrostctl::store::book::{AttemptId, Book, Closing, FILE, Opening, UsageSource};
use bifrostctl::wire::ir::{Tier, Usage};
use serde_json::{Value, json};

use super::lab::{Lab, Place, said, spec};

/// A place whose book holds two ended lines and, as after a crash, an open one.
async fn place() -> Place {
    let place = Place::with(|root| {
        let budgets = "routing_headers: true, budgets: [{limit: $5, period: total}, {limit: $9, period: hour, mode: soft}]";
        spec(root, "one").replace("routing_headers: true", budgets)
    });
    std::fs::create_dir_all(place.path("state")).unwrap();
    let (book, _) = Book::open(&place.path("state").join(FILE), 0, Arc::new(|_| {})).unwrap();
    for (number, cost) in [(1, 100), (2, 23), (3, 0)] {
        let opening = Arc::new(Opening {
            id: AttemptId::from_bits(7, number),
            admitted_ms: 1_790_000_000_000 + u64::from(number),
            key: Some("web".into()),
            team: None,
            alias: Some("fast".into()),
            provider: "mock".into(),
            model: "meta/llama 3 & co".into(),
            endpoint: "chat",
            accounts: Arc::new(["key:web".into()]),
            floor: Usd::from_nano(7),
            reserved: Usd::ZERO,
        });
        drop(book.open_line(Arc::clone(&opening)));
        if number < 3 {
            drop(book.close(Closing {
                closed_ms: opening.admitted_ms + 5,
                opening,
                cost: Usd::from_nano(cost),
                usage: Usage { input: 3, output: 4, ..Usage::default() },
                source: UsageSource::Provider,
                tier: Tier::Standard,
                priced: true,
                status: Some(200),
                outcome: "ok",
            }));
        }
    }
    book.flush().durable().await.unwrap();
    book.abandon();
    place
}

#[tokio::test]
async fn what_a_crash_left_open_is_charged_at_the_start_and_told() {
    let lab = place().await.start().await;
    let seen = lab.get("/v1/spend?by=key,model&from=1790000000000&model=meta%2Fllama+3+%26%20co").await.json();
    assert_eq!(seen["rows"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(seen["rows"][0]["group"], json!({"key": "web", "model": "meta/llama 3 & co"}));
    assert_eq!(
        (&seen["total"]["cost_nano_usd"], &seen["total"]["cost"], &seen["total"]["expired"]),
        (&json!(130), &json!("$0.00000013"), &json!(1))
    );
    let seen = lab.get("/v1/budgets").await.json();
    assert_eq!(seen["accounts"], json!([{"account": "key:web", "spent": "$0.00000013", "adjusted": "$0"}]));
    assert_eq!(seen["book"]["writes"], true);
    let seen = lab.get("/v1/budgets?to=1789999200000").await.json();
    assert_eq!(seen["accounts"], json!([]), "their quarter of an hour begins then");
}

#[tokio::test]
async fn a_budget_that_is_set_back_stays_so_and_the_book_adds_up() {
    let lab = place().await.start().await;
    let standing = |seen: &Value| {
        seen["budgets"].as_array().unwrap().iter().map(|it| json!([it["budget"], it["spent"], it["left"]])).collect::<Vec<_>>()
    };
    let seen = lab.get("/v1/budgets").await.json();
    let hour = json!(["key:web per hour", "$0", "$9"]);
    assert_eq!(standing(&seen), [hour.clone(), json!(["key:web per total", "$0.00000013", "$4.99999987"])], "{seen}");
    let reset = json!({"budget": "key:web", "reason": "a load\ntest", "actor": "ana"});
    let seen = lab.send("/v1/budgets/reset", None, &reset).await;
    assert_eq!((seen.status, seen.json()), (200, json!({"budget": "key:web", "cleared": "$0.00000013"})), "{seen:?}");
    let after = [hour, json!(["key:web per total", "$0", "$5"])];
    assert_eq!(standing(&lab.get("/v1/budgets").await.json()), after);
    let audit = lab.get("/v1/budgets/audit").await.json();
    // One of the adjustments takes something off; the other is of the hour in which nothing was spent.
    let found = ["lines", "adjustments", "different", "open"].map(|member| audit[member].as_u64().unwrap());
    assert_eq!(found, [3, 2, 0, 0], "{audit}");
    let Lab { place, gateway, .. } = lab;
    gateway.drain();
    gateway.ended().await;
    let lab = place.start().await;
    let seen = lab.get("/v1/budgets").await.json();
    assert_eq!(standing(&seen), after);
    assert_eq!(seen["accounts"], json!([{"account": "key:web", "spent": "$0", "adjusted": "-$0.00000013"}]));
    // What was spent stays told.
    assert_eq!(lab.get("/v1/spend").await.json()["total"]["cost_nano_usd"], 130);
    assert_eq!(lab.metric("bifrost_book_failed").await, 0.0);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let lab = Lab::new().await;
    for (path, status, said) in [
        ("/v1/spend?by=color", 400, "`by` takes key, team"),
        ("/v1/spend?from=yesterday", 400, "`from`"),
        ("/v1/spend?day=2026-11-25", 400, "filters are key"),
        ("/v1/spend?timezone=Mars", 400, "`timezone`"),
        ("/v1/budgets?key=web", 400, "`from` and `to`"),
        ("/v1/budgets/reset", 405, "POST"),
    ] {
        let seen = lab.get(path).await;
        assert!(seen.status == status && seen.text.contains(said), "{path}: {seen:?}");
    }
    for (body, status) in [
        (json!({"budget": "key:nobody", "reason": "x"}), 404),
        (json!({"budget": "key:web", "reason": " \n "}), 400),
        (json!({"budget": "key:web"}), 400),
    ] {
        assert_eq!(lab.send("/v1/budgets/reset", None, &body).await.status, status, "{body}");
    }
    assert_eq!(lab.send("/v1/spend", None, &json!({})).await.status, 405);
}

#[tokio::test]
async fn a_book_that_cannot_be_opened_ends_the_start() {
    let place = Place::with(|root| spec(root, "one"));
    place.write("state/book.sqlite3", &"this is no database ".repeat(100));
    let options = place.options();
    let error = bifrostctl::control::start(options).await.unwrap_err();
    let text = said(&error);
    assert!(matches!(error, bifrostctl::control::StartError::Store(StoreError::Book { .. })), "{text}");
    assert!(text.ends_with("state/book.sqlite3 cannot be used: file is not a database"), "{text}");
}
