//! What each durability gives: every writer is answered, and what damage took is told.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::server::Server;

#[test]
fn fewer_writers_than_before_are_answered_too() {
    let server = Server::with(&["--durability", "sync"]);
    let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
    // The commit thread gathers most of the last group before it syncs, so a smaller group must not wait for a larger one.
    for count in [40, 40, 40, 3, 40, 1, 40, 40, 20, 2] {
        for client in &mut clients[..count] {
            client.send(&[b"SET", b"key", b"value"]);
        }
        for client in &mut clients[..count] {
            assert_eq!(client.reply(), b"+OK\r\n");
        }
    }
}

/// A node's first segment of the log.
fn log_of(server: &Server) -> PathBuf {
    let files = std::fs::read_dir(server.data().join("store")).expect("the engine's folder");
    let paths = files.map(|entry| entry.expect("a folder that can be read").path());
    paths.filter(|path| path.display().to_string().contains("/log-")).min().expect("a log")
}

/// What a node logs at the start after its log was damaged at the record of the value "damaged!".
fn told_after_damage(values: &[&str]) -> String {
    let mut server = Server::with(&["--durability", "none"]);
    let mut client = server.connect();
    for (index, value) in values.iter().enumerate() {
        client.check(&[(&format!("SET key{index} {value}"), "+OK\r\n")]);
    }
    server.signal(Signal::KILL);
    server.wait_until_it_ends();
    let path = log_of(&server);
    let bytes = std::fs::read(&path).expect("a log");
    let place = bytes.windows(8).position(|piece| piece == b"damaged!").expect("it was acknowledged");
    let file = std::fs::File::options().write(true).open(&path).expect("our own file");
    file.write_all_at(b"D", place as u64).expect("room");
    server.start_again(&[]);
    let kept = values.iter().position(|value| *value == "damaged!");
    assert_eq!(Some(server.connect().number("DBSIZE") as usize), kept);
    server.signal(Signal::TERM);
    server.wait_until_it_ends().1
}

#[test]
fn sound_records_that_are_cut_with_a_damaged_one_are_told_of() {
    let log = told_after_damage(&["first", "damaged!", "third", "fourth"]);
    let warning = log.lines().find(|line| line.contains("was cut there")).unwrap_or_else(|| panic!("{log}"));
    assert!(warning.contains("WARN") && warning.contains("/store/log-0000000000000001"), "{warning}");
    assert!(warning.contains("offset=") && warning.contains("bytes="), "{warning}");
    let log = told_after_damage(&["first", "damaged!"]);
    assert!(!log.contains("was cut"), "a torn end is nothing to be told of: {log}");
}
