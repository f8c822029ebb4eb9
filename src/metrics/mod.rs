//! Every metric's name, labels and help, and the board that one node shows them on.
//!
//! A [`Board`] is a Prometheus recorder of its own, never the global one, so that several nodes can live in one process.
//! Values are set when somebody looks: the hot path counts in its own structures, which cost it nothing here.
//!
//! Invariant: a metric is written with exactly the labels that [`Metric::labels`] names.
//! Left out: what the values are; `server` reads them from the node's status.

mod catalogue;

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub use catalogue::{
    CLUSTER_EPOCH, CLUSTER_NODES, CLUSTER_STANDINGS, CLUSTER_UNREACHABLE, COMMAND_CALLS, COMMAND_FAILURES,
    COMMAND_LATENCY, COMMAND_REJECTIONS, COMMAND_TIME, COMMIT_WAIT_TIME, COMMIT_WAITS, CONNECTIONS, CONNECTIONS_LIMIT,
    CONNECTIONS_RECEIVED, CONNECTIONS_REJECTED, COORDINATED, CPU_TIME, DISK_FREE, ENGINE, ERROR_REPLIES, EXPIRED_KEYS,
    GOSSIP_BYTES, GOSSIP_FAILURES, GOSSIP_MESSAGES, GOSSIP_ROUNDS, HANDOFF_BYTES, HANDOFF_FAILURES, HEALTHY, HINTS,
    HINTS_AGE, HINTS_BYTES, HINTS_DELIVERED, HINTS_DROPPED, HINTS_KEPT, HINTS_LIMIT, HINTS_MARKED, HINTS_REFUSED, KEYS,
    KEYS_EXPIRING, LOG_BYTES, LOG_DURABLE_BYTES, LOOKUP_HITS, LOOKUP_MISSES, MEMORY_LIMIT, MEMORY_RESIDENT,
    MEMORY_USED, METRICS, NODE, RECEIVED_BYTES, SENT_BYTES, UPTIME,
};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name, ending in its unit (counters: then in `_total`).
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// Where one node's metrics are shown.
pub struct Board {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

const METADATA: Metadata<'static> = Metadata::new("annulus", Level::INFO, None);

impl Board {
    /// A board that knows every metric and has no values.
    #[must_use]
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        for metric in METRICS {
            match metric.kind {
                Kind::Counter => recorder.describe_counter(metric.name.into(), None, metric.help.into()),
                Kind::Gauge => recorder.describe_gauge(metric.name.into(), None, metric.help.into()),
            }
        }
        let handle = recorder.handle();
        Board { recorder, handle }
    }

    /// Sets a counter to what it has grown to.
    pub fn count(&self, metric: &'static Metric, labels: &[&str], total: u64) {
        self.recorder.register_counter(&key(metric, labels), &METADATA).absolute(total);
    }

    /// Sets a gauge.
    pub fn gauge(&self, metric: &'static Metric, labels: &[&str], value: f64) {
        self.recorder.register_gauge(&key(metric, labels), &METADATA).set(value);
    }

    /// All metrics in Prometheus's text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}

impl Default for Board {
    fn default() -> Self {
        Board::new()
    }
}

fn key(metric: &'static Metric, values: &[&str]) -> Key {
    assert_eq!(metric.labels.len(), values.len(), "{} is written with its labels", metric.name);
    let pairs = metric.labels.iter().zip(values);
    Key::from_parts(metric.name, pairs.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::{Board, COMMAND_CALLS, KEYS, Kind, METRICS};

    #[test]
    fn two_boards_show_their_own_values() {
        let (one, other) = (Board::new(), Board::new());
        one.count(&COMMAND_CALLS, &["config|get"], 7);
        one.count(&COMMAND_CALLS, &["config|get"], 9);
        other.gauge(&KEYS, &["0"], 3.0);
        let text = one.render();
        assert!(text.contains("# TYPE annulus_command_calls_total counter"), "{text}");
        assert!(text.contains("annulus_command_calls_total{command=\"config|get\"} 9"), "{text}");
        assert!(other.render().contains("annulus_keys{database=\"0\"} 3") && !text.contains("annulus_keys{"));
    }

    #[test]
    fn names_follow_the_rules() {
        for metric in METRICS {
            let is_counter = metric.name.ends_with("_total");
            assert_eq!(is_counter, metric.kind == Kind::Counter, "{}", metric.name);
            assert!(metric.name.starts_with("annulus_") && metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
