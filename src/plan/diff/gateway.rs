//! Process settings and telemetry.

use std::net::SocketAddr;

use serde_json::Value;

use super::changes::{Changes, Entry, Meaning, Pair, Sides, json_of};
use super::pattern::edits;
use super::place::Place;
use super::{Risk, shown};
use crate::plan::types::{AccessLog, Admin, AdminToken, Auth, Gateway, Limits, MetricsOn, Scope, State, Telemetry, Tls};

pub(super) fn gateway(out: &mut Changes<'_>, base: &Gateway, new: &Gateway) {
    let place = Place::section("gateway");
    let Gateway { listen, admin, state, replicas, auth, tls, limits, drain, retention } = base;
    out.field(place.member("listen"), listen, &new.listen, || listener(listen, &new.listen));
    self::admin(out, &place.member("admin"), admin, &new.admin);
    out.field(place.member("state"), state, &new.state, || moved(state, &new.state));
    out.field(place.member("replicas"), replicas, &new.replicas, || Meaning::plain(Risk::Low));
    out.field(place.member("auth"), auth, &new.auth, || authentication(*auth, new.auth));
    self::tls(out, &place.member("tls"), tls.as_ref(), new.tls.as_ref());
    self::limits(out, &place.member("limits"), limits, &new.limits);
    out.field(place.member("drain"), drain, &new.drain, || {
        let when = if new.drain < *drain { "earlier" } else { "later" };
        Meaning::low(format!("requests that still run at shutdown are cut {when}"))
    });
    out.field(place.member("retention"), retention, &new.retention, || match new.retention < *retention {
        true => Meaning::high("older lines of the book are gone for good; what each account spent is not"),
        false => Meaning::low("lines of the book are kept for longer"),
    });
}

/// Says what stays behind where the state moves.
fn moved(base: &State, new: &State) -> Meaning {
    match (base, new) {
        (State::Directory(_), State::Directory(_)) => {
            Meaning::medium("the history of revisions stays in the old directory; the gateway starts without one")
        }
        (State::Shared(base), State::Shared(new)) if (&base.postgres, &base.schema) == (&new.postgres, &new.schema) => {
            Meaning::medium("how gateways share their book and their limits changes; what is spent stays")
        }
        (State::Directory(_) | State::Shared(_), State::Directory(_) | State::Shared(_)) => {
            Meaning::high("what was spent so far stays in the old book: every budget begins anew")
        }
    }
}

fn listener(base: &str, new: &str) -> Meaning {
    match (is_loopback(base), is_loopback(new)) {
        (true, false) => Meaning::high("other machines can reach the gateway"),
        (false, true) => Meaning::high("clients on other machines can no longer connect"),
        (true, true) | (false, false) => Meaning::high("clients that use the old address can no longer connect"),
    }
}

/// Returns whether only this machine reaches an address. What does not parse counts as public.
fn is_loopback(address: &str) -> bool {
    address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}

fn authentication(base: Auth, new: Auth) -> Meaning {
    match (base, new) {
        (Auth::Required, Auth::Optional) => Meaning::high("requests without a key are served, with every alias"),
        (Auth::Required | Auth::Optional, Auth::Off) => {
            Meaning::high("keys are no longer looked at: wrong and revoked ones are served too")
        }
        (Auth::Optional | Auth::Off, Auth::Required) => Meaning::high("requests without a key get 401"),
        (Auth::Off, Auth::Optional) => Meaning::medium("requests with a wrong key get 401, and those without one for more than an alias"),
        (Auth::Required, Auth::Required) | (Auth::Optional, Auth::Optional) | (Auth::Off, Auth::Off) => Meaning::plain(Risk::None),
    }
}

fn tls(out: &mut Changes<'_>, place: &Place, base: Option<&Tls>, new: Option<&Tls>) {
    match (base, new) {
        (Some(base), Some(new)) => {
            let Tls { cert, key } = base;
            let read = || Meaning::medium("clients are shown what that file holds; check that it is valid for the name they use");
            out.field(place.member("cert"), cert, &new.cert, read);
            out.field(place.member("key"), key, &new.key, read);
        }
        (Some(base), None) => out.removed(
            place.clone(),
            json_of(base),
            Meaning::high("prompts and keys cross the network in clear text; clients that speak https can no longer connect"),
        ),
        (None, Some(new)) => out.added(place.clone(), json_of(new), Meaning::high("clients that speak plain http can no longer connect")),
        (None, None) => {}
    }
}

fn limits(out: &mut Changes<'_>, place: &Place, base: &Limits, new: &Limits) {
    let Limits { body, in_flight, queue, connections, memory } = base;
    out.field(place.member("body"), body, &new.body, || cap(new.body < *body, "larger request bodies get 413"));
    out.field(place.member("in_flight"), in_flight, &new.in_flight, || cap(new.in_flight < *in_flight, "more requests at once get 503"));
    out.field(place.member("queue"), queue, &new.queue, || cap(new.queue < *queue, "requests that find every target taken get 503 sooner"));
    out.field(place.member("connections"), connections, &new.connections, || {
        cap(new.connections < *connections, "more connections at once are not accepted")
    });
    out.field(place.member("memory"), memory, &new.memory, || match (memory, new.memory) {
        (_, None) => Meaning::low("what the control group allows counts"),
        (before, Some(after)) => cap(before.is_none_or(|before| after < before), "requests get 503 when the process uses nearly as much"),
    });
}

fn cap(is_lower: bool, consequence: &str) -> Meaning {
    if is_lower { Meaning::medium(consequence) } else { Meaning::plain(Risk::Low) }
}

