//! What a metric's value is made of: series by label values, counts by slot, and a histogram without a lock.
//!
//! Rule: recording touches atomics only. The map of a [`Series`] is locked when a handle is resolved, when series are
//! forgotten and when the metrics are encoded; never by a request. (prometheus-client's own `Histogram` takes a mutex for
//! each observation and its `Family` prints in the random order of a hash map; hence these.)

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;

use super::names::Name;

/// One label and its value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// Something that is encoded under given labels.
pub(super) trait Value: Clone + Send + Sync + fmt::Debug + 'static {
    /// Appends this value's samples.
    fn encode(&self, labels: &[Label<'_>], encoder: &mut MetricEncoder<'_>) -> fmt::Result;
}

impl Value for Counter {
    fn encode(&self, labels: &[Label<'_>], encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&self.get(), None)
    }
}

/// The series of one metric, sorted by label values. Cloning shares them.
#[derive(Debug)]
pub(super) struct Series<V> {
    name: &'static Name,
    make: fn() -> V,
    /// Guards which series exist; the values themselves are atomics that handles share.
    series: Arc<Mutex<BTreeMap<Vec<Arc<str>>, V>>>,
}

impl<V> Clone for Series<V> {
    fn clone(&self) -> Self {
        Self { name: self.name, make: self.make, series: Arc::clone(&self.series) }
    }
}

impl<V: Value> Series<V> {
    /// Makes a metric without series; `make` gives each new one its start.
    pub(super) fn new(name: &'static Name, make: fn() -> V) -> Self {
        Self { name, make, series: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<Arc<str>>, V>> {
        // A map of handles is sound after any panic.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the handle of the series with these label values; makes it if it is new. Not for the hot path.
    pub(super) fn get(&self, values: &[&str]) -> V {
        let key: Vec<Arc<str>> = values.iter().map(|value| Arc::from(*value)).collect();
        self.lock().entry(key).or_insert_with(self.make).clone()
    }

    /// Returns the label values of every series.
    pub(super) fn keys(&self) -> Vec<Vec<Arc<str>>> {
        self.lock().keys().cloned().collect()
    }

    /// Forgets the series whose label values `keep` refuses. Handles that are held stay usable and are no longer encoded.
    pub(super) fn retain(&self, keep: impl Fn(&[Arc<str>]) -> bool) {
        self.lock().retain(|key, _| keep(key));
    }
}

impl<V: Value> EncodeMetric for Series<V> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        // Handles are cloned out, so that a scrape never holds the lock that a reload needs.
        let series: Vec<_> = self.lock().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (key, value) in &series {
            let labels: Vec<Label<'_>> = self.name.labels.iter().copied().zip(key.iter().map(AsRef::as_ref)).collect();
            value.encode(&labels, &mut encoder)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.name.kind
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// A label whose values are known beforehand.
#[derive(Debug)]
pub(super) struct Slotted {
    /// The label.
    pub(super) label: &'static str,
    /// Its values, by slot.
    pub(super) values: &'static [&'static str],
}

/// One count for each value of a label whose values are known beforehand. Counts that are zero are not encoded, so that a
/// metric by error code stays small.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    by: &'static Slotted,
    counts: Arc<[AtomicU64]>,
}

impl Slots {
    /// Makes all counts zero.
    pub(super) fn new(by: &'static Slotted) -> Self {
        Self { by, counts: by.values.iter().map(|_| AtomicU64::new(0)).collect() }
    }

    /// Adds to one count. A slot that does not exist is ignored.
    pub(super) fn add(&self, slot: usize, amount: u64) {
        if let Some(count) = self.counts.get(slot) {
            count.fetch_add(amount, Ordering::Relaxed);
        }
    }
}

impl Value for Slots {
    fn encode(&self, labels: &[Label<'_>], encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        for (value, count) in self.by.values.iter().zip(self.counts.iter()) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                let mut all = labels.to_vec();
                all.push((self.by.label, value));
                encoder.encode_family(&all.as_slice())?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}

/// Upper bounds for latencies: half a millisecond (a cached or refused answer) to five minutes (a long generation).
pub(super) const LATENCY: &[Duration] = &[
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// Upper bounds for the gateway's own share: 20 µs to one second.
pub(super) const OVERHEAD: &[Duration] = &[
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

/// A histogram of durations. An observation is two atomic additions; the sum is exact to the nanosecond.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    bounds: &'static [Duration],
    /// One count for each bound, and one for what is above them all.
    counts: Arc<[AtomicU64]>,
    nanos: Arc<AtomicU64>,
}

impl Histogram {
    /// Makes an empty histogram; `bounds` must ascend.
    pub(super) fn new(bounds: &'static [Duration]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), nanos: Arc::default() }
    }

    /// Records one duration.
    pub(super) fn observe(&self, took: Duration) {
        let slot = self.bounds.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(slot) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Value for Histogram {
    fn encode(&self, labels: &[Label<'_>], encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        // The count is the sum of the buckets that are printed, so the two agree whatever is recorded meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        if count == 0 {
            return Ok(());
        }
        let sum = Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
