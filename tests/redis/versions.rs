//! Siblings and tokens over TCP, levels of consistency, and the ring of one node.

use crate::server::{Connection, Server, bulks};

/// The bulk strings of a reply, as text.
fn texts(client: &mut Connection, words: &[&[u8]]) -> Vec<String> {
    let reply = String::from_utf8_lossy(&client.call(words)).into_owned();
    assert!(reply.starts_with('*'), "{reply}");
    bulks(&reply)
}

fn vget(client: &mut Connection, key: &str) -> (String, Vec<String>) {
    let mut texts = texts(client, &[b"VGET", key.as_bytes()]);
    (texts.remove(0), texts)
}

fn vset(client: &mut Connection, words: [&str; 3]) -> String {
    let words: Vec<&[u8]> = [&b"VSET"[..]].into_iter().chain(words.iter().map(|word| word.as_bytes())).collect();
    String::from_utf8_lossy(&client.call(&words)).into_owned()
}

#[test]
fn two_writers_in_conflict_leave_siblings_until_somebody_resolves_them() {
    let server = Server::start();
    let (mut alice, mut bob) = (server.connect(), server.connect());
    alice.check(&[("VGET cart", "*1\r\n$0\r\n\r\n"), ("SET cart milk", "+OK\r\n")]);
    let (token, values) = vget(&mut alice, "cart");
    assert_eq!((values, vget(&mut bob, "cart").0), (vec!["milk".to_owned()], token.clone()));
    let reply = vset(&mut alice, ["cart", &token, "milk,bread"]);
    assert!(reply.starts_with("*2\r\n$") && reply.ends_with("\r\n:1\r\n"), "{reply}");
    assert_eq!(vset(&mut bob, ["cart", &token, "milk,eggs"]), "*2\r\n$-1\r\n:2\r\n");
    bob.check(&[("GET cart", "$9\r\nmilk,eggs\r\n"), ("EXISTS cart", ":1\r\n"), ("DBSIZE", ":1\r\n")]);
    let (token, values) = vget(&mut bob, "cart");
    assert_eq!(values, ["milk,eggs", "milk,bread"]);
    let reply = vset(&mut bob, ["cart", &token, "milk,bread,eggs"]);
    let new = bulks(&reply).remove(0);
    assert_eq!(vget(&mut alice, "cart"), (new.clone(), vec!["milk,bread,eggs".to_owned()]));
    assert_eq!(alice.line(&format!("VDEL cart {new}")), ":1\r\n");
    assert_eq!(alice.line(&format!("VDEL cart {new}")), ":0\r\n");
    alice.check(&[("GET cart", "$-1\r\n"), ("EXISTS cart", ":0\r\n")]);
}

#[test]
fn siblings_are_told_with_all_that_is_known_of_them() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SIBLINGS k", "*0\r\n")]);
    client.line("VSET k '' one PXAT 4102444800123");
    client.line("VSET k '' two");
    assert!(client.line("SIBLINGS k").starts_with("*2\r\n*10\r\n$5\r\nvalue\r\n$3\r\ntwo\r\n$3\r\ndot\r\n"));
    client.line("HELLO 3");
    let reply = client.line("SIBLINGS k");
    let lines: Vec<&str> = reply.split("\r\n").collect();
    assert_eq!((lines[0], lines[1], lines[5]), ("*2", "%5", "two"), "{reply}");
    assert!(
        reply.contains("\r\none\r\n") && reply.contains(":4102444800123\r\n") && reply.contains(":-1\r\n"),
        "{reply}"
    );
    let name = client.line("RING NODES");
    let name = name.split("\r\n").nth(5).expect("a name").to_owned();
    assert_eq!(lines.iter().filter(|line| **line == name).count(), 2, "{reply}");
}

