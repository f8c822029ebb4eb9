//! `CLIENT REPLY`, outside of transactions and inside. What a real Redis 7.0.15 answered to the same lines.

use crate::server::Server;

/// Sends all lines on a new connection and compares everything that is answered; `QUIT` comes last.
#[track_caller]
fn check(server: &Server, lines: &[&str], expected: &str) {
    let mut client = server.connect();
    client.send_bytes((lines.join("\r\n") + "\r\nQUIT\r\n").as_bytes());
    assert_eq!(client.rest(), expected, "{lines:?}");
}

#[test]
fn replies_are_left_out_command_by_command() {
    let server = Server::start();
    check(&server, &["CLIENT REPLY OFF", "MSET a 1 b 2", "PING", "CLIENT REPLY ON", "PING"], "+OK\r\n+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY SKIP", "MSET a 1 b 2", "PING"], "+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING"], "+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"], "+OK\r\n+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY SKIP", "RESET", "PING"], "+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY OFF", "RESET", "PING"], "+RESET\r\n+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY SKIP", "EXEC", "PING"], "+PONG\r\n+OK\r\n");
    check(&server, &["CLIENT REPLY OFF"], "");
}

#[test]
fn replies_are_left_out_inside_of_transactions() {
    let server = Server::start();
    server.connect().check(&[("SET a 1", "+OK\r\n")]);
    let queued = |count: usize| "+OK\r\n".to_owned() + &"+QUEUED\r\n".repeat(count);
    let (value, end) = ("$1\r\n1\r\n", "+PONG\r\n+OK\r\n");
    let lines = ["MULTI", "SET a 1", "CLIENT REPLY OFF", "GET a", "CLIENT REPLY ON", "GET a", "EXEC", "PING"];
    check(&server, &lines, &format!("{}*5\r\n+OK\r\n+OK\r\n{value}{end}", queued(5)));
    let lines = ["MULTI", "SET a 1", "CLIENT REPLY SKIP", "GET a", "EXEC", "PING", "PING"];
    check(&server, &lines, &format!("{}*3\r\n+OK\r\n{value}{end}", queued(3)));
    let lines = ["MULTI", "GET a", "CLIENT REPLY OFF", "GET a", "EXEC", "PING", "CLIENT REPLY ON"];
    check(&server, &lines, &format!("{}*3\r\n{value}+OK\r\n+OK\r\n", queued(3)));
    let lines = ["CLIENT REPLY OFF", "MULTI", "GET a", "CLIENT REPLY ON", "GET a", "EXEC", "PING"];
    check(&server, &lines, &format!("+OK\r\n{value}{end}"));
    let lines = ["CLIENT REPLY SKIP", "MULTI", "GET a", "EXEC"];
    check(&server, &lines, &format!("+QUEUED\r\n*1\r\n{value}+OK\r\n"));
    let lines = ["WATCH a", "SET a 1", "MULTI", "GET a", "CLIENT REPLY SKIP", "EXEC", "PING"];
    check(&server, &lines, &format!("+OK\r\n+OK\r\n{}*-1\r\n{end}", queued(2)));
}
