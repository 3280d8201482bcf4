//! YAML as nobody should write it: any indentation, comments and empty lines everywhere, every style of scalar, anchors and aliases.

use proptest::prelude::*;

/// A value whose spelling is not decided yet.
#[derive(Debug, Clone)]
enum Tree {
    Leaf,
    List(Vec<Tree>),
    Map(Vec<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    Just(Tree::Leaf).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List), prop::collection::vec(inner, 0..4).prop_map(Tree::Map)]
    })
}

/// Spec texts of any spelling. Most of them parse.
pub(super) fn texts() -> impl Strategy<Value = String> {
    (prop::collection::vec(tree(), 1..6), any::<u64>()).prop_map(|(sections, seed)| {
        let mut writer = Writer { out: String::new(), state: seed | 1, comments: 0, anchors: 0 };
        writer.document(&sections);
        writer.out
    })
}

struct Writer {
    out: String,
    state: u64,
    comments: usize,
    anchors: usize,
}

pub(super) const SECTIONS: [&str; 8] = ["models", "version", "virtual_keys", "gateway", "teams", "\"rules\"", "providers", "other"];

impl Writer {
    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap() % bound
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn indent(&mut self, column: usize) {
        self.put(&" ".repeat(column));
    }

    fn comment(&mut self) {
        self.comments += 1;
        let text = format!("#c{} it's: [a, \"b {{- |", self.comments);
        self.put(&text);
        let tail = self.pick(&["", "", "  ", "\t"]);
        self.put(tail);
    }

    /// Ends a line, perhaps with a comment; then perhaps empty lines and comments of their own.
    fn line_end(&mut self, column: usize) {
        if self.one_in(4) {
            let gap = self.pick(&[" ", "  ", "     ", "          ", "\t"]);
            self.put(gap);
            self.comment();
        } else if self.one_in(8) {
            self.put("  ");
        }
        self.put("\n");
        while self.one_in(4) {
            match self.below(5) {
                0 => self.put("\n"),
                1 => self.put("   \n"),
                more => {
                    let deep = [0, column, column, column + 2, self.below(12)][more];
                    self.indent(deep);
                    self.comment();
                    self.put("\n");
                }
            }
        }
    }

    fn document(&mut self, sections: &[Tree]) {
        match self.below(6) {
            0 => self.put("---\n"),
            1 => self.put("# yaml-language-server: $schema=x.json #c0\n"),
            2 => {
                self.comment();
                self.put("\n\n");
            }
            _ => {}
        }
        if self.one_in(4) {
            self.line_end(0);
        }
        let mut shift = self.below(SECTIONS.len());
        for section in sections {
            self.put(SECTIONS[shift % SECTIONS.len()]);
            shift += 3;
            self.value(section, 0, false);
        }
        if self.one_in(6) {
            self.put("...\n");
        }
        if self.one_in(4) {
            while self.out.ends_with('\n') {
                self.out.pop();
            }
        }
    }

    /// Writes `: value` and ends the line.
    fn value(&mut self, tree: &Tree, column: usize, of_list: bool) {
        if !of_list {
            let colon = self.pick(&[":", ":", ": ", ":    "]);
            self.put(colon);
        }
        if self.one_in(10) {
            self.anchors += 1;
            let anchor = format!(" &n{} ", self.anchors);
            self.put(&anchor);
        }
        match tree {
            Tree::Leaf => self.leaf(column),
            Tree::List(items) if items.is_empty() => self.flow_line(tree, column),
            Tree::Map(items) if items.is_empty() => self.flow_line(tree, column),
            Tree::List(_) | Tree::Map(_) if self.one_in(3) => self.flow_line(tree, column),
            Tree::List(items) => {
                let flat = !of_list && self.one_in(3);
                let inner = if flat { column } else { column + 1 + self.below(4) };
                self.line_end(inner);
                self.list(items, inner);
            }
            Tree::Map(members) => {
                let inner = column + 1 + self.below(4);
                self.line_end(inner);
                self.map(members, inner);
            }
        }
    }

