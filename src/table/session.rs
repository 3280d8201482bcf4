//! What tells the session of a request from others, where an alias keeps sessions together.

use http::HeaderMap;

use super::entry::{Alias, Key};
use super::order::name_hash;
use crate::plan::Sticky;
use crate::wire::edit::Object;

/// Members that name the user, or what of a prompt is cached for whom, in the dialects that clients speak.
const USER: [&str; 3] = ["user", "safety_identifier", "prompt_cache_key"];

/// Returns a number for the session of a request; none where the alias keeps none, or the request says none. Sessions of different keys differ,
/// whatever they are called.
pub fn session(alias: &Alias, key: Option<&Key>, headers: &HeaderMap, body: Option<&Object<'_>>) -> Option<u64> {
    let value = match alias.spec.sticky.as_ref()? {
        Sticky::Header(name) => headers.get(name)?.to_str().ok()?.to_owned(),
        Sticky::User => {
            let body = body?;
            let of_metadata = || Object::scan(body.get("metadata")?).ok()?.string("user_id").map(Into::into);
            USER.iter().find_map(|name| body.string(name).map(Into::into)).or_else(of_metadata)?
        }
    };
    (!value.is_empty()).then(|| name_hash(key.map_or("", |key| &key.name), &value))
}
