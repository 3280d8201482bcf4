//! Credentials: how they prove themselves, and what they are used for.

use super::changes::{Changes, Entry, Meaning, Pair, Sides, json_of};
use super::pattern::{Patterns, is_unbounded};
use super::place::Place;
use super::{Risk, shown};
use crate::plan::types::{Aws, Credential, Google, Proof, SecretRef, WebIdentity};

impl Entry for Credential {
    fn added(&self, _: Sides<'_>, _: &str) -> Meaning {
        if self.optional {
            return Meaning::low("takes a share of the traffic where its secret is set");
        }
        Meaning::low("takes a share of the traffic; without its secret the gateway refuses the spec")
    }

    fn removed(&self, _: Sides<'_>, _: &str) -> Meaning {
        Meaning::medium("its share of the traffic moves to the provider's other credentials")
    }

    fn compare(out: &mut Changes<'_>, place: &Place, pair: Pair<'_, Self>) {
        let Self { proof, weight, models, optional } = pair.base;
        let new = pair.new;
        self::proof(out, place, proof, &new.proof);
        out.field(place.member("weight"), weight, &new.weight, || Meaning::plain(Risk::Low));
        let found = Patterns::compare(models, &new.models);
        if !found.is_same() {
            let meaning = if is_unbounded(models) && !is_unbounded(&new.models) {
                Meaning::medium(format!("used only for {}", shown::names(new.models.iter().map(String::as_str))))
            } else if found.lost.is_empty() {
                Meaning::low("used for more models")
            } else {
                Meaning::medium(format!("no longer used for {}", shown::names(found.lost.iter().copied())))
            };
            let summary = found.summary();
            out.changed(place.member("models"), models.clone().into(), new.models.clone().into(), meaning.saying(summary));
        }
        out.field(place.member("optional"), optional, &new.optional, || {
            if new.optional {
                Meaning::medium("an unset secret takes the credential out instead of refusing the spec")
            } else {
                Meaning::low("an unset secret refuses the spec instead of taking the credential out")
            }
        });
    }
}

const OTHER_SECRET: &str = "requests carry another secret, which the gateway must find before it takes the spec";

fn proof(out: &mut Changes<'_>, place: &Place, base: &Proof, new: &Proof) {
    match (base, new) {
        (Proof::Secret(base), Proof::Secret(new)) => out.field(place.member("secret"), base, new, || match new {
            SecretRef::None => Meaning::high("requests are sent without a key"),
            SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Cred(_) => Meaning::medium(OTHER_SECRET),
        }),
        (Proof::Aws(base), Proof::Aws(new)) => aws(out, &place.member("aws"), base, new),
        (Proof::Google(base), Proof::Google(new)) => google(out, &place.member("google"), base, new),
        (Proof::Secret(_) | Proof::Aws(_) | Proof::Google(_), _) => {
            let gone = Meaning::medium("requests prove themselves in another way, for which the provider must be prepared");
            out.removed(place.member(base.member()), base.value(), gone.saying(format!("removed: {}", base.needs())));
            let come = Meaning::medium("the gateway must find it before it takes the spec");
            out.added(place.member(new.member()), new.value(), come.saying(format!("added: {}", new.needs())));
        }
    }
}

const OTHER_ACCOUNT: &str = "requests are made for whoever the new keys belong to, with other rights and another bill";

fn aws(out: &mut Changes<'_>, place: &Place, base: &Aws, new: &Aws) {
    if let (
        Aws::Keys { access_key_id, secret_access_key, session_token },
        Aws::Keys { access_key_id: new_id, secret_access_key: new_secret, session_token: new_token },
    ) = (base, new)
    {
        out.field(place.member("access_key_id"), access_key_id, new_id, || Meaning::medium(OTHER_SECRET));
        out.field(place.member("secret_access_key"), secret_access_key, new_secret, || Meaning::medium(OTHER_SECRET));
        out.field(place.member("session_token"), session_token, new_token, || Meaning::medium(OTHER_SECRET));
    } else if let (Aws::WebIdentity { web_identity: base }, Aws::WebIdentity { web_identity: new }) = (base, new) {
        web_identity(out, &place.member("web_identity"), base, new);
    } else if base != new {
        let (before, after) = (Proof::Aws(base.clone()).needs(), Proof::Aws(new.clone()).needs());
        out.changed(place.clone(), json_of(base), json_of(new), Meaning::medium(OTHER_ACCOUNT).saying(format!("{before} → {after}")));
    }
}

fn web_identity(out: &mut Changes<'_>, place: &Place, base: &WebIdentity, new: &WebIdentity) {
    let WebIdentity { role_arn, token_file, session_name, sts_url } = base;
    out.field(place.member("role_arn"), role_arn, &new.role_arn, || Meaning::medium(OTHER_ACCOUNT));
    out.field(place.member("token_file"), token_file, &new.token_file, || Meaning::medium(OTHER_SECRET));
    out.field(place.member("session_name"), session_name, &new.session_name, || Meaning::low("AWS's logs show another name"));
    out.field(place.member("sts_url"), sts_url, &new.sts_url, || Meaning::high("the token goes to another service, which gives the keys"));
}

fn google(out: &mut Changes<'_>, place: &Place, base: &Google, new: &Google) {
    match (base, new) {
        (Google::KeyFile { service_account: base }, Google::KeyFile { service_account: new }) => {
            out.field(place.member("service_account"), base, new, || Meaning::medium(OTHER_ACCOUNT));
        }
        (base, new) if base == new => {}
        (Google::KeyFile { .. } | Google::Environment(_), _) => {
            let (before, after) = (Proof::Google(base.clone()).needs(), Proof::Google(new.clone()).needs());
            let meaning = Meaning::medium(OTHER_ACCOUNT).saying(format!("{before} → {after}"));
            out.changed(place.clone(), json_of(base), json_of(new), meaning);
        }
    }
}
