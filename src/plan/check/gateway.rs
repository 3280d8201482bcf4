//! Listeners: whether they can be opened, and who could reach them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::base::Span;
use crate::plan::codes;
use crate::plan::expr::KEY_CARRIERS;
use crate::plan::finding::{Findings, On, pointer};
use crate::plan::types::{Admin, AdminToken, Auth, Plan, RateLimits, SecretRef, State};
use crate::spec::{Diagnostic, Scope};

/// Longest path of a Unix socket. Linux takes 107 bytes, macOS 103; the gateway binds beside the path first and needs a few.
const SOCKET_PATH_BYTES: usize = 100;

/// Requests run for hours, and an attempt must not be forgotten before all know how it ended.
const SHORTEST_RETENTION: Span = Span::from_secs(86_400);

pub(super) fn check(found: &mut Findings<'_>, plan: &Plan) {
    if plan.gateway.retention < SHORTEST_RETENTION {
        let problem =
            Diagnostic::error(codes::RETENTION_SHORT, format!("lines of the book would be kept for only {}", plan.gateway.retention))
                .help("keep them for a day at least: `retention: 1d`");
        found.add(On::Value, pointer(&["gateway", "retention"]), problem);
    }
    for (place, name) in plan.telemetry.log_headers.iter().enumerate() {
        let is_carrier = KEY_CARRIERS.contains(&name.as_str());
        if is_carrier || http::HeaderName::try_from(name).is_err() {
            let why = if is_carrier { "carries a key or a session" } else { "is no name of a header" };
            let problem = Diagnostic::error(codes::LOG_HEADER_CARRIES_KEY, format!("the header {why}"))
                .help("name headers that say what a request is, such as those that rules look at");
            found.add(On::Value, pointer(&["telemetry", "log_headers", &place.to_string()]), problem);
        }
    }
    let clients = address(found, &["gateway", "listen"], &plan.gateway.listen);
    if let Some(clients) = clients {
        reach(found, plan.gateway.auth, clients);
    }
    replicas(found, plan);
    match &plan.gateway.admin {
        Admin::Unix(path) => socket(found, path),
        Admin::Tcp { listen, tokens, allow_plain_http } => {
            let admin = address(found, &["gateway", "admin", "listen"], listen);
            if let Some(admin) = admin.filter(|admin| !allow_plain_http && !admin.ip().to_canonical().is_loopback()) {
                found.add(On::Value, pointer(&["gateway", "admin", "listen"]), in_clear_text(admin, tokens));
            }
            if let (Some(clients), Some(admin)) = (clients, admin)
                && collide(clients, admin)
            {
                let problem = Diagnostic::error(codes::LISTEN_TWICE, format!("clients and the admin API would both listen on {admin}"))
                    .help("give the admin API a port of its own");
                let problem = match found.place(On::Value, "/gateway/listen") {
                    Some(first) => problem.related(first, "the listener for clients"),
                    None => problem,
                };
                found.add(On::Value, pointer(&["gateway", "admin", "listen"]), problem);
            }
        }
    }
}

/// What a lease may be, in seconds.
const LEASE_S: std::ops::RangeInclusive<u64> = 2..=600;

/// Whether several gateways that serve one spec keep one book.
fn replicas(found: &mut Findings<'_>, plan: &Plan) {
    let gateway = &plan.gateway;
    match &gateway.state {
        State::Directory(_) if gateway.replicas > 1 => {
            let problem = format!("{} gateways, each with a book of its own, would let every budget be spent {0} times", gateway.replicas);
            let help = "write `state: {postgres: {env: DATABASE_URL}}`, a PostgreSQL that they share, or `replicas: 1`";
            let problem = Diagnostic::error(codes::REPLICAS_APART, problem).help(help);
            found.add(On::Value, pointer(&["gateway", "replicas"]), problem);
        }
        State::Directory(_) => {}
        State::Shared(shared) => {
            if shared.postgres == SecretRef::None {
                let problem = Diagnostic::error(codes::STATE_SHARED, "`postgres: none` names no server")
                    .help("refer to its URL, such as `{env: DATABASE_URL}`; without a shared book, write `state: DIRECTORY`");
                found.add(On::Value, pointer(&["gateway", "state", "postgres"]), problem);
            }
            if shared.redis == Some(SecretRef::None) {
                let problem = Diagnostic::error(codes::STATE_SHARED, "`redis: none` names no server").help(
                    "refer to its URL, such as `{env: REDIS_URL}`, or leave it out: then each gateway keeps to its part of every limit",
                );
                found.add(On::Value, pointer(&["gateway", "state", "redis"]), problem);
            }
            if !LEASE_S.contains(&shared.lease.get().as_secs()) {
                let problem = Diagnostic::error(codes::STATE_SHARED, format!("a lease of {} does not work", shared.lease))
                    .help("write one from 2s to 10m; 10s is usual");
                found.add(On::Value, pointer(&["gateway", "state", "lease"]), problem);
            }
        }
    }
    let counts_together = matches!(&gateway.state, State::Shared(shared) if shared.redis.is_some());
    if gateway.replicas > 1 && has_limits(plan) && !counts_together {
        let problem =
            format!("each of {} gateways keeps to its part of every limit, however requests are spread over them", gateway.replicas);
        let help = "name a Redis on which they count together, `state: {postgres: …, redis: {env: REDIS_URL}}`, or spread requests evenly";
        found.add(On::Value, pointer(&["gateway", "replicas"]), Diagnostic::info(codes::LIMITS_APART, problem).help(help));
    }
}

