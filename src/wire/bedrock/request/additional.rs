//! `additionalModelRequestFields`: what each model's maker has besides, read as far as the middle form has a place for it.
//!
//! Rule: a member is taken only where it says nothing more than what is read of it. Others stay extras, under their path.

use crate::wire::ir::{Effort, ReasoningMode, Request};
use crate::wire::json::{Extra, Fault, Fields, Given, Node, Text};

type Fallible<T> = Result<T, Fault>;

/// The object's name.
pub(super) const NAME: &str = "additionalModelRequestFields";

pub(super) fn read<'a>(fields: &mut Fields<'_, 'a>, request: &mut Request<'a>) -> Fallible<()> {
    let Some(node) = fields.take(NAME)? else { return Ok(()) };
    let mut members = Fields::open(node)?;
    for (name, member) in node.members() {
        let name = name.text().unwrap_or_default();
        if !member.is_null() && understand(&name, member, request) {
            members.take(&name)?;
        }
    }
    let extras = members.extras().into_iter().map(|extra| Extra { name: Text::Owned(format!("{NAME}.{}", extra.name)), ..extra });
    request.extras.extend(extras);
    Ok(())
}

/// Reads a member; returns whether all of it was understood.
fn understand<'a>(name: &str, node: Node<'_, 'a>, request: &mut Request<'a>) -> bool {
    let reasoning = &mut request.reasoning;
    match name {
        // The second is an older name of the first.
        "thinking" | "reasoning_config" => {
            let Some(mode) = thinking(node) else { return false };
            reasoning.mode = Some(Given::new(mode, node.place()));
            reasoning.display =
                node.get("display").and_then(|display| Some(Given::new(display.text()?, display.place()))).or(reasoning.display.take());
        }
        "output_config" | "reasoning_effort" => {
            let effort = if name == "reasoning_effort" { Some(node) } else { node.get("effort").filter(|_| has_only(node, &["effort"])) };
            let Some(effort) = effort.and_then(effort_of) else { return false };
            reasoning.effort = Some(effort);
        }
        // Nova's.
        "reasoningConfig" => {
            if !has_only(node, &["type", "maxReasoningEffort"]) {
                return false;
            }
            match (node.get("type").and_then(Node::text).as_deref(), node.get("maxReasoningEffort").map(effort_of)) {
                (Some("enabled"), Some(Some(effort))) => reasoning.effort = Some(effort),
                (Some("disabled"), None) => reasoning.mode = Some(Given::new(ReasoningMode::Off, node.place())),
                _ => return false,
            }
        }
        "top_k" => {
            let Some(number) = node.number() else { return false };
            request.sampling.top_k = Some(Given::new(number, node.place()));
        }
        "inferenceConfig" => {
            let Some(number) = node.get("topK").filter(|_| has_only(node, &["topK"])) else { return false };
            let Some(value) = number.number() else { return false };
            request.sampling.top_k = Some(Given::new(value, number.place()));
        }
        _ => return false,
    }
    true
}

fn has_only(node: Node<'_, '_>, names: &[&str]) -> bool {
    node.members().all(|(key, value)| names.iter().any(|name| key.is(name)) && !value.is_null())
}

fn effort_of(node: Node<'_, '_>) -> Option<Given<Effort>> {
    Some(Given::new(Effort::from_word(&node.text()?)?, node.place()))
}

fn thinking(node: Node<'_, '_>) -> Option<ReasoningMode> {
    let budget = node.get("budget_tokens");
    let known = match (node.get("type").and_then(Node::text)?.as_ref(), budget) {
        ("disabled", None) => ReasoningMode::Off,
        ("adaptive", None) => ReasoningMode::Adaptive,
        ("enabled", Some(budget)) => ReasoningMode::Budget(budget.number()?.as_u64()?),
        _ => return None,
    };
    let display_fits = node.get("display").is_none_or(|display| display.text().is_some());
    (display_fits && has_only(node, &["type", "budget_tokens", "display"])).then_some(known)
}
