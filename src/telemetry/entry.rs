//! One line of the access log.
//!
//! What it never holds: bodies, query strings, keys, and headers that the spec does not name. Client-made text (path, model) is cut and escaped, so that a
//! line stays a line whatever was asked. Written by hand because it runs for every request: no map, no allocation.

use super::metrics::Endpoint;
use crate::base::Usd;

/// A member's beginning, made by the compiler. Names are ours and need no escaping.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// The longest client-made text in a line, in bytes; the rest is cut.
const LONGEST_TEXT: usize = 256;

/// What is known of one request at its end. Absent members are left out of the line.
#[derive(Debug, Clone, Default)]
pub struct AccessEntry<'a> {
    /// When the request arrived, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Its id.
    pub request_id: &'a str,
    /// Revision of the table that served it.
    pub revision: u64,
    /// HTTP method.
    pub method: &'a str,
    /// Path; anything from `?` on is cut here as well.
    pub path: &'a str,
    /// What was asked for.
    pub endpoint: Option<Endpoint>,
    /// Name of the virtual key; never the key.
    pub key: Option<&'a str>,
    /// Team of the key.
    pub team: Option<&'a str>,
    /// The model that the client named.
    pub model: Option<&'a str>,
    /// What the request uses that not every target has: `tools`, `vision`, `json_schema`.
    pub uses: &'a [&'static str],
    /// The client's limit of output tokens.
    pub max_output: Option<u64>,
    /// Headers that the spec wants written, by their names in small letters.
    pub headers: &'a [(String, String)],
    /// The alias that served.
    pub alias: Option<&'a str>,
    /// The rule that decided.
    pub rule: Option<&'a str>,
    /// The target that answered, as provider and model.
    pub target: Option<(&'a str, &'a str)>,
    /// Name of the credential that was used; never its secret.
    pub credential: Option<&'a str>,
    /// Calls of upstreams, in order.
    pub attempts: &'a [AttemptEntry<'a>],
    /// How often the next target was tried.
    pub fallbacks: u32,
    /// What the translation of the request lost.
    pub loss: Option<&'a str>,
    /// Status that the client saw.
    pub status: u16,
    /// Code of the error that the client saw.
    pub error: Option<&'a str>,
    /// What is known of the error beyond what the client was told.
    pub detail: Option<&'a str>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// From the request's head to the end of the answer, in milliseconds.
    pub duration_ms: u64,
    /// Spent in the gateway itself, in microseconds.
    pub overhead_us: u64,
    /// To the first content of a stream, in milliseconds.
    pub ttft_ms: Option<u64>,
    /// Input tokens.
    pub tokens_in: Option<u64>,
    /// Output tokens.
    pub tokens_out: Option<u64>,
    /// Where the token counts come from, for example `provider`.
    pub usage_source: Option<&'a str>,
    /// What it cost; none where that is not known.
    pub cost: Option<Usd>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Whether the client had gone before the end.
    pub client_gone: bool,
}

/// One call of an upstream.
#[derive(Debug, Clone, Default)]
pub struct AttemptEntry<'a> {
    /// The target, as provider and model.
    pub target: (&'a str, &'a str),
    /// Name of the credential.
    pub credential: Option<&'a str>,
    /// `ok`, the error's code, `cancelled` where the client left first, or `hedge_lost` where another call beside it was quicker.
    pub outcome: &'a str,
    /// What is known of the error.
    pub detail: Option<&'a str>,
    /// The upstream's status, if it answered.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Whether it was made beside another one that took long.
    pub is_hedge: bool,
}

