//! Plain tables and lines for people.

use serde_json::Value;

/// Lays rows out in columns two spaces apart; the last column is not padded. Colour codes count as nothing.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, column) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(column.saturating_sub(width(cell)) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Counts the characters that a terminal shows, without colour codes.
fn width(cell: &str) -> usize {
    let mut shown = 0;
    let mut hidden = false;
    for character in cell.chars() {
        match (hidden, character) {
            (false, '\u{1b}') => hidden = true,
            (false, _) => shown += 1,
            (true, 'm') => hidden = false,
            (true, _) => {}
        }
    }
    shown
}

/// Writes one diagnostic in its JSON form as a line: `error[CODE] file:line:col: message`.
pub(crate) fn diagnostic_line(diagnostic: &Value) -> String {
    let text = |pointer: &str| diagnostic.pointer(pointer).and_then(Value::as_str);
    let number = |pointer: &str| diagnostic.pointer(pointer).and_then(Value::as_u64);
    let head = format!("{}[{}]", text("/severity").unwrap_or("error"), text("/code").unwrap_or("?"));
    let place = match (text("/file"), number("/line"), number("/column")) {
        (Some(file), Some(line), Some(column)) => format!(" {file}:{line}:{column}"),
        (Some(file), _, _) => format!(" {file}"),
        (None, _, _) => String::new(),
    };
    format!("{head}{place}: {}", text("/message").unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_colour() {
        let rows =
            [vec!["a".to_owned(), "\u{1b}[32mok\u{1b}[0m".to_owned(), "x".to_owned()], ["bbb", "fail", ""].map(str::to_owned).to_vec()];
        assert_eq!(table(&rows), "a    \u{1b}[32mok\u{1b}[0m    x\nbbb  fail\n");
    }
}
