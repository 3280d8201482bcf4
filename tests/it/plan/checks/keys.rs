//! Virtual keys and teams.

use super::expect;

const A: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const B: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

#[test]
fn every_digest_stands_once() {
    let key = |digests: &[&str]| {
        let hashes: Vec<String> = digests.iter().map(|digest| format!("{{sha256: \"{digest}\"}}")).collect();
        format!("{{hashes: [{}], models: [m]}}", hashes.join(", "))
    };
    let admin = format!("gateway: {{admin: {{listen: \"127.0.0.1:81\", tokens: {{ci: {{sha256: \"{A}\", scopes: [read]}}}}}}}}\n");
    expect(&[
        (&format!("virtual_keys: {{k: {}, l: {}}}", key(&[A]), key(&[B])), &[]),
        (&format!("virtual_keys: {{k: {}, l: {}}}", key(&[A]), key(&[B, A])), &["BF0401 /virtual_keys/l/hashes/1/sha256"]),
        (&format!("virtual_keys: {{k: {}}}", key(&[A, A])), &["BF0401 /virtual_keys/k/hashes/1/sha256"]),
        (&format!("{admin}virtual_keys: {{k: {}}}", key(&[A])), &["BF0401 /gateway/admin/tokens/ci/sha256"]),
        (&format!("{admin}virtual_keys: {{k: {}}}", key(&[B])), &[]),
    ]);
}

#[test]
fn a_key_may_use_something() {
    expect(&[
        ("virtual_keys: {k: {hashes: []}}", &["BF0410 /virtual_keys/k"]),
        ("virtual_keys: {k: {hashes: [], team: t}}\nteams: {t: {models: [m]}}", &["BF0410 /virtual_keys/k"]),
        ("virtual_keys: {k: {hashes: [], models: []}}", &["BF0402 /virtual_keys/k"]),
        ("virtual_keys: {k: {hashes: [], models: [fats]}}\nmodels: {fast: {targets: [mock/x]}}", &["BF0403 /virtual_keys/k/models/0"]),
        ("virtual_keys: {k: {hashes: [], models: [m, \"openai/*\"]}}", &["BF0403 /virtual_keys/k/models/1"]),
        ("virtual_keys: {k: {hashes: [], models: [m, mock, \"m*\", \"mock/anything\", \"*\"]}}", &["BF0403 /virtual_keys/k/models/1"]),
        ("virtual_keys: {k: {hashes: [], team: t, models: [\"*\"]}}\nteams: {t: {models: [m, x]}}", &["BF0403 /teams/t/models/1"]),
    ]);
}

#[test]
fn a_team_and_its_key_have_something_in_common() {
    let case = |key: &str, team: &str| {
        format!(
            "models: {{m: {{targets: [mock/x]}}, o: {{targets: [mock/x]}}}}\nvirtual_keys: {{k: {{hashes: [], team: t, models: {key}}}}}\nteams: {{t: {{models: {team}}}}}"
        )
    };
    expect(&[
        (&case("[m]", "[o]"), &["BF0407 /virtual_keys/k/models"]),
        (&case("[m]", "[]"), &["BF0407 /virtual_keys/k/models"]),
        (&case("[m]", "[m, o]"), &[]),
        (&case("[\"*\"]", "[o]"), &[]),
        (&case("[\"mock/a*\"]", "[\"mock/b*\"]"), &["BF0407 /virtual_keys/k/models"]),
        (&case("[\"mock/a*\"]", "[\"*/*b\"]"), &[]),
        (&case("[\"mock/*\"]", "[m]"), &["BF0407 /virtual_keys/k/models"]),
        (&case("[]", "[m]"), &["BF0402 /virtual_keys/k"]),
        (&case("[m]", "[x]"), &["BF0403 /teams/t/models/0"]),
        (&case("[x]", "[m]"), &["BF0403 /virtual_keys/k/models/0"]),
    ]);
}

#[test]
fn teams_exist_and_are_used() {
    expect(&[
        ("teams: {t: {}}", &["BF0408 /teams/t"]),
        ("virtual_keys: {k: {hashes: [], team: t, models: [m]}}", &["BF0209 /virtual_keys/k/team"]),
        ("virtual_keys: {k: {hashes: [], team: grwoth, models: [m]}}\nteams: {growth: {}}", &["BF0209 /virtual_keys/k/team"]),
    ]);
}

#[test]
fn somebody_can_call() {
    expect(&[
        ("virtual_keys: {}", &["BF0409 /virtual_keys"]),
        ("virtual_keys: {}\ngateway: {auth: \"off\"}", &[]),
        ("virtual_keys: {}\ngateway: {auth: optional}", &[]),
    ]);
}

#[test]
fn a_time_that_no_clock_reaches_is_refused() {
    for bad in ["9999-12-31", "tomorrow", "2027-02-30"] {
        expect(&[(&format!("virtual_keys: {{k: {{hashes: [], models: [m], expires: \"{bad}\"}}}}"), &["BF0406 /virtual_keys/k/expires"])]);
    }
}
