//! Process settings and telemetry: defaults only.

use crate::base::{ByteSize, Span};
use crate::plan::types as plan;
use crate::spec;

pub(super) fn gateway(spec: &spec::Gateway) -> plan::Gateway {
    plan::Gateway {
        listen: spec.listen.clone().unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
        admin: admin(spec.admin.as_ref()),
        state: state(spec.state.as_ref()),
        replicas: spec.replicas.unwrap_or(1),
        auth: spec.auth.unwrap_or(spec::Auth::Required),
        tls: spec.tls.as_ref().map(|tls| plan::Tls { cert: tls.cert.file.clone(), key: tls.key.file.clone() }),
        limits: plan::Limits {
            body: spec.limits.body.unwrap_or(ByteSize::new(32 << 20)),
            in_flight: spec.limits.in_flight.unwrap_or(2_000),
            queue: spec.limits.queue.unwrap_or(plan::queue()),
            connections: spec.limits.connections.unwrap_or(10_000),
            memory: spec.limits.memory,
        },
        drain: spec.drain.unwrap_or(Span::from_secs(120)),
        retention: spec.retention.unwrap_or(plan::retention()),
    }
}

/// The state directory where the spec names none.
const STATE: &str = ".bifrost";

fn state(spec: Option<&spec::State>) -> plan::State {
    match spec {
        None => plan::State::Directory(STATE.to_owned()),
        Some(spec::State::Directory(directory)) => plan::State::Directory(directory.clone()),
        Some(spec::State::Shared(shared)) => plan::State::Shared(plan::SharedState {
            directory: shared.directory.clone().unwrap_or_else(|| STATE.to_owned()),
            postgres: shared.postgres.clone(),
            redis: shared.redis.clone(),
            schema: shared.schema.clone().unwrap_or_else(|| "bifrost".to_owned()),
            lease: shared.lease.unwrap_or(Span::from_secs(10)),
        }),
    }
}

fn admin(spec: Option<&spec::Admin>) -> plan::Admin {
    match spec {
        None => plan::Admin::Unix(".bifrost/admin.sock".to_owned()),
        Some(spec::Admin::Unix(text)) => plan::Admin::Unix(text.strip_prefix("unix:").unwrap_or(text).to_owned()),
        Some(spec::Admin::Tcp(tcp)) => plan::Admin::Tcp {
            listen: tcp.listen.clone(),
            allow_plain_http: tcp.allow_plain_http,
            tokens: tcp
                .tokens
                .iter()
                .map(|(name, token)| {
                    let scopes = token.scopes.iter().copied().collect();
                    (name.clone(), plan::AdminToken { sha256: token.sha256, scopes })
                })
                .collect(),
        },
    }
}

pub(super) fn telemetry(spec: &spec::Telemetry) -> plan::Telemetry {
    plan::Telemetry {
        access_log: match &spec.access_log {
            None | Some(spec::AccessLog::Stderr) => plan::AccessLog::Stderr,
            Some(spec::AccessLog::Stdout) => plan::AccessLog::Stdout,
            Some(spec::AccessLog::Off) => plan::AccessLog::Off,
            Some(spec::AccessLog::File(path)) => plan::AccessLog::File(path.clone()),
        },
        log_headers: spec.log_headers.iter().map(|name| name.to_ascii_lowercase()).collect(),
        metrics: spec.metrics.unwrap_or(spec::MetricsOn::Admin),
        alert_webhook: spec.alerts.as_ref().map(|alerts| alerts.webhook.clone()).filter(|webhook| *webhook != spec::SecretRef::None),
    }
}
