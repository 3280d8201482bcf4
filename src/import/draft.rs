//! The spec as it grows: names that may be names, providers that are the same told from those that are not.
//!
//! Rule: what one upstream is called once is called so everywhere; two things never get one name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::finding::{Class, Findings};
use super::secret::Variables;
use super::tree::{Cursor, looks_secret, pointer};
use crate::catalog;
use crate::spec::{AuthScheme, Credential, Provider, Spec};

/// The spec so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) spec: Spec,
    pub(super) findings: Findings,
    pub(super) variables: Variables,
    /// What each provider was added with, before credentials, limits and times were.
    bases: BTreeMap<String, (Provider, Option<String>)>,
    /// Names that clients write, which are for aliases.
    asked: BTreeSet<String>,
    /// The models that each credential was written for, by provider and name.
    written: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Draft {
    /// Lets a provider do without a key: a header for a key needs one.
    pub(super) fn keyless(&mut self, provider: &str) {
        let Some(it) = self.spec.providers.get_mut(provider) else { return };
        let preset = it.preset.as_deref().and_then(catalog::preset);
        if preset.is_some_and(|preset| matches!(preset.auth, AuthScheme::Header(_))) {
            it.auth = Some(AuthScheme::None);
        }
    }

    /// Keeps names that clients write for aliases: a provider is called something else, unless it is a preset.
    pub(super) fn reserve_names<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.asked.extend(names.map(str::to_owned));
    }

    /// Returns the name of the provider that is like this, adding it where there is none. `wishes` are what it would best be called, the
    /// best first. Providers of different scopes are never one, however alike they are.
    pub(super) fn provider(&mut self, wishes: &[&str], base: &Provider, scope: Option<&str>) -> String {
        if let Some((name, _)) = self.bases.iter().find(|(_, (known, of))| known == base && of.as_deref() == scope) {
            return name.clone();
        }
        let wishes: Vec<String> = wishes.iter().map(|wish| tidy_name(wish, "provider")).collect();
        let is_taken = |name: &str| self.bases.contains_key(name) || (self.asked.contains(name) && catalog::preset(name).is_none());
        let unused = wishes.iter().find(|wish| !is_taken(wish));
        let last = wishes.last().map_or("provider", String::as_str);
        let name = unused.cloned().unwrap_or_else(|| free(last, is_taken));
        self.bases.insert(name.clone(), (base.clone(), scope.map(str::to_owned)));
        self.spec.providers.insert(name.clone(), base.clone());
        name
    }

    /// Returns the name of the provider's credential that proves itself like this, adding it where there is none.
    pub(super) fn credential(&mut self, provider: &str, wish: &str, credential: Credential) -> String {
        let Some(known) = self.spec.providers.get_mut(provider).map(|it| &mut it.credentials) else { return String::new() };
        let proof = |it: &Credential| (it.secret.clone(), it.aws.clone(), it.google.clone());
        if let Some((name, _)) = known.iter().find(|(_, it)| proof(it) == proof(&credential)) {
            return name.clone();
        }
        let wish = if known.is_empty() { "default" } else { wish };
        let name = free(&tidy_name(wish, "key"), |name| known.contains_key(name));
        known.insert(name.clone(), credential);
        name
    }

    /// Adds a credential under a name of its own, however it proves itself. Returns the name.
    pub(super) fn named_credential(&mut self, provider: &str, wish: &str, credential: Credential) -> String {
        let Some(known) = self.spec.providers.get_mut(provider).map(|it| &mut it.credentials) else { return String::new() };
        let name = free(&tidy_name(wish, "key"), |name| known.contains_key(name));
        known.insert(name.clone(), credential);
        name
    }

    /// Notes that a credential is written for a model.
    pub(super) fn written_for(&mut self, provider: &str, credential: &str, model: &str) {
        self.written.entry((provider.to_owned(), credential.to_owned())).or_default().insert(model.to_owned());
    }

    /// Keeps the credentials of providers that have several to the models that each is written for.
    pub(super) fn keep_to_models(&mut self) {
        for ((provider, name), models) in &self.written {
            let several = self.spec.providers.get_mut(provider).filter(|it| it.credentials.len() > 1);
            if let Some(credential) = several.and_then(|it| it.credentials.get_mut(name)) {
                credential.models = models.iter().cloned().collect();
            }
        }
    }

    /// Returns a name that no rule has.
    pub(super) fn rule_name(&self, wish: &str) -> String {
        free(&tidy_name(wish, "rule"), |name| self.spec.rules.iter().any(|rule| rule.name == name))
    }

    /// Finishes the spec: a provider that bears its preset's name need not say which it is.
    pub(super) fn finish(mut self) -> (Spec, Findings) {
        self.spec.version = 1;
        for (name, provider) in &mut self.spec.providers {
            if provider.preset.as_ref() == Some(name) {
                provider.preset = None;
            }
        }
        (self.spec, self.findings)
    }
}

