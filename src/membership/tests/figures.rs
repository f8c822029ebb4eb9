//! What the constants of this module were chosen by. `cargo test --lib membership::tests::figures -- --nocapture` prints it.

use std::time::Duration;

use crate::membership::tests::cluster::{Cluster, INTERVAL, JITTERY, Network, id};
use crate::membership::{FAN_OUT, Key, MAX_MESSAGE_BYTES};

const MINUTE: Duration = Duration::from_secs(60);

/// A cluster that has come to know itself.
fn settled(seed: u64, count: usize, network: Network) -> Cluster {
    let mut cluster = Cluster::new(seed, count, network);
    cluster.run(12 * INTERVAL);
    cluster
}

/// Seconds until all nodes know of a change at node `at`.
fn spread(cluster: &mut Cluster, at: usize, text: &[u8]) -> f64 {
    cluster.nodes[at].set(Key::LOAD, text).expect("small");
    cluster.run_until(MINUTE, |cluster| cluster.nodes.iter().all(|node| node.value(id(at), Key::LOAD) == Some(text)))
}

#[test]
fn a_change_is_known_to_all_of_a_hundred_nodes_in_seconds() {
    for fan_out in 1..=FAN_OUT {
        let mut cluster = settled(1, 100, Network { fan_out, ..JITTERY });
        let (began, messages, bytes) = (cluster.now, cluster.messages, cluster.bytes);
        let times = [b"one", b"two"].map(|text| spread(&mut cluster, 7, text));
        let node_seconds = (cluster.now - began).as_secs_f64() * 100.0;
        let messages = (cluster.messages - messages) as f64 / node_seconds;
        let bytes = (cluster.bytes - bytes) as f64 / node_seconds;
        println!(
            "fan-out {fan_out}: all know after {times:.1?} s; {messages:.1} messages, {:.1} KB per node per second, \
             longest {:.1} KB",
            bytes / 1e3,
            cluster.longest as f64 / 1e3
        );
        assert!(cluster.longest <= MAX_MESSAGE_BYTES);
        if fan_out == FAN_OUT {
            assert!(
                times.iter().all(|seconds| *seconds <= 5.0) && messages < 9.0 && bytes < 20e3,
                "{times:?} {messages} {bytes}"
            );
        }
    }
}

#[test]
fn a_dead_node_is_down_everywhere_in_seconds() {
    let mut cluster = settled(2, 100, JITTERY);
    cluster.kill(17);
    let silent = cluster.run_until(MINUTE, |cluster| cluster.is_down_for_all(17, 0));
    cluster.kill(40);
    cluster.close_connections(40);
    let closed = cluster.run_until(MINUTE, |cluster| cluster.is_down_for_all(40, 0));
    println!("100 nodes: a dead node is down everywhere after {silent:.1} s, with closed connections {closed:.1} s");
    assert!(silent < 9.0 && closed < silent);
    assert_eq!(cluster.false_alarms(), 0);
}

#[test]
fn three_nodes_notice_a_dead_one_soon() {
    let mut silent = Vec::new();
    let mut closed = Vec::new();
    for seed in 0..20 {
        let mut cluster = settled(seed, 3, JITTERY);
        cluster.kill(0);
        silent.push(cluster.run_until(MINUTE, |cluster| cluster.is_down_for_all(0, 0)));
        cluster.restart(0, 2);
        cluster.run(20 * INTERVAL);
        cluster.kill(0);
        cluster.close_connections(0);
        closed.push(cluster.run_until(MINUTE, |cluster| cluster.is_down_for_all(0, 0)));
    }
    silent.sort_by(f64::total_cmp);
    closed.sort_by(f64::total_cmp);
    println!(
        "3 nodes: median {:.1} s, last {:.1} s; connections closed {:.1} s, {:.1} s",
        silent[10], silent[19], closed[10], closed[19]
    );
    assert!(silent[19] < 10.0 && closed[19] < 6.0);
}

#[test]
fn an_hour_of_loss_and_jitter_raises_no_false_alarm() {
    for count in [3, 8] {
        let mut cluster = settled(3, count, JITTERY);
        let mut alarms = 0;
        for _ in 0..3600 {
            cluster.run(INTERVAL);
            alarms += cluster.false_alarms();
        }
        println!("{count} nodes: {alarms} false alarms in an hour");
        assert_eq!(alarms, 0);
    }
}