#[test]
fn tokens_are_good_for_their_own_key_alone() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET a 1", "+OK\r\n"), ("SET b 1", "+OK\r\n")]);
    let (token, _) = vget(&mut client, "a");
    for line in [
        format!("VSET b {token} x"),
        format!("VDEL b {token}"),
        format!("VSET a {}A x", &token[..token.len() - 1]),
        "VSET a x x".into(),
    ] {
        assert!(client.line(&line).starts_with("-BADTOKEN "), "{line}");
    }
    client.check(&[("GET b", "$1\r\n1\r\n"), ("SELECT 1", "+OK\r\n")]);
    assert!(client.line(&format!("VSET a {token} x")).starts_with("-BADTOKEN "), "another database");
    client.check(&[
        ("VSET a", "-ERR wrong number of arguments for 'vset' command\r\n"),
        ("VSET a '' v EX", "-ERR syntax error\r\n"),
        ("VSET a '' v NX 1", "-ERR syntax error\r\n"),
        ("VSET a '' v EX 0", "-ERR invalid expire time in 'vset' command\r\n"),
        ("VSET a '' v EX x", "-ERR value is not an integer or out of range\r\n"),
        ("EXISTS a", ":0\r\n"),
    ]);
}

#[test]
fn the_seventeenth_sibling_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    for count in 1..=16 {
        let reply = vset(&mut client, ["k", "", &format!("v{count}")]);
        assert!(reply.ends_with(&format!(":{count}\r\n")), "{reply}");
    }
    let refused = "-SIBLINGS key has 16 concurrent values; read them with VGET and resolve\r\n";
    client.check(&[("VSET k '' more", refused), ("STRLEN k", ":3\r\n")]);
    let (token, values) = vget(&mut client, "k");
    assert_eq!((values.len(), values[0].as_str()), (16, "v16"));
    assert!(vset(&mut client, ["k", &token, "one"]).ends_with(":1\r\n"));
}

#[test]
fn versions_are_part_of_transactions_and_statistics() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        ("MULTI", "+OK\r\n"),
        ("VSET k '' a", "+QUEUED\r\n"),
        ("VSET k '' b", "+QUEUED\r\n"),
        ("VDEL k ''", "+QUEUED\r\n"),
        ("CONSISTENCY NEXT WRITE TWO", "+QUEUED\r\n"),
        ("SET k c", "+QUEUED\r\n"),
        ("GET k", "+QUEUED\r\n"),
    ]);
    let reply = client.line("EXEC");
    let expected =
        "*2\r\n$-1\r\n:2\r\n:1\r\n+OK\r\n-UNAVAILABLE write needs 2 of 1 replicas, 1 is reachable\r\n$1\r\nb\r\n";
    assert!(reply.starts_with("*6\r\n*2\r\n$") && reply.ends_with(expected), "{reply}");
    let info = client.line("INFO commandstats");
    assert!(info.contains("cmdstat_vset:calls=2") && info.contains("cmdstat_consistency|next:calls=1"), "{info}");
    let docs = client.line("COMMAND DOCS vset");
    assert!(docs.contains("a new token and 1") && docs.contains("annulus"), "{docs}");
    assert_eq!(client.line("COMMAND GETKEYS VSET k t v"), "*1\r\n$1\r\nk\r\n");
}

