//! Whole values: SET with all it takes, and the forms of GET. What a real Redis 7.0.15 answered to the same lines.

use crate::server::Server;

#[test]
fn set_takes_its_options() {
    Server::start().connect().check(&[
        ("SET a 1", "+OK\r\n"),
        ("SET a 2 NX", "$-1\r\n"),
        ("SET a 2 XX", "+OK\r\n"),
        ("GET a", "$1\r\n2\r\n"),
        ("SET none 2 XX", "$-1\r\n"),
        ("GET none", "$-1\r\n"),
        ("SET a 3 GET", "$1\r\n2\r\n"),
        ("SET a 4 NX GET", "$1\r\n3\r\n"),
        ("SET b 4 NX GET", "$-1\r\n"),
        ("SET b 5 XX GET", "$1\r\n4\r\n"),
        ("GET b", "$1\r\n5\r\n"),
        ("SET none 2 XX GET", "$-1\r\n"),
        ("SET a 1 NX XX", "-ERR syntax error\r\n"),
        ("SET a 1 XX NX", "-ERR syntax error\r\n"),
        ("SET a 1 nx Nx", "$-1\r\n"),
        ("SET a 1 EX", "-ERR syntax error\r\n"),
        ("SET a 1 EX 10 PX 10", "-ERR syntax error\r\n"),
        ("SET a 1 EX 10 KEEPTTL", "-ERR syntax error\r\n"),
        ("SET a 1 KEEPTTL EX 10", "-ERR syntax error\r\n"),
        ("SET a 1 PERSIST", "-ERR syntax error\r\n"),
        ("SET a 1 NOSUCH", "-ERR syntax error\r\n"),
        ("SET a 1 GET GET", "$1\r\n3\r\n"),
        ("SET a", "-ERR wrong number of arguments for 'set' command\r\n"),
        ("SET a 1 EXAT 4102444800", "+OK\r\n"),
        ("PEXPIRETIME a", ":4102444800000\r\n"),
        ("SET a 2 KEEPTTL", "+OK\r\n"),
        ("PEXPIRETIME a", ":4102444800000\r\n"),
        ("SET a 2 keepttl KEEPTTL xx get", "$1\r\n2\r\n"),
        ("PEXPIRETIME a", ":4102444800000\r\n"),
        ("SET a 2", "+OK\r\n"),
        ("PEXPIRETIME a", ":-1\r\n"),
        ("SET a 2 PXAT 1 PXAT 4102444800123", "+OK\r\n"),
        ("PEXPIRETIME a", ":4102444800123\r\n"),
        ("SET a 3 XX", "+OK\r\n"),
        ("TTL a", ":-1\r\n"),
        ("SET '' ''", "+OK\r\n"),
        ("GET ''", "$0\r\n\r\n"),
    ]);
}

