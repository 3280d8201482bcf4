//! TLS on the client listener, and its certificate while it runs.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::lab::{Lab, Place, spec};

fn certificate(place: &Place) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.write("tls/key.pem", &signing_key.serialize_pem());
    place.write("tls/cert.pem", &cert.pem());
    cert.pem()
}

async fn answers(lab: &Lab, trusted: &str) -> bool {
    let root = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
    let port = lab.gateway.address().port();
    client.get(format!("https://localhost:{port}/livez")).send().await.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let place = Place::with(|root| {
        spec(root, "one").replace("drain: 10s", "drain: 10s, tls: {cert: {file: tls/cert.pem}, key: {file: tls/key.pem}}")
    });
    let first = certificate(&place);
    let lab = place.start().await;
    assert!(answers(&lab, &first).await);

    let second = certificate(&lab.place);
    lab.until_outcome("applied").await;
    assert!(answers(&lab, &second).await && !answers(&lab, &first).await);
    assert_eq!(lab.gateway.revision(), 1);

    lab.place.write("tls/cert.pem", "nonsense");
    let status = lab.until_outcome("rejected").await;
    assert_eq!(status["last_reload"]["diagnostics"][0]["pointer"], "/gateway/tls");
    assert!(answers(&lab, &second).await);
    lab.place.write("tls/cert.pem", &second);
    lab.until_outcome("unchanged").await;
}