fn has_limits(plan: &Plan) -> bool {
    let limits = plan.virtual_keys.values().map(|key| &key.limits);
    let limits = limits.chain(plan.teams.values().map(|team| &team.limits)).chain(plan.models.values().map(|model| &model.limits));
    let limits = limits.chain(plan.providers.values().map(|provider| &provider.limits));
    limits.into_iter().any(|limits| *limits != RateLimits::default())
}

/// Whoever reads a token that may apply can send every provider's key to a place of their own; what else is read is the spec.
fn in_clear_text(admin: SocketAddr, tokens: &BTreeMap<String, AdminToken>) -> Diagnostic {
    let elsewhere = "use `unix:PATH`, or a loopback address behind a tunnel or a proxy with TLS";
    match tokens.iter().find(|(_, token)| token.scopes.contains(&Scope::Apply)) {
        Some((name, _)) => {
            let problem = format!("the admin token `{name}`, which may replace the spec, would cross the network to {admin} in clear text");
            let help = format!("{elsewhere}; write `allow_plain_http: true` beside `listen` if something else protects the network");
            Diagnostic::error(codes::ADMIN_APPLY_PUBLIC, problem).help(help)
        }
        None => {
            let problem = format!("the admin API on {admin} is reachable from the network without TLS");
            Diagnostic::warning(codes::ADMIN_PUBLIC, problem).help(elsewhere)
        }
    }
}

fn address(found: &mut Findings<'_>, at: &[&str], text: &str) -> Option<SocketAddr> {
    let parsed = text.parse::<SocketAddr>().ok();
    if parsed.is_none() {
        let help = match text.rsplit_once(':') {
            Some(("", port)) if port.parse::<u16>().is_ok() => {
                format!("write `127.0.0.1:{port}` for this machine, `0.0.0.0:{port}` for all")
            }
            Some((host, port)) if host.eq_ignore_ascii_case("localhost") && port.parse::<u16>().is_ok() => {
                format!("write the address itself: `127.0.0.1:{port}`")
            }
            _ if text.parse::<IpAddr>().is_ok() => "add the port, such as `:8080`; an IPv6 address stands in brackets".to_owned(),
            _ => "write `IP:PORT`, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`".to_owned(),
        };
        let problem = Diagnostic::error(codes::LISTEN_INVALID, "the address to listen on is not `IP:PORT`").help(help);
        found.add(On::Value, pointer(at), problem);
    }
    parsed
}

/// Says who could call without a key.
fn reach(found: &mut Findings<'_>, auth: Auth, listen: SocketAddr) {
    if listen.ip().to_canonical().is_loopback() {
        return;
    }
    let problem = match auth {
        Auth::Required => return,
        Auth::Off => Diagnostic::error(codes::AUTH_OFF_PUBLIC, format!("`auth: off` on {listen}, which other machines can reach"))
            .help("write `auth: required`, or listen on 127.0.0.1"),
        Auth::Optional => {
            Diagnostic::warning(codes::AUTH_OPTIONAL_PUBLIC, format!("`auth: optional` on {listen}: other machines may call without a key"))
                .help("write `auth: required`, or listen on 127.0.0.1")
        }
    };
    found.add(On::Value, pointer(&["gateway", "auth"]), problem);
}

/// Returns whether the second address cannot be listened on beside the first. Port 0 is a free one of the system's choosing.
fn collide(first: SocketAddr, second: SocketAddr) -> bool {
    // `[::]` takes IPv4 as well, `0.0.0.0` does not take IPv6.
    let covers = |wide: IpAddr, other: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || other.is_ipv4());
    let (one, other) = (first.ip(), second.ip());
    first.port() != 0 && first.port() == second.port() && (one == other || covers(one, other) || covers(other, one))
}

fn socket(found: &mut Findings<'_>, path: &str) {
    let written = found.loaded.value.pointer("/gateway/admin").and_then(serde_json::Value::as_str);
    let problem = if written.is_some_and(|text| !text.starts_with("unix:")) {
        "the admin listener is neither `unix:PATH` nor an address with tokens".to_owned()
    } else if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        "the admin socket's path names no file".to_owned()
    } else if path.len() > SOCKET_PATH_BYTES {
        format!("the admin socket's path is {} bytes long, {SOCKET_PATH_BYTES} are possible", path.len())
    } else {
        return;
    };
    let problem =
        Diagnostic::error(codes::ADMIN_SOCKET, problem).help("write `unix:PATH` with a short path, such as `unix:.bifrost/admin.sock`");
    found.add(On::Value, pointer(&["gateway", "admin"]), problem);
}
