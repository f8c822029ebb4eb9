//! Expiry: when keys end, and what is told about it.

use crate::server::Server;

#[test]
fn expiries_are_set_told_and_removed() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        ("TTL a", ":-2\r\n"),
        ("PEXPIRETIME a", ":-2\r\n"),
        ("EXPIRE a 10", ":0\r\n"),
        ("PERSIST a", ":0\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("TTL a", ":-1\r\n"),
        ("EXPIRETIME a", ":-1\r\n"),
        ("PERSIST a", ":0\r\n"),
        ("EXPIREAT a 4102444800", ":1\r\n"),
        ("PEXPIRETIME a", ":4102444800000\r\n"),
        ("PEXPIREAT a 4102444800500", ":1\r\n"),
        ("EXPIRETIME a", ":4102444801\r\n"),
        ("GET a", "$1\r\n1\r\n"),
        ("PERSIST a", ":1\r\n"),
        ("PTTL a", ":-1\r\n"),
        ("EXPIRE a 100", ":1\r\n"),
    ]);
    let (seconds, milliseconds) = (client.number("TTL a"), client.number("PTTL a"));
    assert!((95..=100).contains(&seconds) && (95_000..=100_000).contains(&milliseconds), "{seconds} {milliseconds}");
    client.check(&[("PEXPIRE a 50000", ":1\r\n"), ("SET a 2", "+OK\r\n"), ("TTL a", ":-1\r\n")]);
}

#[test]
fn conditions_decide() {
    Server::start().connect().check(&[
        ("SET a 1", "+OK\r\n"),
        ("EXPIREAT a 4102444800 XX", ":0\r\n"),
        ("EXPIREAT a 4102444800 GT", ":0\r\n"),
        ("EXPIREAT a 4102444800 LT", ":1\r\n"),
        ("EXPIREAT a 4102444801 NX", ":0\r\n"),
        ("EXPIREAT a 4102444800 gt", ":0\r\n"),
        ("EXPIREAT a 4102444801 GT XX", ":1\r\n"),
        ("EXPIREAT a 4102444801 LT", ":0\r\n"),
        ("EXPIREAT a 4102444800 xx lt", ":1\r\n"),
        ("EXPIRETIME a", ":4102444800\r\n"),
        ("EXPIRE a 1 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
        ("EXPIRE a 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"),
        ("EXPIRE a x NOSUCH", "-ERR Unsupported option NOSUCH\r\n"),
        ("EXPIRE a 1.5", "-ERR value is not an integer or out of range\r\n"),
        ("EXPIRE none 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
        ("PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"),
        ("EXPIREAT a -9223372036854775808", "-ERR invalid expire time in 'expireat' command\r\n"),
        ("PEXPIREAT a 9223372036854775807", ":1\r\n"),
        ("EXPIRETIME a", ":9223372036854776\r\n"),
    ]);
}

#[test]
fn the_past_deletes() {
    for line in ["EXPIRE a 0", "PEXPIRE a -1", "EXPIREAT a 1", "PEXPIREAT a -9223372036854775808"] {
        let server = Server::start();
        let mut client = server.connect();
        client.check(&[("SET a 1", "+OK\r\n"), (line, ":1\r\n"), ("EXISTS a", ":0\r\n"), (line, ":0\r\n")]);
        // A condition that does not hold keeps the key.
        client.check(&[("SET a 1", "+OK\r\n"), (&format!("{line} GT"), ":0\r\n"), ("EXISTS a", ":1\r\n")]);
    }
}

#[test]
fn what_has_expired_is_nowhere() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET a 1", "+OK\r\n"), ("SET b 1", "+OK\r\n"), ("PEXPIRE a 20", ":1\r\n")]);
    client.until("EXISTS a", 0);
    client.check(&[
        ("TTL a", ":-2\r\n"),
        ("TYPE a", "+none\r\n"),
        ("KEYS *", "*1\r\n$1\r\nb\r\n"),
        ("SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n"),
        ("RANDOMKEY", "$1\r\nb\r\n"),
        ("DUMP a", "$-1\r\n"),
        ("RENAME a c", "-ERR no such key\r\n"),
        ("COPY a c", ":0\r\n"),
        ("RENAMENX b a", ":1\r\n"),
        ("DEL b", ":0\r\n"),
    ]);
}
