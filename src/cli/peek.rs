//! Where the gateway listens, as the spec says. It must work on a broken spec: that is when `status` matters most.
//!
//! Rule: what the loader says counts; only of a spec that it refuses is a glance taken at the files.

use std::path::PathBuf;

use serde_json::Value;

use super::admin::Endpoint;
use super::context::Context;
use super::exit::CommandError;
use crate::spec::{self, Admin, Disk, Files, Inputs, Spec};

/// Where the admin API listens when the spec does not say.
pub(crate) const DEFAULT_ADMIN: &str = "unix:.bifrost/admin.sock";
/// Where clients connect when the spec does not say.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Finds the admin API: `--endpoint`, `BIFROST_ENDPOINT`, what the spec names, the default.
///
/// # Errors
/// A usage error when the flag or the variable is not an endpoint.
pub(crate) fn endpoint(context: &Context<'_>) -> Result<Endpoint, CommandError> {
    if let Some(text) = &context.global.endpoint {
        return text.parse().map_err(|error| CommandError::usage(format!("--endpoint: {error}")));
    }
    if let Some(text) = context.io.variable("BIFROST_ENDPOINT") {
        return text.parse().map_err(|error| CommandError::usage(format!("BIFROST_ENDPOINT: {error}")));
    }
    let named = match loaded(context) {
        Some(spec) => spec.gateway.admin.map(|admin| match admin {
            Admin::Unix(text) => text,
            Admin::Tcp(tcp) => format!("http://{}", reachable(&tcp.listen)),
        }),
        None => match glance(&context.paths(), "/gateway/admin") {
            Some(Value::String(text)) => Some(text),
            Some(Value::Object(tcp)) => tcp.get("listen").and_then(Value::as_str).map(|listen| format!("http://{}", reachable(listen))),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => None,
        },
    };
    let text = named.unwrap_or_else(|| DEFAULT_ADMIN.to_owned());
    text.parse().map_err(|error| CommandError::usage(format!("gateway.admin in the spec: {error}")).hint("name it with --endpoint"))
}

/// Finds the URL that clients connect to, without a trailing slash: the spec's `gateway.listen`, or the default.
pub(crate) fn client_url(context: &Context<'_>) -> String {
    let (listen, tls) = match loaded(context) {
        Some(spec) => (spec.gateway.listen, spec.gateway.tls.is_some()),
        None => {
            let paths = context.paths();
            let listen = glance(&paths, "/gateway/listen").and_then(|listen| listen.as_str().map(ToOwned::to_owned));
            (listen, glance(&paths, "/gateway/tls").is_some())
        }
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", reachable(listen.as_deref().unwrap_or(DEFAULT_LISTEN)))
}

/// Loads the spec, with this environment; nothing when it is refused or not there.
fn loaded(context: &Context<'_>) -> Option<Spec> {
    let load = |files: &dyn Files, paths: &[PathBuf]| {
        spec::load(&Inputs { files, paths, env: &*context.io.env, strict_env: true }).ok().map(|loaded| loaded.spec)
    };
    match &context.source {
        Some(source) => load(&source.files, &source.paths),
        None => load(&Disk, &context.paths()),
    }
}

/// Turns an address that is listened on into one that can be dialled: any address is reached as this machine.
pub(crate) fn reachable(listen: &str) -> String {
    match listen.rsplit_once(':') {
        Some(("0.0.0.0" | "", port)) => format!("127.0.0.1:{port}"),
        Some(("[::]", port)) => format!("[::1]:{port}"),
        Some(_) | None => listen.to_owned(),
    }
}

/// Looks a value up in the last file that has it. A value that holds an interpolation is not known at a glance.
fn glance(paths: &[PathBuf], pointer: &str) -> Option<Value> {
    let found = paths.iter().rev().find_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        let value: Value = serde_yaml::from_str(&text).ok()?;
        value.pointer(pointer).filter(|value| !value.is_null()).cloned()
    })?;
    if found.to_string().contains("${") { None } else { Some(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_every_interface_is_dialled_on_this_machine() {
        for (listen, dialled) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            (":80", "127.0.0.1:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("gateway.local:80", "gateway.local:80"),
        ] {
            assert_eq!(reachable(listen), dialled);
        }
    }
}
