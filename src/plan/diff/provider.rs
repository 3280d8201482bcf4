//! Providers.

use super::access;
use super::changes::{Changes, Entry, Meaning, Pair, Sides};
use super::limits::{Stops, limits};
use super::place::Place;
use super::{Action, Risk, shown};
use crate::plan::types::{AuthScheme, Concurrency, Provider, Quirks, Retries, Timeouts};

impl Entry for Provider {
    fn added(&self, sides: Sides<'_>, name: &str) -> Meaning {
        match access::users_of_provider(sides.new, name).as_slice() {
            [] => Meaning::low("nothing uses it yet"),
            users => Meaning::low(format!("used by {}", access::phrase(users))),
        }
    }

    fn removed(&self, sides: Sides<'_>, name: &str) -> Meaning {
        match access::users_of_provider(sides.base, name).as_slice() {
            [] => Meaning::low("nothing used it"),
            users => Meaning::high(format!("was used by {}", access::phrase(users))),
        }
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        let Self {
            preset,
            api,
            base_url,
            allow_plain_http,
            region,
            project,
            location,
            api_version,
            auth,
            credentials,
            quirks,
            timeouts,
            retries,
            headers,
            capacity,
            limits,
            health_check,
            concurrency,
        } = pair.base;
        let new = pair.new;
        out.field(place.member("preset"), preset, &new.preset, || Meaning::low("what the preset changes is listed as changes of its own"));
        out.field(place.member("api"), api, &new.api, || Meaning::high("requests are sent in another format"));
        out.field(place.member("base_url"), base_url, &new.base_url, || destination(base_url, &new.base_url));
        out.field(place.member("allow_plain_http"), allow_plain_http, &new.allow_plain_http, || match new.allow_plain_http {
            true => Meaning::high("prompts and keys may cross the network in clear text"),
            false => Meaning::low("plain http to another machine is warned of, or refused"),
        });
        out.field(place.member("region"), region, &new.region, || {
            Meaning::high("prompts go to another region, where models and rights differ")
        });
        out.field(place.member("project"), project, &new.project, || {
            Meaning::high("another project is asked and billed, with other rights")
        });
        out.field(place.member("location"), location, &new.location, || {
            Meaning::high("prompts go to another location, where models and rights differ")
        });
        out.field(place.member("api_version"), api_version, &new.api_version, || {
            Meaning::medium("the provider takes and gives other members")
        });
        out.field(place.member("auth"), auth, &new.auth, || signed(&new.auth));
        out.entries(&place.member("credentials"), credentials, &new.credentials);
        self::quirks(out, &place.member("quirks"), quirks, &new.quirks);
        self::timeouts(out, &place.member("timeouts"), timeouts, &new.timeouts);
        self::retries(out, &place.member("retries"), retries, &new.retries);
        out.members(&place.member("headers"), headers, &new.headers, |action, name| match action {
            Action::Added => Meaning::low("sent with every request to this provider"),
            Action::Removed => Meaning::medium(format!("requests go without {}, which the provider may need", shown::name(name))),
            Action::Changed => Meaning::medium("the provider is told something else"),
        });
        out.members(&place.member("capacity"), capacity, &new.capacity, |action, name| match action {
            Action::Added | Action::Changed => Meaning::medium(format!("strict budgets reserve at most this for {}", shown::name(name))),
            Action::Removed => Meaning::medium(format!("what fits into {} is what the catalogue knows, if anything", shown::name(name))),
        });
        self::limits(out, &place.member("limits"), (limits, &new.limits), Stops::Provider);
        out.field(place.member("health_check"), health_check, &new.health_check, || checked(new.health_check.is_some()));
        out.field(place.member("concurrency"), concurrency, &new.concurrency, || at_once(*concurrency, new.concurrency));
    }
}

fn at_once(base: Option<Concurrency>, new: Option<Concurrency>) -> Meaning {
    match (base, new) {
        (_, None) => Meaning::medium("nothing limits any longer how many requests it gets at once"),
        (Some(base), Some(new)) if new.min >= base.min && new.max >= base.max => Meaning::low("more requests may run at once"),
        (None | Some(_), Some(_)) => {
            Meaning::medium("requests beyond so many at once, with one credential at one model, go to others or wait")
        }
    }
}

