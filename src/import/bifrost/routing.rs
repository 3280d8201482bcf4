//! Routing rules: conditions in CEL, of which the common ones have the same meaning in the expressions here.
//!
//! Rule: a condition that is not understood as a whole is not carried over at all.

use super::Names;
use crate::import::draft::{Draft, at, free, literal, tidy_name};
use crate::import::tree::Cursor;
use crate::import::weight;
use crate::spec::{FallbackRef, Model, Rule, TargetRef};

/// Reads the rules, in the order in which Bifrost asks them.
pub(super) fn read(draft: &mut Draft, names: &Names, it: Cursor<'_>) {
    let mut rules: Vec<Cursor<'_>> = it.get("routing_rules").into_iter().flat_map(Cursor::items).collect();
    // Bifrost asks the rules of a key first, then those of its team, then those for all; within these by priority.
    let rank = |rule: &Cursor<'_>| match rule.get("scope").and_then(Cursor::text) {
        Some("virtual_key") => 0,
        Some("team") => 1,
        Some("customer") => 2,
        Some(_) | None => 3,
    };
    rules.sort_by_key(|rule| (rank(rule), rule.get("priority").and_then(Cursor::whole).unwrap_or(0)));
    for rule in rules {
        if let Err(why) = one(draft, names, rule) {
            draft.findings.manual(rule, at(&["rules"]), why);
        }
    }
}

