//! Metrics of reloads. A gauge beside the counters, because counters alone cannot say "repaired again".

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

use super::metrics::register;
use super::names;
use super::series::{Histogram, LATENCY, Series};

/// What reloads record. Only the one writer of the routing table uses it.
#[derive(Debug)]
pub struct ConfigMetrics {
    successful: Gauge,
    success_time: Gauge<f64, std::sync::atomic::AtomicU64>,
    reloads: Series<Counter>,
    duration: Histogram,
    info: Info,
}

impl ConfigMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (successful, success_time) = (Gauge::default(), Gauge::default());
        let reloads = Series::new(&names::CONFIG_RELOADS, Counter::default);
        let duration = Series::new(&names::CONFIG_RELOAD_DURATION, || Histogram::new(LATENCY));
        let info = Info::default();
        register(registry, &names::CONFIG_LAST_RELOAD_SUCCESSFUL, successful.clone());
        register(registry, &names::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP, success_time.clone());
        register(registry, &names::CONFIG_RELOADS, reloads.clone());
        register(registry, &names::CONFIG_RELOAD_DURATION, duration.clone());
        register(registry, &names::CONFIG_INFO, info.clone());
        Self { successful, success_time, reloads, duration: duration.get(&[]), info }
    }

    /// Records the end of one reload by its outcome (`applied`, `unchanged`, `rejected`, …) and trigger (`start`, `file`,
    /// `signal`, `api`, …), which must be from small fixed sets.
    pub fn reload(&self, outcome: &'static str, trigger: &'static str, took: Duration) {
        self.reloads.get(&[outcome, trigger]).inc();
        self.duration.observe(took);
    }

    /// Says that the file on disk is what runs: after an applied reload, and also when a bad file was put back to what runs.
    pub fn in_step(&self, unix_ms: u64) {
        self.successful.set(1);
        // Milliseconds since 1970 are far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        self.success_time.set(unix_ms as f64 / 1_000.0);
    }

    /// Says that the file on disk was rejected, or is missing or empty, and that what ran before still runs.
    pub fn out_of_step(&self) {
        self.successful.set(0);
    }

    /// Says which revision runs.
    pub fn running(&self, digest: &str, revision: u64) {
        *self.info.0.lock().unwrap_or_else(PoisonError::into_inner) = Some([digest.to_owned(), revision.to_string()]);
    }
}

/// The labels of the running revision; one series, replaced as a whole.
#[derive(Debug, Clone, Default)]
struct Info(Arc<Mutex<Option<[String; 2]>>>);

impl EncodeMetric for Info {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(values) = values {
            let labels: Vec<_> = names::CONFIG_INFO.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
            encoder.encode_family(&labels)?.encode_gauge(&1_u64)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        names::CONFIG_INFO.kind
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