impl AccessEntry<'_> {
    /// Appends the entry as one line of JSON, with its newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        time(out, self.unix_ms);
        out.push(b'"');
        text(out, name!("request_id"), self.request_id);
        number(out, name!("revision"), self.revision);
        text(out, name!("method"), self.method);
        text(out, name!("path"), self.path.split('?').next().unwrap_or_default());
        self.write_asked(out);
        self.write_served(out);
        number(out, name!("status"), u64::from(self.status));
        maybe_text(out, name!("error"), self.error);
        maybe_text(out, name!("detail"), self.detail);
        boolean(out, name!("stream"), self.stream);
        number(out, name!("duration_ms"), self.duration_ms);
        number(out, name!("overhead_us"), self.overhead_us);
        maybe_number(out, name!("ttft_ms"), self.ttft_ms);
        maybe_number(out, name!("tokens_in"), self.tokens_in);
        maybe_number(out, name!("tokens_out"), self.tokens_out);
        maybe_text(out, name!("usage_source"), self.usage_source);
        if let Some(cost) = self.cost {
            text(out, name!("cost"), &cost.to_string());
        }
        number(out, name!("bytes_in"), self.bytes_in);
        number(out, name!("bytes_out"), self.bytes_out);
        boolean(out, name!("client_gone"), self.client_gone);
        out.extend_from_slice(b"}\n");
    }

    fn write_asked(&self, out: &mut Vec<u8>) {
        maybe_text(out, name!("endpoint"), self.endpoint.map(Endpoint::label));
        maybe_text(out, name!("key"), self.key);
        maybe_text(out, name!("team"), self.team);
        maybe_text(out, name!("model"), self.model);
        if !self.uses.is_empty() {
            member(out, name!("uses"));
            for (at, word) in self.uses.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"[\"" } else { b",\"" });
                out.extend_from_slice(word.as_bytes());
                out.push(b'"');
            }
            out.push(b']');
        }
        maybe_number(out, name!("max_output"), self.max_output);
        if !self.headers.is_empty() {
            member(out, name!("headers"));
            for (at, (name, value)) in self.headers.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
                escaped(out, cut(name));
                out.extend_from_slice(b"\":\"");
                escaped(out, cut(value));
                out.push(b'"');
            }
            out.push(b'}');
        }
        maybe_text(out, name!("alias"), self.alias);
        maybe_text(out, name!("rule"), self.rule);
    }

    fn write_served(&self, out: &mut Vec<u8>) {
        if let Some(pair) = self.target {
            member(out, name!("target"));
            target(out, pair);
        }
        maybe_text(out, name!("credential"), self.credential);
        if !self.attempts.is_empty() {
            member(out, name!("attempts"));
            for (at, attempt) in self.attempts.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                attempt.write(out);
            }
            out.push(b']');
        }
        number(out, name!("fallbacks"), u64::from(self.fallbacks));
        maybe_text(out, name!("loss"), self.loss);
    }
}

impl AttemptEntry<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"target\":");
        target(out, self.target);
        maybe_text(out, name!("credential"), self.credential);
        text(out, name!("outcome"), self.outcome);
        maybe_text(out, name!("detail"), self.detail);
        maybe_number(out, name!("status"), self.status.map(u64::from));
        number(out, name!("ms"), self.ms);
        if self.is_hedge {
            boolean(out, name!("hedge"), true);
        }
        out.push(b'}');
    }
}

/// Begins a member that is not the first; `name` is from [`name!`].
#[inline]
fn member(out: &mut Vec<u8>, name: &'static str) {
    out.extend_from_slice(name.as_bytes());
}

fn text(out: &mut Vec<u8>, name: &'static str, value: &str) {
    member(out, name);
    out.push(b'"');
    escaped(out, cut(value));
    out.push(b'"');
}

fn maybe_text(out: &mut Vec<u8>, name: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        text(out, name, value);
    }
}

fn number(out: &mut Vec<u8>, name: &'static str, value: u64) {
    member(out, name);
    decimal(out, value);
}

fn maybe_number(out: &mut Vec<u8>, name: &'static str, value: Option<u64>) {
    if let Some(value) = value {
        number(out, name, value);
    }
}