/// Makes a text a name: no white space, slash or star, nothing that is interpolated or may be a secret.
pub(super) fn tidy_name(text: &str, otherwise: &str) -> String {
    // What an interpolation gives is not known; the variable says what it is for.
    let text = &text.replace("${env:", "").replace('}', "");
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '*' | '?' | '$' | '{' | '}');
    let name: String = text.chars().map(|c| if is_bad(c) { '-' } else { c }).take(100).collect();
    let name = name.trim_matches('-');
    if name.is_empty() || looks_secret(name) { otherwise.to_owned() } else { name.to_owned() }
}

/// Returns the first name of a row that is free: the wish, then the wish with a number.
pub(super) fn free(wish: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2_u32..).map(|number| format!("{wish}-{number}"));
    std::iter::once(wish.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// Keeps a text from being interpolated.
pub(super) fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// Keeps the texts in a value from being interpolated.
pub(super) fn uninterpolated(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(literal(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(uninterpolated).collect()),
        Value::Object(members) => Value::Object(members.into_iter().map(|(name, it)| (name, uninterpolated(it))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Returns where something of the spec stands.
pub(super) fn at(members: &[&str]) -> Option<String> {
    Some(pointer(members))
}

/// What is to be told of values whose place in the spec has no name yet.
#[derive(Debug, Default)]
pub(super) struct Notes<'t>(Vec<(Class, Cursor<'t>, Vec<String>, String)>);

impl<'t> Notes<'t> {
    /// Notes that a value means the same below the place.
    pub(super) fn exact(&mut self, it: Cursor<'t>, below: &[&str]) {
        self.add(Class::Exact, it, below, "");
    }

    /// Notes that a value means nearly the same below the place.
    pub(super) fn approximate(&mut self, it: Cursor<'t>, below: &[&str], why: impl Into<String>) {
        self.add(Class::Approximate, it, below, why);
    }

    /// Notes what somebody must do below the place.
    pub(super) fn manual(&mut self, it: Cursor<'t>, below: &[&str], why: impl Into<String>) {
        self.add(Class::Manual, it, below, why);
    }

    fn add(&mut self, class: Class, it: Cursor<'t>, below: &[&str], why: impl Into<String>) {
        self.0.push((class, it, below.iter().map(|member| (*member).to_owned()).collect(), why.into()));
    }

    /// Tells it all, now that the place has a name.
    pub(super) fn tell(self, findings: &mut Findings, place: &[&str]) {
        for (class, it, below, why) in self.0 {
            let members: Vec<&str> = place.iter().copied().chain(below.iter().map(String::as_str)).collect();
            match class {
                Class::Exact => findings.exact(it, at(&members)),
                Class::Approximate => findings.approximate(it, at(&members), why),
                Class::Manual => findings.manual(it, at(&members), why),
                Class::Unsupported => findings.unsupported(it, why),
            }
        }
    }
}
