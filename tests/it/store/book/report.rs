//! What the book answers: spend by group, accounts, audits.

use bifrostctl::store::book::{AccountTotals, Difference, Dimension, Group, Question, Report};
use jiff::tz::TimeZone;

use super::*;

/// Two days in Berlin: 25 October 2026, which has 25 hours, and the next.
const SUNDAY_NOON: u64 = 1_792_926_000_000;
const SUNDAY_LATE: u64 = 1_792_968_300_000;
const MONDAY: u64 = 1_792_971_000_000;

fn line(number: u16, admitted_ms: u64, (key, model): (&str, &str), cost: i64) -> Closing {
    let mut opening = Opening::clone(&opening(number, &["key:web", "budget:growth"]));
    opening.admitted_ms = admitted_ms;
    opening.key = Some(key.into()).filter(|_| key != "nobody");
    opening.model = model.into();
    if key != "web" {
        opening.accounts = Arc::new(["budget:growth".into()]);
    }
    closing(&Arc::new(opening), cost)
}

fn filled() -> (Place, Book) {
    let place = place();
    let (book, _) = open(&place.path);
    drop(book.close(line(1, SUNDAY_NOON, ("web", "small"), 10)));
    drop(book.close(line(2, SUNDAY_LATE, ("web", "large"), 500)));
    drop(book.close(line(3, MONDAY, ("batch", "small"), 20)));
    let mut unknown = line(4, MONDAY, ("nobody", "new"), 0);
    unknown.priced = false;
    unknown.source = UsageSource::Input;
    drop(book.close(unknown));
    book.flush().wait().unwrap();
    (place, book)
}

fn question(by: &[Dimension]) -> Question {
    Question { admitted_ms: 0..u64::MAX, by: by.to_vec(), only: Vec::new(), account: None, zone: TimeZone::UTC }
}

fn told(groups: &[Group]) -> Vec<String> {
    let words = |group: &Group| group.values.iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(" ");
    groups.iter().map(|group| format!("{} {}x {}", words(group), group.totals.attempts, group.totals.cost.nano())).collect()
}

#[test]
fn lines_add_up_by_any_dimension_dearest_first() {
    let (place, _book) = filled();
    let report = Report::open(&place.path).unwrap();
    let ask = |question: &Question| told(&report.spend(question).unwrap());
    assert_eq!(ask(&question(&[Dimension::Key])), ["web 2x 510", "batch 1x 20", "- 1x 0"]);
    assert_eq!(
        ask(&question(&[Dimension::Model, Dimension::Key])),
        ["large web 1x 500", "small batch 1x 20", "small web 1x 10", "new - 1x 0"]
    );
    assert_eq!(ask(&question(&[Dimension::Source])), ["provider 3x 530", "input 1x 0"]);
    assert_eq!(ask(&question(&[])), [" 4x 530"]);
    let all = report.spend(&question(&[])).unwrap()[0].totals;
    assert_eq!((all.unpriced, all.estimated, all.expired, all.input, all.output), (1, 1, 0, 40, 20));
    for dimension in Dimension::ALL {
        let sum: i64 = report.spend(&question(&[dimension])).unwrap().iter().map(|group| group.totals.cost.nano()).sum();
        assert_eq!(sum, 530, "{dimension:?}");
        assert_eq!(Dimension::read(dimension.word()), Some(dimension));
    }
}

#[test]
fn days_begin_where_the_time_zone_says() {
    let (place, _book) = filled();
    let report = Report::open(&place.path).unwrap();
    let ask = |by, zone| told(&report.spend(&Question { zone, ..question(by) }).unwrap());
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    assert_eq!(ask(&[Dimension::Day], TimeZone::UTC), ["2026-10-25 4x 530"]);
    assert_eq!(ask(&[Dimension::Day], berlin.clone()), ["2026-10-25 2x 510", "2026-10-26 2x 20"]);
    assert_eq!(ask(&[Dimension::Month, Dimension::Key], berlin.clone()), ["2026-10 - 1x 0", "2026-10 batch 1x 20", "2026-10 web 2x 510"]);
    assert_eq!(ask(&[Dimension::Hour], berlin)[..1], ["2026-10-25T12:00+01:00 1x 10"]);
}

