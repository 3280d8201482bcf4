//! Prompts and headers: texts that may be templates over a request's facts, compiled once per table.
//!
//! Rule: plain text is made ready for the wire here and costs a request nothing; a template that fails is an error, never left out.

use http::{HeaderName, HeaderValue};
use minijinja::Value;

use crate::plan::PromptPosition;
use crate::plan::expr::{ExprError, Template};
use crate::wire::edit::quote_into;

/// The system prompt of an alias.
#[derive(Debug)]
pub struct Prompt {
    text: Text<Vec<u8>>,
    /// Where it goes.
    pub position: PromptPosition,
}

#[derive(Debug)]
enum Text<P> {
    /// Ready for the wire.
    Plain(P),
    Template(Box<Template>),
}

impl Prompt {
    /// Compiles a prompt. As for a template, one newline at its end is dropped.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub fn compile(source: &str, position: PromptPosition) -> Result<Self, ExprError> {
        let text = if Template::is_plain(source) {
            let source = source.strip_suffix('\n').unwrap_or(source);
            Text::Plain(message(source.strip_suffix('\r').unwrap_or(source)))
        } else {
            Text::Template(Box::new(Template::compile(source)?))
        };
        Ok(Self { text, position })
    }

    /// Returns the message as raw JSON; empty where the text is blank, which sends no message.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn message(&self, facts: impl FnOnce() -> Value) -> Result<Vec<u8>, ExprError> {
        match &self.text {
            Text::Plain(message) => Ok(message.clone()),
            Text::Template(template) => template.render(facts()).map(|text| message(&text)),
        }
    }
}

fn message(text: &str) -> Vec<u8> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut raw = br#"{"role":"system","content":"#.to_vec();
    quote_into(text, &mut raw);
    raw.push(b'}');
    raw
}

/// A header that a provider's requests carry.
#[derive(Debug)]
pub struct HeaderLine {
    /// Its name.
    pub name: HeaderName,
    value: Text<HeaderValue>,
}

/// Why a header's template gave nothing that can be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The template does not compile, or failed on this request.
    #[error("{0}")]
    Template(#[from] ExprError),
    /// Its output would break out of the header. Never shown: it may hold what a client sent.
    #[error("it holds control characters, which no header may carry")]
    Control,
}

impl HeaderLine {
    /// Compiles a header.
    ///
    /// # Errors
    /// A template that does not compile, and plain text that no header can carry.
    pub fn compile(name: HeaderName, source: &str) -> Result<Self, HeaderFault> {
        let value = if Template::is_plain(source) {
            Text::Plain(header_value(source)?)
        } else {
            Text::Template(Box::new(Template::compile(source)?))
        };
        Ok(Self { name, value })
    }

    /// Returns the value for one request; none where a template renders to nothing, which sends no header.
    ///
    /// # Errors
    /// A template that fails on this request, or whose output holds a control character: a client's value cannot add a header.
    pub fn value(&self, facts: impl FnOnce() -> Value) -> Result<Option<HeaderValue>, HeaderFault> {
        match &self.value {
            Text::Plain(value) => Ok(Some(value.clone())),
            Text::Template(template) => {
                let text = template.render(facts())?;
                let text = text.trim();
                if text.is_empty() { Ok(None) } else { header_value(text).map(Some) }
            }
        }
    }
}

fn header_value(text: &str) -> Result<HeaderValue, HeaderFault> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| HeaderFault::Control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Value {
        Value::from_pairs([("model", "a\r\nx-evil: 1")])
    }

    #[test]
    fn a_prompt_becomes_a_system_message_and_a_blank_one_none() {
        let message = |source: &str| {
            let prompt = Prompt::compile(source, PromptPosition::Prepend).unwrap();
            String::from_utf8(prompt.message(facts).unwrap()).unwrap()
        };
        assert_eq!(message("Say \"hi\".\r\n"), r#"{"role":"system","content":"Say \"hi\"."}"#);
        assert_eq!(message("{{ model | length }}\n"), r#"{"role":"system","content":"12"}"#);
        assert_eq!(message("{{ model }}"), r#"{"role":"system","content":"a\r\nx-evil: 1"}"#);
        assert_eq!(message("{% if model == 'b' %}no{% endif %} \n"), "");
        assert_eq!(message(" \n"), "");
    }

    #[test]
    fn a_header_cannot_be_broken_out_of() {
        let line = |source: &str| HeaderLine::compile(HeaderName::from_static("x-a"), source);
        assert_eq!(line("{{ model }}").unwrap().value(facts), Err(HeaderFault::Control));
        assert_eq!(line("a\nb").unwrap_err(), HeaderFault::Control);
        assert_eq!(line("{{ model | replace('\\r\\n', ' ') }}").unwrap().value(facts), Ok(Some(HeaderValue::from_static("a x-evil: 1"))));
        assert_eq!(line(" {{ '' }} ").unwrap().value(facts), Ok(None));
        assert_eq!(line("Zürich").unwrap().value(facts).unwrap().unwrap().as_bytes(), "Zürich".as_bytes());
        assert!(matches!(line("{{ headers.nope }}").unwrap().value(facts), Err(HeaderFault::Template(_))));
    }
}