    fn list(&mut self, items: &[Tree], column: usize) {
        for item in items {
            self.indent(column);
            self.put("-");
            match item {
                Tree::Map(members) if !members.is_empty() && self.one_in(2) => {
                    let gap = 1 + self.below(3);
                    self.indent(gap);
                    self.members(members, column + 1 + gap, true);
                }
                Tree::List(inner) if !inner.is_empty() && self.one_in(2) => {
                    let gap = 1 + self.below(3);
                    self.indent(gap);
                    self.put("-");
                    self.put(" ");
                    self.value(&inner[0], column + 1 + gap, true);
                    self.list(&inner[1..], column + 1 + gap);
                }
                item => {
                    self.put(" ");
                    self.value(item, column, true);
                }
            }
        }
    }

    fn map(&mut self, members: &[Tree], column: usize) {
        self.members(members, column, false);
    }

    fn members(&mut self, members: &[Tree], column: usize, begun: bool) {
        for (number, member) in members.iter().enumerate() {
            if number > 0 || !begun {
                self.indent(column);
            }
            let quote = self.pick(&["", "", "", "\"", "'"]);
            let key = format!("{quote}k{number}{quote}");
            self.put(&key);
            self.value(member, column, false);
        }
        if self.anchors > 0 && self.one_in(12) {
            let merge = format!("{}<<: *n{}", " ".repeat(column), 1 + self.below(self.anchors));
            self.put(&merge);
            self.line_end(column);
        }
    }

    fn leaf(&mut self, column: usize) {
        match self.below(12) {
            0 => self.block(column),
            1 => {
                let text =
                    self.pick(&[" one\n{}  two", " \"one  \n\n{} two\\\n{}  three \\  \n{} four\"", " 'it''s\n{}so'", " one\n\n{} two"]);
                let text = text.replace("{}", &" ".repeat(column + 1));
                self.put(&text);
                self.line_end(column);
            }
            2 if self.anchors > 0 => {
                let alias = format!(" *n{}", 1 + self.below(self.anchors));
                self.put(&alias);
                self.line_end(column);
            }
            3 => {
                self.line_end(column + 2);
                self.indent(column + 2);
                self.put("next");
                self.line_end(column);
            }
            _ => {
                let gap = self.pick(&[" ", " ", "   ", "\t"]);
                let word =
                    self.pick(&["a", "1", "true", "", "~", "a b#no", "\"#no: x\"", "'y: z'", "http://h:1/p", "\" \"", "-x", "${env:X}"]);
                let text = format!("{gap}{word}");
                self.put(&text);
                self.line_end(column);
            }
        }
    }

    fn block(&mut self, column: usize) {
        let style = self.pick(&["|", ">", "|-", ">+", "|+", "|2", "|2+", "|-1"]);
        self.put(&format!(" {style}"));
        if self.one_in(4) {
            self.put("  ");
            self.comment();
        }
        self.put("\n");
        let digit = style.bytes().find(u8::is_ascii_digit).map(|digit| usize::from(digit - b'0'));
        let inner = digit.map_or_else(|| column + 1 + self.below(4), |digit| column + digit);
        for number in 0..self.below(4) {
            match self.below(5) {
                0 => self.put("\n"),
                1 if number > 0 || digit.is_some() => {
                    self.indent(inner + 2);
                    self.put("deeper  \n");
                }
                2 if number > 0 || digit.is_some() => {
                    self.indent(inner + 1);
                    self.put("\n");
                }
                _ => {
                    self.indent(inner);
                    self.put("text #no: - x\n");
                }
            }
        }
        while self.one_in(3) {
            self.put("\n");
        }
    }

    fn flow_line(&mut self, tree: &Tree, column: usize) {
        self.put(" ");
        self.flow(tree, column);
        self.line_end(column);
    }

    fn flow(&mut self, tree: &Tree, column: usize) {
        let (open, close, items, keyed) = match tree {
            Tree::Leaf => {
                let word = self.pick(&["a", "1", "\"x, y\"", "'b: c'", "a b", "http://x/y"]);
                self.put(word);
                return;
            }
            Tree::List(items) => ("[", "]", items, false),
            Tree::Map(items) => ("{", "}", items, true),
        };
        self.put(open);
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                let comma = self.pick(&[",", ", ", " , ", ",  "]);
                self.put(comma);
            }
            if self.one_in(6) {
                self.line_end(column + 1);
                let deep = column + 1 + self.below(6);
                self.indent(deep);
            }
            if keyed {
                let key = format!("k{number}{}", self.pick(&[": ", " : ", ":   "]));
                self.put(&key);
            }
            self.flow(item, column);
        }
        if self.one_in(6) {
            self.line_end(column + 1);
            self.indent(column + 1);
        }
        self.put(close);
    }
}
