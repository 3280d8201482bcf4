//! What compiles can run: the table refuses nothing but secrets that are not there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bifrostctl::base::SystemClock;
use bifrostctl::limit::budget::Ledger;
use bifrostctl::plan::{Plan, Proof, SecretRef};
use bifrostctl::provider::{Clients, Health, Proxies, Signers, SystemLookup};
use bifrostctl::table::{PrepareError, Services, prepare};
use bifrostctl::telemetry::Metrics;
use proptest::prelude::*;

use super::generate;

/// Builds a plan's table, every secret being there; returns what was refused.
pub(crate) fn prepared(mut plan: Plan) -> Vec<PrepareError> {
    for credential in plan.providers.values_mut().flat_map(|provider| provider.credentials.values_mut()) {
        if !credential.proof.is_none() {
            credential.proof = Proof::Secret(SecretRef::Env("SECRET".to_owned()));
        }
    }
    let services = Services {
        clients: Arc::new(Clients::new(Proxies::default(), Arc::new(SystemLookup))),
        health: Arc::new(Health::default()),
        signers: Arc::new(Signers::default()),
        ledger: Arc::new(Ledger::new(Arc::new(SystemClock::default()))),
        counters: Arc::default(),
        metrics: Metrics::new(),
        env: Arc::new(BTreeMap::from([("SECRET".to_owned(), "secret".to_owned())])),
        base_dir: PathBuf::from("."),
        mock_url: Some("http://127.0.0.1:9/v1".to_owned()),
    };
    prepare(Arc::new(plan), 1, &services).err().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_compiles_can_be_built(plan in generate::plan()) {
        prop_assert_eq!(prepared(plan), vec![]);
    }
}
