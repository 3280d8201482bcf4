//! One call of a tool as its fragments come in.

/// Watches text until it is one whole JSON value in brackets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Balance {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    /// The first bracket was closed again.
    is_whole: bool,
}

impl Balance {
    pub(super) fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Returns whether nothing more is to come.
    pub(super) const fn is_whole(self) -> bool {
        self.is_whole && self.depth == 0 && !self.in_string
    }
}

/// A call.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// The server's number of it, where it gives one.
    pub(super) index: Option<u64>,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_custom: bool,
    /// The part's number, from the moment that the name is known.
    pub(super) part: Option<u32>,
    pub(super) is_closed: bool,
    /// Input that is held back: before the name is known, and as long as it could be the word `null`.
    pub(super) head: String,
    /// Input was given.
    pub(super) has_input: bool,
    pub(super) balance: Balance,
}

impl Call {
    /// Returns whether the head could still turn out to say "no arguments".
    pub(super) fn may_be_nothing(&self) -> bool {
        !self.has_input && "null".starts_with(self.head.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_whole_when_its_first_bracket_closes() {
        let whole = |text: &str| {
            let mut balance = Balance::default();
            text.split_inclusive(|_: char| true).for_each(|piece| balance.push(piece));
            balance.is_whole()
        };
        for text in ["{}", r#"{"a":[1,{"b":"}"}]}"#, r#"{"a":"\"{"} "#] {
            assert!(whole(text), "{text}");
        }
        for text in ["", "{", r#"{"a":"}"#, r#"{"a":{}"#, "null"] {
            assert!(!whole(text), "{text}");
        }
    }
}
