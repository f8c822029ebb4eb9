//! What a node missed while it was away comes to it by itself, from disk if need be.

use rustix::process::Signal;

use crate::founding::{all_are_connected, found, until};
use crate::server::Server;

const KEYS: usize = 200;

/// The sum of a line of `INFO cluster` over some nodes.
fn sum(nodes: &[Server], name: &str) -> usize {
    let of = |node: &Server| {
        let info = node.connect().line("INFO cluster");
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.parse::<usize>().ok());
        line.unwrap_or_else(|| panic!("{name} is not told: {info}"))
    };
    nodes.iter().map(of).sum()
}

#[test]
fn a_node_that_was_away_is_whole_again_though_the_others_were_started_again_meanwhile() {
    let mut nodes = found(&[]);
    until("that all are connected", || all_are_connected(&nodes));
    nodes[2].signal(Signal::KILL);
    nodes[2].wait_until_it_ends();
    let mut client = nodes[0].connect();
    for key in 0..KEYS {
        assert_eq!(client.line(&format!("SET k{key} {key}")), "+OK\r\n");
    }
    until("that all are kept", || sum(&nodes[..2], "hints_kept") == KEYS);
    let told: String = nodes[..2].iter().map(|node| node.http("/metrics")).collect();
    assert!(told.contains("annulus_hints{node=") && told.contains("annulus_hints_kept_total"), "{told}");
    for node in &mut nodes[..2] {
        node.signal(Signal::TERM);
        node.wait_until_it_ends();
        node.start_again(&[]);
    }
    nodes[2].start_again(&[]);
    until("that all are connected again", || all_are_connected(&nodes));
    until("that all are delivered", || sum(&nodes[..2], "hints_delivered") == KEYS);
    assert_eq!((sum(&nodes[..2], "hints_bytes"), sum(&nodes, "hints_dropped_overflow")), (0, 0));
    for node in &mut nodes[..2] {
        node.signal(Signal::KILL);
        node.wait_until_it_ends();
    }
    let mut alone = nodes[2].connect();
    assert_eq!(alone.line("CONSISTENCY READ ONE WRITE ONE"), "+OK\r\n");
    for key in 0..KEYS {
        let value = key.to_string();
        assert_eq!(alone.line(&format!("GET k{key}")), format!("${}\r\n{value}\r\n", value.len()));
    }
}
