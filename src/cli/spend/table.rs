//! What was spent as a table: for people, and for spreadsheets.

use jiff::Timestamp;
use serde_json::Value;

use super::shown;
use crate::base::visible;
use crate::cli::table_text;

/// Columns after those of the groups: the member, the heading, and whether a column of zeros is left out.
const COLUMNS: [(&str, &str, bool); 9] = [
    ("attempts", "ATTEMPTS", false),
    ("cost", "COST", false),
    ("input_tokens", "INPUT", false),
    ("cache_read_tokens", "CACHE READ", true),
    ("cache_write_tokens", "CACHE WRITE", true),
    ("output_tokens", "OUTPUT", false),
    ("unpriced", "UNPRICED", true),
    ("estimated", "ESTIMATED", true),
    ("expired", "EXPIRED", true),
];

/// Columns of a spreadsheet after those of the groups; all of them, always, in this order.
const CSV_COLUMNS: [&str; 10] = [
    "attempts",
    "cost_usd",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unpriced",
    "estimated",
    "expired",
];

fn by(spend: &Value) -> Vec<&str> {
    spend.get("by").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn rows(spend: &Value) -> impl Iterator<Item = &Value> {
    spend.get("rows").and_then(Value::as_array).into_iter().flatten()
}

/// Lays the answer out for a person; columns in which there is nothing are left out.
pub(super) fn human(spend: &Value) -> String {
    let by = by(spend);
    let total = spend.get("total").unwrap_or(&Value::Null);
    let columns: Vec<_> = COLUMNS.iter().filter(|(member, _, optional)| !optional || count(total, member) > 0).collect();
    let mut table = vec![by.iter().map(|word| word.to_uppercase()).collect::<Vec<_>>()];
    let line = |mut cells: Vec<String>, totals: &Value| {
        cells.extend(columns.iter().map(|(member, _, _)| shown(totals.get(member))));
        cells
    };
    let body: Vec<Vec<String>> = rows(spend)
        .map(|row| {
            let group = by.iter().map(|word| visible(&shown(row.pointer(&format!("/group/{word}"))))).collect();
            line(group, row)
        })
        .collect();
    if let Some(head) = table.first_mut() {
        head.extend(columns.iter().map(|(_, heading, _)| (*heading).to_owned()));
    }
    let many = body.len() > 1 && !by.is_empty();
    table.extend(body);
    if many {
        let mut cells = vec!["total".to_owned()];
        cells.resize(by.len(), String::new());
        table.push(line(cells, total));
    }
    table_text::table(&table)
}

fn count(totals: &Value, member: &str) -> u64 {
    totals.get(member).and_then(Value::as_u64).unwrap_or_default()
}

/// Says what span of time it is about, and what its amounts do not say.
pub(super) fn summary(spend: &Value) -> String {
    let time = |member: &str| spend.get(member).and_then(Value::as_i64).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let from = time("from_ms").unwrap_or_default();
    let mut text = match time("to_ms") {
        Some(to) => format!("spent from {from} to {to}"),
        None => format!("spent since {from}"),
    };
    let unpriced = spend.pointer("/total/unpriced").and_then(Value::as_u64).unwrap_or_default();
    if unpriced > 0 {
        let attempts = table_text::count(usize::try_from(unpriced).unwrap_or(usize::MAX), "attempt");
        text.push_str(&format!("; {attempts} without a price, taken as $0"));
    }
    text
}

/// Writes the answer as RFC 4180 says; amounts are dollars without a sign of the currency.
pub(super) fn csv(spend: &Value) -> String {
    let by = by(spend);
    let mut text = record(by.iter().chain(&CSV_COLUMNS).map(|word| (*word).to_owned()));
    for row in rows(spend) {
        let group = by.iter().map(|word| row.pointer(&format!("/group/{word}")).and_then(Value::as_str).unwrap_or_default().to_owned());
        let totals = CSV_COLUMNS.iter().map(|member| match *member {
            "cost_usd" => shown(row.get("cost")).replace('$', ""),
            member => shown(row.get(member)),
        });
        text.push_str(&record(group.chain(totals)));
    }
    text
}

fn record(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|cell| quoted(&cell)).collect();
    cells.join(",") + "\r\n"
}

fn quoted(cell: &str) -> String {
    let plain = !cell.contains([',', '"', '\r', '\n']);
    if plain { cell.to_owned() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_need_it_are_quoted() {
        let cells = ["a", "b,c", "d\"e", ""].map(str::to_owned);
        assert_eq!(record(cells.into_iter()), "a,\"b,c\",\"d\"\"e\",\r\n");
    }
}