#[test]
fn levels_hold_for_the_connection_or_for_one_command() {
    let server = Server::start();
    let mut client = server.connect();
    let shown = |client: &mut Connection| texts(client, &[b"CONSISTENCY"]).join(" ");
    assert_eq!(shown(&mut client), "read QUORUM read-from default write QUORUM write-from default");
    client.check(&[
        ("CONSISTENCY READ one WRITE All", "+OK\r\n"),
        ("SET k v", "+OK\r\n"),
        ("GET k", "$1\r\nv\r\n"),
        ("CONSISTENCY NEXT READ 3", "+OK\r\n"),
        ("PING", "+PONG\r\n"),
        ("GET k", "-UNAVAILABLE read needs 3 of 1 replicas, 1 is reachable\r\n"),
        ("GET k", "$1\r\nv\r\n"),
        ("CONSISTENCY WRITE three", "+OK\r\n"),
        ("SET k w", "-UNAVAILABLE write needs 3 of 1 replicas, 1 is reachable\r\n"),
        ("MSET k w", "-UNAVAILABLE write needs 3 of 1 replicas, 1 is reachable\r\n"),
        ("GET k", "$1\r\nv\r\n"),
    ]);
    assert_eq!(shown(&mut client), "read ONE read-from connection write THREE write-from connection");
    client.check(&[
        ("CONSISTENCY NEXT WRITE QUORUM", "+OK\r\n"),
        ("SET k w", "+OK\r\n"),
        ("SET k x", "-UNAVAILABLE write needs 3 of 1 replicas, 1 is reachable\r\n"),
        ("CONSISTENCY DEFAULT", "+OK\r\n"),
        ("SET k x", "+OK\r\n"),
        ("CONSISTENCY READ SERIAL", "-ERR level SERIAL is not supported yet\r\n"),
        ("CONSISTENCY READ 0", "-ERR a level's number is from 1 to 255\r\n"),
        ("CONSISTENCY READ ONE READ TWO", "-ERR syntax error\r\n"),
        ("CONSISTENCY NEXT READ", "-ERR wrong number of arguments for 'consistency|next' command\r\n"),
        ("CONSISTENCY NEXT READ ONE WRITE", "-ERR syntax error\r\n"),
        ("CONSISTENCY SOMETIMES", "-ERR unknown subcommand 'SOMETIMES'. Try CONSISTENCY HELP.\r\n"),
        ("CONSISTENCY WRITE TWO", "+OK\r\n"),
        ("RESET", "+RESET\r\n"),
        ("SET k y", "+OK\r\n"),
    ]);
    assert_eq!(shown(&mut client), "read QUORUM read-from default write QUORUM write-from default");
    assert!(client.line("CONSISTENCY READ SOMETIMES").starts_with("-ERR unknown level 'SOMETIMES': expected ONE, "));
    let levels = texts(&mut client, &[b"CONSISTENCY", b"LEVELS"]);
    assert_eq!((levels.len(), levels[0].as_str(), levels[1].as_str()), (16, "ONE", "1 of 1 replicas"));
    assert_eq!(levels[3], "1 of 1 replicas in dc1");
    assert_eq!(levels[5], "2 of 1 replicas; more than there are");
    assert_eq!(server.connect().line("GET k"), "$1\r\ny\r\n");
}

#[test]
fn a_pipeline_takes_its_levels_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    client.send_bytes(b"SET k 1\r\nCONSISTENCY WRITE 2\r\nSET k 2\r\nCONSISTENCY DEFAULT\r\nSET k 3\r\nGET k\r\n");
    let refused = "-UNAVAILABLE write needs 2 of 1 replicas, 1 is reachable\r\n";
    for expected in ["+OK\r\n", "+OK\r\n", refused, "+OK\r\n", "+OK\r\n", "$1\r\n3\r\n"] {
        assert_eq!(String::from_utf8_lossy(&client.reply()), expected);
    }
}

#[test]
fn the_ring_of_one_node_holds_every_key() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[(
        "RING",
        "*12\r\n$5\r\nepoch\r\n:1\r\n$5\r\nnodes\r\n:1\r\n$8\r\nreplicas\r\n:3\r\n$5\r\nslots\r\n:16384\r\n$4\r\narcs\r\n:1024\r\n\
         $11\r\nmoving-arcs\r\n:0\r\n",
    )]);
    let id = client.line("CLUSTER MYID");
    let nodes = client.line("RING NODES");
    let address = format!("127.0.0.1:{}", server.port());
    assert!(nodes.contains(id.split("\r\n").nth(1).expect("an id")) && nodes.contains(&address), "{nodes}");
    let key = client.line("RING KEY foo");
    let expected = "*12\r\n$4\r\nslot\r\n:12182\r\n$3\r\narc\r\n:761\r\n$10\r\nfirst-slot\r\n:12176\r\n$9\r\nlast-slot\r\n:12191\r\n";
    assert!(key.starts_with(expected) && key.contains("*1\r\n*14\r\n"), "{key}");
    assert!(client.line("RING HELP").contains("NODES"));
}
