//! TLS to the server that gateways share, as each `sslmode` promises it. On the server of `ci/servers`, whose certificate is for 127.0.0.1.

use bifrostctl::base::{Clock, Secret, SystemClock};
use bifrostctl::store::book::Place as Shared;

use super::shared::{Server, server};
use super::*;

/// Joins with these words behind the URL, at this host; returns whether every connection is encrypted, or why there is none.
fn join(server: &Server, host: &str, words: &str) -> Result<bool, String> {
    let url = server.place.url.expose().replace("127.0.0.1", host);
    let place = Shared { url: Secret::new(format!("{url}?{words}")), ..server.place.clone() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let joined = Book::join(place, "a", &clock, no_fatal()).map_err(|error| error.to_string())?;
    let mine = format!("bifrostctl {}", server.place.schema);
    let asked =
        "SELECT bool_and(s.ssl), count(*) FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid) WHERE a.application_name = $1";
    let row = server.client().query_one(asked, &[&mine]).unwrap();
    assert!(row.get::<_, i64>(1) >= 2, "one that writes and one that keeps the lease");
    drop(joined);
    Ok(row.get(0))
}

#[test]
fn each_mode_encrypts_and_looks_at_who_it_is_as_libpq_says() {
    let (Some(server), Ok(roots)) = (server(), std::env::var("SERVER_CA")) else { return };
    assert_eq!(join(&server, "127.0.0.1", "sslmode=disable"), Ok(false));
    assert_eq!(join(&server, "127.0.0.1", "sslmode=prefer"), Ok(true));
    assert_eq!(join(&server, "localhost", "sslmode=require"), Ok(true), "nobody looks at who it is");
    assert_eq!(join(&server, "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={roots}")), Ok(true));

    // Another name than its own, and somebody whom nobody here knows.
    let why = join(&server, "localhost", &format!("sslmode=verify-full&sslrootcert={roots}")).unwrap_err();
    assert!(why.contains("certificate") && !why.contains("localhost:"), "{why}");
    let why = join(&server, "127.0.0.1", "sslmode=verify-full").unwrap_err();
    assert!(why.contains("certificate"), "{why}");
    let other = tempfile::NamedTempFile::new().unwrap();
    let stranger = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(other.path(), stranger.cert.pem()).unwrap();
    let why = join(&server, "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={}", other.path().display())).unwrap_err();
    assert!(why.contains("certificate"), "{why}");
}
