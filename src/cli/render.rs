//! `render`: the effective spec, after includes, overlays and defaults. Secrets stay references.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::context::Context;
use super::exit::CommandError;
use super::input::{Checked, NoEnvironment, Source, refused};
use super::output::{Format, Outcome};
use super::table_text;
use super::written::{dotted, interpolated, leaves};
use crate::spec;

/// Prints the effective spec: includes and overlays merged, presets and defaults filled in. Secrets stay references.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// Leaves presets and defaults out: only what the files say.
    #[arg(long)]
    merged: bool,
    /// Prints one line per value, with the file and line that it comes from.
    #[arg(long)]
    show_origin: bool,
    /// Puts the values of this environment in; otherwise `${env:NAME}` stays as it is written.
    #[arg(long)]
    with_env: bool,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl render
  bifrostctl render --merged -f gateway.yaml -f env/prod.yaml > merged.yaml
  bifrostctl render --show-origin | grep timeouts";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// The origin of what no file says.
const DEFAULT: &str = "default";

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let source = Source::open(context)?;
    let checked = if args.with_env { source.check(&*context.io.env, true) } else { source.check(&NoEnvironment, false) };
    let checked = checked.map_err(|rejected| refused(&source.name(), &rejected, context))?;
    let mut value = if args.merged { checked.loaded.value.clone() } else { stripped(checked.plan.model()) };
    if !args.with_env {
        for (pointer, text) in interpolated(&checked.loaded) {
            put_back(&mut value, &pointer, text);
        }
    }
    let mut result = json!({"merged": args.merged, "spec": value});
    if !args.show_origin {
        return Ok(Outcome::ok("").text(spec::to_yaml(&value)).result(result));
    }
    let origins = origins(&checked, &value);
    let rows: Vec<Vec<String>> = leaves(&value)
        .into_iter()
        .map(|(pointer, leaf)| {
            let origin = origins.get(&pointer).and_then(Option::as_deref).unwrap_or(DEFAULT);
            vec![origin.to_owned(), dotted(&pointer), on_one_line(leaf)]
        })
        .collect();
    if let Some(members) = result.as_object_mut() {
        members.insert("origins".to_owned(), json!(origins));
    }
    Ok(Outcome::ok("").text(table_text::table(&rows)).result(result))
}

/// Drops what is not set at all.
fn stripped(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, member)| !member.is_null());
            Value::Object(members.map(|(name, member)| (name, stripped(member))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(stripped).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Writes an interpolation where its value or a stand-in is. The plan's layout is the spec's but for the actions of rules.
fn put_back(value: &mut Value, pointer: &str, text: String) {
    let rule = pointer.strip_prefix("/rules/").and_then(|rest| rest.split_once('/'));
    let action = rule.map(|(index, rest)| format!("/rules/{index}/action/{rest}"));
    let place = [Some(pointer.to_owned()), action].into_iter().flatten().find(|pointer| value.pointer(pointer).is_some());
    if let Some(place) = place.and_then(|pointer| value.pointer_mut(&pointer)) {
        *place = Value::String(text);
    }
}

/// Finds where each leaf stands; `None` for what no file says.
fn origins(checked: &Checked, value: &Value) -> BTreeMap<String, Option<String>> {
    let loaded = &checked.loaded;
    let origin = |pointer: &str| {
        let in_spec = pointer.replacen("/gateway/admin/tcp", "/gateway/admin", 1).replacen("/action/", "/", 1);
        // A short form stands for several values: `openai/gpt-4o` for a provider and a model.
        let ancestors = std::iter::successors(Some(in_spec.as_str()), |pointer| pointer.rsplit_once('/').map(|(parent, _)| parent));
        let leaf = ancestors.into_iter().enumerate().find(|(steps, pointer)| {
            let value = loaded.value.pointer(pointer);
            *steps == 0 && value.is_some() || value.is_some_and(|value| !value.is_object() && !value.is_array())
        });
        leaf.and_then(|(_, pointer)| loaded.spans.own(pointer)).and_then(|location| loaded.sources.place(location))
    };
    leaves(value).into_iter().map(|(pointer, _)| (pointer.clone(), origin(&pointer))).collect()
}

fn on_one_line(leaf: &Value) -> String {
    match leaf {
        Value::String(text) if !text.is_empty() && !text.contains(['\n', '"']) && text.trim() == text => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => leaf.to_string(),
    }
}
