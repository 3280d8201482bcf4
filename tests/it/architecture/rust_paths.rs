//! Finds which top-level modules of the crate a Rust source file names.
//!
//! It is a lexer and a walk over its tokens, not a parser: comments, strings and character literals are dropped, then every
//! `crate::…` path and every chain of `super`s that reaches the crate root counts as a use of the module that it names.
//! Its rule: what hides a use (a glob, an alias of the root, `#[path]`, `include!`) is reported rather than missed.

use std::iter::Peekable;
use std::str::CharIndices;

/// A place where a file reaches into the crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    /// Line, from 1.
    pub(crate) line: usize,
    /// What the path names.
    pub(crate) what: Reach,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A name at the crate root: a top-level module, or something that should not be there.
    Module(String),
    /// Something that would hide uses from this reader, in words.
    Hidden(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token<'a> {
    line: usize,
    text: &'a str,
}

/// Lists the uses in `source`, the file of module `file_path` (`["spec", "types"]` for `src/spec/types.rs`, empty for the crate root).
pub(crate) fn uses(source: &str, file_path: &[&str]) -> Vec<Use> {
    let tokens = tokens(source);
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text);
    let mut found = Vec::new();
    let mut depth = 0usize;
    let mut inline: Vec<usize> = Vec::new(); // brace depths at which an inline `mod x {` was opened
    for (i, token) in tokens.iter().enumerate() {
        let line = token.line;
        let starts_a_path = i == 0 || text(i - 1) != "::" || (i > 1 && text(i - 2) == "self");
        match token.text {
            "{" => {
                if i > 1 && text(i - 2) == "mod" {
                    inline.push(depth);
                }
                depth += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
            }
            "crate" if i > 0 && text(i - 1) == "extern" => found.push(Use { line, what: Reach::Hidden("`extern crate`") }),
            "crate" if i > 0 && text(i - 1) == "(" && text(i + 1) == ")" => {} // `pub(crate)`
            "crate" => found.extend(reached(&tokens, i + 1)),
            "super" if starts_a_path => {
                let mut end = i + 1;
                let mut levels = 1;
                while text(end) == "::" && text(end + 1) == "super" {
                    levels += 1;
                    end += 2;
                }
                let is_visibility = i > 0 && text(i - 1) == "(" && text(end) == ")"; // `pub(super)`
                if levels >= file_path.len() + inline.len() && !is_visibility {
                    found.extend(reached(&tokens, end));
                }
            }
            "path" if i > 1 && text(i - 1) == "[" && text(i - 2) == "#" => found.push(Use { line, what: Reach::Hidden("`#[path]`") }),
            "include" if text(i + 1) == "!" => found.push(Use { line, what: Reach::Hidden("`include!`") }),
            _ => {}
        }
    }
    found
}

