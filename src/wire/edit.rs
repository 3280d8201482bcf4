//! Same-format edits on raw JSON: find the members of the top-level object in one pass, splice what must change.
//!
//! What is not edited survives byte for byte: unknown members, number spellings, key order, escapes.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{Cursor, Member};
pub use super::scan::{MAX_DEPTH, ScanError, unquote};

/// Members that may stand only once, because two readers could disagree on which one counts.
const ONCE: [&str; 8] = ["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "messages"];

/// The members of a JSON object, as ranges into its bytes.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    bytes: &'a [u8],
    members: Vec<Member<'a>>,
    /// Just behind the opening brace.
    open: usize,
    /// The closing brace.
    close: usize,
}

impl<'a> Object<'a> {
    /// Scans an object. One pass, no allocation but the list of members; about half a microsecond for 1 KB.
    ///
    /// # Errors
    /// [`ScanError`], for anything whose members two readers could see differently.
    pub fn scan(bytes: &'a [u8]) -> Result<Self, ScanError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ScanError::Utf8)?;
        let mut cursor = Cursor::new(bytes);
        if cursor.peek() != Some(b'{') {
            return Err(ScanError::NotObject);
        }
        let open = cursor.at + 1;
        let (members, close) = cursor.object(text)?;
        cursor.end()?;
        for once in ONCE {
            if members.iter().filter(|member| member.key == once).count() > 1 {
                return Err(ScanError::Duplicate(once));
            }
        }
        Ok(Self { bytes, members, open, close })
    }

    /// Returns the raw bytes of a member's value.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        self.find(key).and_then(|member| self.bytes.get(member.value.clone()))
    }

    /// Returns a string member, unescaped.
    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(unquote)
    }

    /// Returns whether a member is literally `true`.
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some(b"true")
    }

    /// Returns a member that is a whole number.
    pub fn integer(&self, key: &str) -> Option<u64> {
        std::str::from_utf8(self.get(key)?).ok()?.parse().ok()
    }

    /// Returns whether a member is there and not null.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != b"null")
    }

    /// Writes the object without some members, and says which; nothing where it has none of them. What stands between members is lost.
    pub fn without(&self, keys: &[String]) -> Option<(Vec<u8>, Vec<String>)> {
        let is_out = |member: &&Member<'a>| keys.iter().any(|key| member.key == **key);
        let out: Vec<String> = self.members.iter().filter(is_out).map(|member| member.key.clone().into_owned()).collect();
        if out.is_empty() {
            return None;
        }
        let mut body = Vec::with_capacity(self.bytes.len());
        body.push(b'{');
        for member in self.members.iter().filter(|member| !is_out(member)) {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(self.bytes.get(member.start..member.value.end).unwrap_or_default());
        }
        body.push(b'}');
        Some((body, out))
    }

    fn find(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.key == key)
    }

    /// Starts a set of edits.
    pub fn edit(&self) -> Edits<'_, 'a> {
        Edits { object: self, splices: Vec::with_capacity(4), inserts: Vec::new(), removed: Vec::new() }
    }
}

/// Changes to an object, applied in one copy.
#[derive(Debug)]
pub struct Edits<'o, 'a> {
    object: &'o Object<'a>,
    splices: Vec<(Range<usize>, Vec<u8>)>,
    /// Members that the object has not got, with their values.
    inserts: Vec<(String, Vec<u8>)>,
    /// Members that go, by their places.
    removed: Vec<usize>,
}

impl Edits<'_, '_> {
    /// Sets a member to raw JSON: in place where it stands, else before the closing brace. Of two values for one member the later wins.
    pub fn set(&mut self, key: &str, raw: &[u8]) {
        self.put(key, raw.to_vec());
    }

    fn put(&mut self, key: &str, raw: Vec<u8>) {
        match self.object.find(key) {
            Some(member) => match self.splices.iter_mut().find(|(range, _)| *range == member.value) {
                Some((_, before)) => *before = raw,
                None if self.object.bytes.get(member.value.clone()) == Some(raw.as_slice()) => {}
                None => self.splices.push((member.value.clone(), raw)),
            },
            None => match self.inserts.iter_mut().find(|(name, _)| name == key) {
                Some((_, before)) => *before = raw,
                None => self.inserts.push((key.to_owned(), raw)),
            },
        }
    }

    /// Sets a member to a string.
    pub fn set_string(&mut self, key: &str, value: &str) {
        let mut raw = Vec::with_capacity(value.len() + 2);
        quote_into(value, &mut raw);
        self.put(key, raw);
    }

    /// Takes a member out, whatever else was to happen to it.
    pub fn remove(&mut self, key: &str) {
        self.inserts.retain(|(name, _)| name != key);
        let found = self.object.members.iter().enumerate().filter(|(_, member)| member.key == key).map(|(at, _)| at);
        self.removed.extend(found);
    }

