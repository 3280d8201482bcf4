//! Listeners.

use bifrostctl::spec::Severity;

use super::super::support::findings;
use super::{expect, spec};

const TOKEN: &str = "tokens: {ci: {sha256: \"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\", scopes: [read]}}";

#[test]
fn an_address_is_an_ip_and_a_port() {
    for bad in ["localhost:8080", ":8080", "8080", "127.0.0.1", "::1", "example.com:80", "127.0.0.1:99999", "", "http://127.0.0.1:80"] {
        expect(&[(&format!("gateway: {{listen: \"{bad}\"}}"), &["BF0421 /gateway/listen"])]);
    }
    for good in ["127.0.0.1:8080", "0.0.0.0:80", "[::1]:8080", "[::]:8080", "127.0.0.1:0"] {
        expect(&[(&format!("gateway: {{listen: \"{good}\"}}"), &[])]);
    }
    let help = findings(&spec("gateway: {listen: \"localhost:8080\"}"))[0].help.clone();
    assert_eq!(help.as_deref(), Some("write the address itself: `127.0.0.1:8080`"));
}

#[test]
fn calls_without_keys_are_for_loopback() {
    expect(&[
        ("gateway: {listen: \"0.0.0.0:80\", auth: \"off\"}", &["BF0422 /gateway/auth"]),
        ("gateway: {listen: \"[::]:80\", auth: optional}", &["BF0426 /gateway/auth"]),
        ("gateway: {listen: \"0.0.0.0:80\", auth: required}", &[]),
        ("gateway: {listen: \"127.0.0.1:80\", auth: \"off\"}", &[]),
        ("gateway: {listen: \"[::1]:80\", auth: \"off\"}", &[]),
        ("gateway: {listen: \"[::ffff:127.0.0.1]:80\", auth: \"off\"}", &[]),
        ("gateway: {auth: optional}", &[]),
    ]);
}

#[test]
fn the_admin_listener_is_private_and_has_a_port_of_its_own() {
    let admin = |client: &str, admin: &str| format!("gateway: {{listen: \"{client}\", admin: {{listen: \"{admin}\", {TOKEN}}}}}");
    expect(&[
        (&admin("127.0.0.1:80", "127.0.0.1:81"), &[]),
        (&admin("127.0.0.1:80", "0.0.0.0:81"), &["BF0423 /gateway/admin/listen"]),
        (&admin("127.0.0.1:80", "127.0.0.1:80"), &["BF0424 /gateway/admin/listen"]),
        (&admin("0.0.0.0:80", "127.0.0.1:80"), &["BF0424 /gateway/admin/listen"]),
        (&admin("[::]:80", "127.0.0.1:80"), &["BF0424 /gateway/admin/listen"]),
        (&admin("0.0.0.0:80", "[::1]:80"), &[]),
        (&admin("10.0.0.1:80", "127.0.0.1:80"), &[]),
        (&admin("127.0.0.1:0", "127.0.0.1:0"), &[]),
        (&admin("127.0.0.1:80", "localhost:81"), &["BF0421 /gateway/admin/listen"]),
    ]);
}

#[test]
fn several_gateways_need_a_book_that_they_share() {
    let shared = "state: {postgres: {env: DATABASE_URL}}";
    let limited = "teams: {t: {limits: {requests: 5/min}}}";
    expect(&[
        ("gateway: {replicas: 1}", &[]),
        ("gateway: {replicas: 2}", &["BF0428 /gateway/replicas"]),
        (&format!("gateway: {{replicas: 2, {shared}}}"), &[]),
        (&format!("gateway: {{{shared}}}"), &[]),
        ("gateway: {state: {postgres: none}}", &["BF0430 /gateway/state/postgres"]),
        ("gateway: {state: {postgres: {env: DATABASE_URL}, lease: 1s}}", &["BF0430 /gateway/state/lease"]),
        ("gateway: {state: {postgres: {env: DATABASE_URL}, lease: 11m}}", &["BF0430 /gateway/state/lease"]),
        ("gateway: {state: {postgres: {env: DATABASE_URL}, redis: none}}", &["BF0430 /gateway/state/redis"]),
        (&format!("gateway: {{replicas: 2, {shared}}}\n{limited}"), &["BF0408 /teams/t", "BF0429 /gateway/replicas"]),
        (
            &format!("gateway: {{replicas: 2, state: {{postgres: {{env: DATABASE_URL}}, redis: {{env: REDIS_URL}}}}}}\n{limited}"),
            &["BF0408 /teams/t"],
        ),
        (&format!("gateway: {{{shared}}}\n{limited}"), &["BF0408 /teams/t"]),
    ]);
    let problem = findings(&spec("gateway: {replicas: 3}")).remove(0);
    assert_eq!(problem.message, "3 gateways, each with a book of its own, would let every budget be spent 3 times");
}

#[test]
fn a_token_that_replaces_the_spec_does_not_cross_the_network_readable() {
    let admin = |listen: &str, scopes: &str, more: &str| {
        let token = TOKEN.replace("[read]", scopes);
        format!("gateway: {{admin: {{listen: \"{listen}\", {token}{more}}}}}")
    };
    let allowed = ", allow_plain_http: true";
    expect(&[
        (&admin("0.0.0.0:81", "[read]", ""), &["BF0423 /gateway/admin/listen"]),
        (&admin("0.0.0.0:81", "[read, apply]", ""), &["BF0427 /gateway/admin/listen"]),
        (&admin("10.0.0.1:81", "[apply]", ""), &["BF0427 /gateway/admin/listen"]),
        (&admin("0.0.0.0:81", "[apply]", allowed), &[]),
        (&admin("0.0.0.0:81", "[read]", allowed), &[]),
        (&admin("127.0.0.1:81", "[read, apply]", ""), &[]),
        (&admin("[::1]:81", "[apply]", ""), &[]),
    ]);
    let severity = |scopes: &str| findings(&spec(&admin("0.0.0.0:81", scopes, "")))[0].severity;
    assert_eq!((severity("[read]"), severity("[apply]")), (Severity::Warning, Severity::Error));
}

#[test]
fn an_admin_socket_has_a_path_that_systems_take() {
    let long = format!("unix:{}", "d/".repeat(60));
    expect(&[
        ("gateway: {admin: \"unix:run/admin.sock\"}", &[]),
        (&format!("gateway: {{admin: \"{}s\"}}", &long[..104]), &[]),
        (&format!("gateway: {{admin: \"{}s\"}}", &long[..105]), &["BF0425 /gateway/admin"]),
        ("gateway: {admin: \"unix:run/\"}", &["BF0425 /gateway/admin"]),
        ("gateway: {admin: \"unix:\"}", &["BF0425 /gateway/admin"]),
        ("gateway: {admin: run/admin.sock}", &["BF0425 /gateway/admin"]),
    ]);
}
