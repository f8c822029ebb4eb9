//! WATCH on keys that are not there. What a real Redis 7.0.15 answered to the same lines, but for a flush.

use crate::server::Server;

const ABORTED: &str = "*-1\r\n";
const DONE: &str = "*1\r\n+PONG\r\n";

#[test]
fn what_happened_to_an_absent_key_since_it_was_watched_ends_a_transaction() {
    let server = Server::start();
    for (between, expected) in [
        (&["SET k 1", "DEL k"][..], ABORTED),
        (&["SET k 1", "FLUSHALL"], ABORTED),
        (&["SET k 1", "FLUSHDB"], ABORTED),
        // Redis would go on, because it knows that the key was not there.
        (&["FLUSHALL"], ABORTED),
        (&["SET k 1 PXAT 1"], ABORTED),
        (&["SET k 1 EXAT 1 GET"], ABORTED),
        (&["SET k 1 NX EXAT 1"], ABORTED),
        (&["SET other 1", "RENAME other k", "RENAME k other"], ABORTED),
        (&["SET k 1 XX EXAT 1", "GETEX k EXAT 1", "EXPIREAT k 1", "DEL k", "GETDEL k", "PERSIST k"], DONE),
        (&["SET other 1", "SELECT 1", "SET k 1", "FLUSHDB", "SELECT 0"], DONE),
    ] {
        let (mut watcher, mut other) = (server.connect(), server.connect());
        other.check(&[("DEL k", ":0\r\n")]);
        watcher.check(&[("WATCH k", "+OK\r\n"), ("MULTI", "+OK\r\n"), ("PING", "+QUEUED\r\n")]);
        for line in between {
            assert!(!other.line(line).starts_with('-'), "{line}");
        }
        assert_eq!(watcher.line("EXEC"), expected, "{between:?}");
        assert_eq!(other.number("EXISTS k"), 0);
    }
}