    /// Turns members that go into bytes that go, each with one of the commas around it. Returns whether any member stays.
    fn cut(&mut self) -> bool {
        let members = &self.object.members;
        let mut has_kept = false;
        for (at, member) in members.iter().enumerate() {
            if !self.removed.contains(&at) {
                has_kept = true;
                continue;
            }
            let range = match (members.get(at.wrapping_sub(1)).filter(|_| has_kept), members.get(at + 1)) {
                (Some(before), _) => before.value.end..member.value.end,
                (None, Some(next)) => member.start..next.start,
                (None, None) => member.start..member.value.end,
            };
            let whole = member.start..member.value.end;
            self.splices.retain(|(other, _)| other.start < whole.start || other.end > whole.end);
            self.splices.push((range, Vec::new()));
        }
        has_kept
    }

    /// Renames a member where it stands; nothing where the new name is there already.
    pub fn rename(&mut self, from: &str, to: &str) {
        if self.object.find(to).is_some() {
            return;
        }
        if let Some(member) = self.object.find(from) {
            // The key ends with its closing quote, which is the last quote before the colon.
            let head = self.object.bytes.get(member.start..member.value.start).unwrap_or_default();
            let end = head.iter().rposition(|byte| *byte == b'"').map_or(member.start, |quote| member.start + quote + 1);
            let mut raw = Vec::new();
            quote_into(to, &mut raw);
            self.splices.push((member.start..end, raw));
        }
    }

    /// Inserts a raw element at the front or the back of an array member. Returns whether the member is an array.
    pub fn insert_element(&mut self, key: &str, raw: &[u8], front: bool) -> bool {
        let Some(member) = self.object.find(key) else { return false };
        let Some(value) = self.object.bytes.get(member.value.clone()) else { return false };
        let (Some(b'['), Some(inner)) = (value.first(), value.get(1..value.len().saturating_sub(1))) else { return false };
        let empty = inner.iter().all(u8::is_ascii_whitespace);
        let mut element = Vec::with_capacity(raw.len() + 1);
        if !front && !empty {
            element.push(b',');
        }
        element.extend_from_slice(raw);
        if front && !empty {
            element.push(b',');
        }
        let at = if front { member.value.start + 1 } else { member.value.end - 1 };
        self.splices.push((at..at, element));
        true
    }

    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.splices.is_empty() && self.inserts.is_empty() && self.removed.is_empty()
    }

    /// Writes the edited object.
    pub fn apply(mut self) -> Vec<u8> {
        let has_members = self.cut();
        if !self.inserts.is_empty() {
            let is_bare = !has_members;
            let at = if is_bare { self.object.open } else { self.object.close };
            let mut members = Vec::new();
            for (key, raw) in &self.inserts {
                if !is_bare || !members.is_empty() {
                    members.push(b',');
                }
                quote_into(key, &mut members);
                members.push(b':');
                members.extend_from_slice(raw);
            }
            self.splices.push((at..at, members));
        }
        self.splices.sort_by_key(|(range, _)| (range.start, range.end));
        let grown: usize = self.splices.iter().map(|(_, raw)| raw.len()).sum();
        let mut out = Vec::with_capacity(self.object.bytes.len() + grown);
        let mut at = 0;
        for (range, raw) in &self.splices {
            out.extend_from_slice(self.object.bytes.get(at..range.start).unwrap_or_default());
            out.extend_from_slice(raw);
            at = range.end;
        }
        out.extend_from_slice(self.object.bytes.get(at..).unwrap_or_default());
        out
    }
}

