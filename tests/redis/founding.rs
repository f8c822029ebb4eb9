//! Clusters of several processes: founded, started again, and what is refused with what to do about it.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(30);

/// A founder that waits for three, and two that join it.
pub(crate) fn found(flags: &[&str]) -> Vec<Server> {
    let founder = Server::begin(&[&["--found", "3"], flags].concat());
    let address = format!("127.0.0.1:{}", founder.peer_port());
    let joiner = || Server::begin(&[&["--join", &address], flags].concat());
    let mut nodes = vec![joiner(), joiner(), founder];
    nodes.iter_mut().for_each(Server::wait_until_it_answers);
    nodes
}

#[track_caller]
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} never happens");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The value of a line of `INFO cluster`.
fn fact(node: &Server, name: &str) -> String {
    let info = node.connect().line("INFO cluster");
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} is not told: {info}")).to_owned()
}

pub(crate) fn all_are_connected(nodes: &[Server]) -> bool {
    nodes.iter().all(|node| fact(node, "cluster_nodes_unreachable") == "0")
}

#[test]
fn three_nodes_make_a_cluster_and_every_client_sees_all_of_them() {
    let nodes = found(&[]);
    let clusters: Vec<String> = nodes.iter().map(|node| fact(node, "cluster_id")).collect();
    assert!(clusters.iter().all(|cluster| *cluster == clusters[0]), "{clusters:?}");
    until("that all are connected", || all_are_connected(&nodes));
    let mut client = nodes[0].connect();
    let lines = client.line("CLUSTER NODES");
    for node in &nodes {
        assert!(lines.contains(&format!("127.0.0.1:{}@{} ", node.port(), node.peer_port())), "{lines}");
        assert!(node.http("/health").starts_with("HTTP/1.1 200"));
        let metrics = node.http("/metrics");
        assert!(metrics.contains("\nannulus_cluster_nodes 3\n"), "{metrics}");
    }
    assert_eq!(lines.matches(",master").count() + lines.matches(" master ").count(), 3, "{lines}");
    assert_eq!(lines.matches(" connected ").count(), 3, "{lines}");
    let info = client.line("CLUSTER INFO");
    assert!(info.contains("cluster_known_nodes:3") && info.contains("cluster_size:3"), "{info}");
    let slots = client.line("CLUSTER SLOTS");
    assert!(nodes.iter().all(|node| slots.contains(&format!(":{}\r\n", node.port()))), "{slots}");
    let shards = client.line("CLUSTER SHARDS");
    let (masters, replicas) = (shards.matches("\r\nmaster\r\n").count(), shards.matches("\r\nreplica\r\n").count());
    assert!(masters > 1 && replicas == 2 * masters, "{shards}");
    let key = client.line("RING KEY foo");
    assert_eq!(key.matches("\r\nclients\r\n").count(), 3, "{key}");
}

#[test]
fn nodes_that_are_started_again_need_no_flag_and_find_each_other() {
    let mut nodes = found(&[]);
    let cluster = fact(&nodes[0], "cluster_id");
    until("that all are connected", || all_are_connected(&nodes));
    nodes[2].signal(Signal::KILL);
    nodes[2].wait_until_it_ends();
    until("that the others notice", || fact(&nodes[0], "cluster_nodes_unreachable") == "1");
    let lines = nodes[0].connect().line("CLUSTER NODES");
    assert_eq!((lines.matches(" disconnected").count(), lines.matches("fail?").count()), (1, 1), "{lines}");
    nodes[2].start_again(&[]);
    until("that it is back", || all_are_connected(&nodes));
    for node in &mut nodes {
        node.signal(Signal::TERM);
    }
    for node in &mut nodes {
        assert_eq!(node.wait_until_it_ends().0, Some(0), "{}", node.log());
    }
    let same = ["--join", "127.0.0.1:1"];
    nodes.iter_mut().for_each(|node| node.start_again(&same));
    assert!(nodes[0].log().contains("has a cluster already"), "{}", nodes[0].log());
    until("that all are back", || all_are_connected(&nodes));
    assert_eq!(fact(&nodes[0], "cluster_id"), cluster);
}

#[test]
fn a_cluster_that_runs_takes_no_more_nodes_in_this_version() {
    let nodes = found(&[]);
    let address = format!("127.0.0.1:{}", nodes[0].peer_port());
    let mut late = Server::begin(&["--join", &address]);
    let (code, log) = late.wait_until_it_ends();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("the cluster runs with its 3 nodes") && log.contains("--found 4"), "{log}");
}

#[test]
fn nodes_with_another_secret_or_the_same_name_are_told() {
    let mut founder = Server::begin(&["--found", "3", "--cluster-secret", "a", "--name", "one"]);
    let address = format!("127.0.0.1:{}", founder.peer_port());
    let refused = |flags: &[&str], told: &str| {
        let mut node = Server::begin(&[&["--join", &address], flags].concat());
        let (code, log) = node.wait_until_it_ends();
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(told), "{log}");
    };
    refused(&["--cluster-secret", "b"], "do not have the same cluster-secret");
    refused(&[], "do not have the same cluster-secret");
    refused(&["--cluster-secret", "a", "--name", "one"], "there is another node called one; give each its own --name");
    // It still waits, and can be told to stop.
    founder.signal(Signal::TERM);
    let (code, log) = founder.wait_until_it_ends();
    assert_eq!(code, Some(143), "{log}");
    founder.start_again_without_waiting(&["--found", "3", "--cluster-secret", "a"]);
    let joiner = || Server::begin(&["--join", &address, "--cluster-secret", "a"]);
    let mut others = [joiner(), joiner()];
    others.iter_mut().for_each(Server::wait_until_it_answers);
    founder.wait_until_it_answers();
    assert_eq!(fact(&founder, "cluster_nodes"), "3");
}

#[test]
fn a_node_of_another_cluster_is_not_talked_to() {
    let mut nodes = found(&[]);
    let stranger = Server::start();
    // It comes to stand where a member was.
    nodes[0].signal(Signal::KILL);
    nodes[0].wait_until_it_ends();
    let moved = format!("127.0.0.1:{}", nodes[0].peer_port());
    let mut stranger = stranger;
    stranger.signal(Signal::TERM);
    stranger.wait_until_it_ends();
    stranger.start_again(&["--peer-listen", &moved]);
    until("that it is told", || nodes[1].log().contains("cannot talk"));
    assert_eq!(fact(&nodes[1], "cluster_nodes_unreachable"), "1");
}
