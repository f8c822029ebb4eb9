//! A process with one node: its log, its limits, its signals, what it tells people, how it ends.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Builder;

use crate::command::Identity;
use crate::config::Config;
use crate::env::os;
use crate::node::error::Error;
use crate::node::files::wanted_files;
use crate::node::log::LogControl;
use crate::node::signal::StopSignals;
use crate::node::start::Surroundings;
use crate::node::{Ending, Node};

/// Runs a node until it is stopped by a signal, by SHUTDOWN or by a failure.
///
/// # Errors
/// Why it did not start, or stopped by itself.
pub fn run(config: &Config) -> Result<ExitCode, Error> {
    let settings = &config.settings;
    // A process that logs already (a test that runs several nodes) keeps its log.
    let log = LogControl::start(settings).ok();
    let pool = os::Options { pool_threads: settings.count("read-threads") as usize, ..os::Options::new() };
    let surroundings = Surroundings {
        env: os::env(&pool),
        reactors: Arc::new(os::reactors(settings.count("reactors") as usize)),
        log,
        system: os::system_name(),
        open_files: os::raise_open_files(wanted_files(settings)),
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Machine { tried: "the machine makes no runtime", source })?;
    let ended = runtime.block_on(serve(surroundings, config));
    // A thread that waits for a cut connection must not hold up the end.
    runtime.shutdown_background();
    ended
}

async fn serve(surroundings: Surroundings, config: &Config) -> Result<ExitCode, Error> {
    // Before the first connection can be made, so that whoever sees the node answer can stop it gracefully.
    let taken = StopSignals::new();
    let mut signals = taken.map_err(|source| Error::Machine { tried: "signals cannot be taken over", source })?;
    // A founding may wait for hours, and nothing of it has to be wound up.
    let mut node = tokio::select! {
        biased;
        (name, code) = signals.next() => {
            tracing::info!(signal = name, "stopped before the node was one");
            return Ok(ExitCode::from(code));
        }
        node = Node::start(surroundings, config) => node?,
    };
    welcome(node.identity());
    let ending = tokio::select! {
        biased;
        ending = node.ending() => ending,
        (name, _) = signals.next() => {
            tracing::info!(signal = name, "stopping; a second signal stops at once");
            Ending::Asked
        }
    };
    let stopped = tokio::select! {
        biased;
        stopped = node.stop() => stopped,
        (name, code) = signals.next() => {
            tracing::warn!(signal = name, "stopping at once");
            return Ok(ExitCode::from(code));
        }
    };
    match ending {
        Ending::Failed(reason) => Err(Error::Failed { reason }),
        Ending::Asked => {
            stopped?;
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Tells people what runs here and how to reach it.
fn welcome(identity: &Identity) {
    let Identity { version, name, node_id, client_address, http_address, data, .. } = identity;
    let host = match client_address.ip() {
        ip if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST => String::new(),
        ip => format!("-h {ip} "),
    };
    let metrics = http_address.map_or_else(|| "off".to_owned(), |address| format!("http://{address}/metrics"));
    let lines = format!(
        "Annulus {version} is ready\n  node     {name} ({node_id})\n  clients  {client_address}\n  metrics  {metrics}\n  \
         data     {data}\n  connect  redis-cli {host}-p {port}\n",
        port = client_address.port(),
    );
    // Nobody may be reading; the node serves all the same.
    let mut out = std::io::stdout().lock();
    drop(out.write_all(lines.as_bytes()).and_then(|()| out.flush()));
}
