//! JUnit's XML, as CI systems read it.

use super::report::Report;
use crate::scenario::Verdict;

/// Renders a report.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let errors =
        report.suites.iter().flat_map(|suite| suite.verdicts()).filter(|(_, verdict)| matches!(verdict, Verdict::Broken(..))).count();
    let failures = report.failed() - errors;
    text.push_str(&format!(
        "<testsuites name=\"bifrostctl test\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
        report.total()
    ));
    for suite in &report.suites {
        let count = |is: fn(&Verdict) -> bool| suite.verdicts().filter(|(_, verdict)| is(verdict)).count();
        let errors = count(|verdict| matches!(verdict, Verdict::Broken(..)));
        let failures = count(|verdict| !verdict.is_passed()) - errors;
        let name = escape(&suite.name());
        text.push_str(&format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">\n",
            suite.verdicts().count()
        ));
        for (place, verdict) in suite.verdicts() {
            let case = format!("    <testcase classname=\"{name}\" name=\"{}\"", escape(suite.test(place)));
            let line = suite.line(place).map_or_else(String::new, |line| format!(" file=\"{name}\" line=\"{line}\""));
            match verdict {
                Verdict::Done(misses, _) if misses.is_empty() => text.push_str(&format!("{case}{line}/>\n")),
                Verdict::Done(misses, seen) => {
                    let said: Vec<String> = misses.iter().map(|miss| miss.message.clone()).collect();
                    let first = said.first().map(String::as_str).unwrap_or_default();
                    let body = format!("{}\n{}", said.join("\n"), seen.way());
                    text.push_str(&format!(
                        "{case}{line}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
                        escape(first),
                        escape(&body)
                    ));
                }
                Verdict::Broken(_, why) => {
                    text.push_str(&format!("{case}{line}>\n      <error message=\"{}\"/>\n    </testcase>\n", escape(why)));
                }
            }
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Says that nothing ran, and why.
pub(crate) fn broken(command: &str, why: &str) -> String {
    let (errors, body) = match why {
        "" => (0, String::new()),
        why => {
            let case = format!(
                "    <testcase classname=\"{command}\" name=\"{command}\">\n      <error message=\"{}\"/>\n    </testcase>\n",
                escape(why)
            );
            (1, format!("  <testsuite name=\"{command}\" tests=\"1\" failures=\"0\" errors=\"1\">\n{case}  </testsuite>\n"))
        }
    };
    let head = format!("<testsuites name=\"bifrostctl {command}\" tests=\"{errors}\" failures=\"0\" errors=\"{errors}\">");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}\n{body}</testsuites>\n")
}

/// Escapes a text for an attribute or between tags; what XML cannot hold becomes a question mark.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push('\t'),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            plain => out.push(plain),
        }
    }
    out
}
