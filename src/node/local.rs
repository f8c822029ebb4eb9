//! A whole cluster on this machine: each node a process of its own, with its own ports and data directory.
//!
//! ```text
//! DIR/node-1/    data of the first node, which founds        DIR/node-1.log    what it says
//! ```
//!
//! The same arguments found the cluster and start it again: a data directory that has a cluster ignores `--found` and
//! `--join`. Invariant: no node outlives this process: each is told to stop, and the kernel tells it if nobody else can.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::env::os::{Child, OsDisk, OsNet};
use crate::env::{Disk as _, Net as _};
use crate::ledger::Ledger;
use crate::node::error::Error;
use crate::node::signal::StopSignals;

/// Most nodes of a cluster on one machine.
pub const MAX_LOCAL_NODES: u16 = 9;

/// Ports for peers lie so far above those for clients.
const PEERS: u16 = 10_000;
/// How often it is looked how the nodes are.
const LOOK: Duration = Duration::from_millis(100);
/// How long a node may take to say whether it serves.
const PROBE: Duration = Duration::from_secs(1);

/// A cluster on this machine.
#[derive(Clone, Debug)]
pub struct LocalCluster {
    /// How many nodes, up to [`MAX_LOCAL_NODES`].
    pub nodes: u16,
    /// The client port of the first; the others follow.
    pub port: u16,
    /// Where their data directories are.
    pub data: PathBuf,
    /// More flags of `annulus serve`, for each of them.
    pub flags: Vec<String>,
}

/// A node, and what is known of its process.
struct Running {
    number: u16,
    child: Child,
    is_over: bool,
}

