//! Several keys in one command. What a real Redis 7.0.15 answered to the same lines.

use crate::server::Server;

#[test]
fn keys_are_set_and_read_together() {
    Server::start().connect().check(&[
        ("MSET a 1 b 2 a 3", "+OK\r\n"),
        ("MGET a b none a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n"),
        ("MSET a", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n"),
        ("MSETNX c 1 a 2", ":0\r\n"),
        ("EXISTS c", ":0\r\n"),
        ("MSETNX c 1 d 2 c 3", ":1\r\n"),
        ("MGET c d", "*2\r\n$1\r\n3\r\n$1\r\n2\r\n"),
        ("MGET", "-ERR wrong number of arguments for 'mget' command\r\n"),
        ("SET a 1 PXAT 4102444800123", "+OK\r\n"),
        ("MSET a 2", "+OK\r\n"),
        ("TTL a", ":-1\r\n"),
        ("EXISTS a", ":1\r\n"),
    ]);
}

/// Some hundreds of keys, many of them without a value, and more bytes than one part of an MGET holds.
#[test]
fn many_long_values_come_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    let keys: Vec<Vec<u8>> = (0..300).map(|index| format!("key:{index}").into_bytes()).collect();
    let mut expected = b"*300\r\n".to_vec();
    for (index, key) in keys.iter().enumerate() {
        let value = vec![b'a' + (index % 26) as u8; if index % 10 == 0 { 200_000 } else { index }];
        if index % 3 == 0 {
            expected.extend_from_slice(b"$-1\r\n");
            continue;
        }
        assert_eq!(client.call(&[b"SET", key, &value]), b"+OK\r\n");
        expected.extend_from_slice(&[format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat());
    }
    let words: Vec<&[u8]> = [&b"MGET"[..]].into_iter().chain(keys.iter().map(Vec::as_slice)).collect();
    assert!(client.call(&words) == expected, "MGET by itself");
    client.check(&[("MULTI", "+OK\r\n"), ("STRLEN key:1", "+QUEUED\r\n")]);
    assert_eq!(client.call(&words), b"+QUEUED\r\n");
    assert!(client.call(&[b"EXEC"]) == [b"*2\r\n:1\r\n", &expected[..]].concat(), "MGET in a transaction");
    client.send(&[b"CLIENT", b"REPLY", b"OFF"]);
    client.send(&words);
    client.check(&[("CLIENT REPLY ON", "+OK\r\n"), ("STRLEN key:1", ":1\r\n")]);
}

#[test]
fn a_pair_that_is_too_large_keeps_all_from_being_written() {
    let server = Server::start();
    let mut client = server.connect();
    let value = vec![b'x'; 1 << 20];
    let refused = b"-ERR value of 1048577 bytes exceeds max-pair-bytes (1048576)\r\n";
    for name in [&b"MSET"[..], b"MSETNX"] {
        assert_eq!(client.call(&[name, b"a", b"1", b"b", &value, b"c", b"1"]), refused);
    }
    client.check(&[("EXISTS a b c", ":0\r\n")]);
}

#[test]
fn commands_on_several_keys_are_parts_of_transactions() {
    Server::start().connect().check(&[
        ("MULTI", "+OK\r\n"),
        ("MSET a abc b bcd", "+QUEUED\r\n"),
        ("MSETNX c 1 d 2", "+QUEUED\r\n"),
        ("MSETNX c 1 e 2", "+QUEUED\r\n"),
        ("BITOP AND f a b", "+QUEUED\r\n"),
        ("LCS a b", "+QUEUED\r\n"),
        ("MGET a b c d e f", "+QUEUED\r\n"),
        (
            "EXEC",
            "*6\r\n+OK\r\n:1\r\n:0\r\n:3\r\n$2\r\nbc\r\n*6\r\n$3\r\nabc\r\n$3\r\nbcd\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n$3\r\n`b`\r\n",
        ),
    ]);
}
