//! Values as rows of bits. What a real Redis 7.0.15 answered to the same lines.

use crate::server::Server;

#[test]
fn bits_are_set_and_read() {
    Server::start().connect().check(&[
        ("SETBIT a 7 1", ":0\r\n"),
        ("SETBIT a 7 1", ":1\r\n"),
        ("SETBIT a 7 0", ":1\r\n"),
        ("SETBIT a 20 0", ":0\r\n"),
        ("STRLEN a", ":3\r\n"),
        ("SETBIT a 2 1", ":0\r\n"),
        ("GET a", "$3\r\n \u{0}\u{0}\r\n"),
        ("GETBIT a 2", ":1\r\n"),
        ("GETBIT a 3", ":0\r\n"),
        ("GETBIT a 1000", ":0\r\n"),
        ("GETBIT none 0", ":0\r\n"),
        ("SETBIT a -1 1", "-ERR bit offset is not an integer or out of range\r\n"),
        ("SETBIT a 4294967296 1", "-ERR bit offset is not an integer or out of range\r\n"),
        ("SETBIT a x 1", "-ERR bit offset is not an integer or out of range\r\n"),
        ("SETBIT a 1 2", "-ERR bit is not an integer or out of range\r\n"),
        ("SETBIT a 1 x", "-ERR bit is not an integer or out of range\r\n"),
        ("SETBIT a x x", "-ERR bit offset is not an integer or out of range\r\n"),
        ("GETBIT a -1", "-ERR bit offset is not an integer or out of range\r\n"),
        ("GETBIT a x", "-ERR bit offset is not an integer or out of range\r\n"),
        ("GETBIT a 4294967295", ":0\r\n"),
        ("GETBIT a", "-ERR wrong number of arguments for 'getbit' command\r\n"),
        ("SET a 1 PXAT 4102444800123", "+OK\r\n"),
        ("SETBIT a 0 1", ":0\r\n"),
        ("PEXPIRETIME a", ":4102444800123\r\n"),
    ]);
}

#[test]
fn bits_are_counted() {
    Server::start().connect().check(&[
        ("SET a foobar", "+OK\r\n"),
        ("BITCOUNT a", ":26\r\n"),
        ("BITCOUNT a 0 0", ":4\r\n"),
        ("BITCOUNT a 1 1", ":6\r\n"),
        ("BITCOUNT a 1 1 BYTE", ":6\r\n"),
        ("BITCOUNT a 5 30 BIT", ":17\r\n"),
        ("BITCOUNT a -30 -5 bit", ":14\r\n"),
        ("BITCOUNT a -6 -7 NOSUCH", ":0\r\n"),
        ("BITCOUNT a 0 0 NOSUCH", "-ERR syntax error\r\n"),
        ("BITCOUNT a 0", "-ERR syntax error\r\n"),
        ("BITCOUNT a 0 x", "-ERR value is not an integer or out of range\r\n"),
        ("BITCOUNT a 0 1 BIT x", "-ERR syntax error\r\n"),
        ("BITCOUNT a 5 2", ":0\r\n"),
        ("BITCOUNT none 0", ":0\r\n"),
        ("BITCOUNT none x y", ":0\r\n"),
        ("BITCOUNT none 0 1 NOSUCH", ":0\r\n"),
        ("BITCOUNT", "-ERR wrong number of arguments for 'bitcount' command\r\n"),
    ]);
}

#[test]
fn bits_are_found() {
    Server::start().connect().check(&[
        ("SETBIT a 12 1", ":0\r\n"),
        ("BITPOS a 1", ":12\r\n"),
        ("BITPOS a 0", ":0\r\n"),
        ("BITPOS a 1 1", ":12\r\n"),
        ("BITPOS a 1 2", ":-1\r\n"),
        ("BITPOS a 0 0 0", ":0\r\n"),
        ("BITPOS a 1 0 0", ":-1\r\n"),
        ("BITPOS a 1 9 -1 BIT", ":12\r\n"),
        ("BITPOS a 1 13 -1 BIT", ":-1\r\n"),
        ("BITPOS a 0 12 12 BIT", ":-1\r\n"),
        ("BITPOS a 0 12 13 bit", ":13\r\n"),
        ("BITPOS a 0 -1 -2 BIT", ":-1\r\n"),
        ("BITPOS a 0 -100 -200", ":0\r\n"),
        ("BITPOS a 2", "-ERR The bit argument must be 1 or 0.\r\n"),
        ("BITPOS a x", "-ERR value is not an integer or out of range\r\n"),
        ("BITPOS a 1 x", "-ERR value is not an integer or out of range\r\n"),
        ("BITPOS a 1 0 x", "-ERR value is not an integer or out of range\r\n"),
        ("BITPOS a 1 0 x NOSUCH", "-ERR syntax error\r\n"),
        ("BITPOS a 1 0 1 NOSUCH", "-ERR syntax error\r\n"),
        ("BITPOS a 1 0 1 BIT x", "-ERR syntax error\r\n"),
        ("BITPOS none 1", ":-1\r\n"),
        ("BITPOS none 0", ":0\r\n"),
        ("BITPOS none 0 x", ":0\r\n"),
        ("BITPOS none 2", "-ERR The bit argument must be 1 or 0.\r\n"),
        ("SETRANGE full 0 ~", ":1\r\n"),
        ("BITPOS full 0 0 -1 BIT", ":0\r\n"),
        ("BITPOS full 0 1 6 BIT", ":-1\r\n"),
        ("BITPOS full 0 1 6", ":-1\r\n"),
        ("SETBIT zeros 15 0", ":0\r\n"),
        ("BITOP NOT ones zeros", ":2\r\n"),
        ("BITPOS ones 0", ":16\r\n"),
        ("BITPOS ones 0 1", ":16\r\n"),
        ("BITPOS ones 0 2", ":-1\r\n"),
        ("BITPOS ones 0 0 -1", ":-1\r\n"),
        ("BITPOS a", "-ERR wrong number of arguments for 'bitpos' command\r\n"),
    ]);
}

#[test]
fn values_are_combined() {
    Server::start().connect().check(&[
        ("MSET a abc b ABCD c ''", "+OK\r\n"),
        ("BITOP AND d a b", ":4\r\n"),
        ("GET d", "$4\r\nABC\u{0}\r\n"),
        ("BITOP OR d a b none", ":4\r\n"),
        ("GET d", "$4\r\nabcD\r\n"),
        ("BITOP xor d a b", ":4\r\n"),
        ("STRLEN d", ":4\r\n"),
        ("BITOP NOT d d", ":4\r\n"),
        ("BITOP NOT d d", ":4\r\n"),
        ("STRLEN d", ":4\r\n"),
        ("BITOP AND a a a b", ":4\r\n"),
        ("STRLEN a", ":4\r\n"),
        ("BITOP OR d none c", ":0\r\n"),
        ("EXISTS d", ":0\r\n"),
        ("BITOP OR b none", ":0\r\n"),
        ("EXISTS b", ":0\r\n"),
        ("SET d 1 PXAT 4102444800123", "+OK\r\n"),
        ("BITOP OR d a", ":4\r\n"),
        ("TTL d", ":-1\r\n"),
        ("BITOP NOT d a a", "-ERR BITOP NOT must be called with a single source key.\r\n"),
        ("BITOP NAND d a", "-ERR syntax error\r\n"),
        ("BITOP NAND d", "-ERR wrong number of arguments for 'bitop' command\r\n"),
        ("BITOP OR d", "-ERR wrong number of arguments for 'bitop' command\r\n"),
    ]);
}