fn boolean(out: &mut Vec<u8>, name: &'static str, value: bool) {
    member(out, name);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn target(out: &mut Vec<u8>, (provider, model): (&str, &str)) {
    out.push(b'"');
    escaped(out, cut(provider));
    out.push(b'/');
    escaped(out, cut(model));
    out.push(b'"');
}

/// Cuts at [`LONGEST_TEXT`] bytes, at the border of a character.
fn cut(value: &str) -> &str {
    if value.len() <= LONGEST_TEXT {
        return value;
    }
    value.get(..value.floor_char_boundary(LONGEST_TEXT)).unwrap_or(value)
}

/// Appends a string's inside as JSON. Control characters, DEL, C1 and the two Unicode line separators are written as escapes:
/// JSON does not ask for all of them, but terminals and line-based readers would take them for commands or for ends of lines.
fn escaped(out: &mut Vec<u8>, value: &str) {
    let bytes = value.as_bytes();
    // Without an early exit, so that it is compiled to vector code. Nearly every text is plain.
    let is_plain = |byte: u8| (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    if bytes.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(bytes);
        return;
    }
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let width = match *byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f => 1,
            // U+0080 to U+009F begin with C2; U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
            0xc2 if matches!(bytes.get(at + 1), Some(0x80..=0x9f)) => 2,
            0xe2 if matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
            _ => continue,
        };
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        from = at + width;
        match *byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let character = value.get(at..from).and_then(|rest| rest.chars().next()).unwrap_or_default();
                unicode_escape(out, u32::from(character));
            }
        }
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