fn signed(auth: &AuthScheme) -> Meaning {
    match auth {
        AuthScheme::None => Meaning::high("requests are sent without a credential"),
        AuthScheme::Bearer | AuthScheme::Header(_) => {
            Meaning::medium("the provider refuses every request if it looks for the credential elsewhere")
        }
    }
}

fn checked(is_checked: bool) -> Meaning {
    Meaning::low(match is_checked {
        true => "the provider is asked now and then whether it is there",
        false => "only requests find out whether the provider is there",
    })
}

fn destination(base: &str, new: &str) -> Meaning {
    let (old_scheme, old_host) = scheme_and_host(base);
    let (scheme, host) = scheme_and_host(new);
    if old_scheme == "https" && scheme == "http" {
        return Meaning::high(format!("prompts and keys go to {} in clear text", shown::name(host)));
    }
    if (old_scheme, old_host) != (scheme, host) {
        return Meaning::high(format!("prompts and keys go to {} instead of {}", shown::name(host), shown::name(old_host)));
    }
    Meaning::medium("the same host is asked under another path")
}

fn scheme_and_host(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, url));
    (scheme, rest.split('/').next().unwrap_or(rest))
}

fn quirks(out: &mut Changes<'_>, place: &Place, base: &Quirks, new: &Quirks) {
    let Quirks {
        max_tokens_field,
        stream_options,
        done_marker,
        responses,
        developer_role,
        reasoning_field,
        cache_marks,
        top_k,
        rerank,
        tool_call_ids,
        refuses,
    } = base;
    out.field(place.member("max_tokens_field"), max_tokens_field, &new.max_tokens_field, || {
        Meaning::medium("a server that does not know the name ignores the output limit or refuses the request")
    });
    out.field(place.member("stream_options"), stream_options, &new.stream_options, || {
        Meaning::medium(if new.stream_options {
            "streams are asked for their usage, which some servers refuse"
        } else {
            "the usage of streams is known only where the client asks for it"
        })
    });
    out.field(place.member("done_marker"), done_marker, &new.done_marker, || {
        Meaning::medium(if new.done_marker {
            "a stream that ends without `[DONE]` counts as cut"
        } else {
            "a stream need not end with `[DONE]`, so that a cut one is harder to tell"
        })
    });
    out.field(place.member("responses"), responses, &new.responses, || {
        Meaning::medium(if new.responses {
            "requests for `/responses` pass as they are, which a server without it refuses"
        } else {
            "requests for `/responses` are translated, so that what only the server keeps is lost"
        })
    });
    let translated = || Meaning::medium("translated requests are written another way, which the server may refuse");
    out.field(place.member("developer_role"), developer_role, &new.developer_role, translated);
    out.field(place.member("reasoning_field"), reasoning_field, &new.reasoning_field, translated);
    out.field(place.member("cache_marks"), cache_marks, &new.cache_marks, translated);
    out.field(place.member("top_k"), top_k, &new.top_k, translated);
    out.field(place.member("rerank"), rerank, &new.rerank, translated);
    out.field(place.member("tool_call_ids"), tool_call_ids, &new.tool_call_ids, translated);
    out.field(place.member("refuses"), refuses, &new.refuses, || {
        Meaning::medium("other members of chats are left out, which changes answers, or sent, which the server may refuse")
    });
}

fn timeouts(out: &mut Changes<'_>, place: &Place, base: &Timeouts, new: &Timeouts) {
    let Timeouts { connect, first_byte, first_content, idle, total } = base;
    let fields = [
        ("connect", connect, &new.connect),
        ("first_byte", first_byte, &new.first_byte),
        ("first_content", first_content, &new.first_content),
        ("idle", idle, &new.idle),
        ("total", total, &new.total),
    ];
    for (name, base, new) in fields {
        out.field(place.member(name), base, new, || {
            if new < base { Meaning::low("slower answers fail") } else { Meaning::low("failures are noticed later") }
        });
    }
}

fn retries(out: &mut Changes<'_>, place: &Place, base: &Retries, new: &Retries) {
    let Retries { max, only_if_failed_within, backoff } = base;
    out.field(place.member("max"), max, &new.max, || Meaning::plain(Risk::Low));
    out.field(place.member("only_if_failed_within"), only_if_failed_within, &new.only_if_failed_within, || Meaning::plain(Risk::Low));
    out.field(place.member("backoff"), backoff, &new.backoff, || Meaning::plain(Risk::Low));
}
