//! A node's life as a process: start, signals, SHUTDOWN, restart, a second process.

use rustix::process::Signal;

use crate::command_line::annulus;
use crate::server::Server;

#[test]
fn what_was_acknowledged_is_there_after_every_kind_of_end() {
    let mut server = Server::start();
    for (round, signal) in [Some(Signal::TERM), Some(Signal::INT), Some(Signal::KILL), None].into_iter().enumerate() {
        let mut client = server.connect();
        let set = format!("SET key{round} value");
        client.check(&[(&set, "+OK\r\n")]);
        match signal {
            Some(signal) => server.signal(signal),
            // It answers nothing: clients take the closed connection for the answer.
            None => assert!(std::panic::catch_unwind(move || client.line("SHUTDOWN")).is_err()),
        }
        let (code, log) = server.wait_until_it_ends();
        let expected = if signal == Some(Signal::KILL) { None } else { Some(0) };
        assert_eq!(code, expected, "{signal:?} {log}");
        server.start_again(&[]);
        assert_eq!(server.connect().number("DBSIZE"), round as i64 + 1);
    }
}

#[test]
fn a_directory_that_has_a_cluster_is_not_founded_again() {
    let mut server = Server::start();
    let id = server.connect().line("CLUSTER MYID");
    server.signal(Signal::TERM);
    server.wait_until_it_ends();
    server.start_again(&["--found"]);
    assert_eq!(server.connect().line("CLUSTER MYID"), id);
    server.signal(Signal::TERM);
    let (_, log) = server.wait_until_it_ends();
    assert!(log.contains("--found is ignored"), "{log}");
}

#[test]
fn a_second_process_on_the_same_directory_is_kept_out() {
    let server = Server::start();
    let data = server.data();
    let (code, error) = annulus(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().expect("a short path")]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("in use by another process"), "{error}");
    server.connect().check(&[("SET a 1", "+OK\r\n")]);
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_founded() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let address = format!("127.0.0.1:{}", server.port());
    let found = ["serve", "--found", "--peer-listen", "127.0.0.1:1", "--http-listen", "off", "--listen", &address];
    let (code, error) = annulus(&[&found[..], &["--data", data.to_str().expect("a short path")]].concat());
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(&format!("listen: cannot listen on {address}")), "{error}");
    assert!(!data.exists());
}

#[test]
fn log_lines_can_be_json() {
    let mut server = Server::with(&["--log-format", "json"]);
    server.signal(Signal::TERM);
    let (_, log) = server.wait_until_it_ends();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with('{') && last.contains("\"message\":\"stopped\""), "{log}");
}
