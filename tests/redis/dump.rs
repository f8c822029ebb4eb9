//! DUMP and RESTORE, with payloads of a real Redis.

use crate::server::Server;

/// What Redis 7.0.15 dumps for `12`, `hello` and a hundred times `x`.
const INTEGER: &[u8] = b"\x00\xc0\x0c\x0a\x00";
const PACKED: &[u8] = b"\x00\xc3\x09\x40\x64\x01xx\xe0\x57\x00\x01xx\x0a\x00\x5d\xb7\xf6\x63\xbb\x08\x62\x5f";

#[test]
fn values_come_back_from_their_dump() {
    let server = Server::start();
    let mut client = server.connect();
    let values: [&[u8]; 6] = [b"12", b"-70000", b"3000000000", b"", b"\x00\xff\r\n", &[b'y'; 70_000]];
    for value in values {
        assert_eq!(client.call(&[b"SET", b"a", value]), b"+OK\r\n");
        let reply = client.call(&[b"DUMP", b"a"]);
        let head = reply.iter().position(|byte| *byte == b'\n').expect("a bulk") + 1;
        let payload = &reply[head..reply.len() - 2];
        assert_eq!(client.call(&[b"RESTORE", b"b", b"0", payload, b"REPLACE"]), b"+OK\r\n");
        assert_eq!(client.call(&[b"GET", b"b"]), client.call(&[b"GET", b"a"]));
    }
    client.line("SET a 12");
    assert!(client.call(&[b"DUMP", b"a"]).starts_with(&[b"$13\r\n", INTEGER].concat()));
}

#[test]
fn restoring_is_checked_in_redis_order() {
    let server = Server::start();
    let mut client = server.connect();
    let damaged = [&PACKED[..PACKED.len() - 1], b"!"].concat();
    for (key, ttl, payload, options, expected) in [
        ("a", "0", PACKED, "", "+OK\r\n"),
        ("a", "x", PACKED, "", "-BUSYKEY Target key name already exists.\r\n"),
        ("a", "x", PACKED, "NOSUCH", "-ERR syntax error\r\n"),
        ("a", "x", PACKED, "REPLACE", "-ERR value is not an integer or out of range\r\n"),
        ("a", "-1", &damaged, "REPLACE", "-ERR Invalid TTL value, must be >= 0\r\n"),
        ("a", "0", &damaged, "REPLACE", "-ERR DUMP payload version or checksum are wrong\r\n"),
        ("a", "0", b"", "REPLACE", "-ERR DUMP payload version or checksum are wrong\r\n"),
        ("b", "0", PACKED, "IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n"),
        ("b", "0", PACKED, "FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"),
        ("b", "0", PACKED, "FREQ 1 IDLETIME 1", "-ERR syntax error\r\n"),
        ("b", "4102444800000", PACKED, "ABSTTL FREQ 255", "+OK\r\n"),
        ("c", "1000", PACKED, "ABSTTL IDLETIME 5", "+OK\r\n"),
        ("d", "100000", PACKED, "", "+OK\r\n"),
    ] {
        let mut words = vec![&b"RESTORE"[..], key.as_bytes(), ttl.as_bytes(), payload];
        words.extend(options.split_whitespace().map(str::as_bytes));
        assert_eq!(String::from_utf8_lossy(&client.call(&words)), expected, "{key} {ttl} {options}");
    }
    client.check(&[
        ("GET a", &format!("$100\r\n{}\r\n", "x".repeat(100))),
        ("PEXPIRETIME b", ":4102444800000\r\n"),
        ("EXISTS c", ":0\r\n"),
    ]);
    assert!((95..=100).contains(&client.number("TTL d")));
    // What has expired already replaces too: nothing is left.
    assert_eq!(client.call(&[b"RESTORE", b"a", b"1000", PACKED, b"ABSTTL", b"REPLACE"]), b"+OK\r\n");
    client.check(&[("EXISTS a", ":0\r\n")]);
}
