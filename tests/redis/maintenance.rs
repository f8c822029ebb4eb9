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
fn a_snapshot_under_load_has_all_before_it_and_a_prefix_of_the_rest() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir = place.path().to_str().expect("a short path");
    let mut server = Server::with(&["--snapshot-dir", dir, "--memtable-bytes", "4MB"]);
    let (mut writer, mut client) = (server.connect(), server.connect());
    let value = vec![b'x'; 10_000];
    let set = |number: u32| [b"SET".to_vec(), format!("k{number}").into_bytes(), value.clone()];
    let mut write = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let words = set(number);
            writer.send(&[&words[0], &words[1], &words[2]]);
            assert_eq!(writer.reply(), b"+OK\r\n");
        }
    };
    write(0..1000);
    std::thread::scope(|scope| {
        scope.spawn(|| write(1000..2500));
        assert_eq!(client.line("SNAPSHOT one"), "+OK\r\n");
    });
    assert!(client.line("SNAPSHOT one").contains("in an empty directory"));
    for name in ["../two", "a/b", ".", ""] {
        assert!(
            String::from_utf8_lossy(&client.call(&[b"SNAPSHOT", name.as_bytes()]))
                .starts_with("-ERR a snapshot is named")
        );
    }
    let id = client.line("CLUSTER MYID");
    stop(&mut server);
    // The copy of the stopped node, and the restored one in its place.
    let two = place.path().join("two");
    let (code, text) = on(&server.data(), "snapshot", &["--to", two.to_str().expect("a short path")]);
    assert_eq!(code, Some(0), "{text}");
    for (copy, least) in [(place.path().join("one"), 1000), (two, 2500)] {
        assert_eq!(on(&copy, "check", &[]).0, Some(0));
        std::fs::rename(server.data(), place.path().join(format!("old-{least}"))).expect("a name");
        std::fs::rename(&copy, server.data()).expect("a name");
        server.start_again(&[]);
        let mut client = server.connect();
        assert_eq!(client.line("CLUSTER MYID"), id);
        let count = client.number("DBSIZE") as u32;
        assert!((least..=2500).contains(&count), "{count}");
        for number in [0, 500, 999, count - 1] {
            assert_eq!(client.number(&format!("STRLEN k{number}")), 10_000, "k{number} of {count}");
        }
        assert_eq!(client.number(&format!("EXISTS k{count}")), 0);
        client.check(&[("SET after 1", "+OK\r\n")]);
        stop(&mut server);
    }
}

#[test]
fn snapshots_are_off_unless_a_place_is_set() {
    let server = Server::start();
    assert!(server.connect().line("SNAPSHOT one").starts_with("-ERR SNAPSHOT is off: set snapshot-dir"));
    let (code, text) = on(&server.data(), "snapshot", &["--to", "elsewhere"]);
    assert!(code == Some(1) && text.contains("in use by another process"), "{text}");
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