#[test]
fn only_what_is_asked_for_is_added_up() {
    let (place, _book) = filled();
    let report = Report::open(&place.path).unwrap();
    let ask = |question: Question| told(&report.spend(&question).unwrap());
    let by = question(&[Dimension::Model]);
    let only = |dimension, value: &str| Question { only: vec![(dimension, value.to_owned())], ..by.clone() };
    assert_eq!(ask(only(Dimension::Key, "web")), ["large 1x 500", "small 1x 10"]);
    assert_eq!(ask(only(Dimension::Key, "never")), [""; 0]);
    assert_eq!(ask(Question { account: Some("key:web".to_owned()), ..by.clone() }), ["large 1x 500", "small 1x 10"]);
    assert_eq!(ask(Question { account: Some("key:we".to_owned()), ..by.clone() }), [""; 0]);
    assert_eq!(ask(Question { admitted_ms: SUNDAY_LATE..MONDAY, ..by.clone() }), ["large 1x 500"]);
    // A name is a value, never a piece of the question.
    assert_eq!(ask(only(Dimension::Model, "x' OR '1'='1")), [""; 0]);
}

#[test]
fn accounts_and_audits_follow_what_is_booked() {
    let (place, book) = filled();
    let growth = || AccountTotals { account: "budget:growth".to_owned(), spent: usd(530), adjusted: Usd::ZERO };
    let mut report = book.report().unwrap();
    let web = AccountTotals { account: "key:web".to_owned(), spent: usd(510), adjusted: Usd::ZERO };
    assert_eq!(report.accounts(0..u64::MAX).unwrap(), [growth(), web]);
    let id = AttemptId::from_bits(5, 0);
    let change = Change::Clear { buckets: 0..u64::MAX };
    let clear = Adjustment { id, at_ms: NOW, account: "key:web".into(), change, actor: "ana".into(), reason: "test".into() };
    book.adjust(clear).wait().unwrap();
    assert_eq!(report.adjusted(id).unwrap(), usd(-510));
    let web = AccountTotals { account: "key:web".to_owned(), spent: Usd::ZERO, adjusted: usd(-510) };
    assert_eq!(report.accounts(0..u64::MAX).unwrap(), [growth(), web]);

    drop(book.open_line(opening(9, &["key:web"])));
    book.flush().wait().unwrap();
    let audit = report.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!((audit.lines, audit.open, audit.adjustments, audit.balances), (4, 1, 2, 5));
    drop(book);

    let text = "UPDATE balances SET nano = nano + 1 WHERE bucket = (SELECT min(bucket) FROM balances) AND account = (SELECT id FROM names WHERE text = 'budget:growth');
                DELETE FROM balances WHERE account = (SELECT id FROM names WHERE text = 'key:web');";
    Connection::open(&place.path).unwrap().execute_batch(text).unwrap();
    let audit = report.audit().unwrap();
    let wrong = Difference { account: "budget:growth".to_owned(), bucket: bucket_of(SUNDAY_NOON), lines: usd(10), balance: usd(11) };
    assert_eq!((audit.is_clean(), audit.different, audit.differences), (false, 1, vec![wrong]));
}

#[test]
fn counts_that_few_answers_have_are_kept_by_name() {
    let place = place();
    let (book, _) = open(&place.path);
    let mut searched = closing(&opening(1, &[]), 5);
    searched.usage.other.web_searches = 2;
    searched.usage.other.pages = 7;
    drop(book.close(searched));
    drop(book.open_line(opening(2, &[])));
    let mut heard = progress(3);
    heard.usage.other.audio_ms = 40;
    book.progress(opening(2, &[]).id, heard);
    drop(book.close(closing(&opening(3, &[]), 5)));
    book.flush().wait().unwrap();
    book.abandon();
    drop(book);
    let _ = open(&place.path);
    let connection = Connection::open(&place.path).unwrap();
    let mut find = connection.prepare("SELECT other FROM lines ORDER BY id").unwrap();
    let kept: Vec<Option<String>> = find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept, [Some(r#"{"pages":7,"web_searches":2}"#.to_owned()), Some(r#"{"audio_ms":40}"#.to_owned()), None]);
}

#[test]
fn a_file_that_is_damaged_is_told() {
    let (place, book) = filled();
    book.close_file();
    drop(book);
    let mut bytes = fs::read(&place.path).unwrap();
    for page in bytes.chunks_mut(4_096).skip(1) {
        // Where a page says what it holds.
        page[..8].fill(0xa5);
    }
    fs::write(&place.path, bytes).unwrap();
    let mut report = Report::open(&place.path).unwrap();
    match report.audit() {
        Ok(audit) => assert!(!audit.is_clean(), "{audit:?}"),
        Err(error) => assert!(matches!(error, BookError::Read(_)), "{error}"),
    }
}
