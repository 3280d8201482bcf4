//! The writer: JSON text straight into a buffer, commas included.

use std::fmt::Display;
use std::io::Write as _;

use super::{Json, Number};
use crate::wire::edit::quote_into;

/// Writes one JSON value after another. Whether a comma is due is read off the last byte, so there is no state to get wrong.
#[derive(Debug)]
pub struct Writer<'w> {
    out: &'w mut Vec<u8>,
    /// Breaks of lines in opaque values become spaces, because a line of a stream must not break.
    is_one_line: bool,
    /// Where the first value stands; what is in front of it is no JSON.
    start: usize,
}

/// Where an object or an array begins that may be taken back.
#[derive(Debug)]
#[must_use]
pub struct Optional {
    start: usize,
    end: u8,
}

impl<'w> Writer<'w> {
    /// Writes behind what is in the buffer.
    pub const fn new(out: &'w mut Vec<u8>) -> Self {
        Self { out, is_one_line: false, start: 0 }
    }

    /// Writes a value without a break of line, for an event of a stream.
    pub const fn one_line(out: &'w mut Vec<u8>) -> Self {
        Self { out, is_one_line: true, start: 0 }
    }

    /// Writes a value behind bytes that are no JSON.
    pub const fn fresh(out: &'w mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, is_one_line: false, start }
    }

    fn comma(&mut self) {
        if self.out.len() == self.start {
            return;
        }
        // A space stands only behind `data:`; values end with a quote, a bracket or a letter.
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':' | b' ' | b'\n')) {
            self.out.push(b',');
        }
    }

    /// Opens an object.
    pub fn begin_object(&mut self) {
        self.comma();
        self.out.push(b'{');
    }

    /// Closes an object.
    pub fn end_object(&mut self) {
        self.out.push(b'}');
    }

    /// Opens an array.
    pub fn begin_array(&mut self) {
        self.comma();
        self.out.push(b'[');
    }

    /// Closes an array.
    pub fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// Writes a member's name; its value must follow.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.comma();
        quote_into(name, self.out);
        self.out.push(b':');
        self
    }

    /// Opens an object under a name.
    pub fn object(&mut self, name: &str) {
        self.key(name).begin_object();
    }

    /// Opens an object under a name, which [`Writer::end_optional`] takes back where nothing was written into it.
    pub fn optional(&mut self, name: &str) -> Optional {
        let start = self.out.len();
        self.object(name);
        Optional { start, end: b'}' }
    }

    /// Opens an array under a name, which [`Writer::end_optional`] takes back where nothing was written into it.
    pub fn optional_array(&mut self, name: &str) -> Optional {
        let start = self.out.len();
        self.array(name);
        Optional { start, end: b']' }
    }

    /// Closes the object or the array, or takes it back.
    pub fn end_optional(&mut self, optional: Optional) {
        if matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.truncate(optional.start);
        } else {
            self.out.push(optional.end);
        }
    }

    /// Opens an array under a name.
    pub fn array(&mut self, name: &str) {
        self.key(name).begin_array();
    }

    /// Writes a string.
    pub fn text(&mut self, value: &str) {
        self.comma();
        quote_into(value, self.out);
    }

    /// Writes a whole number.
    pub fn count(&mut self, value: u64) {
        self.comma();
        self.display(value);
    }

    /// Writes a number as it was spelt.
    pub fn number(&mut self, value: Number<'_>) {
        self.comma();
        self.display(value.as_str());
    }

    /// Writes a boolean.
    pub fn bool(&mut self, value: bool) {
        self.comma();
        self.display(value);
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.comma();
        self.display("null");
    }

    /// Writes an opaque value.
    pub fn json(&mut self, value: &Json<'_>) {
        self.raw(value.as_str());
    }

    /// Writes text that is known to be one JSON value.
    pub fn raw(&mut self, value: &str) {
        self.comma();
        let from = self.out.len();
        self.out.extend_from_slice(value.trim().as_bytes());
        if self.is_one_line {
            // JSON allows bare breaks of line only between tokens, where a space means the same.
            for byte in self.out.iter_mut().skip(from) {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
    }

    fn display(&mut self, value: impl Display) {
        // Writing to a Vec cannot fail; the result has nothing to say.
        let _ = write!(self.out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_behind_other_bytes_begins_without_a_comma() {
        let mut out = b"event".to_vec();
        let mut writer = Writer::fresh(&mut out);
        writer.begin_object();
        writer.key("a").count(1);
        writer.key("b").count(2);
        writer.end_object();
        assert_eq!(out, br#"event{"a":1,"b":2}"#);
    }

    #[test]
    fn commas_stand_where_they_belong() {
        let mut out = b"data: ".to_vec();
        let mut writer = Writer::one_line(&mut out);
        writer.begin_object();
        writer.key("a").text("x, {\"y\":[\n");
        writer.array("b");
        writer.count(1);
        writer.begin_object();
        writer.end_object();
        writer.raw("{\n \"c\": [1,\r\n2] }");
        writer.bool(true);
        writer.end_array();
        writer.object("d");
        writer.end_object();
        writer.key("e").null();
        let empty = writer.optional("f");
        writer.end_optional(empty);
        let empty = writer.optional_array("i");
        writer.end_optional(empty);
        let filled = writer.optional("g");
        writer.key("h").count(2);
        writer.end_optional(filled);
        writer.end_object();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"data: {"a":"x, {\"y\":[\n","b":[1,{},{  "c": [1,  2] },true],"d":{},"e":null,"g":{"h":2}}"#);
    }
}