#[test]
fn an_expiry_has_to_be_a_time() {
    Server::start().connect().check(&[
        ("SET a 1 EX 0", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET a 1 PX -1", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET a 1 EXAT 0", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET a 1 PXAT x", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 1 EX 1.5", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 1 EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET a 1 EX 9223372036854775", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET a 1 PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET a 1 EX 9223372036854775808", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 1 NX EX 0 GET", "-ERR invalid expire time in 'set' command\r\n"),
        ("EXISTS a", ":0\r\n"),
        ("SET a 1 EXAT 9223372036854775", "+OK\r\n"),
        ("PEXPIRETIME a", ":9223372036854775000\r\n"),
        ("SETEX a 0 1", "-ERR invalid expire time in 'setex' command\r\n"),
        ("SETEX a x 1", "-ERR value is not an integer or out of range\r\n"),
        ("PSETEX a -1 1", "-ERR invalid expire time in 'psetex' command\r\n"),
        ("PSETEX a 9223372036854775807 1", "-ERR invalid expire time in 'psetex' command\r\n"),
        ("SETEX a 10", "-ERR wrong number of arguments for 'setex' command\r\n"),
        ("GETEX none EX 0", "$-1\r\n"),
        ("GETEX none EX x", "$-1\r\n"),
        ("GETEX a EX 0", "-ERR invalid expire time in 'getex' command\r\n"),
        ("GETEX a PX x", "-ERR value is not an integer or out of range\r\n"),
        ("GETEX a EXAT -1", "-ERR invalid expire time in 'getex' command\r\n"),
    ]);
}

#[test]
fn an_expiry_in_the_past_leaves_no_key() {
    Server::start().connect().check(&[
        ("SET a 1", "+OK\r\n"),
        ("SET a 2 EXAT 1", "+OK\r\n"),
        ("EXISTS a", ":0\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("SET a 2 PXAT 1 XX GET", "$1\r\n1\r\n"),
        ("EXISTS a", ":0\r\n"),
        ("SET a 2 PXAT 1 NX", "+OK\r\n"),
        ("EXISTS a", ":0\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("GETEX a PXAT 1", "$1\r\n1\r\n"),
        ("EXISTS a", ":0\r\n"),
        ("DBSIZE", ":0\r\n"),
        ("SET a 2 PXAT 1 GET", "$-1\r\n"),
        ("SET a 2 EXAT 1", "+OK\r\n"),
        ("SET a 2 EXAT 1 NX", "+OK\r\n"),
        ("DBSIZE", ":0\r\n"),
    ]);
}

#[test]
fn older_forms_do_as_set_does() {
    Server::start().connect().check(&[
        ("SETNX a 1", ":1\r\n"),
        ("SETNX a 2", ":0\r\n"),
        ("GET a", "$1\r\n1\r\n"),
        ("SETEX a 100 1", "+OK\r\n"),
        ("PERSIST a", ":1\r\n"),
        ("PSETEX a 100000 2", "+OK\r\n"),
        ("GETSET a 3", "$1\r\n2\r\n"),
        ("TTL a", ":-1\r\n"),
        ("GETSET none 1", "$-1\r\n"),
        ("GETDEL a", "$1\r\n3\r\n"),
        ("GETDEL a", "$-1\r\n"),
        ("GET a", "$-1\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("GET a b", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("GETSET a", "-ERR wrong number of arguments for 'getset' command\r\n"),
        ("SETNX a", "-ERR wrong number of arguments for 'setnx' command\r\n"),
    ]);
}

#[test]
fn getex_answers_and_retimes() {
    Server::start().connect().check(&[
        ("GETEX a", "$-1\r\n"),
        ("GETEX a PERSIST", "$-1\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("GETEX a", "$1\r\n1\r\n"),
        ("GETEX a EXAT 4102444800", "$1\r\n1\r\n"),
        ("PEXPIRETIME a", ":4102444800000\r\n"),
        ("GETEX a", "$1\r\n1\r\n"),
        ("PEXPIRETIME a", ":4102444800000\r\n"),
        ("GETEX a PXAT 4102444800123", "$1\r\n1\r\n"),
        ("PEXPIRETIME a", ":4102444800123\r\n"),
        ("GETEX a PERSIST", "$1\r\n1\r\n"),
        ("TTL a", ":-1\r\n"),
        ("GETEX a persist PERSIST", "$1\r\n1\r\n"),
        ("GETEX a EX 10 PERSIST", "-ERR syntax error\r\n"),
        ("GETEX a PERSIST EX 10", "-ERR syntax error\r\n"),
        ("GETEX a EX 10 PX 10", "-ERR syntax error\r\n"),
        ("GETEX a KEEPTTL", "-ERR syntax error\r\n"),
        ("GETEX a NX", "-ERR syntax error\r\n"),
        ("GETEX a GET", "-ERR syntax error\r\n"),
        ("GETEX a EX", "-ERR syntax error\r\n"),
        ("GETEX", "-ERR wrong number of arguments for 'getex' command\r\n"),
    ]);
}

#[test]
fn resp3_has_one_null() {
    let server = Server::start();
    let mut client = server.connect();
    client.line("HELLO 3");
    client.check(&[
        ("GET a", "_\r\n"),
        ("SET a 1 XX", "_\r\n"),
        ("SET a 1 GET", "_\r\n"),
        ("GETSET b 1", "_\r\n"),
        ("GETDEL none", "_\r\n"),
        ("GETEX none", "_\r\n"),
        ("MGET a none", "*2\r\n$1\r\n1\r\n_\r\n"),
    ]);
}
