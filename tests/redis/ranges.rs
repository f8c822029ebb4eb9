//! Parts of values. What a real Redis 7.0.15 answered to the same lines.

use crate::server::Server;

#[test]
fn parts_are_read_and_written() {
    Server::start().connect().check(&[
        ("APPEND a hello", ":5\r\n"),
        ("APPEND a -world", ":11\r\n"),
        ("APPEND b ''", ":0\r\n"),
        ("EXISTS b", ":1\r\n"),
        ("STRLEN a", ":11\r\n"),
        ("STRLEN none", ":0\r\n"),
        ("GETRANGE a 0 4", "$5\r\nhello\r\n"),
        ("GETRANGE a -5 -1", "$5\r\nworld\r\n"),
        ("GETRANGE a 6 100", "$5\r\nworld\r\n"),
        ("GETRANGE a -100 -50", "$1\r\nh\r\n"),
        ("GETRANGE a -50 -100", "$0\r\n\r\n"),
        ("GETRANGE a 5 2", "$0\r\n\r\n"),
        ("GETRANGE a 11 20", "$0\r\n\r\n"),
        ("GETRANGE none 0 -1", "$0\r\n\r\n"),
        ("GETRANGE none 0 x", "-ERR value is not an integer or out of range\r\n"),
        ("GETRANGE a x 0", "-ERR value is not an integer or out of range\r\n"),
        ("GETRANGE a 0 9223372036854775808", "-ERR value is not an integer or out of range\r\n"),
        ("GETRANGE a -9223372036854775808 9223372036854775807", "$11\r\nhello-world\r\n"),
        ("SUBSTR a 0 -7", "$5\r\nhello\r\n"),
        ("SUBSTR a 0", "-ERR wrong number of arguments for 'substr' command\r\n"),
        ("SETRANGE a 6 WORLD!", ":12\r\n"),
        ("GET a", "$12\r\nhello-WORLD!\r\n"),
        ("SETRANGE b 3 x", ":4\r\n"),
        ("STRLEN b", ":4\r\n"),
        ("SETRANGE none 5 ''", ":0\r\n"),
        ("EXISTS none", ":0\r\n"),
        ("SETRANGE a 5 ''", ":12\r\n"),
        ("SETRANGE a 536870912 ''", ":12\r\n"),
        ("SETRANGE a -1 x", "-ERR offset is out of range\r\n"),
        ("SETRANGE a -1 ''", "-ERR offset is out of range\r\n"),
        ("SETRANGE a x y", "-ERR value is not an integer or out of range\r\n"),
        ("SETRANGE a 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"),
        ("SETRANGE none 536870911 xy", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"),
        ("SETRANGE a 9223372036854775807 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"),
        ("SETRANGE a 1", "-ERR wrong number of arguments for 'setrange' command\r\n"),
        ("SET a 1 PXAT 4102444800123", "+OK\r\n"),
        ("APPEND a 2", ":2\r\n"),
        ("SETRANGE a 0 3", ":2\r\n"),
        ("GET a", "$2\r\n32\r\n"),
        ("PEXPIRETIME a", ":4102444800123\r\n"),
    ]);
}

#[test]
fn subsequences_are_those_of_redis() {
    Server::start().connect().check(&[
        ("MSET a ohmytext b mynewtext c ''", "+OK\r\n"),
        ("LCS a b", "$6\r\nmytext\r\n"),
        ("LCS a b LEN", ":6\r\n"),
        ("LCS a b IDX", "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n"),
        ("LCS a b IDX MINMATCHLEN 4", "*4\r\n$7\r\nmatches\r\n*1\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n$3\r\nlen\r\n:6\r\n"),
        ("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n"),
        ("LCS a b idx withmatchlen", "*4\r\n$7\r\nmatches\r\n*2\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n*3\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n:2\r\n$3\r\nlen\r\n:6\r\n"),
        ("LCS a b IDX MINMATCHLEN -1", "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n"),
        ("LCS a b MINMATCHLEN 4", "$6\r\nmytext\r\n"),
        ("LCS a b LEN WITHMATCHLEN", ":6\r\n"),
        ("LCS a c", "$0\r\n\r\n"),
        ("LCS a none IDX", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"),
        ("LCS none none LEN", ":0\r\n"),
        ("LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX.\r\n"),
        ("LCS a b IDX MINMATCHLEN", "-ERR syntax error\r\n"),
        ("LCS a b MINMATCHLEN x", "-ERR value is not an integer or out of range\r\n"),
        ("LCS a b NOSUCH", "-ERR syntax error\r\n"),
        ("LCS a", "-ERR wrong number of arguments for 'lcs' command\r\n"),
        ("SET a aaabbb", "+OK\r\n"),
        ("SET b bbbaaa", "+OK\r\n"),
        ("LCS a b IDX WITHMATCHLEN", "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:3\r\n:5\r\n*2\r\n:0\r\n:2\r\n:3\r\n$3\r\nlen\r\n:3\r\n"),
        ("LCS b a IDX WITHMATCHLEN", "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:3\r\n:5\r\n*2\r\n:0\r\n:2\r\n:3\r\n$3\r\nlen\r\n:3\r\n"),
    ]);
}

#[test]
fn a_value_that_would_be_too_long_stays_as_it_was() {
    let server = Server::start();
    let mut client = server.connect();
    let value = vec![b'x'; (1 << 20) - 2];
    assert_eq!(client.call(&[b"SET", b"a", &value]), b"+OK\r\n");
    let refused = "-ERR value of 1048577 bytes exceeds max-pair-bytes (1048576)\r\n";
    client.check(&[
        ("APPEND a y", ":1048575\r\n"),
        ("APPEND a y", refused),
        ("SETRANGE a 1048575 y", refused),
        ("SETRANGE none 1048572 y", refused),
        ("SETBIT a 8388600 1", refused),
        ("STRLEN a", ":1048575\r\n"),
        ("GETRANGE a -2 -1", "$2\r\nxy\r\n"),
        ("GETBIT a 8388599", ":1\r\n"),
        ("LCS a a LEN", "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n"),
        ("EXISTS none", ":0\r\n"),
    ]);
}