fn unicode_escape(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = u8::try_from(code >> shift & 0xf).unwrap_or_default();
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// Appends two digits.
fn two_digits(out: &mut Vec<u8>, value: u64) {
    let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or_default();
    out.extend_from_slice(&[digit(value / 10), digit(value)]);
}

/// Appends `2026-01-02T03:04:05.678Z`. Calendar after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn time(out: &mut Vec<u8>, unix_ms: u64) {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    two_digits(out, year / 100);
    two_digits(out, year % 100);
    for (mark, value) in [(b'-', month), (b'-', day), (b'T', ms / 3_600_000), (b':', ms / 60_000 % 60), (b':', ms / 1_000 % 60)] {
        out.push(mark);
        two_digits(out, value);
    }
    out.extend_from_slice(&[b'.', b'0' + u8::try_from(ms % 1_000 / 100).unwrap_or_default()]);
    two_digits(out, ms % 100);
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(entry: &AccessEntry<'_>) -> String {
        let mut out = Vec::new();
        entry.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn failed_and_beside() -> [AttemptEntry<'static>; 2] {
        let failed = AttemptEntry {
            target: ("groq", "llama"),
            credential: Some("a"),
            outcome: "upstream_overload",
            detail: Some("upstream status 503"),
            status: Some(503),
            ms: 12,
            is_hedge: false,
        };
        [failed, AttemptEntry { target: ("openai", "gpt"), outcome: "ok", ms: 300, is_hedge: true, ..AttemptEntry::default() }]
    }

    #[test]
    fn a_full_entry_reads_as_the_documented_line() {
        let attempts = failed_and_beside();
        let entry = AccessEntry {
            unix_ms: 1_767_323_045_678,
            request_id: "01k",
            revision: 3,
            method: "POST",
            path: "/v1/chat/completions?api_key=canary",
            endpoint: Some(Endpoint::ChatCompletions),
            key: Some("alice"),
            team: Some("research"),
            model: Some("fast"),
            uses: &["tools", "vision"],
            max_output: Some(500),
            headers: &[("x-tier".to_owned(), "go\"ld".to_owned()), ("x-b".to_owned(), "1".to_owned())],
            alias: Some("fast"),
            rule: Some("big"),
            target: Some(("openai", "gpt")),
            credential: Some("main"),
            attempts: &attempts,
            fallbacks: 1,
            loss: Some("top_k=unsupported"),
            status: 200,
            error: None,
            detail: Some("nothing"),
            stream: true,
            duration_ms: 312,
            overhead_us: 80,
            ttft_ms: Some(45),
            tokens_in: Some(10),
            tokens_out: Some(0),
            usage_source: Some("provider"),
            cost: Some(Usd::from_nano(120_000)),
            bytes_in: 1024,
            bytes_out: 18_446_744_073_709_551_615,
            client_gone: false,
        };
        assert_eq!(
            line(&entry),
            concat!(
                r#"{"time":"2026-01-02T03:04:05.678Z","request_id":"01k","revision":3,"method":"POST","path":"/v1/chat/completions","#,
                r#""endpoint":"chat_completions","key":"alice","team":"research","model":"fast","uses":["tools","vision"],"max_output":500,"#,
                r#""headers":{"x-tier":"go\"ld","x-b":"1"},"alias":"fast","rule":"big","#,
                r#""target":"openai/gpt","credential":"main","#,
                r#""attempts":[{"target":"groq/llama","credential":"a","outcome":"upstream_overload","detail":"upstream status 503","status":503,"ms":12},"#,
                r#"{"target":"openai/gpt","outcome":"ok","ms":300,"hedge":true}],"fallbacks":1,"loss":"top_k=unsupported","status":200,"detail":"nothing","stream":true,"#,
                r#""duration_ms":312,"overhead_us":80,"ttft_ms":45,"tokens_in":10,"tokens_out":0,"usage_source":"provider","cost":"$0.00012","bytes_in":1024,"#,
                r#""bytes_out":18446744073709551615,"client_gone":false}"#,
                "\n"
            )
        );
    }

    #[test]
    fn an_entry_of_a_request_that_never_got_a_key_leaves_out_what_is_unknown() {
        let entry = AccessEntry { status: 401, error: Some("unauthenticated"), method: "GET", path: "/", ..AccessEntry::default() };
        let value: serde_json::Value = serde_json::from_str(&line(&entry)).unwrap();
        for absent in ["key", "team", "model", "alias", "target", "attempts", "ttft_ms", "tokens_in"] {
            assert!(value.get(absent).is_none(), "{absent}");
        }
        assert_eq!(value["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!(value["error"], "unauthenticated");
    }

    #[test]
    fn text_that_could_break_a_line_or_command_a_terminal_is_escaped() {
        for (text, written) in [
            ("quote\"", r#"quote\""#),
            ("back\\slash", r"back\\slash"),
            ("line\nfeed\r\ttab", r"line\nfeed\r\ttab"),
            ("nul\0esc\u{1b}[31m", r"nul\u0000esc\u001b[31m"),
            ("del\u{7f}c1\u{9b}31m", r"del\u007fc1\u009b31m"),
            ("ls\u{2028}ps\u{2029}", r"ls\u2028ps\u2029"),
            ("zähler 模型 🦀\u{a0}", "zähler 模型 🦀\u{a0}"),
        ] {
            let line = line(&AccessEntry { model: Some(text), ..AccessEntry::default() });
            assert!(line.contains(&format!(r#""model":"{written}","#)), "{line}");
        }
    }

    #[test]
    fn client_made_text_is_cut_at_a_character() {
        let long = "ä".repeat(200);
        let line = line(&AccessEntry { model: Some(&format!("x{long}")), ..AccessEntry::default() });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["model"], format!("x{}", "ä".repeat(127)));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was_and_on_one_line(text in "\\PC{0,40}|[\\x00-\\x7f\u{80}-\u{a0}\u{2027}-\u{202a}]{0,40}") {
            let line = line(&AccessEntry { model: Some(&text), key: Some(&text), ..AccessEntry::default() });
            prop_assert_eq!(line.lines().count(), 1);
            prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(value["model"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn a_time_is_what_the_calendar_says(ms in 0_u64..253_402_300_799_999) {
            let mut out = Vec::new();
            time(&mut out, ms);
            let parsed: jiff::Timestamp = std::str::from_utf8(&out).unwrap().parse().unwrap();
            prop_assert_eq!(parsed.as_millisecond(), i64::try_from(ms).unwrap());
        }

        #[test]
        fn a_number_is_written_in_full(value: u64) {
            let mut out = Vec::new();
            decimal(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
