//! The `and`, `or` and `not` of a condition, around parts that are left to the engine.
//!
//! Rule: what cannot be cut with certainty stays one part; whatever is said of the outcomes of a whole is true of every request.

/// A condition, cut into parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Logic {
    All(Vec<Logic>),
    Any(Vec<Logic>),
    Not(Box<Logic>),
    /// A part, by its number.
    Part(usize),
}

/// What an evaluation may come to, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcomes(u8);

impl Outcomes {
    pub(super) const TRUE: Self = Self(1);
    pub(super) const FALSE: Self = Self(2);
    const FAILS: Self = Self(4);
    pub(super) const UNKNOWN: Self = Self(7);

    pub(super) const fn may_be_true(self) -> bool {
        self.0 & Self::TRUE.0 != 0
    }

    pub(super) const fn is_true(self) -> bool {
        self.0 == Self::TRUE.0
    }

    pub(super) const fn byte(self) -> u8 {
        self.0
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn negated(self) -> Self {
        let fails = self.0 & Self::FAILS.0;
        let swapped = ((self.0 & Self::TRUE.0) << 1) | ((self.0 & Self::FALSE.0) >> 1);
        Self(fails | swapped)
    }
}

impl Logic {
    /// Cuts a condition that compiles; `part` numbers what is not cut further.
    pub(super) fn read(source: &str, part: &mut impl FnMut(&str) -> usize) -> Self {
        let source = source.trim();
        let words = words(source);
        if words.iter().any(|word| word.text == "if") {
            return Self::Part(part(source));
        }
        for (operator, make) in [("or", Self::Any as fn(Vec<Self>) -> Self), ("and", Self::All as fn(Vec<Self>) -> Self)] {
            let cuts: Vec<&Word<'_>> = words.iter().filter(|word| word.text == operator).collect();
            if !cuts.is_empty() {
                let ends = cuts.iter().map(|cut| cut.start).chain([source.len()]);
                let starts = [0].into_iter().chain(cuts.iter().map(|cut| cut.start + operator.len()));
                return make(starts.zip(ends).filter_map(|(start, end)| Some(Self::read(source.get(start..end)?, part))).collect());
            }
        }
        if let Some(first) = words.first().filter(|word| word.text == "not" && word.start == 0) {
            let rest = source.get(first.text.len()..).unwrap_or_default();
            return Self::Not(Box::new(Self::read(rest, part)));
        }
        match group(source) {
            Some(inner) => Self::read(inner, part),
            None => Self::Part(part(source)),
        }
    }

    /// Returns what the condition may come to when its parts come to what `of` says. Evaluated in order and no further than needed, as
    /// the engine does.
    pub(super) fn outcomes(&self, of: &impl Fn(usize) -> Outcomes) -> Outcomes {
        match self {
            Self::Part(number) => of(*number),
            Self::Not(inner) => inner.outcomes(of).negated(),
            Self::All(parts) => Self::sequence(parts, of, Outcomes::TRUE),
            Self::Any(parts) => Self::sequence(parts, of, Outcomes::FALSE),
        }
    }

    /// Goes through parts as long as each may come to `on`.
    fn sequence(parts: &[Self], of: &impl Fn(usize) -> Outcomes, on: Outcomes) -> Outcomes {
        let mut ended = Outcomes(0);
        for part in parts {
            let outcomes = part.outcomes(of);
            ended = ended.with(outcomes.without(on));
            if outcomes.0 & on.0 == 0 {
                return ended;
            }
        }
        ended.with(on)
    }

    /// Returns the conditions that all hold where this one does.
    pub(super) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::All(parts) => parts.iter().flat_map(Self::conjuncts).collect(),
            Self::Any(_) | Self::Not(_) | Self::Part(_) => vec![self],
        }
    }

    /// Returns the numbers of its parts.
    pub(super) fn parts(&self) -> Vec<usize> {
        match self {
            Self::Part(number) => vec![*number],
            Self::Not(inner) => inner.parts(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::parts).collect(),
        }
    }
}

/// A word outside strings and brackets that is no attribute.
struct Word<'s> {
    text: &'s str,
    start: usize,
}

fn words(source: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut after_dot = false;
    for piece in Pieces::of(source).filter(|piece| piece.depth == 0) {
        let Some(text) = source.get(piece.start..piece.end) else { continue };
        let is_word = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_word && !after_dot {
            words.push(Word { text, start: piece.start });
        }
        after_dot = text == ".";
    }
    words
}

