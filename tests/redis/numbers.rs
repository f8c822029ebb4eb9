//! Values that are numbers. What a real Redis 7.0.15 answered to the same lines.

use crate::server::Server;

#[test]
fn whole_numbers_are_added_up() {
    Server::start().connect().check(&[
        ("INCR a", ":1\r\n"),
        ("INCRBY a 41", ":42\r\n"),
        ("DECR a", ":41\r\n"),
        ("DECRBY a 42", ":-1\r\n"),
        ("GET a", "$2\r\n-1\r\n"),
        ("SET a 9223372036854775806", "+OK\r\n"),
        ("INCR a", ":9223372036854775807\r\n"),
        ("INCR a", "-ERR increment or decrement would overflow\r\n"),
        ("INCRBY a -9223372036854775808", ":-1\r\n"),
        ("DECRBY a 9223372036854775807", ":-9223372036854775808\r\n"),
        ("DECRBY a 1", "-ERR increment or decrement would overflow\r\n"),
        ("DECRBY a -9223372036854775808", "-ERR decrement would overflow\r\n"),
        ("INCRBY a 9223372036854775808", "-ERR value is not an integer or out of range\r\n"),
        ("INCRBY a x", "-ERR value is not an integer or out of range\r\n"),
        ("INCRBY a 01", "-ERR value is not an integer or out of range\r\n"),
        ("DECRBY a ''", "-ERR value is not an integer or out of range\r\n"),
        ("GET a", "$20\r\n-9223372036854775808\r\n"),
        ("SET a x", "+OK\r\n"),
        ("INCR a", "-ERR value is not an integer or out of range\r\n"),
        ("SET a ''", "+OK\r\n"),
        ("INCR a", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 9223372036854775808", "+OK\r\n"),
        ("INCR a", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 01", "+OK\r\n"),
        ("INCRBY a 1", "-ERR value is not an integer or out of range\r\n"),
        ("SET a +1", "+OK\r\n"),
        ("DECR a", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 1.0", "+OK\r\n"),
        ("DECR a", "-ERR value is not an integer or out of range\r\n"),
        ("SET a 10 PXAT 4102444800123", "+OK\r\n"),
        ("INCR a", ":11\r\n"),
        ("PEXPIRETIME a", ":4102444800123\r\n"),
        ("INCR", "-ERR wrong number of arguments for 'incr' command\r\n"),
        ("INCRBY a", "-ERR wrong number of arguments for 'incrby' command\r\n"),
    ]);
}

#[test]
fn fractions_have_the_digits_of_redis() {
    Server::start().connect().check(&[
        ("INCRBYFLOAT a 0.1", "$3\r\n0.1\r\n"),
        ("INCRBYFLOAT a 0.2", "$3\r\n0.3\r\n"),
        ("INCRBYFLOAT a -0.3", "$1\r\n0\r\n"),
        ("INCRBYFLOAT a 5.0e3", "$4\r\n5000\r\n"),
        ("INCRBYFLOAT a 1e-17", "$4\r\n5000\r\n"),
        ("GET a", "$4\r\n5000\r\n"),
        ("INCRBYFLOAT a nan", "-ERR value is not a valid float\r\n"),
        ("INCRBYFLOAT a inf", "-ERR increment would produce NaN or Infinity\r\n"),
        ("INCRBYFLOAT a 1e5000", "-ERR value is not a valid float\r\n"),
        ("INCRBYFLOAT a x", "-ERR value is not a valid float\r\n"),
        ("INCRBYFLOAT a ''", "-ERR value is not a valid float\r\n"),
        ("SET a x", "+OK\r\n"),
        ("INCRBYFLOAT a 1", "-ERR value is not a valid float\r\n"),
        ("INCRBYFLOAT a x", "-ERR value is not a valid float\r\n"),
        ("SET a inf", "+OK\r\n"),
        ("INCRBYFLOAT a 1", "-ERR increment would produce NaN or Infinity\r\n"),
        ("SET a 1e2", "+OK\r\n"),
        ("INCRBYFLOAT a 0", "$3\r\n100\r\n"),
        ("GET a", "$3\r\n100\r\n"),
        ("SET a 3.0e3 PXAT 4102444800123", "+OK\r\n"),
        ("INCRBYFLOAT a 1.5e0", "$6\r\n3001.5\r\n"),
        ("PEXPIRETIME a", ":4102444800123\r\n"),
        ("INCRBYFLOAT a", "-ERR wrong number of arguments for 'incrbyfloat' command\r\n"),
    ]);
}

#[test]
fn what_has_expired_counts_as_nothing() {
    for (line, expected) in [
        ("INCR a", ":1\r\n"),
        ("INCRBYFLOAT a 0.5", "$3\r\n0.5\r\n"),
        ("APPEND a x", ":1\r\n"),
        ("SETRANGE a 1 x", ":2\r\n"),
        ("SETBIT a 7 1", ":0\r\n"),
        ("SETNX a 1", ":1\r\n"),
        ("MSETNX a 1", ":1\r\n"),
        ("SET a 1 KEEPTTL GET", "$-1\r\n"),
        ("GETSET a 1", "$-1\r\n"),
    ] {
        let server = Server::start();
        let mut client = server.connect();
        client.check(&[("SET a 5 PX 1", "+OK\r\n")]);
        client.until("EXISTS a", 0);
        client.check(&[(line, expected), ("TTL a", ":-1\r\n")]);
    }
}