fn admin(out: &mut Changes<'_>, place: &Place, base: &Admin, new: &Admin) {
    match (base, new) {
        (Admin::Unix(base), Admin::Unix(new)) => out.field(place.hidden("unix"), base, new, || {
            Meaning::medium("commands that are given the old socket no longer find the gateway")
        }),
        (
            Admin::Tcp { listen, tokens, allow_plain_http },
            Admin::Tcp { listen: new_listen, tokens: new_tokens, allow_plain_http: allowed },
        ) => {
            let place = place.hidden("tcp");
            out.field(place.member("listen"), listen, new_listen, || admin_listener(listen, new_listen));
            out.field(place.member("allow_plain_http"), allow_plain_http, allowed, || match allowed {
                true => Meaning::high("whoever reads the traffic may learn a token that replaces the whole spec"),
                false => Meaning::low("tokens that may apply are for loopback only"),
            });
            out.entries(&place.member("tokens"), tokens, new_tokens);
        }
        (Admin::Unix(path), Admin::Tcp { listen, tokens, allow_plain_http }) => {
            let who = if is_loopback(listen) { "this machine" } else { "the network" };
            let names = shown::names(tokens.keys().map(String::as_str));
            let meaning = Meaning::high(format!("whoever holds a token ({names}) can reach the admin API from {who}"));
            let after = tcp(listen, tokens, *allow_plain_http);
            out.changed(place.clone(), json_of(base), after, meaning.saying(format!("unix {path} → tcp {listen}")));
        }
        (Admin::Tcp { listen, tokens, allow_plain_http }, Admin::Unix(path)) => {
            let meaning = Meaning::medium("only this user on this machine can reach the admin API; tokens are no longer accepted");
            let before = tcp(listen, tokens, *allow_plain_http);
            out.changed(place.clone(), before, json_of(new), meaning.saying(format!("tcp {listen} → unix {path}")));
        }
    }
}

fn tcp(listen: &str, tokens: &std::collections::BTreeMap<String, AdminToken>, allow_plain_http: bool) -> Value {
    let tokens: Value = tokens.iter().map(|(name, token)| (name.clone(), token.shown())).collect();
    serde_json::json!({"tcp": {"listen": listen, "tokens": tokens, "allow_plain_http": allow_plain_http}})
}

fn admin_listener(base: &str, new: &str) -> Meaning {
    if is_loopback(base) && !is_loopback(new) {
        return Meaning::high("other machines can reach the admin API");
    }
    Meaning::medium("commands that are given the old address no longer find the gateway")
}

impl Entry for AdminToken {
    fn added(&self, _: Sides<'_>, _: &str) -> Meaning {
        if self.scopes.contains(&Scope::Apply) {
            return Meaning::high("its holder can replace the whole spec");
        }
        Meaning::medium("its holder can read the spec, the status and the metrics")
    }

    fn removed(&self, _: Sides<'_>, _: &str) -> Meaning {
        Meaning::medium("its holder gets 401 from the admin API")
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        let Self { sha256, scopes } = pair.base;
        if *sha256 != pair.new.sha256 {
            let meaning = Meaning::medium("the old token gets 401 from the admin API").saying("replaced without overlap");
            let [before, after] = [sha256, &pair.new.sha256].map(|digest| Value::from(digest.short()));
            out.changed(place.member("sha256"), before, after, meaning);
        }
        out.field(place.member("scopes"), scopes, &pair.new.scopes, || {
            let words = |scopes: Vec<&Scope>| scopes.into_iter().map(|scope| scope_word(*scope)).collect::<Vec<_>>();
            let summary =
                edits(&words(pair.new.scopes.difference(scopes).collect()), &words(scopes.difference(&pair.new.scopes).collect()));
            let meaning = if pair.new.scopes.contains(&Scope::Apply) && !scopes.contains(&Scope::Apply) {
                Meaning::high("its holder can replace the whole spec")
            } else {
                Meaning::medium("its holder gets 403 for what it may no longer do")
            };
            meaning.saying(summary)
        });
    }

    fn shown(&self) -> Value {
        serde_json::json!({"sha256": self.sha256.short(), "scopes": self.scopes})
    }
}

const fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Apply => "apply",
    }
}

pub(super) fn telemetry(out: &mut Changes<'_>, base: &Telemetry, new: &Telemetry) {
    let place = Place::section("telemetry");
    let Telemetry { access_log, log_headers, metrics, alert_webhook } = base;
    out.field(place.member("access_log"), access_log, &new.access_log, || match &new.access_log {
        AccessLog::Off => Meaning::medium("requests leave no line in any log"),
        AccessLog::Stdout | AccessLog::Stderr | AccessLog::File(_) => Meaning::low("whoever collects the old log gets nothing more"),
    });
    out.field(place.member("log_headers"), log_headers, &new.log_headers, || {
        match new.log_headers.iter().any(|name| !log_headers.contains(name)) {
            true => Meaning::medium("what clients send in these headers is written into the log"),
            false => Meaning::low("fewer headers are written into the log"),
        }
    });
    out.field(place.member("alert_webhook"), alert_webhook, &new.alert_webhook, || match new.alert_webhook {
        Some(_) => Meaning::medium("alerts of budgets, with their names and amounts, go there"),
        None => Meaning::medium("alerts of budgets go to the log and the metrics alone"),
    });
    let is_public = !is_loopback(&out.sides.new.gateway.listen);
    out.field(place.member("metrics"), metrics, &new.metrics, || match new.metrics {
        MetricsOn::Gateway if is_public => Meaning::high("whoever reaches the client listener reads the metrics without a key"),
        MetricsOn::Gateway => Meaning::medium("local users read the metrics without a key"),
        MetricsOn::Admin => Meaning::medium("scrapers of the client listener get 404"),
    });
}
