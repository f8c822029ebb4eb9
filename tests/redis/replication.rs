//! Three processes that hold the same keys: any of them serves all, and any of them may go.

use std::collections::BTreeMap;
use std::thread;

use rustix::process::Signal;

use crate::founding::{all_are_connected, found, until};
use crate::server::Server;

fn cluster(flags: &[&str]) -> Vec<Server> {
    let nodes = found(flags);
    until("that all are connected", || all_are_connected(&nodes));
    nodes
}

#[test]
fn every_node_serves_every_key() {
    serve_every_key(&cluster(&[]), 3);
}

#[test]
fn a_node_passes_on_what_it_does_not_hold() {
    serve_every_key(&cluster(&["--replicas", "1"]), 1);
}

fn serve_every_key(nodes: &[Server], copies: i64) {
    let mut clients: Vec<_> = nodes.iter().map(Server::connect).collect();
    assert_eq!(clients[0].line("SET k one EX 1000"), "+OK\r\n");
    assert_eq!(clients[1].line("GET k"), "$3\r\none\r\n");
    assert_eq!(clients[2].line("TTL k"), ":1000\r\n");
    for (index, reply) in (1..=9).zip([0, 1, 2].into_iter().cycle()) {
        assert_eq!(clients[reply].line("INCR n"), format!(":{index}\r\n"), "whoever is asked, one counts");
    }
    assert_eq!(clients[2].line("MSET a 1 b 2 c 3"), "+OK\r\n");
    assert_eq!(clients[0].line("MGET a b none c"), "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n");
    let held = || nodes.iter().map(|node| node.connect().number("DBSIZE")).sum::<i64>();
    until("that each of five keys has its copies and no more", || held() == 5 * copies);
    assert_eq!(clients[1].line("DEL a b none"), ":2\r\n");
    assert_eq!(clients[2].line("EXISTS a b c k"), ":2\r\n");
    assert_eq!(clients[0].line("APPEND c 4"), ":2\r\n");
    assert_eq!(clients[1].line("RENAME c d"), "+OK\r\n");
    assert_eq!(clients[2].line("GET d"), "$2\r\n34\r\n");
    assert_eq!(clients[1].line("FLUSHALL"), "+OK\r\n");
    for client in &mut clients {
        assert_eq!(client.line("GET k"), "$-1\r\n");
    }
    until("that all have flushed", || nodes.iter().all(|node| node.connect().line("DBSIZE") == ":0\r\n"));
}

#[test]
fn a_majority_goes_on_and_less_refuses_unless_told_otherwise() {
    let mut nodes = cluster(&[]);
    assert_eq!(nodes[0].connect().line("SET k before"), "+OK\r\n");
    nodes[2].signal(Signal::KILL);
    nodes[2].wait_until_it_ends();
    let mut client = nodes[0].connect();
    assert_eq!(client.line("SET k after"), "+OK\r\n");
    assert_eq!(nodes[1].connect().line("GET k"), "$5\r\nafter\r\n");
    nodes[1].signal(Signal::KILL);
    nodes[1].wait_until_it_ends();
    let missed = || nodes[0].connect().line("GET k").starts_with("-UNAVAILABLE read needs 2 of 3 replicas, 1 is");
    until("that both are missed", missed);
    let counted = client.line("INFO cluster");
    assert!(counted.contains("coordinated_writes:") && !counted.contains("coordinated_unavailable:0\r"), "{counted}");
    let refused = client.line("SET k never");
    assert!(refused.starts_with("-UNAVAILABLE write needs 2 of 3 replicas, 1 is reachable ("), "{refused}");
    assert_eq!(client.line("CONSISTENCY READ ONE WRITE ONE"), "+OK\r\n");
    assert_eq!((client.line("SET j alone"), client.line("GET j")), ("+OK\r\n".into(), "$5\r\nalone\r\n".into()));
    for node in &mut nodes[1..] {
        node.start_again(&[]);
    }
    until("that all are back", || all_are_connected(&nodes));
    let mut late = nodes[2].connect();
    assert_eq!((late.line("GET k"), late.line("STRLEN k")), ("$5\r\nafter\r\n".into(), ":5\r\n".into()));
}

#[test]
fn writes_side_by_side_become_siblings_that_a_client_resolves() {
    let nodes = cluster(&[]);
    let mut client = nodes[0].connect();
    let first = client.line("VSET k '' one");
    assert!(first.contains(":1\r\n"), "{first}");
    // Another writer that has seen nothing either.
    let second = nodes[1].connect().line("VSET k '' two");
    assert!(second.contains(":2\r\n"), "{second}");
    let seen = nodes[2].connect().line("VGET k");
    assert!(seen.contains("one") && seen.contains("two"), "{seen}");
    let token = seen.split("\r\n").nth(2).expect("the token comes first").to_owned();
    let resolved = nodes[2].connect().line(&format!("VSET k {token} both"));
    assert!(resolved.contains(":1\r\n"), "{resolved}");
    assert_eq!(client.line("GET k"), "$4\r\nboth\r\n");
}

/// Each writer counts one key of its own up, by way of whoever is there; what it was told last is what must be there.
#[test]
fn no_acknowledged_write_is_lost_while_nodes_are_killed_and_come_back() {
    let mut nodes = cluster(&["--durability", "everysec"]);
    let ports: Vec<u16> = nodes.iter().map(Server::port).collect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let told: BTreeMap<usize, u64> = thread::scope(|scope| {
        let (stop, ports) = (&stop, &ports);
        let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || (writer, write(writer, ports, stop)))).collect();
        for round in 0..3 {
            let victim = round % 3;
            thread::sleep(std::time::Duration::from_millis(300));
            nodes[victim].signal(Signal::KILL);
            nodes[victim].wait_until_it_ends();
            thread::sleep(std::time::Duration::from_millis(300));
            nodes[victim].start_again(&[]);
            until("that it is back", || all_are_connected(&nodes));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().expect("a writer")).collect()
    });
    for (writer, last) in told {
        assert!(last > 20, "writer {writer} was answered {last} times");
        for node in &nodes {
            let held = node.connect().line(&format!("GET w{writer}"));
            let held: u64 = held.split("\r\n").nth(1).and_then(|text| text.parse().ok()).expect("a number");
            assert!(held >= last, "writer {writer} was told {last}, a read gave {held}");
        }
    }
}

/// Writes ever greater numbers; the last one that was acknowledged.
fn write(writer: usize, ports: &[u16], stop: &std::sync::atomic::AtomicBool) -> u64 {
    use std::io::{Read, Write};
    let (mut last, mut next, mut turn) = (0, 0_u64, writer);
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        turn += 1;
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", ports[turn % ports.len()])) else { continue };
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).expect("a socket");
        // A while with one node, so that most writes are on an open connection.
        for _ in 0..50 {
            next += 1;
            let mut reply = [0; 512];
            let sent = stream.write_all(format!("SET w{writer} {next}\r\n").as_bytes());
            match sent.and_then(|()| stream.read(&mut reply)) {
                Ok(count) if reply[..count].starts_with(b"+OK") => last = next,
                _ => break,
            }
        }
    }
    last
}
