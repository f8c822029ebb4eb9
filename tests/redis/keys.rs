//! Keys of any type: presence, removal, renaming, copying, and what is told about them.

use crate::server::Server;

#[test]
fn keys_are_counted_and_deleted() {
    Server::start().connect().check(&[
        ("EXISTS a", ":0\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("SET b 2", "+OK\r\n"),
        ("EXISTS a b c a", ":3\r\n"),
        ("TOUCH a a c", ":2\r\n"),
        ("TYPE a", "+string\r\n"),
        ("TYPE c", "+none\r\n"),
        ("DBSIZE", ":2\r\n"),
        ("DEL a a c", ":1\r\n"),
        ("UNLINK a b", ":1\r\n"),
        ("DBSIZE", ":0\r\n"),
        ("RANDOMKEY", "$-1\r\n"),
        ("DEL", "-ERR wrong number of arguments for 'del' command\r\n"),
        ("WAIT 1 0", ":0\r\n"),
        ("WAIT x 0", "-ERR value is not an integer or out of range\r\n"),
        ("WAIT 0 x", "-ERR timeout is not an integer or out of range\r\n"),
        ("WAIT 0 -1", "-ERR timeout is negative\r\n"),
    ]);
}

#[test]
fn a_renamed_key_keeps_value_and_expiry() {
    Server::start().connect().check(&[
        ("RENAME a b", "-ERR no such key\r\n"),
        ("RENAMENX a a", "-ERR no such key\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("PEXPIREAT a 4102444800123", ":1\r\n"),
        ("SET b 2", "+OK\r\n"),
        ("RENAMENX a b", ":0\r\n"),
        ("RENAMENX a a", ":0\r\n"),
        ("RENAME a a", "+OK\r\n"),
        ("RENAME a b", "+OK\r\n"),
        ("GET b", "$1\r\n1\r\n"),
        ("PEXPIRETIME b", ":4102444800123\r\n"),
        ("RENAMENX b c", ":1\r\n"),
        ("KEYS *", "*1\r\n$1\r\nc\r\n"),
        ("SET d 1", "+OK\r\n"),
        ("RENAME d c", "+OK\r\n"),
        ("TTL c", ":-1\r\n"),
    ]);
}

/// The write of the new key is refused, so the old one stays.
#[test]
fn a_renaming_that_cannot_be_is_not_begun() {
    let server = Server::start();
    let mut client = server.connect();
    let value = vec![b'x'; (1 << 20) - 1];
    assert_eq!(client.call(&[b"SET", b"k", &value]), b"+OK\r\n");
    let refused = client.line("RENAME k longer");
    assert_eq!(refused, "-ERR value of 1048581 bytes exceeds max-pair-bytes (1048576)\r\n");
    client.check(&[("EXISTS k longer", ":1\r\n"), ("RENAME k l", "+OK\r\n"), ("EXISTS l", ":1\r\n")]);
}

#[test]
fn copies_go_to_other_keys_and_databases() {
    Server::start().connect().check(&[
        ("SET a 1", "+OK\r\n"),
        ("PEXPIREAT a 4102444800123", ":1\r\n"),
        ("COPY a b", ":1\r\n"),
        ("PEXPIRETIME b", ":4102444800123\r\n"),
        ("COPY a b", ":0\r\n"),
        ("SET a 2", "+OK\r\n"),
        ("COPY a b REPLACE", ":1\r\n"),
        ("GET b", "$1\r\n2\r\n"),
        ("TTL b", ":-1\r\n"),
        ("COPY none b REPLACE", ":0\r\n"),
        ("COPY a a DB 3", ":1\r\n"),
        ("COPY a a DB 3", ":0\r\n"),
        ("COPY a a db 3 replace", ":1\r\n"),
        ("SELECT 3", "+OK\r\n"),
        ("GET a", "$1\r\n2\r\n"),
        ("COPY a a", "-ERR source and destination objects are the same\r\n"),
        ("COPY a a DB 3", "-ERR source and destination objects are the same\r\n"),
        ("COPY a b DB 16", "-ERR DB index is out of range\r\n"),
        ("COPY a b DB x", "-ERR value is not an integer or out of range\r\n"),
        ("COPY a b DB", "-ERR syntax error\r\n"),
        ("MOVE a 1", "-ERR MOVE is not supported: use COPY with DB, then DEL\r\n"),
        ("SWAPDB 0 1", "-ERR SWAPDB is not supported: a database's number is part of its keys\r\n"),
    ]);
}

#[test]
fn renaming_and_copying_are_part_of_a_transaction() {
    Server::start().connect().check(&[
        ("SET a 1", "+OK\r\n"),
        ("MULTI", "+OK\r\n"),
        ("RENAME a b", "+QUEUED\r\n"),
        ("COPY b c", "+QUEUED\r\n"),
        ("RENAME none x", "+QUEUED\r\n"),
        ("DBSIZE", "+QUEUED\r\n"),
        ("COPY c c DB 1", "+QUEUED\r\n"),
        ("DEL b c", "+QUEUED\r\n"),
        ("KEYS *", "+QUEUED\r\n"),
        ("EXEC", "*7\r\n+OK\r\n:1\r\n-ERR no such key\r\n:2\r\n:1\r\n:2\r\n*0\r\n"),
        ("SELECT 1", "+OK\r\n"),
        ("GET c", "$1\r\n1\r\n"),
    ]);
}

#[test]
fn values_are_described() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        ("SET n -12", "+OK\r\n"),
        ("SET s text", "+OK\r\n"),
        ("OBJECT ENCODING n", "$3\r\nint\r\n"),
        ("OBJECT encoding s", "$6\r\nembstr\r\n"),
        ("OBJECT ENCODING none", "$-1\r\n"),
        ("OBJECT REFCOUNT s", ":1\r\n"),
        ("OBJECT FREQ none", "$-1\r\n"),
        ("OBJECT IDLETIME s", ":0\r\n"),
        ("OBJECT", "-ERR wrong number of arguments for 'object' command\r\n"),
        ("OBJECT FREQ", "-ERR wrong number of arguments for 'object|freq' command\r\n"),
        ("OBJECT NOSUCH s", "-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.\r\n"),
        ("MEMORY USAGE none", "$-1\r\n"),
        ("MEMORY USAGE s SAMPLES", "-ERR syntax error\r\n"),
        ("MEMORY USAGE s SAMPLES -1", "-ERR syntax error\r\n"),
        ("MEMORY USAGE s SAMPLES x", "-ERR value is not an integer or out of range\r\n"),
    ]);
    assert!(client.line("OBJECT FREQ s").starts_with("-ERR An LFU maxmemory policy is not selected, "));
    assert!(client.line("OBJECT HELP").starts_with("*11\r\n+OBJECT <subcommand> "));
    let (short, long) = (client.number("MEMORY USAGE s"), 10_000);
    assert_eq!(client.call(&[b"SET", b"s", &vec![0xff; long]]), b"+OK\r\n");
    assert_eq!(client.number("MEMORY USAGE s SAMPLES 0"), short - 4 + long as i64);
    client.check(&[("OBJECT ENCODING s", "$3\r\nraw\r\n")]);
    client.line("HELLO 3");
    client.check(&[("OBJECT ENCODING none", "_\r\n"), ("MEMORY USAGE none", "_\r\n"), ("DUMP none", "_\r\n")]);
}
