//! What other modules count or time themselves, asked for at each scrape.
//!
//! A cooldown ends because time passes, not because something happens; a gauge that is set on events would show it as cooling
//! for ever. So such state is sampled when it is looked at, and a provider that is gone is simply no longer sampled.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::names::{self, Name};
use super::series::Label;

/// State of a credential, or of a credential with one model; the value of `credential_state` and `credential_model_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialState {
    /// May be used.
    Ready = 0,
    /// Rate-limited for a while; of a credential as a whole: not used for some models.
    Cooling = 1,
    /// Refused by the upstream, or out of money.
    Out = 2,
    /// Its secret is not set.
    Absent = 3,
}

/// State of a breaker; the value of `breaker_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed = 0,
    /// One request probes.
    HalfOpen = 1,
    /// Requests are kept away.
    Open = 2,
}

type Source = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// What is asked at each scrape. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Sources {
    /// Guards the list; held while it is asked, so sources are asked by one scrape at a time.
    list: Arc<Mutex<Vec<Source>>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Sources {
    /// Adds one.
    pub(super) fn add(&self, source: impl Fn(&mut Samples) + Send + Sync + 'static) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    fn sample(&self) -> Samples {
        let mut samples = Samples::default();
        for source in self.list.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            source(&mut samples);
        }
        samples
    }
}

/// What the sources answer in one scrape.
#[derive(Debug, Default)]
pub struct Samples {
    /// By name, then by label values: the exposition is sorted, and two sources of one series cannot break it.
    values: BTreeMap<&'static str, (&'static Name, BTreeMap<Vec<String>, u64>)>,
}

impl Samples {
    /// Adds one value of a gauge or a counter; labels are in the order of [`Name::labels`]. A series that is added twice has
    /// the sum of both, so that several listeners or tables may report under one name.
    pub fn add(&mut self, name: &'static Name, labels: &[&str], value: u64) {
        debug_assert_eq!(name.labels.len(), labels.len(), "{}", name.name);
        let (_, series) = self.values.entry(name.name).or_insert_with(|| (name, BTreeMap::new()));
        *series.entry(labels.iter().map(ToString::to_string).collect()).or_default() += value;
    }

    /// Adds the state of one credential.
    pub fn credential(&mut self, provider: &str, credential: &str, state: CredentialState) {
        self.add(&names::CREDENTIAL_STATE, &[provider, credential], state as u64);
    }

    /// Adds the state of one credential with one model: provider, credential, model.
    pub fn credential_model(&mut self, (provider, credential, model): (&str, &str, &str), state: CredentialState) {
        self.add(&names::CREDENTIAL_MODEL_STATE, &[provider, credential, model], state as u64);
    }

    /// Adds the state of one target's breaker.
    pub fn breaker(&mut self, provider: &str, model: &str, state: BreakerState) {
        self.add(&names::BREAKER_STATE, &[provider, model], state as u64);
    }

    /// Adds one listener's connections: open now, and accepted since the start.
    pub fn connections(&mut self, listener: &str, open: u64, accepted: u64) {
        self.add(&names::CONNECTIONS_OPEN, &[listener], open);
        self.add(&names::CONNECTIONS, &[listener], accepted);
    }

    /// Adds the connections that one listener has closed for a reason of its own (a cap, a timer, the strict gate).
    pub fn connections_refused(&mut self, listener: &str, reason: &str, count: u64) {
        self.add(&names::CONNECTIONS_REFUSED, &[listener, reason], count);
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, series) in self.sample().values.values() {
            let mut metric = encoder.encode_descriptor(name.name, &format!("{}.", name.help), None, name.kind)?;
            for (key, value) in series {
                let labels: Vec<Label<'_>> = name.labels.iter().copied().zip(key.iter().map(String::as_str)).collect();
                encode_value(&mut metric, name.kind, &labels, *value)?;
            }
        }
        Ok(())
    }
}

fn encode_value(metric: &mut MetricEncoder<'_>, kind: MetricType, labels: &[Label<'_>], value: u64) -> fmt::Result {
    let mut series = metric.encode_family(&labels)?;
    match kind {
        MetricType::Counter => series.encode_counter::<NoLabelSet, _, u64>(&value, None),
        MetricType::Gauge | MetricType::Histogram | MetricType::Info | MetricType::Unknown => series.encode_gauge(&value),
    }
}
