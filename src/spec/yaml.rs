//! JSON as YAML that people read: block style, members in their order, quotes only where somebody might read something else.
//!
//! Not a formatter: comments and anchors do not exist in JSON. Rule: what is written reads back equal, under YAML 1.2 and under the
//! older rules that many tools still follow (`no`, `0777`, `1:30`, dates).

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::report::is_visible;

/// An implicit key longer than this is no key to YAML.
const LONGEST_KEY: usize = 1_000;

/// Writes a value as one YAML document that ends with a line feed.
///
/// Recursive: as deep as the value, which came through a parser that limits depth. `${…}` is written as it is; who wants the loader
/// to take it literally writes `$${…}` into the value first.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(members) if !members.is_empty() => map(&mut out, members, 0),
        Value::Array(items) if !items.is_empty() => list(&mut out, items, 0),
        // A block needs something to be indented under.
        Value::String(text) => {
            inline_text(&mut out, text);
            out.push('\n');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            scalar(&mut out, value, 0);
            out.push('\n');
        }
    }
    out
}

fn indentation(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes members one a line; the first begins where `out` stands.
fn map(out: &mut String, members: &Map<String, Value>, indent: usize) {
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            indentation(out, indent);
        }
        let start = out.len();
        inline_text(out, name);
        if out.len() - start > LONGEST_KEY {
            out.insert_str(start, "? ");
            out.push('\n');
            indentation(out, indent);
        }
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                indentation(out, indent + 2);
                map(out, inner, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                indentation(out, indent + 2);
                list(out, items, indent + 2);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                out.push(' ');
                scalar(out, value, indent + 2);
                out.push('\n');
            }
        }
    }
}

/// Writes items one a line; the first begins where `out` stands.
fn list(out: &mut String, items: &[Value], indent: usize) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            indentation(out, indent);
        }
        out.push_str("- ");
        match item {
            Value::Object(inner) if !inner.is_empty() => map(out, inner, indent + 2),
            Value::Array(inner) if !inner.is_empty() => list(out, inner, indent + 2),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                scalar(out, item, indent + 2);
                out.push('\n');
            }
        }
    }
}

/// Writes what is not a filled list or map; `indent` is where the lines of a block stand.
fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => self::number(out, number),
        Value::String(text) if is_block(text) => block(out, text, indent),
        Value::String(text) => inline_text(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// Writes a number; one with an exponent gets a point and a sign, without which YAML 1.1 reads a text.
fn number(out: &mut String, number: &Number) {
    let text = number.to_string();
    match text.split_once(['e', 'E']) {
        None => out.push_str(&text),
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
            let _ = write!(out, "{mantissa}{point}e{sign}{exponent}");
        }
    }
}

/// Returns whether a text reads better, and reads back equal, as a `|` block.
fn is_block(text: &str) -> bool {
    let plain = |line: &str| line.is_empty() || (!line.trim().is_empty() && line.chars().all(|c| is_visible(c) && c != '\t'));
    text.contains('\n') && !text.starts_with([' ', '\n']) && text.split('\n').all(plain)
}

fn block(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indentation(out, indent);
            out.push_str(line);
        }
    }
    // The caller ends the last line.
    for _ in 1..text.len() - body.len() {
        out.push('\n');
    }
}

/// Writes a text on one line, with quotes where it needs them.
fn inline_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            shown if is_visible(shown) => out.push(shown),
            hidden => {
                let code = u32::from(hidden);
                let _ = if code > 0xFFFF { write!(out, "\\U{code:08X}") } else { write!(out, "\\u{code:04X}") };
            }
        }
    }
    out.push('"');
}

/// Returns whether every YAML parser reads the bare text as this very text.
fn is_plain(text: &str) -> bool {
    let first = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '$' | '(');
    text.starts_with(first)
        && !text.starts_with("...")
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(|c| c == ' ' || (is_visible(c) && !c.is_whitespace()))
        && !is_word(text)
        && !is_numeric(text)
}

