//! Clients that mean harm or do not care: the server goes on, within its memory.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::server::{Connection, Server};

/// Bytes that the buffers of all connections hold, and the limit.
fn buffers(client: &mut Connection) -> (u64, u64) {
    let info = client.line("INFO memory");
    let line = info.lines().find_map(|line| line.strip_prefix("budget_connection_buffers:used=")).expect("a budget");
    let (used, limit) = line.split_once(",limit=").expect("used and limit");
    (used.parse().expect("a number"), limit.parse().expect("a number"))
}

#[test]
fn clients_that_never_read_share_one_budget() {
    let limits = ["--query-buffer-max", "1MB", "--max-pair-bytes", "64KB", "--connection-buffers-max", "2MB"];
    let server = Server::with(&limits);
    let mut client = server.connect();
    let value = vec![b'v'; 1024];
    assert_eq!(client.call(&[b"SET", b"key", &value]), b"+OK\r\n");
    let pipeline = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".repeat(1 << 16);
    let greedy: Vec<Connection> = (0..6).map(|_| server.connect()).collect();
    for connection in &greedy {
        connection.send_what_is_taken(&pipeline);
    }
    // Each of them alone may hold 1 MB of requests and 1 MB of replies. Who comes now waits until they are closed.
    let (used, limit) = buffers(&mut client);
    assert!(used < limit + (1 << 20) && limit == 2 << 20, "{used} of {limit}");
    let metric = format!("annulus_memory_limit_bytes{{budget=\"connection_buffers\"}} {limit}\n");
    assert!(server.http("/metrics").contains(&metric), "INFO and the metrics tell the same");
    client.check(&[("PING", "+PONG\r\n")]);
}

#[test]
fn queued_commands_and_watched_keys_count_as_buffers() {
    let server = Server::start();
    let mut client = server.connect();
    let (mut queueing, mut watching) = (server.connect(), server.connect());
    queueing.check(&[("MULTI", "+OK\r\n")]);
    assert_eq!(queueing.call(&[b"SET", b"key", &[b'v'; 1_000_000]]), b"+QUEUED\r\n");
    let names: Vec<Vec<u8>> = (0..1_000).map(|index| format!("key:{index}").into_bytes()).collect();
    let words: Vec<&[u8]> = std::iter::once(&b"WATCH"[..]).chain(names.iter().map(Vec::as_slice)).collect();
    assert_eq!(watching.call(&words), b"+OK\r\n");
    let (used, _) = buffers(&mut client);
    assert!((1_100_000..1_300_000).contains(&used), "{used}");
    queueing.check(&[("DISCARD", "+OK\r\n")]);
    watching.check(&[("UNWATCH", "+OK\r\n"), ("PING", "+PONG\r\n")]);
    queueing.check(&[("PING", "+PONG\r\n")]);
    assert_eq!(buffers(&mut client).0, 0);
}

#[test]
fn a_web_page_cannot_send_commands() {
    let mut server = Server::start();
    for (head, expected) in [
        ("POST / HTTP/1.1", ""),
        ("GET /\r\nhost: 127.0.0.1", "$-1\r\n"),
        ("MULTI\r\nHost: 127.0.0.1", "+OK\r\n"),
        ("*1\r\n$4\r\npost", ""),
    ] {
        let mut browser = server.connect();
        browser.send_bytes(format!("{head}\r\nSET key 1\r\n").as_bytes());
        assert_eq!(browser.rest(), expected, "{head}");
    }
    assert_eq!(server.connect().number("EXISTS key"), 0);
    server.signal(Signal::TERM);
    let (_, log) = server.wait_until_it_ends();
    let warnings = log.lines().filter(|line| line.contains("WARN") && line.contains("address=127.0.0.1")).count();
    assert!((1..=4).contains(&warnings) && log.contains("possible attack"), "{log}");
}

#[test]
fn watching_many_keys_takes_no_time_that_grows_with_their_square() {
    let server = Server::start();
    let mut client = server.connect();
    let names: Vec<Vec<u8>> = (0..200_000).map(|index| format!("key:{index}").into_bytes()).collect();
    let words: Vec<&[u8]> = std::iter::once(&b"WATCH"[..]).chain(names.iter().map(Vec::as_slice)).collect();
    assert_eq!(client.call(&words), b"+OK\r\n");
    assert_eq!(server.connect().line("SET key:77777 1"), "+OK\r\n");
    client.check(&[("MULTI", "+OK\r\n"), ("PING", "+QUEUED\r\n"), ("EXEC", "*-1\r\n")]);
}

#[test]
fn a_transaction_whose_reply_is_endless_is_cut() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.call(&[b"SET", b"key", &vec![b'v'; 1 << 20][..(1 << 20) - 16]]), b"+OK\r\n");
    client.check(&[("MULTI", "+OK\r\n")]);
    for _ in 0..70 {
        client.check(&[("GET key", "+QUEUED\r\n")]);
    }
    let reply = client.line("EXEC");
    assert!(reply.starts_with("*70\r\n$") && reply.len() < 66 << 20);
    assert!(reply.ends_with("-ERR the reply of this transaction exceeds 64 MB; this command was not run\r\n"));
}

/// A client that has sent many requests for long replies and reads none of them, and its number.
fn deaf(server: &Server) -> (Connection, i64) {
    let mut client = server.connect();
    assert_eq!(client.call(&[b"SET", b"key", &[b'v'; 16 << 10]]), b"+OK\r\n");
    let id = client.number("CLIENT ID");
    client.send_what_is_taken(&b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".repeat(4096));
    (client, id)
}

#[test]
fn a_killed_client_that_never_reads_is_gone_at_once() {
    let server = Server::start();
    let (mut deaf, id) = deaf(&server);
    let mut client = server.connect();
    client.check(&[(&format!("CLIENT KILL ID {id}"), ":1\r\n")]);
    let begun = Instant::now();
    while client.line("CLIENT LIST").contains(&format!("id={id} ")) {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is waited for");
    }
    deaf.read_to_the_end();
    let own = client.number("CLIENT ID");
    client.check(&[(&format!("CLIENT KILL ID {own} SKIPME no"), ":1\r\n")]);
    assert!(client.is_closed());
}

#[test]
fn a_stop_waits_for_a_client_that_never_reads_as_long_as_is_said() {
    let mut server = Server::with(&["--drain-timeout", "500ms"]);
    let (_deaf, _) = deaf(&server);
    server.connect().check(&[("SET last 1", "+OK\r\n")]);
    let begun = Instant::now();
    server.signal(Signal::TERM);
    let (code, log) = server.wait_until_it_ends();
    assert!(code == Some(0) && log.contains("their connections are cut"), "{code:?} {log}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    server.start_again(&[]);
    assert_eq!(server.connect().number("EXISTS last key"), 2);
}
