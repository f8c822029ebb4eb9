//! Lists of keys: SCAN, KEYS, RANDOMKEY.

use std::collections::BTreeSet;

use crate::server::{Connection, Server, bulks};

/// All keys that a SCAN with `options` shows, and how many pages that took; every page is checked against `most` keys.
#[track_caller]
fn scan(client: &mut Connection, options: &str, most: usize) -> (Vec<String>, usize) {
    let (mut cursor, mut found, mut pages) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let reply = client.line(format!("SCAN {cursor} {options}").trim_end());
        let (head, keys) = reply.split_at(reply.rfind('*').expect("two arrays"));
        let keys = bulks(keys);
        assert!(keys.len() <= most, "{} keys on one page", keys.len());
        found.extend(keys);
        pages += 1;
        cursor = bulks(head).remove(0);
        if cursor == "0" {
            return (found, pages);
        }
    }
}

fn fill(client: &mut Connection, keys: impl Iterator<Item = String>) -> BTreeSet<String> {
    keys.inspect(|key| assert_eq!(client.line(&format!("SET {key} 1")), "+OK\r\n")).collect()
}

#[test]
fn scans_show_every_key_once() {
    let server = Server::start();
    let mut client = server.connect();
    let keys = fill(&mut client, (0..300).map(|index| format!("key:{index}")));
    let tagged = fill(&mut client, (0..100).map(|index| format!("{{tag}}{index}")));
    client.line("SELECT 7");
    let others = fill(&mut client, (0..200).map(|index| format!("other:{index}")));
    for (count, least_pages) in [(1, 200), (10, 20), (1000, 1)] {
        let (found, pages) = scan(&mut client, &format!("COUNT {count}"), count);
        assert_eq!((found.len(), found.into_iter().collect()), (200, others.clone()), "COUNT {count}");
        assert!(pages >= least_pages, "COUNT {count} took {pages} pages");
    }
    client.line("SELECT 0");
    let (found, _) = scan(&mut client, "", 10);
    let all: BTreeSet<String> = keys.union(&tagged).cloned().collect();
    assert_eq!((found.len(), found.into_iter().collect()), (400, all));
    let (found, _) = scan(&mut client, "COUNT 50 MATCH {tag}*", 50);
    assert_eq!((found.len(), found.into_iter().collect()), (100, tagged));
    let (found, _) = scan(&mut client, "MATCH * TYPE STRING COUNT 7", 7);
    assert_eq!(found.len(), 400);
    let (found, pages) = scan(&mut client, "TYPE list", 0);
    assert!(found.is_empty() && pages >= 40, "{pages} pages make their way to the end");
}

#[test]
fn patterns_list_keys() {
    let server = Server::start();
    let mut client = server.connect();
    let keys = fill(&mut client, ["a1", "a2", "b1", "*"].into_iter().map(str::to_owned));
    for (pattern, expected) in [("*", 4), ("a*", 2), ("?1", 2), ("[ab]1", 2), ("\\*", 1), ("c*", 0)] {
        let found = bulks(&client.line(&format!("KEYS {pattern}")));
        assert_eq!(found.len(), expected, "{pattern}");
        assert!(found.iter().all(|key| keys.contains(key)));
    }
    assert!(keys.contains(&bulks(&format!("*1\r\n{}", client.line("RANDOMKEY"))).remove(0)));
}

#[test]
fn too_many_keys_are_refused() {
    Server::with(&["--keys-reply-max", "2"]).connect().check(&[
        ("MSET a 1 b 2 {a} 3", "+OK\r\n"),
        ("KEYS *", "-ERR more than 2 keys (keys-reply-max); use SCAN\r\n"),
        ("KEYS b*", "*1\r\n$1\r\nb\r\n"),
        ("MULTI", "+OK\r\n"),
        ("KEYS c*", "+QUEUED\r\n"),
        ("SCAN 0 MATCH c*", "+QUEUED\r\n"),
        ("DBSIZE", "+QUEUED\r\n"),
        ("EXEC", "*3\r\n*0\r\n*2\r\n$1\r\n0\r\n*0\r\n:3\r\n"),
    ]);
}

#[test]
fn arguments_of_scan_are_checked() {
    Server::start().connect().check(&[
        ("SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("SCAN ''", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("SCAN 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("SCAN -1", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("SCAN x", "-ERR invalid cursor\r\n"),
        ("SCAN 18446744073709551616", "-ERR invalid cursor\r\n"),
        ("SCAN 0 COUNT 0", "-ERR syntax error\r\n"),
        ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"),
        ("SCAN 0 MATCH", "-ERR syntax error\r\n"),
        ("SCAN 0 NOSUCH x", "-ERR syntax error\r\n"),
        ("KEYS", "-ERR wrong number of arguments for 'keys' command\r\n"),
    ]);
}