fn one(draft: &mut Draft, names: &Names, it: Cursor<'_>) -> Result<(), &'static str> {
    if it.get("enabled").and_then(Cursor::bool) == Some(false) {
        draft.findings.unsupported(it, "a rule that is off is left out");
        return Ok(());
    }
    let scope = scope(names, it)?;
    let condition = it.get("cel_expression").and_then(Cursor::text).unwrap_or_default();
    let condition = expression(names, condition)
        .ok_or("its condition has something in it that has no counterpart: write it over the facts of a request")?;
    let when: Vec<String> = [scope, Some(condition)].into_iter().flatten().filter(|part| part != "true").collect();
    let when = if when.is_empty() { "true".to_owned() } else { when.join(" and ") };
    let targets = targets(names, it)?;
    let mut fallbacks = Vec::new();
    for link in it.get("fallbacks").into_iter().flat_map(Cursor::items) {
        let target = link.text().and_then(|text| text.split_once('/')).and_then(|(provider, model)| ours(names, provider, model));
        let target = target.ok_or("a fallback names a provider that was not carried over, or no model")?;
        let link = FallbackRef::Target { provider: target.provider, model: target.model };
        if !fallbacks.contains(&link) {
            fallbacks.push(link);
        }
    }
    let name = draft.rule_name(it.get("name").and_then(Cursor::text).unwrap_or("rule"));
    let taken = |name: &str| draft.spec.models.contains_key(name) || draft.spec.providers.contains_key(name);
    let alias = free(&tidy_name(&name, "rule"), taken);
    for target in &targets {
        super::allow(draft, &target.provider, &target.model);
    }
    draft.spec.models.insert(alias.clone(), Model { targets, fallbacks, ..Model::default() });
    draft.spec.rules.push(Rule { name: name.clone(), when: literal(&when), use_alias: Some(alias.clone()), targets: None, deny: None });
    tell(draft, names, it, &alias);
    Ok(())
}

/// Tells what became of the parts of a rule that was carried over.
fn tell(draft: &mut Draft, names: &Names, it: Cursor<'_>, alias: &str) {
    let place = at(&["models", alias]);
    for name in ["id", "name", "enabled", "priority", "scope", "scope_id", "cel_expression", "fallbacks"] {
        if let Some(it) = it.get(name) {
            draft.findings.exact(it, place.clone());
        }
    }
    for target in it.get("targets").into_iter().flat_map(Cursor::items).chain([it]) {
        for name in ["model", "weight"] {
            if let Some(it) = target.get(name) {
                draft.findings.exact(it, place.clone());
            }
        }
        which(draft, names, target, place.as_ref());
    }
    if let Some(it) = it.get("description").and_then(|it| Some((it, it.text()?))).map(|(it, text)| (it, literal(text))) {
        if let Some(model) = draft.spec.models.get_mut(alias) {
            model.description = Some(it.1);
        }
        draft.findings.exact(it.0, place);
    }
    if let Some(it) = it.get("chain_rule") {
        draft.findings.unsupported(it, "the first rule that holds decides; no other is looked at after it");
    }
}

/// Tells which of the providers that one of Bifrost's became a target leads to.
fn which(draft: &mut Draft, names: &Names, target: Cursor<'_>, place: Option<&String>) {
    let Some((it, theirs)) = target.get("provider").and_then(|it| Some((it, it.text()?))) else { return };
    let are_several = names.providers.get(theirs).is_some_and(|ours| ours.len() > 1);
    let key = target.get("key_id");
    let is_found = key.and_then(Cursor::text).is_some_and(|key| names.placed.contains_key(&(theirs.to_owned(), key.to_owned())));
    if are_several && !is_found {
        let why = "keys with addresses or regions of their own are providers here, and this leads to the first of them";
        draft.findings.approximate(it, place.cloned(), why);
    } else {
        draft.findings.exact(it, place.cloned());
    }
    match key {
        Some(key) if are_several && is_found => {
            draft.findings.approximate(key, place.cloned(), "it leads to the provider that the key is under here");
        }
        Some(key) => draft.findings.unsupported(key, "which credential serves is decided by weights and by what each is for"),
        None => {}
    }
}

/// For whom a rule is.
fn scope(names: &Names, it: Cursor<'_>) -> Result<Option<String>, &'static str> {
    let id = it.get("scope_id").and_then(Cursor::text);
    match it.get("scope").and_then(Cursor::text).unwrap_or("global") {
        "global" | "" => Ok(None),
        "team" => id
            .and_then(|id| names.teams.get(id))
            .map(|name| Some(format!("key.team == {}", quoted(name))))
            .ok_or("its team was not carried over"),
        "virtual_key" => id
            .and_then(|id| names.keys.get(id))
            .map(|name| Some(format!("key.name == {}", quoted(name))))
            .ok_or("its key was not carried over"),
        _ => Err("rules are for keys and teams, not for customers"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Lists where a rule leads, with weights.
fn targets(names: &Names, it: Cursor<'_>) -> Result<Vec<TargetRef>, &'static str> {
    let listed: Vec<Cursor<'_>> = match it.get("targets") {
        Some(targets) => targets.items().collect(),
        None => vec![it],
    };
    let weights: Vec<_> = listed.iter().map(|target| target.get("weight").and_then(Cursor::number)).collect();
    let weights = weight::whole(&weights, weights.iter().any(Option::is_some));
    let mut targets: Vec<TargetRef> = Vec::new();
    for (target, weight) in listed.iter().zip(weights) {
        let text = |name: &str| target.get(name).and_then(Cursor::text).filter(|text| !text.is_empty());
        let (Some(provider), Some(model)) = (text("provider"), text("model")) else {
            return Err("a target without a provider or a model leaves it to the request: name both");
        };
        let key = text("key_id").and_then(|key| names.placed.get(&(provider.to_owned(), key.to_owned())));
        let target = ours(names, provider, model).ok_or("a target's provider was not carried over")?;
        let target = TargetRef { provider: key.cloned().unwrap_or(target.provider), ..target };
        match targets.iter_mut().find(|known| (&known.provider, &known.model) == (&target.provider, &target.model)) {
            Some(same) => same.weight = Some(same.weight.unwrap_or(0).saturating_add(weight).min(weight::MOST)),
            None => targets.push(TargetRef { weight: Some(weight), ..target }),
        }
    }
    if targets.is_empty() {
        return Err("it leads nowhere");
    }
    weight::tidy(&mut targets);
    Ok(targets)
}

fn ours(names: &Names, provider: &str, model: &str) -> Option<TargetRef> {
    let provider = names.providers.get(provider)?.first()?.clone();
    (!model.is_empty()).then(|| TargetRef { provider, model: literal(model), weight: None, share: None })
}

/// Translates a condition. None where something in it is not known to mean the same.
fn expression(names: &Names, text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text == "true" {
        return Some("true".to_owned());
    }
    if text.contains("||") && text.contains("&&") {
        // Which of them binds first would have to be known.
        return None;
    }
    for (theirs, ours) in [("&&", " and "), ("||", " or ")] {
        if text.contains(theirs) {
            let parts = text.split(theirs).map(|part| comparison(names, part.trim())).collect::<Option<Vec<_>>>()?;
            return Some(format!("({})", parts.join(ours)));
        }
    }
    comparison(names, text)
}

/// Translates `what == "text"` and `what != "text"`.
fn comparison(names: &Names, text: &str) -> Option<String> {
    let (what, operator, value) =
        [" == ", " != "].into_iter().find_map(|op| text.split_once(op).map(|(what, value)| (what.trim(), op, value.trim())))?;
    let value = value
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'))
        .or_else(|| value.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')))?;
    if value.contains(['"', '\'', '\\']) {
        return None;
    }
    let header = what
        .strip_prefix("headers[\"")
        .and_then(|it| it.strip_suffix("\"]"))
        .or_else(|| what.strip_prefix("headers['").and_then(|it| it.strip_suffix("']")));
    if what == "model" {
        // Bifrost's model has no provider before it.
        let is = format!("(model == {} or model is endingwith({}))", quoted(value), quoted(&format!("/{value}")));
        return Some(if operator == " == " { is } else { format!("not {is}") });
    }
    let subject = match (header, what) {
        (Some(name), _) if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && !name.is_empty() => {
            format!("header({}, \"\")", quoted(&name.to_ascii_lowercase()))
        }
        (None, "team_name") if names.teams.values().any(|name| name == value) => "key.team".to_owned(),
        (None, "virtual_key_name") if names.keys.values().any(|name| name == value) => "key.name".to_owned(),
        _ => return None,
    };
    let said = format!("{subject}{operator}{}", quoted(value));
    // For Bifrost a header that is not there makes a condition fail, whatever it is compared with.
    Some(if header.is_some() && operator == " != " { format!("({subject} != \"\" and {said})") } else { said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_means_the_same_and_the_rest_is_left() {
        let mut names = Names::default();
        names.teams.insert("t1".to_owned(), "growth".to_owned());
        for (theirs, expected) in [
            ("", Some("true")),
            ("model == \"gpt-4o\"", Some("(model == \"gpt-4o\" or model is endingwith(\"/gpt-4o\"))")),
            ("headers[\"X-Tier\"] == 'gold'", Some("header(\"x-tier\", \"\") == \"gold\"")),
            ("headers['x-tier'] != 'gold'", Some("(header(\"x-tier\", \"\") != \"\" and header(\"x-tier\", \"\") != \"gold\")")),
            (
                "team_name == \"growth\" && model != \"o3\"",
                Some("(key.team == \"growth\" and not (model == \"o3\" or model is endingwith(\"/o3\")))"),
            ),
            ("team_name == \"gone\"", None),
            ("model.startsWith(\"gpt\")", None),
            ("a == \"b\" && c == \"d\" || model == \"e\"", None),
            ("budget_used > 80", None),
        ] {
            assert_eq!(expression(&names, theirs).as_deref(), expected, "{theirs}");
        }
    }
}
