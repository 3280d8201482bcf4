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
    plain(cell).chars().count()
}

/// Takes colour codes out.
pub(crate) fn plain(text: &str) -> String {
    let mut hidden = false;
    text.chars()
        .filter(|character| match (hidden, character) {
            (false, '\u{1b}') => {
                hidden = true;
                false
            }
            (false, _) => true,
            (true, 'm') => {
                hidden = false;
                false
            }
            (true, _) => false,
        })
        .collect()
}

/// Escapes the message of one of GitHub's workflow commands, so that it stays one line and one command.
pub(crate) fn workflow_text(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of one, such as the file: it ends at a colon or a comma.
pub(crate) fn workflow_property(text: &str) -> String {
    workflow_text(text).replace(':', "%3A").replace(',', "%2C")
}

/// Writes a count and its noun: `1 key`, `3 keys`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
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
