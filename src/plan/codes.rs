//! The stable codes of the semantic checks, each with what `validate --explain` says.
//!
//! Rule: a code never changes its meaning and is never used again for another one. BF01xx belongs to the loader.

pub use crate::spec::codes::Code;
use crate::spec::codes::codes;

/// Returns the explanation of one of this module's codes.
pub fn explain(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}

codes! {
    UNKNOWN_PRESET "BF0201" "unknown preset"
        "`preset:` names a provider that the catalogue does not know. A server without a preset needs `api: openai-chat` and a `base_url` instead."
    PROVIDER_UNDEFINED "BF0202" "provider is neither a preset nor described"
        "A provider whose name is no preset must say what it is: either `preset: NAME`, or `api: openai-chat` with `base_url`."
    BASE_URL_MISSING "BF0203" "base_url is missing"
        "Every installation of this provider has its own address, so the spec must give `base_url`, up to and with the API's version."
    BASE_URL_INVALID "BF0204" "base_url is not usable"
        "`base_url` is an absolute http or https URL without user name, query or fragment: the gateway appends paths such as `/chat/completions` to it. Keys belong in `credentials`, never in the URL."
    PLAIN_HTTP "BF0205" "plain http to another machine"
        "Prompts, and keys if there are any, would cross the network in clear text. Use https, or a proxy on the same machine. Where the network is protected by something else, write `allow_plain_http: true` in the provider."
    PROVIDER_UNUSED "BF0206" "provider is not used"
        "No alias, rule or key can reach this provider. Remove it, add it to an alias, or let a key use `provider/*`."
    UNKNOWN_PROVIDER "BF0207" "unknown provider"
        "A target, written `provider/model`, names a provider that `providers` does not hold."
    UNKNOWN_ALIAS "BF0208" "unknown alias"
        "A fallback chain or a rule names an alias that `models` does not hold. An upstream model is written `provider/model`."
    UNKNOWN_TEAM "BF0209" "unknown team"
        "A virtual key belongs to a team that `teams` does not hold."
    FALLBACK_CYCLE "BF0210" "fallback chain runs in a circle"
        "An alias reaches itself through its fallbacks. The chain must end, or a failing request would never be answered."
    ALIAS_SHADOWS "BF0211" "alias has the name of a provider"
        "Requests and fallbacks that name it mean the alias, which readers will take for the provider. Give the alias a name of its own."
    BAD_NAME "BF0212" "name holds characters that names may not"
        "Names of providers, credentials, aliases, rules, teams and keys are not empty, at most 128 characters, and hold no spaces, slashes, `*`, `?` or control characters: slashes separate provider and model, stars are patterns."
    WEIGHTS_ZERO "BF0213" "all weights are 0"
        "Nothing could be picked. A weight of 0 takes one member out; at least one must stay."
    DUPLICATE_TARGET "BF0214" "target is listed twice"
        "The same provider and model stand twice in one list. Give one entry the sum of the weights; in a chain, remove the second, for a request never tries the same target twice."
    NO_CREDENTIAL_FOR_MODEL "BF0217" "no credential may be used for the target's model"
        "Every credential of the provider is restricted by `models`, and none of the patterns matches the target's model, so the target could never be called."
    NO_CREDENTIAL "BF0218" "provider has no credential"
        "The provider needs a key. Name where it is kept: `credentials: {default: {secret: {env: NAME}}}`. For a server without keys write `secret: none`."
    CREDENTIALS_OPTIONAL "BF0220" "every credential is optional"
        "When none of the secrets is set, the provider's targets are out, with that reason. This is a note, not a fault."
    RESERVED_MEMBER "BF0221" "member may not be set"
        "`defaults` and `overrides` may not hold members that the gateway itself sets or must read as the client sent them: model, messages, input, prompt, stream, stream_options."
    HEADER_FORBIDDEN "BF0222" "header may not be set"
        "The header belongs to the connection, to the body's framing or to the credential, which the gateway sets itself."
    HEADER_INVALID "BF0223" "header is malformed"
        "A header name is made of letters, digits and `-` or other token characters; the fixed parts of its value hold no control characters. Two spellings of one name are the same header."
    TEMPLATE_INVALID "BF0224" "template does not compile"
        "Headers and prompts are minijinja templates. Expressions stand in `{{ … }}`, statements in `{% … %}`."
    TEMPLATE_FAILS "BF0225" "template fails on a possible request"
        "The template compiles, but rendering it fails when a fact is absent or of another kind. Guard it: `header(\"x-tier\", \"\")`, `key.labels.env | default(\"\")`."
    PROMPT_MISSING "BF0226" "prompt file was not read"
        "The alias names a prompt file that is not among the files that were read."
    TIMEOUTS_CONTRADICT "BF0227" "timeouts contradict each other"
        "A longer limit inside a shorter one can never be reached: connect ≤ first_byte ≤ first_content ≤ total, and idle ≤ total. A limit of 0 would fail every request."
    NO_TARGETS "BF0228" "no targets"
        "An alias or a rule with `targets` needs at least one."
    CHAIN_REPEATS "BF0229" "fallback repeats a target of the alias"
        "A request never tries the same target twice, so this link of the chain does nothing."
    KEY_IN_CLEAR_TEXT "BF0230" "key over plain http to the internet"
        "The provider's key would leave in clear text for a host that is not in a private network by its address or its name. Use https, or a proxy on the same machine. Where the network is protected by something else (a VPN, a service mesh), write `allow_plain_http: true` in the provider, so that reviewers see it."
    CREDENTIAL_KIND "BF0231" "credential does not say one way"
        "A credential proves itself in exactly one way: with a `secret`, which travels in a header (`none` for a server without keys), by signing requests with the keys of an AWS account, `aws`, or by signing in to Google Cloud, `google`."
    AWS_KEYS "BF0232" "AWS keys are not said in one way"
        "`aws` is `environment`, or says exactly one place: `access_key_id` with `secret_access_key` (and `session_token` for temporary keys), `profile` (with `shared_credentials_file` where it is not in AWS's own place), or `web_identity`."
    CREDENTIAL_UNFIT "BF0233" "credential is for another provider"
        "`aws` signs requests as AWS Bedrock wants them (`api: bedrock`), `google` carries tokens that Vertex AI takes (`project` and `location`). Other providers do not know them and would refuse every request."
    CLOUD_PLACE_MISSING "BF0234" "place in the cloud is missing"
        "Requests to a cloud go to one place in it. For AWS Bedrock that is `region`, such as `eu-central-1`, from which the address follows and for which requests are signed; for Vertex AI it is `project` and `location`, which stand in every path."
    CLOUD_PLACE_UNUSED "BF0235" "place means nothing here"
        "`region` is for AWS Bedrock, `project` and `location` are for Vertex AI, `api_version` is for Azure OpenAI's classic API. On another provider they would be silently ignored."
    AUTH_UNUSED "BF0236" "auth means nothing here"
        "`auth` says how a secret travels. Every credential of this provider signs its requests or signs in instead."

    RULE_NAME_TWICE "BF0301" "two rules of one name"
        "Logs, metrics and diffs know a rule by its name, so each has its own."
    RULE_ACTION "BF0302" "a rule does exactly one thing"
        "Write one of `use: ALIAS`, `targets: […]` or `deny: {message: …}`."
    EXPRESSION_INVALID "BF0303" "expression does not compile"
        "`when` is one minijinja expression, such as `key.team == \"research\" and tokens.input > 8000`. Filters: lower, upper, trim, length, default, replace. Tests: defined, startingwith, endingwith, in."
    UNKNOWN_FACT "BF0304" "unknown fact"
        "Expressions and templates see: model, endpoint, stream, tools, vision, json_schema, body_bytes, hour_utc, key.name, key.team, key.labels, tokens.input, tokens.max_output, headers, and the function header(name, default)."
    NOT_BOOLEAN "BF0305" "expression is not true or false"
        "A condition must be a boolean, not merely something that counts as true. Compare it with something, or write `… is defined`."
    EXPRESSION_FAILS "BF0306" "expression fails on a possible request"
        "The expression compiles, but evaluating it fails when a fact is absent. Guard it: `header(\"x-tier\", \"\") == \"gold\"`, `key.labels.env | default(\"\") == \"prod\"`, `headers[\"x-tier\"] is defined and …`."
    ALWAYS_FALSE "BF0307" "condition is never true"
        "With the keys, teams and kinds of request that exist, the condition cannot hold, so the rule does nothing. Often a misspelt team or endpoint."
    UNREACHABLE "BF0308" "rule is never reached"
        "An earlier rule already holds for every request that this one would match. Rules are read in order, and the first that holds wins."

    DUPLICATE_HASH "BF0401" "one key, two entries"
        "The same digest stands in two places, so it would be unclear who is calling. Every key has one entry."
    KEY_WITHOUT_MODELS "BF0402" "key may use nothing"
        "`models` is an empty list, and nothing is allowed by default. List aliases or `provider/model` patterns; `[\"*\"]` is everything."
    PATTERN_MATCHES_NOTHING "BF0403" "pattern matches nothing"
        "No alias and no provider of this spec matches the pattern, so it allows nothing."
    KEY_EXPIRED "BF0404" "key has expired"
        "The key's `expires` lies in the past: every request with it is refused. Remove the entry, or set a later day."
    HASH_EXPIRED "BF0405" "digest is no longer accepted"
        "The digest's `not_after` lies in the past. Once a rotation is over the old digest can be removed."
    BAD_TIME "BF0406" "not a day or a time"
        "Write a day, `2027-06-30` (00:00 UTC of that day), or a time with its offset, `2027-06-30T12:00:00Z`."
    TEAM_ALLOWS_NOTHING "BF0407" "team and key have no model in common"
        "A key may use what both its own `models` and its team's allow; here nothing is left."
    TEAM_UNUSED "BF0408" "team has no key"
        "No virtual key belongs to the team, so it does nothing."
    NO_KEYS "BF0409" "nobody can call"
        "Keys are required, but the spec has no virtual key. Make one with `bifrostctl key new`."
    KEY_NEEDS_MODELS "BF0410" "key does not say what it may use"
        "A key without `models` may use nothing, also where its team lists some: a team's list only narrows what its keys may use. List aliases or `provider/model` patterns; `[\"*\"]` is everything, and an empty list, written out, is nothing."
    SECRET_LITERAL "BF0411" "secret in the spec"
        "The text looks like a key of a known kind. The spec is reviewed and committed: keep the secret in an environment variable or a file and refer to it with `{env: NAME}` or `{file: PATH}`. If it was ever committed, revoke it."
    HIGH_ENTROPY "BF0412" "text looks like a secret"
        "The text is long and random enough to be a key or a token. If it is one, keep it outside the spec and refer to it."
    LISTEN_INVALID "BF0421" "address does not parse"
        "An address is `IP:PORT`, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`."
    AUTH_OFF_PUBLIC "BF0422" "no keys on a public listener"
        "With `auth: off` whoever reaches the listener spends your money. It is allowed on 127.0.0.1 and [::1] only."
    ADMIN_PUBLIC "BF0423" "admin API on the network in clear text"
        "The admin listener has no TLS, so its tokens would cross the network readable. Use the Unix socket, a loopback address, or a tunnel."
    LISTEN_TWICE "BF0424" "two listeners on one address"
        "The client listener and the admin listener need different ports."
    ADMIN_SOCKET "BF0425" "admin socket path is not usable"
        "Write `unix:PATH` with a path of at most 100 bytes; the operating system allows no longer names for sockets."
    AUTH_OPTIONAL_PUBLIC "BF0426" "anonymous calls on a public listener"
        "With `auth: optional` whoever reaches the listener may use every alias without a key."
    ADMIN_APPLY_PUBLIC "BF0427" "token that replaces the spec in clear text"
        "The admin listener has no TLS, and one of its tokens may apply: whoever reads it on the way can send every provider's key to a place of their own. Use the Unix socket, or a loopback address behind a tunnel or a proxy with TLS. Where the network is protected by something else (a VPN, a service mesh), write `allow_plain_http: true` beside `listen`, so that reviewers see it."
    LIMIT_ZERO "BF0431" "limit lets nothing through"
        "A rate of 0 would refuse every request. Give it a rate, or remove it. A key is refused with `disabled: true`, a target is taken out with `weight: 0`."
    LIMIT_EMPTY "BF0432" "limits limit nothing"
        "`limits` is there and holds none of `requests`, `tokens` and `concurrency`, so it does nothing."
    LIMIT_ABOVE_TEAM "BF0433" "limit is above the team's"
        "The limits of a key and of its team both apply, so a key never gets more than its team. This is a note, not a fault: the team's limit may be meant to grow."

    UNKNOWN_BUDGET "BF0441" "unknown budget"
        "A key or a team draws on a budget that `budgets` does not hold."
    BUDGET_UNUSED "BF0442" "nobody draws on the budget"
        "A shared budget limits those keys and teams that list it under `budgets`. Nobody lists this one, so it limits nothing."
    BUDGET_TWICE "BF0443" "two budgets for one window"
        "A key or a team lists one budget twice, or has two of its own for one window and time zone, of which only the smaller could matter."
    BUDGET_ZERO "BF0444" "budget of nothing"
        "With a limit of $0 only what is free is served."
    UNKNOWN_TIMEZONE "BF0445" "unknown time zone"
        "A budget's `timezone` is a name of the IANA database, such as `UTC` or `Europe/Berlin`. The database is compiled in, so that a spec means the same everywhere."
    NO_BUDGET "BF0446" "key without a budget"
        "Other keys have budgets, so money seems to matter here, but nothing limits what this key spends: it has no budget, and neither has its team."
    STILL_THERE "BF0447" "old name is still in use"
        "`renamed_from` moves what was spent from an old name to a new one. The old name still stands in the spec, or two entries claim it, so it would be unclear whose it is."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_order_and_are_explained_in_sentences() {
        for pair in CODES.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} {}", pair[0].code, pair[1].code);
        }
        for code in CODES {
            assert!(code.explanation.ends_with(['.', '`']), "{}", code.code);
            assert!(!code.title.ends_with('.'), "{}", code.code);
        }
        assert_eq!(explain("bf0207").map(|code| code.title), Some("unknown provider"));
        assert_eq!(explain("BF9999"), None);
    }
}