/// Appends a JSON string.
pub fn quote_into(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail; the result has nothing to say.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edited(body: &str, change: impl FnOnce(&mut Edits<'_, '_>)) -> String {
        let object = Object::scan(body.as_bytes()).unwrap();
        let mut edits = object.edit();
        change(&mut edits);
        String::from_utf8(edits.apply()).unwrap()
    }

    #[test]
    fn a_changed_model_leaves_every_other_byte() {
        let body =
            "{ \"temperature\" : 1.10, \"model\":\"fast\",\n \"seed\": 12345678901234567890123, \"x\":{\"a\":[1,{}]}, \"u\":\"\\u00e9\" } ";
        let out = edited(body, |edits| edits.set_string("model", "gpt-4o"));
        assert_eq!(out, body.replace("\"fast\"", "\"gpt-4o\""));
    }

    #[test]
    fn a_member_that_is_missing_is_added_before_the_brace() {
        assert_eq!(edited("{\"a\":1}", |edits| edits.set("b", b"2")), "{\"a\":1,\"b\":2}");
        assert_eq!(edited("{ }", |edits| edits.set("b", b"2")), "{\"b\":2 }");
        let two = edited("{}", |edits| {
            edits.set("b", b"2");
            edits.set("c", b"3");
        });
        assert_eq!(two, "{\"b\":2,\"c\":3}");
    }

    #[test]
    fn what_is_left_out_takes_nothing_else_along() {
        let object = Object::scan(b"{ \"a\":1, \"b\" : [1.10], \"c\":null}").unwrap();
        let without = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            object.without(&keys).map(|(body, out)| (String::from_utf8(body).unwrap(), out.join(" ")))
        };
        assert_eq!(without(&["a", "x"]), Some((r#"{"b" : [1.10],"c":null}"#.to_owned(), "a".to_owned())));
        assert_eq!(without(&["c", "b", "a"]), Some(("{}".to_owned(), "a b c".to_owned())));
        assert_eq!(without(&["x"]), None);
    }

    #[test]
    fn of_two_values_for_one_member_the_later_wins() {
        let out = edited("{\"a\":1}", |edits| {
            for (key, raw) in [("a", "2"), ("b", "3"), ("a", "4"), ("b", "5"), ("c", "6")] {
                edits.set(key, raw.as_bytes());
            }
        });
        assert_eq!(out, "{\"a\":4,\"b\":5,\"c\":6}");
    }

    #[test]
    fn a_rename_keeps_the_value_and_never_makes_a_duplicate() {
        assert_eq!(
            edited("{\"max_tokens\" : 5}", |edits| edits.rename("max_tokens", "max_completion_tokens")),
            "{\"max_completion_tokens\" : 5}"
        );
        let both = "{\"max_tokens\":5,\"max_completion_tokens\":6}";
        assert_eq!(edited(both, |edits| edits.rename("max_tokens", "max_completion_tokens")), both);
    }

    #[test]
    fn a_member_that_is_taken_out_takes_one_comma_along() {
        for (body, out) in [
            (r#"{ "a" : 1 , "b":2,"c":3 }"#, [r#"{ "b":2,"c":3 }"#, r#"{ "a" : 1,"c":3 }"#, r#"{ "a" : 1 , "b":2 }"#]),
            (r#"{"a":1,"b":2}"#, [r#"{"b":2}"#, r#"{"a":1}"#, r#"{"a":1,"b":2}"#]),
            (r#"{"a":1}"#, ["{}", r#"{"a":1}"#, r#"{"a":1}"#]),
        ] {
            for (key, out) in ["a", "b", "c"].into_iter().zip(out) {
                assert_eq!(edited(body, |edits| edits.remove(key)), out, "{key} of {body}");
            }
        }
        let all = |edits: &mut Edits<'_, '_>| {
            edits.set("b", b"9");
            edits.set("z", b"8");
            ["b", "a", "c"].into_iter().for_each(|key| edits.remove(key));
            edits.set("y", b"7");
        };
        assert_eq!(edited(r#"{"a":1, "b":2, "c":3}"#, all), r#"{"z":8,"y":7}"#);
        assert_eq!(edited(r#"{"a":1, "b":2, "d":3, "c":4}"#, all), r#"{"d":3,"z":8,"y":7}"#);
    }

    #[test]
    fn an_element_goes_to_either_end_of_an_array() {
        assert_eq!(edited("{\"m\":[1]}", |edits| assert!(edits.insert_element("m", b"0", true))), "{\"m\":[0,1]}");
        assert_eq!(edited("{\"m\":[1]}", |edits| assert!(edits.insert_element("m", b"2", false))), "{\"m\":[1,2]}");
        assert_eq!(edited("{\"m\":[ ]}", |edits| assert!(edits.insert_element("m", b"2", false))), "{\"m\":[ 2]}");
        let object = Object::scan(b"{\"m\":{}}").unwrap();
        assert!(!object.edit().insert_element("m", b"1", true));
    }

    #[test]
    fn an_escaped_spelling_of_a_key_is_the_same_key() {
        let object = Object::scan(br#"{"mod\u0065l":"a"}"#).unwrap();
        assert_eq!(object.string("model").as_deref(), Some("a"));
        assert_eq!(Object::scan(br#"{"mod\u0065l":"a","model":"b"}"#).unwrap_err(), ScanError::Duplicate("model"));
    }

    #[test]
    fn what_two_readers_could_see_differently_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
        assert_eq!(Object::scan(deep.as_bytes()).unwrap_err(), ScanError::TooDeep);
        let fits = format!("{{\"a\":{}1{}}}", "[".repeat(63), "]".repeat(63));
        assert!(Object::scan(fits.as_bytes()).is_ok());
        for bad in [
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}}",
            "{\"a\":[}",
            "{\"a\":[}]}",
            "{a:1}",
            "{\"a\":tru}",
            "{\"a\":\"x}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":01}",
        ] {
            assert!(Object::scan(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Object::scan(b"{\"a\":\"\xff\"}").unwrap_err(), ScanError::Utf8);
    }

    proptest! {
        #[test]
        fn any_valid_object_is_scanned_and_an_edit_changes_one_member(keys in proptest::collection::btree_map("[a-z\"\\\\é]{0,6}", any::<i32>(), 0..8), value in ".{0,20}") {
            let tree: serde_json::Value = keys.iter().map(|(key, number)| (key.clone(), serde_json::json!([number, {"k": key}]))).collect::<serde_json::Map<_, _>>().into();
            let body = serde_json::to_vec_pretty(&tree).unwrap();
            let object = Object::scan(&body).unwrap();
            let mut edits = object.edit();
            edits.set_string("model", &value);
            let mut expected = tree;
            expected["model"] = value.into();
            let out = edits.apply();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), expected);
        }

        #[test]
        fn no_bytes_make_the_scanner_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Object::scan(&body);
        }
    }
}