/// Returns whether some version of YAML reads the bare text as null or a boolean, or as a number that is no number.
fn is_word(text: &str) -> bool {
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan"];
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Returns whether some version of YAML may read the bare text as a number, a time of day or a date.
fn is_numeric(text: &str) -> bool {
    let based = |prefix| text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '_' | '.' | ',' | ':' | '+' | '-' | 'e' | 'E' | 't' | 'T' | 'z' | 'Z' | ' ');
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.') && (["0x", "0o", "0b"].into_iter().any(based) || text.chars().all(digits))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rustfmt::skip]
    const AMBIGUOUS: &[&str] = &[
        "", " a", "a ", "null", "Null", "~", "true", "YES", "no", "off", "y", "1", "-1", "1.5", "1e3", ".5", "0x1F",
        "0o17", "017", "1_000", "12:30:45", "2027-06-30", "2027-06-30T12:00:00Z", ".inf", "-.inf", ".nan", "...", "... b",
        "---", "- a", "? a", ": a", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a", "|", ">", "'a", "\"a", "%a", "@a",
        "`a", "[a", "{a", ",a", "<<", "=", "a\tb", "a\u{a0}b", "\u{feff}a", "a\u{2028}b", "a\u{202e}b", "\u{7f}",
    ];

    #[test]
    fn a_spec_reads_as_a_person_would_write_it() {
        let value = json!({
            "version": 1,
            "gateway": {"listen": "127.0.0.1:8080", "drain": "120s", "limits": {}},
            "models": {"fast": {
                "targets": ["openai/gpt-4o-mini", {"provider": "groq", "model": "llama", "weight": 2}],
                "fallbacks": [],
                "prompt": {"system": {"text": "Be brief.\n\nSay no: #never.\n"}},
                "defaults": {"temperature": 0.2, "seed": null, "big": 1e300, "matrix": [[1, 2], [3]]},
            }},
            "rules": [{"name": "big", "when": "key.team == \"research\" and tokens.input > 8000"}],
            "key: x": "{{ key.team }}",
            "expires": "2027-06-30",
        });
        assert_eq!(
            to_yaml(&value),
            r#"version: 1
gateway:
  listen: "127.0.0.1:8080"
  drain: 120s
  limits: {}
models:
  fast:
    targets:
      - openai/gpt-4o-mini
      - provider: groq
        model: llama
        weight: 2
    fallbacks: []
    prompt:
      system:
        text: |
          Be brief.

          Say no: #never.
    defaults:
      temperature: 0.2
      seed: null
      big: 1.0e+300
      matrix:
        - - 1
          - 2
        - - 3
rules:
  - name: big
    when: key.team == "research" and tokens.input > 8000
"key: x": "{{ key.team }}"
expires: "2027-06-30"
"#
        );
    }

    #[test]
    fn what_some_parser_would_read_as_something_else_is_quoted() {
        for text in AMBIGUOUS {
            let written = to_yaml(&json!({"k": text}));
            assert!(written.starts_with("k: \"") && written.ends_with("\"\n"), "{text:?}: {written}");
        }
        for text in ["30s", "7d", "32MiB", "http://127.0.0.1:8000/v1", "a#b", "a:b", ".bifrost", "/run/x", "été", "$5", "it's", "gpt-4o*"]
        {
            assert_eq!(to_yaml(&json!({"k": text})), format!("k: {text}\n"));
        }
    }

    #[test]
    fn a_block_keeps_its_line_feeds_exactly() {
        for (text, written) in [
            ("a\nb", "k: |-\n  a\n  b\n"),
            ("a\nb\n", "k: |\n  a\n  b\n"),
            ("a\n\n\n", "k: |+\n  a\n\n\n"),
            ("a\n  b\n", "k: |\n  a\n    b\n"),
            ("a\n \nb", "k: \"a\\n \\nb\"\n"),
            ("\na", "k: \"\\na\"\n"),
            (" a\nb", "k: \" a\\nb\"\n"),
            ("a\r\nb", "k: \"a\\r\\nb\"\n"),
            ("a\n\tb", "k: \"a\\n\\tb\"\n"),
        ] {
            assert_eq!(to_yaml(&json!({"k": text})), written);
            assert_eq!(serde_yaml::from_str::<Value>(written).unwrap(), json!({"k": text}));
        }
    }
}
