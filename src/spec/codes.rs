//! The stable codes of the loader, each with what `validate --explain` says.
//!
//! BF00xx: files, syntax, merging, interpolation. BF01xx: what stands in a field. The semantic checks have their own from BF0201.
//! Rule: a code never changes its meaning and is never used again for another one.

/// A code with its explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `BF` and four digits.
    pub code: &'static str,
    /// What it means, in a few words.
    pub title: &'static str,
    /// Why it matters and what to do, in full sentences.
    pub explanation: &'static str,
}

/// Returns the explanation of one of this module's codes.
pub fn explain(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}

/// Declares constants of a module's codes and the table `CODES` of them all.
macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// Every code, in order.
        pub const CODES: &[Code] = &[$(Code { code: $code, title: $title, explanation: $explanation }),*];
    };
}

pub(crate) use codes;

codes! {
    FILE_MISSING "BF0001" "file does not exist"
        "A file that the command line or the spec names is not there. Paths in the spec are relative to the file that they stand in."
    FILE_UNREADABLE "BF0002" "file cannot be read"
        "The path is a directory, or the operating system does not allow the file to be read."
    TOO_LARGE "BF0003" "file is too large"
        "One file may have 2 MiB and 250,000 values, and all files of a spec together 8 MiB: a spec is reviewed by people."
    NOT_UTF8 "BF0004" "file is not UTF-8"
        "Specs are UTF-8 text, with or without a byte order mark. Editors save as UTF-8 on request; `iconv -f utf-16 -t utf-8` converts."
    EMPTY "BF0005" "file is empty"
        "A file without content is refused: it is far more often a failed write or a wrong path than a wish for a gateway without providers."
    SYNTAX "BF0006" "not YAML"
        "The text is not valid YAML 1.2. Only the first such error of a file is known, because what follows cannot be read reliably."
    TABS "BF0007" "tab used for indentation"
        "YAML is indented with spaces. Tabs may stand inside quotes and after `#`."
    TOO_DEEP "BF0008" "nested too deeply"
        "Maps and lists may stand 32 deep inside one another; no spec needs as much."
    SECOND_DOCUMENT "BF0009" "second document"
        "A spec is one YAML document. What follows a `---` would be ignored by many tools, so it is refused. Use `include` or an overlay for a second file."
    TAG "BF0010" "YAML tag"
        "Tags such as `!!str` or `!secret` mean different things to different tools. Quote a text to keep it a text; refer to secrets with `{env: NAME}`."
    KEY_NOT_TEXT "BF0011" "key is not a text"
        "Numbers, booleans, null, lists and maps cannot be names. Quote the key."
    DUPLICATE_KEY "BF0012" "key stands twice"
        "Most YAML parsers silently keep the last of two equal keys, so a reviewer who reads the first is misled. Remove one."
    UNKNOWN_ANCHOR "BF0013" "alias without its anchor"
        "`*name` repeats what `&name` marked earlier in the same file. The anchor is missing, comes later, or contains the alias itself. A text that begins with `*` must be quoted."
    ALIAS_BUDGET "BF0014" "aliases repeat too much"
        "A file may have 100 anchors, and what aliases repeat may be 100,000 values and 4 MiB. More is an attack or an accident."
    AMBIGUOUS_NUMBER "BF0015" "number that parsers read differently"
        "`0123`, `1_000`, `0b1` and their kin are numbers to some parsers, other numbers to others and texts to the rest, and very large numbers lose digits. Write a plain decimal number, or quote the text."
    MERGE_KEY "BF0016" "merge key"
        "`<<` is YAML 1.1: it works here, but not in every tool, and it hides from a reviewer what the map holds. Prefer to write the fields out."
    MERGE_INVALID "BF0017" "merge key without a map"
        "`<<` takes a map, usually an alias of one, or a list of maps."
    NOT_A_SPEC "BF0018" "not a map of sections"
        "A spec file is a map: `version`, `providers`, `models` and so on stand at its left edge."
    CARRIAGE_RETURN "BF0019" "lone carriage return"
        "Lines end with LF or CR LF. A CR alone is a line break to YAML and nothing to most editors, so that text could hide."
    TOO_MANY "BF0020" "more problems than are shown"
        "At most 500 problems are told at once. Mend those, and the next run tells the rest."
    INCLUDE_INVALID "BF0031" "include cannot be followed"
        "`include` is a list of paths. The file name may hold `*` and `?`; the directory may not, and `${…}` may not stand in it: what a spec consists of does not depend on the machine."
    INCLUDE_NESTED "BF0032" "belongs in the main file"
        "An included file holds sections. `version` and `include` stand in the file that is named on the command line, so that it shows the whole list."
    INCLUDE_NOTHING "BF0033" "include matches nothing"
        "No file matches the pattern."
    NAME_TWICE "BF0034" "name stands in two files"
        "Included files add to each other and never override: every name stands in one file. Overlays (`-f base.yaml -f prod.yaml`) are for overriding."
    SECTION_TWICE "BF0035" "section stands in two files"
        "Sections that are not maps of names stand whole in one file: the order of `rules` is their meaning, and settings of one kind belong together."
    OVERLAY_DELETES_NOTHING "BF0041" "overlay deletes what is not there"
        "`null` in an overlay removes what the files before it say. They say nothing here: the name may be misspelt, or was renamed."
    INTERPOLATION_MALFORMED "BF0051" "malformed interpolation"
        "The forms are `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}`. Write `$${` for a `${` that stays as it is."
    VARIABLE_UNSET "BF0052" "environment variable is not set"
        "`${env:NAME}` needs the variable. Set it, or give a default: `${env:NAME:-default}`."
    INTERPOLATION_IN_KEY "BF0053" "interpolation in a key"
        "Only values are interpolated: the names of things must be readable in the file. Write `$${` for a `${` that stays as it is."
    SECRET_INTERPOLATED "BF0054" "interpolation where a secret belongs"
        "Interpolation would copy the secret into the configuration, its diffs and its history. A reference keeps it outside: `{env: NAME}` or `{file: PATH}`."

    UNKNOWN_FIELD "BF0101" "unknown field"
        "This version knows no such field here. Every field that is accepted does something; misspelt ones would be silently ignored otherwise."
    WRONG_TYPE "BF0102" "value of the wrong kind"
        "The field takes another kind of value. Quotes make a text; `[…]` or lines with `- ` make a list; `{…}` or indented `name: value` lines make a map."
    MISSING_FIELD "BF0103" "field is missing"
        "The field has no default, so it must be written."
    NOT_A_CHOICE "BF0104" "not one of the possible values"
        "The field takes one of a few words."
    OUT_OF_RANGE "BF0105" "number is out of range"
        "The number is smaller or larger than what the field takes."
    TOO_FEW "BF0106" "empty"
        "The list, map or text needs at least one entry."
    MALFORMED "BF0107" "malformed text"
        "The text does not have the form that the field takes."
    UNIT "BF0108" "quantity without its unit"
        "Quantities are written with their unit: durations `250ms`, `30s`, `5m`, `1h30m`, `7d`; sizes `64KiB`, `32MiB`, `1GB`. A bare number would leave a reviewer guessing."
    YES_NO "BF0109" "yes and no are not booleans"
        "`yes`, `no`, `on` and `off` are texts in YAML 1.2 and booleans in YAML 1.1. Write `true` or `false`."
    EXACTLY_ONE "BF0110" "exactly one of several"
        "The map says which of several kinds is meant by its one key."
    SECRET_LITERAL "BF0111" "text where a reference to a secret belongs"
        "The spec is reviewed and committed, so it never holds a secret. Write `{env: NAME}`, `{file: PATH}` or `{cred: NAME}`, or `none` for a server without keys. If the text is a key and was committed, revoke it."
    NO_VALUE "BF0112" "field without a value"
        "`name:` with nothing behind it is null, which says neither on nor off. Give a value or remove the line. In an overlay, null removes the field."
    VERSION "BF0113" "version of the format"
        "This build reads version 1 of the format."
    UNFIT "BF0114" "value does not fit"
        "The schema accepts the value but the field's own type does not."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_are_explained_in_sentences() {
        for pair in CODES.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} {}", pair[0].code, pair[1].code);
        }
        for code in CODES {
            assert!(code.explanation.ends_with(['.', '`']), "{}", code.code);
            assert!(!code.title.ends_with('.'), "{}", code.code);
            assert!(code.code < "BF0201", "{} belongs to the semantic checks", code.code);
        }
        assert_eq!(explain("bf0012").map(|code| code.title), Some("key stands twice"));
        assert_eq!(explain("BF0201"), None);
    }
}
