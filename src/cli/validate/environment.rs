//! Level `env`: what the spec refers to can be read on this machine. Values are looked at for being usable, and no further.

use std::path::Path;

use crate::cli::codes::SECRET_ABSENT;
use crate::cli::findings::pointer;
use crate::cli::input::Checked;
use crate::control::codes::CANNOT_RUN;
use crate::provider::{Clients, Signers, World};
use crate::server::Acceptor;
use crate::spec::{Diagnostic, Environment};

/// Tries every secret and the certificate, as a start of the gateway would.
pub(super) fn look(checked: &Checked, env: &dyn Environment, base_dir: &Path) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut add = |pointer: String, diagnostic: Diagnostic| {
        found.push(diagnostic.at(checked.loaded.spans.value(&pointer)).pointer(pointer));
    };
    // Clients that are never used: nobody is called to find out what is on this machine.
    let (signers, clients) = (Signers::default(), Clients::default());
    let world = World { env, base_dir, clients: &clients };
    for (provider, spec) in &checked.plan.providers {
        for (name, credential) in &spec.credentials {
            let Err(error) = signers.get(spec, &credential.proof, world) else { continue };
            let text = error.to_string();
            let (message, help) = text.split_once("; ").unwrap_or((&text, ""));
            let diagnostic = if credential.optional && error.is_absent() {
                let message = format!("{message}: `{provider}` runs without credential `{name}`");
                Diagnostic::info(SECRET_ABSENT, message)
            } else {
                Diagnostic::error(CANNOT_RUN, message).help(help)
            };
            add(pointer(&["providers", provider, "credentials", name]) + error.place, diagnostic);
        }
    }
    if let Some(tls) = &checked.plan.gateway.tls
        && let Err(error) = Acceptor::from_pem_files(&base_dir.join(&tls.cert), &base_dir.join(&tls.key))
    {
        add(pointer(&["gateway", "tls"]), Diagnostic::error(CANNOT_RUN, error.to_string()));
    }
    found
}
