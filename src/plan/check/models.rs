//! Aliases: body members, and the prompt.

use super::templates::{self, Place, Reach, Text, Use};
use crate::plan::codes;
use crate::plan::expr::Template;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::Plan;
use crate::spec::{Diagnostic, PromptSource};

/// Members that the gateway sets itself, or must read as the client sent them.
const RESERVED: [&str; 6] = ["model", "messages", "input", "prompt", "stream", "stream_options"];

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    for (name, model) in &plan.models {
        for (section, members) in [("defaults", &model.defaults), ("overrides", &model.overrides)] {
            for member in members.keys().filter(|member| RESERVED.contains(&member.as_str())) {
                let problem = Diagnostic::error(codes::RESERVED_MEMBER, format!("`{section}` of alias `{name}` may not set `{member}`"));
                let problem = match member.as_str() {
                    "model" => problem.help("the model upstream is that of the target"),
                    "messages" | "input" | "prompt" => problem.help("a system prompt goes to `prompt: {system: …}`"),
                    _ => problem.help("whether an answer is streamed is the client's choice"),
                };
                found.add(On::Key, pointer(&["models", name, section, member]), problem);
            }
        }
        let spec = found.loaded.spec.models.get(name).and_then(|model| model.prompt.as_ref());
        let (Some(prompt), Some(spec)) = (&model.prompt, spec) else { continue };
        if Template::is_plain(&prompt.system) {
            continue;
        }
        let place = match &spec.system {
            PromptSource::File(path) => Place::Prompt(pointer(&["models", name, "prompt", "system", "file"]), path),
            PromptSource::Text(_) => Place::Value(pointer(&["models", name, "prompt", "system", "text"])),
        };
        let text = Text { place, who: format!("the prompt of alias `{name}`"), source: &prompt.system };
        templates::check(found, &text, &Reach::of(plan, Use::Alias(name)), |_| None);
    }
}
