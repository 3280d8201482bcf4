//! Secrets in places that are reviewed, committed and shown.
//!
//! Rule: what was found is shown nowhere, not even by the findings of other checks.

use serde_json::Value;

use crate::base::suspicion::{self, Suspect, Suspicion};
use crate::plan::codes;
use crate::plan::finding::{Findings, On, pointer};
use crate::spec::{Diagnostic, PromptSource};

pub(super) fn check(found: &mut Findings<'_>) {
    let loaded = found.loaded;
    walk(found, "", false, &loaded.value);
    for (name, model) in &loaded.spec.models {
        let Some(PromptSource::File(path)) = model.prompt.as_ref().map(|prompt| &prompt.system) else { continue };
        // Prompts are prose, in which only keys of known kinds stand out.
        let Some((text, suspect)) = loaded.prompts.get(path).and_then(|text| Some((text, suspicion::known(text)?))) else { continue };
        let problem = problem(found, "the prompt holds what looks like", text, &suspect);
        found.add_in_prompt(pointer(&["models", name, "prompt", "system", "file"]), path, Some(suspect.range), problem);
    }
}

/// Fields that refer to a secret.
const REFERENCES: [&str; 5] = ["secret", "access_key_id", "secret_access_key", "session_token", "service_account"];

/// Looks at every scalar below a value, and at every name. References to secrets hold names, of which only known keys are none.
fn walk(found: &mut Findings<'_>, at: &str, is_reference: bool, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let below = format!("{at}{}", pointer(&[name]));
                if let Some(suspect) = suspicion::suspect(name) {
                    let problem = problem(found, "the name looks like", name, &suspect);
                    found.add(On::Key, below.clone(), problem);
                }
                walk(found, &below, is_reference || REFERENCES.contains(&name.as_str()), member);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(found, &format!("{at}/{index}"), is_reference, item);
            }
        }
        Value::String(text) => {
            let suspect = if is_reference { suspicion::known(text) } else { suspicion::suspect(text) };
            let Some(suspect) = suspect else { return };
            let problem = problem(
                found,
                if is_reference { "the reference itself looks like" } else { "the text holds what looks like" },
                text,
                &suspect,
            );
            found.add(On::Value, at.to_owned(), problem);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn problem(found: &mut Findings<'_>, what: &str, text: &str, suspect: &Suspect) -> Diagnostic {
    if let Some(secret) = text.get(suspect.range.clone()) {
        found.conceal(secret);
    }
    let problem = match suspect.suspicion {
        Suspicion::Known(kind) => Diagnostic::error(codes::SECRET_LITERAL, format!("{what} {kind}"))
            .help("keep it in a variable or a file and refer to it by name, such as `{env: NAME}`; if it was ever committed, revoke it"),
        Suspicion::Random => Diagnostic::warning(codes::HIGH_ENTROPY, format!("{what} a key or a token"))
            .help("if it is one, keep it in a variable or a file and refer to it by name, such as `{env: NAME}`"),
    };
    problem.sensitive()
}
