//! A data directory that no node has open: verified and salvaged by the program.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::command_line::annulus;
use crate::server::Server;

fn on(data: &Path, command: &str, flags: &[&str]) -> (Option<i32>, String) {
    annulus(&[&[command, "--data", data.to_str().expect("a short path")], flags].concat())
}

/// The segment with the most records.
fn log(data: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data.join("store")).expect("it is there");
    let logs = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let used = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("a file");
        bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count()
    };
    let logs = logs.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-")));
    logs.max_by_key(used).expect("there is a log")
}

fn stop(server: &mut Server) {
    server.signal(Signal::TERM);
    assert_eq!(server.wait_until_it_ends().0, Some(0));
}

#[test]
fn a_damaged_log_is_named_and_salvaged() {
    let mut server = Server::with(&["--durability", "sync"]);
    let data = server.data();
    let mut client = server.connect();
    for number in 0..20 {
        client.check(&[(&format!("SET key{number} value{number} EX 1000"), "+OK\r\n")]);
    }
    let (code, text) = on(&data, "check", &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("in use by another process"), "{text}");
    stop(&mut server);
    let (code, text) = on(&data, "check", &[]);
    assert!(code == Some(0) && text.contains("sound"), "{text}");
    assert!(on(&data, "salvage", &["--write"]).1.contains("nothing was changed"));

    let log = log(&data);
    let mut bytes = std::fs::read(&log).expect("a file");
    bytes[300] ^= 4;
    std::fs::write(&log, &bytes).expect("a file");
    let name = log.file_name().expect("it has a name").to_string_lossy().into_owned();
    let (code, text) = on(&data, "check", &["--json"]);
    assert!(code == Some(1) && text.contains(&name) && text.contains("\"sound\":false"), "{text}");
    let (code, text) = on(&data, "salvage", &[]);
    assert!(code == Some(1) && text.contains("pass --write") && text.contains(&name), "{text}");
    assert_eq!(std::fs::read(&log).expect("a file"), bytes, "nothing was changed");
    let (code, text) = on(&data, "salvage", &["--write"]);
    assert!(code == Some(0) && text.contains("bytes of writes and deletes"), "{text}");
    assert_eq!(std::fs::read(data.join("salvage-1").join(&name)).expect("a copy"), bytes);
    assert_eq!(on(&data, "check", &[]).0, Some(0));

    server.start_again(&[]);
    let mut client = server.connect();
    assert_eq!(client.number("DBSIZE"), 19, "one frame with one write is lost");
    client.check(&[("GET key19", "$7\r\nvalue19\r\n"), ("SET key0 again", "+OK\r\n"), ("GET key0", "$5\r\nagain\r\n")]);
}

#[test]
fn a_lost_ledger_is_replaced_only_when_asked() {
    let mut server = Server::start();
    let data = server.data();
    server.connect().check(&[("SET key value", "+OK\r\n")]);
    let id = server.connect().line("CLUSTER MYID");
    stop(&mut server);
    std::fs::write(data.join("ledger"), b"annulus").expect("a file");
    let (code, text) = on(&data, "check", &[]);
    assert!(code == Some(1) && text.contains("ledger at 0"), "{text}");
    let (code, text) = on(&data, "salvage", &["--write"]);
    assert!(code == Some(1) && text.contains("--new-ledger"), "{text}");
    let (code, text) = on(&data, "salvage", &["--write", "--new-ledger"]);
    assert!(code == Some(0) && text.contains("salvaged"), "{text}");
    assert_eq!(std::fs::read(data.join("salvage-1/ledger")).expect("a copy"), b"annulus");
    server.start_again(&[]);
    assert_ne!(server.connect().line("CLUSTER MYID"), id);
    server.connect().check(&[("GET key", "$5\r\nvalue\r\n")]);
}

#[test]
fn what_is_no_data_directory_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for command in ["check", "salvage"] {
        let (code, text) = on(directory.path(), command, &[]);
        assert!(code == Some(2) && text.contains("is empty"), "{text}");
        assert_eq!(on(&directory.path().join("none"), command, &[]).0, Some(1));
    }
}