impl LocalCluster {
    /// Runs the cluster until SIGINT or SIGTERM, or until no node is left.
    ///
    /// # Errors
    /// A node does not start; the others are stopped.
    pub fn run(&self) -> Result<ExitCode, Error> {
        self.check()?;
        let made = OsDisk.make_dir(&self.data);
        made.map_err(|source| Error::Machine { tried: "the directory of the cluster cannot be made", source })?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Machine { tried: "the machine makes no runtime", source })?;
        runtime.block_on(self.live())
    }

    /// A cluster that was founded with another number of nodes is not started in part.
    fn check(&self) -> Result<(), Error> {
        let has_ledger = |number| Ledger::exists(&OsDisk, &self.node_data(number)).unwrap_or(false);
        let is_there = |number: u16| OsDisk.list(&self.node_data(number)).is_ok();
        let there = (1..=MAX_LOCAL_NODES).filter(|number| is_there(*number)).count();
        if has_ledger(1) && there != usize::from(self.nodes) {
            let (path, nodes) = (self.data.clone(), self.nodes);
            return Err(Error::OtherLocal { path, there, nodes });
        }
        Ok(())
    }

    async fn live(&self) -> Result<ExitCode, Error> {
        let signals = StopSignals::new();
        let mut signals = signals.map_err(|source| Error::Machine { tried: "signals cannot be taken over", source })?;
        let mut running = Vec::new();
        for number in 1..=self.nodes {
            match Child::start(&self.arguments(number, Some(std::process::id())), &self.log(number)) {
                Ok(child) => running.push(Running { number, child, is_over: false }),
                Err(source) => {
                    stop(&mut running, &mut signals).await;
                    return Err(Error::Machine { tried: "a node's process cannot be started", source });
                }
            }
        }
        let ready = tokio::select! {
            biased;
            _ = signals.next() => None,
            ready = self.ready(&mut running) => Some(ready),
        };
        match ready {
            None => {}
            Some(Err(error)) => {
                stop(&mut running, &mut signals).await;
                return Err(error);
            }
            Some(Ok(())) => {
                say(&self.welcome());
                tokio::select! {
                    biased;
                    _ = signals.next() => say("stopping all nodes; again to stop them at once\n"),
                    () = self.watch(&mut running) => say("no node is left\n"),
                }
            }
        }
        let is_over = running.iter().all(|node| node.is_over);
        stop(&mut running, &mut signals).await;
        Ok(if is_over { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Waits until all nodes serve clients.
    async fn ready(&self, running: &mut [Running]) -> Result<(), Error> {
        let mut waiting: Vec<u16> = (1..=self.nodes).collect();
        while !waiting.is_empty() {
            for node in running.iter_mut() {
                if let Some(how) = node.child.ended().unwrap_or(None) {
                    let (number, log) = (node.number, self.log(node.number));
                    return Err(Error::LocalNode { number, how, said: last_line(&log), log });
                }
            }
            for number in std::mem::take(&mut waiting) {
                if !serves(self.clients(number)).await {
                    waiting.push(number);
                }
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Tells of every node that ends, until all have.
    async fn watch(&self, running: &mut [Running]) {
        while running.iter().any(|node| !node.is_over) {
            for node in running.iter_mut().filter(|node| !node.is_over) {
                let Ok(Some(how)) = node.child.ended() else { continue };
                node.is_over = true;
                let (number, command) = (node.number, self.command(node.number));
                say(&format!("node-{number} has ended ({how}); start it again with\n  {command}\n"));
            }
            sleep(LOOK).await;
        }
    }

    fn welcome(&self) -> String {
        let mut text =
            format!("a cluster of {} nodes is ready; data and logs in {}\n", self.nodes, self.data.display());
        for number in 1..=self.nodes {
            text.push_str(&format!("  node-{number}  redis-cli -p {}\n", self.clients(number).port()));
        }
        text + "Ctrl-C stops all of them; annulus status shows them\n"
    }

    /// What somebody types who starts a node by hand.
    fn command(&self, number: u16) -> String {
        let words = self.arguments(number, None);
        let words =
            words.iter().map(|word| if word.contains([' ', '\'']) { format!("{word:?}") } else { word.clone() });
        format!("annulus {}", words.collect::<Vec<_>>().join(" "))
    }

    fn arguments(&self, number: u16, parent: Option<u32>) -> Vec<String> {
        let clients = self.clients(number).to_string();
        let data = self.node_data(number).display().to_string();
        let mut words = vec!["serve".to_owned(), "--listen".into(), clients, "--data".into(), data];
        words.extend(["--name".to_owned(), format!("node-{number}")]);
        if let Some(parent) = parent {
            words.extend(["--parent".to_owned(), parent.to_string()]);
            if number == 1 {
                words.extend(["--found".to_owned(), self.nodes.to_string()]);
            } else {
                let founder = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port + PEERS));
                words.extend(["--join".to_owned(), founder.to_string()]);
            }
        }
        words.extend(self.flags.iter().cloned());
        words
    }

    fn clients(&self, number: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port + number - 1))
    }

    fn node_data(&self, number: u16) -> PathBuf {
        self.data.join(format!("node-{number}"))
    }

    fn log(&self, number: u16) -> PathBuf {
        self.data.join(format!("node-{number}.log"))
    }
}

/// Stops all nodes and waits for their ends; a signal stops them at once.
async fn stop(running: &mut [Running], signals: &mut StopSignals) {
    running.iter_mut().for_each(|node| node.child.stop());
    while running.iter_mut().any(|node| matches!(node.child.ended(), Ok(None))) {
        tokio::select! {
            biased;
            _ = signals.next() => running.iter_mut().for_each(|node| node.child.stop()),
            () = sleep(LOOK) => {}
        }
    }
}

/// Whether a node answers clients, be it that they have to log in.
async fn serves(address: SocketAddr) -> bool {
    let probe = async {
        let mut stream = OsNet.connect(address).await?;
        stream.write_all(b"PING\r\n").await?;
        stream.read_u8().await
    };
    matches!(tokio::time::timeout(PROBE, probe).await, Ok(Ok(b'+' | b'-')))
}

/// The last line of a log, which says why its node has ended.
fn last_line(log: &std::path::Path) -> String {
    let read = || {
        let file = OsDisk.open(log, crate::env::OpenMode::Read)?;
        let length = file.len()?.min(4096);
        let mut bytes = vec![0; length as usize];
        file.read_at(&mut bytes, file.len()? - length)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    text.lines().last().unwrap_or_default().to_owned()
}

fn say(text: &str) {
    // Nobody may be reading; the nodes serve all the same.
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::LocalCluster;

    #[test]
    fn the_printed_command_starts_a_node_without_its_cluster() {
        let cluster = LocalCluster {
            nodes: 3,
            port: 6379,
            data: "my data".into(),
            flags: vec!["--durability".into(), "none".into()],
        };
        assert_eq!(
            cluster.command(2),
            "annulus serve --listen 127.0.0.1:6380 --data \"my data/node-2\" --name node-2 --durability none"
        );
        let first = cluster.arguments(1, Some(7)).join(" ");
        assert!(first.contains("--parent 7 --found 3"), "{first}");
        assert!(cluster.arguments(3, Some(7)).join(" ").contains("--join 127.0.0.1:16379"));
    }
}
