//! Whole nodes in this process, with a disk that fails on request.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::{Config, Place, Settings};
use crate::env::memory::{Fault, MemoryDisk, OperationKind};
use crate::env::{Env, Stream, os};
use crate::node::{Ending, Error, Node, Surroundings};

/// The machine but for its disk.
fn surroundings(disk: &Arc<MemoryDisk>) -> Surroundings {
    let env = os::env(&os::Options { pool_threads: 1, pool_queue: 16 });
    Surroundings {
        env: Env { disk: Arc::clone(disk) as Arc<dyn crate::env::Disk>, ..env },
        reactors: Arc::new(os::reactors(1)),
        log: None,
        system: String::new(),
        open_files: 10_000,
    }
}

fn config(changes: &[(&str, &str)]) -> Config {
    let mut settings = Settings::new();
    let usual = [("listen", "127.0.0.1:0"), ("data", "/data"), ("found", "1"), ("memtable-bytes", "4MB")];
    for (name, value) in usual.iter().chain(changes) {
        settings.set(name, value, Place::Default).expect("the test sets what is allowed");
    }
    Config { settings, file: None::<PathBuf> }
}

async fn ask(stream: &mut dyn Stream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.expect("the node reads");
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.expect("the node answers, or closes");
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[tokio::test]
async fn a_node_whose_disk_fails_says_so_and_stops() {
    let disk = Arc::new(MemoryDisk::new(1));
    let surroundings = surroundings(&disk);
    let net = Arc::clone(&surroundings.env.net);
    let mut node = Node::start(surroundings, &config(&[])).await.expect("nothing fails yet");
    let identity = node.identity().clone();
    let mut client = net.connect(identity.client_address).await.expect("the node listens");
    assert_eq!(ask(&mut *client, "SET a 1\r\n").await, "+OK\r\n");
    disk.fail_where(|operation| (operation.kind == OperationKind::Sync).then_some(Fault::Io));
    assert_eq!(ask(&mut *client, "SET a 2\r\n").await, "", "not acknowledged: the connection ends");
    let mut probe = net.connect(identity.http_address.expect("it is on")).await.expect("the port listens");
    let health = ask(&mut *probe, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("\"status\":\"failed\""), "{health}");
    let ending = node.ending().await;
    assert!(matches!(&ending, Ending::Failed(reason) if !reason.is_empty()), "{ending:?}");
    assert!(node.stop().await.is_err(), "what cannot be written out is told");
}

#[tokio::test]
async fn two_nodes_live_in_one_process_and_a_third_finds_the_data_of_the_first() {
    let disks = [1, 2].map(|seed| Arc::new(MemoryDisk::new(seed)));
    let mut ids = Vec::new();
    let mut nodes = Vec::new();
    for (disk, value) in disks.iter().zip(["one", "two"]) {
        let surroundings = surroundings(disk);
        let net = Arc::clone(&surroundings.env.net);
        let node = Node::start(surroundings, &config(&[])).await.expect("a new node");
        let mut client = net.connect(node.identity().client_address).await.expect("the node listens");
        assert_eq!(ask(&mut *client, &format!("SET a {value}\r\n")).await, "+OK\r\n");
        ids.push(node.identity().node_id);
        nodes.push(node);
    }
    assert_ne!(ids[0], ids[1]);
    for node in nodes {
        node.stop().await.expect("nothing fails");
    }
    let surroundings = surroundings(&disks[0]);
    let net = Arc::clone(&surroundings.env.net);
    let again = Node::start(surroundings, &config(&[("found", "0")])).await.expect("the first one's data");
    assert_eq!(again.identity().node_id, ids[0]);
    let mut client = net.connect(again.identity().client_address).await.expect("the node listens");
    assert_eq!(ask(&mut *client, "GET a\r\n").await, "$3\r\none\r\n");
    again.stop().await.expect("nothing fails");
}

#[tokio::test]
async fn a_start_that_fails_founds_nothing() {
    let disk = Arc::new(MemoryDisk::new(1));
    let (first, second) = (surroundings(&disk), surroundings(&Arc::new(MemoryDisk::new(2))));
    let node = Node::start(second, &config(&[])).await.expect("a new node");
    let taken = node.identity().client_address.to_string();
    let started =
        Node::start(first, &config(&[("listen", &taken), ("http-listen", "off"), ("peer-listen", &taken)])).await;
    assert!(matches!(started, Err(Error::Listen { setting: "listen", .. })));
    assert!(disk.files().is_empty(), "{:?}", disk.files());
    node.stop().await.expect("nothing fails");
}
