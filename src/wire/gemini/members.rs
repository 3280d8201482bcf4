//! Members in either spelling. `mimeType` is what the API documents, `mime_type` what its own definition says; servers take both, and
//! clients send both.

use std::borrow::Cow;

use crate::wire::json::{Extra, Extras, Fault, Fields, Given, Json, Node, Number, Text};

type Fallible<T> = Result<T, Fault>;

/// The members of one object that have not been taken yet; each is asked for by its name in camel case.
#[derive(Debug)]
pub(in crate::wire) struct Members<'d, 'a> {
    fields: Fields<'d, 'a>,
    /// Some member is spelt with an underscore.
    has_snake: bool,
}

impl<'d, 'a> Members<'d, 'a> {
    /// Opens an object.
    pub(in crate::wire) fn open(node: Node<'d, 'a>) -> Fallible<Self> {
        let fields = Fields::open(node)?;
        let has_snake = node.members().any(|(key, _)| key.raw().contains('_'));
        Ok(Self { fields, has_snake })
    }

    /// Returns the object itself.
    pub(in crate::wire) const fn node(&self) -> Node<'d, 'a> {
        self.fields.node()
    }

    /// Returns the spelling that the object has, or the documented one where it has neither.
    fn spelling<'n>(&self, name: &'n str) -> Fallible<Cow<'n, str>> {
        if !self.has_snake || !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Ok(Cow::Borrowed(name));
        }
        let snake = snake(name);
        let find = |name: &str| self.node().members().find(|(key, _)| key.is(name));
        match (find(name), find(&snake)) {
            (_, None) => Ok(Cow::Borrowed(name)),
            (None, Some(_)) => Ok(Cow::Owned(snake)),
            (Some(_), Some((_, value))) => Err(value.fault("there only once, in one spelling")),
        }
    }

    /// Takes a member, whatever it is.
    pub(in crate::wire) fn take(&mut self, name: &str) -> Fallible<Option<Node<'d, 'a>>> {
        self.fields.take(&self.spelling(name)?)
    }

    /// Takes a string.
    pub(in crate::wire) fn text(&mut self, name: &str) -> Fallible<Option<Given<Text<'a>>>> {
        self.fields.text(&self.spelling(name)?)
    }

    /// Takes a string that must be there.
    pub(in crate::wire) fn need_text(&mut self, name: &str) -> Fallible<Text<'a>> {
        self.fields.need_text(&self.spelling(name)?)
    }

    /// Takes a boolean.
    pub(in crate::wire) fn bool(&mut self, name: &str) -> Fallible<Option<Given<bool>>> {
        self.fields.bool(&self.spelling(name)?)
    }

    /// Takes a number in its own spelling.
    pub(in crate::wire) fn number(&mut self, name: &str) -> Fallible<Option<Given<Number<'a>>>> {
        self.fields.number(&self.spelling(name)?)
    }

    /// Takes a whole number that is not negative.
    pub(in crate::wire) fn count(&mut self, name: &str) -> Fallible<Option<Given<u64>>> {
        self.fields.count(&self.spelling(name)?)
    }

    /// Takes any value, unread.
    pub(in crate::wire) fn json(&mut self, name: &str) -> Fallible<Option<Given<Json<'a>>>> {
        self.fields.json(&self.spelling(name)?)
    }

    /// Takes an object to be read member by member.
    pub(in crate::wire) fn object(&mut self, name: &str) -> Fallible<Option<Self>> {
        self.take(name)?.map(Self::open).transpose()
    }

    /// Takes an array; empty where it is absent.
    pub(in crate::wire) fn array(&mut self, name: &str) -> Fallible<impl Iterator<Item = Node<'d, 'a>> + use<'d, 'a>> {
        self.fields.array(&self.spelling(name)?)
    }

    /// Returns what nobody took.
    pub(in crate::wire) fn extras(&self) -> Extras<'a> {
        self.fields.extras()
    }

    /// Returns what nobody took, for extras of an object further out: each name begins with the path from there, `generationConfig.`.
    pub(in crate::wire) fn extras_under(&self, path: &str) -> impl Iterator<Item = Extra<'a>> {
        self.fields.rest().map(move |(name, value)| Extra {
            name: Text::Owned(format!("{path}{name}")),
            value: value.json(),
            at: value.place(),
        })
    }

    /// Returns the members that nobody took.
    pub(in crate::wire) const fn fields(&self) -> &Fields<'d, 'a> {
        &self.fields
    }
}

/// Spells a name in camel case with underscores.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn a_member_is_found_in_either_spelling_and_may_not_stand_in_both() {
        let document = Document::parse(br#"{"mime_type":"a","fileUri":"b","seed":1,"rest_of_it":2}"#).unwrap();
        let mut members = Members::open(document.root()).unwrap();
        assert_eq!(members.need_text("mimeType").unwrap(), "a");
        assert_eq!(members.need_text("fileUri").unwrap(), "b");
        assert_eq!(members.count("seed").unwrap().unwrap().value, 1);
        let names: Vec<_> = members.extras_under("outer.").map(|extra| extra.name.into_owned()).collect();
        assert_eq!(names, ["outer.rest_of_it"]);

        let twice = Document::parse(br#"{"mime_type":"a","mimeType":"b"}"#).unwrap();
        assert!(Members::open(twice.root()).unwrap().text("mimeType").is_err());
        let document = Document::parse(br#"{"a_b":1}"#).unwrap();
        let fault = Members::open(document.root()).unwrap().need_text("mimeType").unwrap_err();
        assert_eq!(fault.to_string(), "`mimeType` must be a string");
    }
}
