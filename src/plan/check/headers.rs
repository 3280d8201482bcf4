//! Headers that a provider's requests carry: their names, their values, and the one that carries the credential.

use http::{HeaderName, HeaderValue};

use super::templates::{self, Place, Reach, Text, Use};
use crate::base::is_hop_by_hop;
use crate::plan::codes;
use crate::plan::expr::Template;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{AuthScheme, Plan};
use crate::spec::Diagnostic;

/// Headers that say how the body is written. An answer that was compressed at a header's request could not be read for its usage.
const FRAMING: [&str; 2] = ["content-encoding", "accept-encoding"];

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    let loaded = found.loaded;
    for (name, provider) in &plan.providers {
        let credential = match &provider.auth {
            AuthScheme::Header(header) => {
                credential_header(found, name, header);
                header.as_str()
            }
            AuthScheme::Bearer | AuthScheme::None => "authorization",
        };
        let Some(written) = loaded.spec.providers.get(name).map(|spec| &spec.headers) else { continue };
        let mut reach = None;
        for (header, value) in written {
            let at = pointer(&["providers", name, "headers", header]);
            if let Some(problem) = refused(name, header, credential) {
                found.add(On::Key, at.clone(), problem);
            }
            let who = format!("header `{header}` of provider `{name}`");
            if Template::is_plain(value) {
                if let Some((code, what)) = judge(value) {
                    found.add(On::Value, at, Diagnostic::error(code, format!("{who} {what}")).help("write it on one line"));
                }
            } else {
                let text = Text { place: Place::Value(at), who, source: value };
                let reach = reach.get_or_insert_with(|| Reach::of(plan, Use::Provider(name)));
                templates::check(found, &text, reach, |output| judge(output.trim()));
            }
        }
    }
}

/// Checks the header that carries the credential.
fn credential_header(found: &mut Findings<'_>, provider: &str, header: &str) {
    let problem = match header.parse::<HeaderName>() {
        Err(_) => Diagnostic::error(codes::HEADER_INVALID, format!("provider `{provider}`: `auth.header` is not the name of a header"))
            .help("write a name such as `x-api-key`"),
        Ok(name) if is_hop_by_hop(&name) => {
            let problem = format!("provider `{provider}`: header `{header}` belongs to the connection and cannot carry a credential");
            Diagnostic::error(codes::HEADER_FORBIDDEN, problem).help("write a name such as `x-api-key`")
        }
        Ok(_) => return,
    };
    found.add(On::Value, pointer(&["providers", provider, "auth", "header"]), problem);
}

fn refused(provider: &str, header: &str, credential: &str) -> Option<Diagnostic> {
    let Ok(name) = header.parse::<HeaderName>() else {
        let problem = format!("provider `{provider}`: `{}` is not the name of a header", header.escape_debug());
        return Some(Diagnostic::error(codes::HEADER_INVALID, problem).help("a name is made of letters, digits and `-`"));
    };
    let why = if is_hop_by_hop(&name) {
        "belongs to the connection"
    } else if FRAMING.contains(&name.as_str()) {
        "says how the body is written"
    } else if name.as_str() == credential || name.as_str() == "authorization" {
        "carries the credential"
    } else {
        return None;
    };
    let problem = Diagnostic::error(codes::HEADER_FORBIDDEN, format!("provider `{provider}` may not set header `{header}`, which {why}"));
    Some(if why == "carries the credential" {
        problem.help("keep the key under `credentials`; `auth` says which header carries it")
    } else {
        problem.help("remove it; the gateway sets it itself")
    })
}

fn judge(value: &str) -> Option<(&'static str, &'static str)> {
    HeaderValue::from_bytes(value.as_bytes()).is_err().then_some((codes::HEADER_INVALID, "holds a line break or another control character"))
}