/// Returns what a pair of parentheses around the whole source holds, unless it is a tuple.
fn group(source: &str) -> Option<&str> {
    let inner = source.strip_prefix('(')?.strip_suffix(')')?;
    // The first closing parenthesis of depth 0 must be the last character.
    let closes = Pieces::of(source).find(|piece| piece.depth == 0 && source.get(piece.start..piece.end) == Some(")"))?;
    let is_tuple = Pieces::of(inner).any(|piece| piece.depth == 0 && inner.get(piece.start..piece.end) == Some(","));
    (closes.end == source.len() && !is_tuple && !inner.trim().is_empty()).then_some(inner)
}

/// A word, a string or a mark.
struct Piece {
    start: usize,
    end: usize,
    /// Brackets around it; a bracket itself lies outside.
    depth: usize,
}

struct Pieces<'s> {
    source: &'s str,
    at: usize,
    depth: usize,
}

impl<'s> Pieces<'s> {
    const fn of(source: &'s str) -> Self {
        Self { source, at: 0, depth: 0 }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let rest = self.source.get(self.at..)?;
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = self.source.get(start..)?;
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if first == '"' || first == '\'' {
            string_length(rest, first)
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        if matches!(first, ')' | ']' | '}') {
            self.depth = self.depth.saturating_sub(1);
        }
        let depth = self.depth;
        if matches!(first, '(' | '[' | '{') {
            self.depth += 1;
        }
        self.at = start + length;
        Some(Piece { start, end: self.at, depth })
    }
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> String {
        let mut parts = Vec::new();
        let logic = Logic::read(source, &mut |part| {
            parts.push(part.to_owned());
            parts.len() - 1
        });
        show(&logic, &parts)
    }

    fn show(logic: &Logic, parts: &[String]) -> String {
        let join = |list: &[Logic]| list.iter().map(|part| show(part, parts)).collect::<Vec<_>>().join(", ");
        match logic {
            Logic::Part(number) => format!("<{}>", parts[*number]),
            Logic::Not(inner) => format!("not({})", show(inner, parts)),
            Logic::All(list) => format!("all({})", join(list)),
            Logic::Any(list) => format!("any({})", join(list)),
        }
    }

    #[test]
    fn conditions_are_cut_where_the_engine_would() {
        for (source, expected) in [
            ("stream", "<stream>"),
            ("a and b or c", "any(all(<a>, <b>), <c>)"),
            ("a or b and not c", "any(<a>, all(<b>, not(<c>)))"),
            ("(a or b) and c", "all(any(<a>, <b>), <c>)"),
            ("((a))", "<a>"),
            ("(a) or (b)", "any(<a>, <b>)"),
            ("not a == b", "not(<a == b>)"),
            ("not (a and b)", "not(all(<a>, <b>))"),
            ("a not in b and c is not defined", "all(<a not in b>, <c is not defined>)"),
            ("model == ' and ' and b", "all(<model == ' and '>, <b>)"),
            ("model == 'it\\'s or' or b", "any(<model == 'it\\'s or'>, <b>)"),
            ("header('a and b', x or y) == 'z'", "<header('a and b', x or y) == 'z'>"),
            ("a if b else c or d", "<a if b else c or d>"),
            ("(a if b else c) or d", "any(<a if b else c>, <d>)"),
            ("key.labels.or == 'x' and key.labels.not", "all(<key.labels.or == 'x'>, <key.labels.not>)"),
            ("(a, b)", "<(a, b)>"),
            ("()", "<()>"),
            ("a  and\n b", "all(<a>, <b>)"),
            ("tokens.input > 5 and x[y and z]", "all(<tokens.input > 5>, <x[y and z]>)"),
            ("order == android", "<order == android>"),
        ] {
            assert_eq!(read(source), expected, "{source}");
        }
    }

    #[test]
    fn outcomes_are_those_of_evaluation_in_order() {
        let (t, f, fails, unknown) = (Outcomes::TRUE, Outcomes::FALSE, Outcomes::FAILS, Outcomes::UNKNOWN);
        let part = Logic::Part;
        let of = |values: &[Outcomes], logic: &Logic| {
            let values = values.to_vec();
            logic.outcomes(&move |number| values[number])
        };
        let both = Logic::All(vec![part(0), part(1)]);
        let either = Logic::Any(vec![part(0), part(1)]);
        assert_eq!(of(&[t, f], &both), f);
        assert_eq!(of(&[t, t], &both), t);
        assert_eq!(of(&[f, fails], &both), f, "never looked at");
        assert_eq!(of(&[fails, f], &both), fails);
        assert_eq!(of(&[unknown, f], &both), f.with(fails));
        assert_eq!(of(&[unknown, t], &either), t.with(fails), "what comes first may fail");
        assert_eq!(of(&[t, unknown], &either), t);
        assert_eq!(of(&[f, f], &either), f);
        assert_eq!(of(&[f, f], &Logic::Not(Box::new(either))), t);
        assert_eq!(of(&[unknown], &Logic::Not(Box::new(part(0)))), unknown);
    }
}
