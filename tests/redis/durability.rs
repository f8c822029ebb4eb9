//! Writers at `durability = sync`: however many there are at a time, each one is answered.

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