/// Reads what follows the crate root: `::name`, `::{a, b::c, self}`, `::*`, or nothing at all (an alias).
fn reached(tokens: &[Token<'_>], at: usize) -> Vec<Use> {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text);
    let line = |i: usize| tokens.get(i).or(tokens.last()).map_or(0, |t| t.line);
    if text(at) != "::" {
        return vec![Use { line: line(at), what: Reach::Hidden("the crate root under another name") }];
    }
    if text(at + 1) != "{" {
        return vec![Use { line: line(at + 1), what: named(text(at + 1)) }];
    }
    let mut found = Vec::new();
    let mut depth = 0usize;
    for i in at + 1..tokens.len() {
        match text(i) {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && matches!(text(i - 1), "{" | ",") => found.push(Use { line: line(i), what: named(name) }),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

fn named(text: &str) -> Reach {
    match text {
        "*" => Reach::Hidden("a glob of the crate root"),
        "self" => Reach::Hidden("the crate root under another name"),
        name => Reach::Module(name.to_owned()),
    }
}

/// Splits source into words, `::` and single signs; drops white space, comments and every kind of literal with text in it.
fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut chars = source.char_indices().peekable();
    let mut line = 1;
    let mut found = Vec::new();
    while let Some((start, c)) = chars.next() {
        let rest = &source[start..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else {
            literal(rest)
        };
        if skipped > 0 {
            line += rest[..skipped].matches('\n').count();
            skip_to(&mut chars, start + skipped);
        } else if is_word(c) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            skip_to(&mut chars, start + length);
            found.push(Token { line, text: &rest[..length] });
        } else if rest.starts_with("::") {
            chars.next();
            found.push(Token { line, text: "::" });
        } else if c == '\n' {
            line += 1;
        } else if !c.is_whitespace() {
            found.push(Token { line, text: &rest[..c.len_utf8()] });
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn skip_to(chars: &mut Peekable<CharIndices<'_>>, end: usize) {
    while chars.next_if(|&(at, _)| at < end).is_some() {}
}

/// Measures a block comment, which may hold others. An open one runs to the end.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Measures a string or character literal at the start of `rest`, with its prefix; 0 when there is none (a lifetime, say).
fn literal(rest: &str) -> usize {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|p| {
        let after = rest.strip_prefix(*p).unwrap_or("\0");
        let after_hashes = if p.ends_with('r') { after.trim_start_matches('#') } else { after };
        after_hashes.starts_with('"') || (after.starts_with('\'') && matches!(*p, "b" | ""))
    });
    let Some(prefix) = prefix else { return 0 };
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let open = hashes + 1;
        return body[open..].find(&close).map_or(rest.len(), |at| prefix.len() + open + at + close.len());
    }
    let Some(quote) = body.chars().next() else { return 0 };
    let second = body.chars().nth(1);
    if quote == '\'' && second != Some('\\') && body.chars().nth(2) != Some('\'') {
        return 0; // a lifetime or a label
    }
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return prefix.len() + at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{Reach, Use, uses};

    fn modules(source: &str, file_path: &[&str]) -> Vec<String> {
        let reach = |u: Use| match u.what {
            Reach::Module(name) => name,
            Reach::Hidden(what) => format!("hidden: {what}"),
        };
        uses(source, file_path).into_iter().map(reach).collect()
    }

    #[test]
    fn every_spelling_of_a_crate_path_is_seen() {
        let source = "use crate::spec::Spec;\nuse crate::{base, plan::{Plan, self}, wire as w};\npub use {crate::error::E, std::fmt};\n\
                      fn f(x: &crate::table::Live) { crate::cli::run(); $crate::store::open() }";
        assert_eq!(modules(source, &["x"]), ["spec", "base", "plan", "wire", "error", "table", "cli", "store"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let source = "/* a\n b */\nlet s = \"x\ny\";\nuse crate::{\n    spec,\n    plan,\n};";
        let lines: Vec<usize> = uses(source, &["x"]).into_iter().map(|u| u.line).collect();
        assert_eq!(lines, [6, 7]);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let source = r####"
            // use crate::a;
            /* use crate::b; /* nested */ use crate::c; */
            //! [`crate::d`]
            let s = "crate::e \" crate::f"; let r = r#"crate::g " crate::h"#; let b = b"crate::i"; let br = br##"crate::j"# "##;
            let q = '"'; let e = '\''; let u = '\u{22}'; let byte = b'"';
            fn f<'a>(x: &'a str) -> &'a crate::k::T<'static> { 'outer: loop { break 'outer } }
        "####;
        assert_eq!(modules(source, &["x"]), ["k"]);
    }

    #[test]
    fn words_that_only_contain_crate_and_visibilities_are_no_paths() {
        assert_eq!(modules("mycrate::a(); crate_b::c(); pub(crate) fn f() {} pub(super) struct S;", &["x"]), [""; 0]);
    }

    #[test]
    fn a_chain_of_supers_counts_when_it_reaches_the_root() {
        assert_eq!(modules("use super::plan::Plan;", &["spec"]), ["plan"]);
        assert_eq!(modules("use super::types::Spec;", &["spec", "load"]), [""; 0]);
        assert_eq!(modules("use super::super::{plan, table::Live};", &["spec", "load"]), ["plan", "table"]);
        assert_eq!(modules("use self::super::plan;", &["spec"]), ["plan"]);
    }

    #[test]
    fn an_inline_module_is_one_level_deeper_until_its_brace_closes() {
        assert_eq!(modules("mod tests { use super::*; use super::super::plan; fn f() { if x {} } }", &["spec"]), ["plan"]);
        assert_eq!(modules("mod tests { fn f() {} }\nuse super::plan;", &["spec"]), ["plan"]);
    }

    #[test]
    fn what_would_hide_a_use_is_reported() {
        let hidden = |what: &str| vec![format!("hidden: {what}")];
        assert_eq!(modules("use crate::*;", &["x"]), hidden("a glob of the crate root"));
        assert_eq!(modules("use crate::{self};", &["x"]), hidden("the crate root under another name"));
        assert_eq!(modules("use crate as c;", &["x"]), hidden("the crate root under another name"));
        assert_eq!(modules("use super as c;", &["x"]), hidden("the crate root under another name"));
        assert_eq!(modules("extern crate self as c;", &["x"]), hidden("`extern crate`"));
        assert_eq!(modules("#[path = \"../plan/mod.rs\"] mod p;", &["x"]), hidden("`#[path]`"));
        assert_eq!(modules("include!(\"../plan/mod.rs\");", &["x"]), hidden("`include!`"));
    }
}
