//! The reader: members are taken one by one, and what nobody took is left to be told.

use std::borrow::Cow;

use super::{Extra, Extras, Given, Json, Kind, Node, Number, Text};

/// A body that is not what its format says: where, and what should stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` must be {expected}")]
pub struct Fault {
    /// The path, in the body's own spelling; empty for the body itself.
    pub path: String,
    /// What should stand there: "a string".
    pub expected: &'static str,
}

/// The members of one object that have not been taken yet. `null` counts as absent.
#[derive(Debug)]
pub struct Fields<'d, 'a> {
    node: Node<'d, 'a>,
    /// Bit per member, for the first 64.
    taken: u64,
    /// The others: objects with so many members are rare.
    taken_beyond: Vec<usize>,
}

impl<'d, 'a> Fields<'d, 'a> {
    /// Opens an object.
    ///
    /// # Errors
    /// Where it is none.
    pub fn open(node: Node<'d, 'a>) -> Result<Self, Fault> {
        if node.kind() != Kind::Object {
            return Err(node.fault("an object"));
        }
        Ok(Self { node, taken: 0, taken_beyond: Vec::new() })
    }

    /// Returns the object itself.
    pub const fn node(&self) -> Node<'d, 'a> {
        self.node
    }

    fn is_taken(&self, index: usize) -> bool {
        if index < 64 { self.taken >> index & 1 == 1 } else { self.taken_beyond.contains(&index) }
    }

    fn mark(&mut self, index: usize) {
        if index < 64 {
            self.taken |= 1 << index;
        } else {
            self.taken_beyond.push(index);
        }
    }

    /// Takes a member, whatever it is; `None` where it is absent or null.
    ///
    /// # Errors
    /// Where it stands twice: two readers could disagree on which one counts.
    pub fn take(&mut self, name: &str) -> Result<Option<Node<'d, 'a>>, Fault> {
        let mut found: Option<Node<'d, 'a>> = None;
        for (index, (key, value)) in self.node.members().enumerate() {
            if !key.is(name) {
                continue;
            }
            if found.is_some() {
                return Err(value.fault("there only once"));
            }
            self.mark(index);
            found = Some(value);
        }
        Ok(found.filter(|value| !value.is_null()))
    }

    /// Takes a member that must be there.
    ///
    /// # Errors
    /// Where it is missing, or stands twice.
    pub fn need(&mut self, name: &str, expected: &'static str) -> Result<Node<'d, 'a>, Fault> {
        self.take(name)?.ok_or_else(|| {
            let parent = self.node.path();
            let path = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
            Fault { path, expected }
        })
    }

    /// Takes a string.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn text(&mut self, name: &str) -> Result<Option<Given<Text<'a>>>, Fault> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        let text = node.text().ok_or_else(|| node.fault("a string"))?;
        Ok(Some(Given::new(text, node.place())))
    }

    /// Takes a string that must be there.
    ///
    /// # Errors
    /// Where it is missing or something else.
    pub fn need_text(&mut self, name: &str) -> Result<Text<'a>, Fault> {
        let node = self.need(name, "a string")?;
        node.text().ok_or_else(|| node.fault("a string"))
    }

    /// Takes a boolean.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn bool(&mut self, name: &str) -> Result<Option<Given<bool>>, Fault> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        let value = node.bool().ok_or_else(|| node.fault("a boolean"))?;
        Ok(Some(Given::new(value, node.place())))
    }

    /// Takes a number in its own spelling.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn number(&mut self, name: &str) -> Result<Option<Given<Number<'a>>>, Fault> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        let value = node.number().ok_or_else(|| node.fault("a number"))?;
        Ok(Some(Given::new(value, node.place())))
    }

    /// Takes a whole number that is not negative.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn count(&mut self, name: &str) -> Result<Option<Given<u64>>, Fault> {
        let Some(node) = self.take(name)? else { return Ok(None) };
        let value = node.number().and_then(|number| number.as_u64()).ok_or_else(|| node.fault("a whole number, not negative"))?;
        Ok(Some(Given::new(value, node.place())))
    }

    /// Takes any value, unread.
    ///
    /// # Errors
    /// Where it stands twice.
    pub fn json(&mut self, name: &str) -> Result<Option<Given<Json<'a>>>, Fault> {
        Ok(self.take(name)?.map(|node| Given::new(node.json(), node.place())))
    }

    /// Takes an object to be read member by member.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, Fault> {
        self.take(name)?.map(Fields::open).transpose()
    }

    /// Takes an array; empty where it is absent.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn array(&mut self, name: &str) -> Result<impl Iterator<Item = Node<'d, 'a>> + use<'d, 'a>, Fault> {
        let node = self.take(name)?;
        if let Some(node) = node.filter(|node| node.kind() != Kind::Array) {
            return Err(node.fault("an array"));
        }
        Ok(node.into_iter().flat_map(Node::elements))
    }

    /// Returns what nobody took, to be written again where the target speaks the same format.
    pub fn extras(&self) -> Extras<'a> {
        self.rest().map(|(name, value)| Extra { name, value: value.json(), at: value.place() }).collect()
    }

    /// Walks over what nobody took.
    pub fn rest(&self) -> impl Iterator<Item = (Cow<'a, str>, Node<'d, 'a>)> {
        let untaken = self.node.members().enumerate().filter(|(index, _)| !self.is_taken(*index));
        untaken.map(|(_, (key, value))| (key.text().unwrap_or_default(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    #[test]
    fn what_was_not_taken_is_the_rest() {
        let document = Document::parse(br#"{"a":1,"b":null,"c":"x","d":{"e":[]}}"#).unwrap();
        let mut fields = Fields::open(document.root()).unwrap();
        assert_eq!(fields.count("a").unwrap().unwrap().value, 1);
        assert!(fields.take("b").unwrap().is_none());
        let rest: Vec<_> = fields.rest().map(|(key, value)| (key.into_owned(), value.raw())).collect();
        assert_eq!(rest, [("c".to_owned(), "\"x\""), ("d".to_owned(), "{\"e\":[]}")]);
    }

    #[test]
    fn the_rest_of_an_object_with_many_members_is_right_too() {
        let text = format!("{{{}}}", (0..200).map(|n| format!("\"m{n}\":{n}")).collect::<Vec<_>>().join(","));
        let document = Document::parse(text.as_bytes()).unwrap();
        let mut fields = Fields::open(document.root()).unwrap();
        for n in (0..200).filter(|n| n % 50 != 7) {
            fields.take(&format!("m{n}")).unwrap();
        }
        assert_eq!(fields.rest().map(|(key, _)| key.into_owned()).collect::<Vec<_>>(), ["m7", "m57", "m107", "m157"]);
    }

    #[test]
    fn faults_name_the_path_and_what_is_expected() {
        let document = Document::parse(br#"{"a":[{"b":1,"b":2,"c":"x"}]}"#).unwrap();
        let mut fields = Fields::open(document.root()).unwrap();
        let inner = fields.array("a").unwrap().next().unwrap();
        let mut inner = Fields::open(inner).unwrap();
        assert_eq!(inner.take("b").unwrap_err().to_string(), "`a[0].b` must be there only once");
        assert_eq!(inner.number("c").unwrap_err().to_string(), "`a[0].c` must be a number");
        assert_eq!(inner.need_text("d").unwrap_err().to_string(), "`a[0].d` must be a string");
    }
}
