//! INFO, CONFIG and the HTTP port.

use std::time::Instant;

use crate::server::{Connection, Server, bulks};

/// The lines of an INFO reply that begin with `start`.
fn lines<'a>(info: &'a str, start: &str) -> Vec<&'a str> {
    info.split("\r\n").filter(|line| line.starts_with(start)).collect()
}

#[test]
fn info_has_what_clients_read() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET a 1", "+OK\r\n"), ("SET b 1 EX 100", "+OK\r\n"), ("INCR a b c", ARITY)]);
    let info = client.line("INFO");
    for field in ["redis_version:7.0.15", "redis_mode:cluster", "arch_bits:64", "loading:0", "role:master"] {
        assert!(!lines(&info, field).is_empty(), "{field}: {info}");
    }
    assert_eq!(lines(&info, "tcp_port:"), [format!("tcp_port:{}", server.port())]);
    assert_eq!(lines(&info, "cluster_enabled:"), ["cluster_enabled:1"]);
    assert_eq!(lines(&info, "errorstat_"), ["errorstat_ERR:count=1"]);
    assert_eq!(lines(&info, "db"), ["db0:keys=2,expires=1,avg_ttl=0"]);
    let nodes = ["cluster_nodes_up:1", "cluster_nodes_suspected:0", "cluster_nodes_down:0"];
    assert!(nodes.iter().all(|nodes| !lines(&info, nodes).is_empty()), "{info}");
    for budget in ["memtables", "block_cache", "log_buffer", "connection_buffers"] {
        assert_eq!(lines(&info, &format!("budget_{budget}:used=")).len(), 1, "{budget}: {info}");
    }
    assert!(!info.contains("# Commandstats"), "only when asked for");
}

const ARITY: &str = "-ERR wrong number of arguments for 'incr' command\r\n";

#[test]
fn info_shows_the_sections_that_are_asked_for() {
    let server = Server::start();
    let mut client = server.connect();
    let titles = |info: String| {
        let titles = info.split("\r\n").filter(|line| line.contains("# ")).map(|line| line.rsplit("# ").next());
        titles.flatten().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let default = "Server Clients Memory Persistence Stats Replication CPU Errorstats Cluster Keyspace";
    let all =
        "Server Clients Memory Persistence Stats Replication CPU Commandstats Errorstats Latencystats Cluster Keyspace";
    for (line, expected) in [
        ("INFO", default),
        ("INFO DEFAULT", default),
        ("INFO all", all),
        ("INFO everything", all),
        ("INFO keyspace SERVER", "Server Keyspace"),
        ("INFO nothing", ""),
    ] {
        assert_eq!(titles(client.line(line)), expected, "{line}");
    }
    client.check(&[("MULTI", "+OK\r\n"), ("SET a 1", "+QUEUED\r\n"), ("INFO keyspace", "+QUEUED\r\n")]);
    assert!(client.line("EXEC").contains("db0:keys=1"), "its keys are not locked while INFO looks at them");
    client.line("HELLO 3");
    assert!(client.line("INFO cpu").starts_with('='), "a verbatim string");
}

#[test]
fn commands_are_counted_until_the_statistics_are_reset() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("SET a x", "+OK\r\n"), ("GET a", "$1\r\nx\r\n"), ("GET a", "$1\r\nx\r\n")]);
    client.check(&[("INCR a", "-ERR value is not an integer or out of range\r\n")]);
    client.check(&[("MULTI", "+OK\r\n"), ("GET a", "+QUEUED\r\n"), ("EXEC", "*1\r\n$1\r\nx\r\n")]);
    let info = client.line("INFO commandstats latencystats");
    assert!(lines(&info, "cmdstat_get:calls=3,usec=").len() == 1, "{info}");
    assert!(lines(&info, "cmdstat_incr:calls=1")[0].ends_with("rejected_calls=0,failed_calls=1"), "{info}");
    assert_eq!(lines(&info, "latency_percentiles_usec_get:p50=").len(), 1, "{info}");
    client.check(&[("CONFIG RESETSTAT", "+OK\r\n")]);
    let info = client.line("INFO commandstats errorstats");
    assert!(!info.contains("cmdstat_get") && !info.contains("errorstat"), "{info}");
    let metrics = server.http("/metrics");
    assert!(metrics.contains("annulus_command_calls_total{command=\"get\"} 3"), "a scrape never goes back: {metrics}");
}

#[test]
fn lookups_and_expired_keys_are_counted() {
    let server = Server::start();
    let mut client = server.connect();
    let stats = |client: &mut Connection| -> Vec<String> {
        let info = client.line("INFO stats");
        let fields = ["keyspace_hits:", "keyspace_misses:", "expired_keys:"].map(|field| lines(&info, field).join(""));
        fields.iter().map(|line| line.split(':').next_back().unwrap_or_default().to_owned()).collect()
    };
    client.check(&[("SET a 1", "+OK\r\n"), ("GET a", "$1\r\n1\r\n"), ("GET b", "$-1\r\n"), ("INCR n", ":1\r\n")]);
    client.check(&[("EXISTS a b", ":1\r\n"), ("STRLEN a", ":1\r\n"), ("TTL b", ":-2\r\n"), ("DEL b", ":0\r\n")]);
    assert_eq!(stats(&mut client), ["3", "3", "0"]);
    client.line("MGET a b n");
    client.check(&[("MULTI", "+OK\r\n"), ("GET a", "+QUEUED\r\n"), ("TYPE b", "+QUEUED\r\n")]);
    client.line("EXEC");
    assert_eq!(stats(&mut client), ["6", "5", "0"]);
    client.check(&[("SET old 1 PX 1", "+OK\r\n"), ("SET older 1 PX 1", "+OK\r\n"), ("SET young 1 EX 100", "+OK\r\n")]);
    client.until("EXISTS old older", 0);
    client.check(&[("SET old 2", "+OK\r\n"), ("DEL young", ":1\r\n"), ("SET a 2", "+OK\r\n")]);
    assert_eq!(stats(&mut client)[2], "1", "the other one is still to be reaped");
    assert!(server.http("/metrics").contains("annulus_expired_keys_total 1\n"));
    client.check(&[("CONFIG RESETSTAT", "+OK\r\n")]);
    assert_eq!(stats(&mut client), ["0", "0", "0"]);
    assert!(!server.http("/metrics").contains("annulus_keyspace_hits_total 0\n"), "a scrape never goes back");
}

#[test]
fn values_that_an_mget_asks_for_twice_count_once() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(client.call(&[b"SET", b"key", &vec![b'v'; 200 << 10]]), b"+OK\r\n");
    let words: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain([&b"key"[..]; 100]).chain([&b"none"[..]; 7]).collect();
    client.call(&words);
    let info = client.line("INFO stats");
    assert_eq!(lines(&info, "keyspace_"), ["keyspace_hits:100", "keyspace_misses:7"]);
}

#[test]
fn the_wait_for_the_disk_is_told_apart_from_the_time_of_commands() {
    let server = Server::with(&["--durability", "sync", "--slowlog-log-slower-than", "0"]);
    let mut client = server.connect();
    let begun = Instant::now();
    (0..50).for_each(|_| client.check(&[("SET a 1", "+OK\r\n")]));
    let passed = begun.elapsed().as_micros() as u64;
    let info = client.line("INFO stats commandstats");
    let number = |field: &str, end: char| -> u64 {
        let line = lines(&info, field).join("");
        let digits = line.strip_prefix(field).and_then(|rest| rest.split(end).next());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{field} {info}"))
    };
    assert_eq!(number("commit_waits:", '\r'), 50);
    let (waited, executed) = (number("commit_wait_usec:", '\r'), number("cmdstat_set:calls=50,usec=", ','));
    assert!(waited > 0 && waited + executed <= passed, "{waited} + {executed} of {passed}");
    client.check(&[("SLOWLOG LEN", ":52\r\n")]);
}

#[test]
fn settings_are_shown_under_our_names_and_those_of_redis() {
    let server = Server::start();
    let mut client = server.connect();
    let shown = |reply: String| bulks(&reply).join(" ");
    assert_eq!(shown(client.line("CONFIG GET save")), "save ");
    assert_eq!(shown(client.line("CONFIG GET appendonly")), "appendonly yes");
    assert_eq!(
        shown(client.line("CONFIG GET MAX-C* appendf* databases")),
        "max-clients 10000 max-clock-skew 500ms appendfsync no databases 16"
    );
    assert_eq!(shown(client.line("CONFIG GET port")), format!("port {}", server.port()));
    client.check(&[("CONFIG GET nothing", "*0\r\n"), ("HELLO 4", "-NOPROTO unsupported protocol version\r\n")]);
    client.line("HELLO 3");
    client.check(&[("CONFIG GET timeout", "%1\r\n$7\r\ntimeout\r\n$1\r\n0\r\n")]);
}

#[test]
fn settings_change_together_or_not_at_all() {
    let server = Server::start();
    let mut client = server.connect();
    let failed =
        |name: &str, what: &str| format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {what}\r\n");
    client.check(&[
        ("CONFIG SET timeout 100 slowlog-max-len 7", "+OK\r\n"),
        ("CONFIG SET timeout", "-ERR wrong number of arguments for 'config|set' command\r\n"),
        ("CONFIG SET timeout 1 save", "-ERR syntax error\r\n"),
        ("CONFIG SET timeout 5 foo 2", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n"),
        ("CONFIG SET timeout 5 timeout 6", &failed("timeout", "duplicate parameter")),
        ("CONFIG SET timeout 5 databases 6", &failed("databases", "can't set immutable config")),
        ("CONFIG SET timeout 5 maxclients x", &failed("maxclients", "argument couldn't be parsed into an integer")),
        ("CONFIG SET timeout -1", &failed("timeout", "argument must be between 0 and 2147483647 inclusive")),
        ("CONFIG SET data /tmp", &failed("data", "can't set immutable config")),
        ("CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$3\r\n100\r\n"),
        ("CONFIG SET save '' appendonly yes MaxClients 50 loglevel warning", "+OK\r\n"),
        ("CONFIG GET log-level", "*2\r\n$9\r\nlog-level\r\n$4\r\nwarn\r\n"),
        ("CONFIG GET max-clients", "*2\r\n$11\r\nmax-clients\r\n$2\r\n50\r\n"),
        ("CONFIG REWRITE", "-ERR The server is running without a config file\r\n"),
    ]);
}

#[test]
fn a_password_holds_from_the_next_connection_on() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[("CONFIG SET requirepass secret", "+OK\r\n"), ("PING", "+PONG\r\n")]);
    let mut other = server.connect();
    other.check(&[("GET a", "-NOAUTH Authentication required.\r\n"), ("AUTH secret", "+OK\r\n"), ("GET a", "$-1\r\n")]);
    assert!(!client.line("SLOWLOG GET").contains("secret"));
    client.check(&[("CONFIG SET requirepass ''", "+OK\r\n")]);
    server.connect().check(&[("PING", "+PONG\r\n")]);
}

#[test]
fn an_idle_connection_is_closed_after_the_timeout() {
    let server = Server::with(&["--timeout", "1"]);
    let mut client = server.connect();
    client.check(&[("PING", "+PONG\r\n")]);
    assert!(client.is_closed());
}

#[test]
fn too_many_connections_are_told_so() {
    let server = Server::with(&["--max-clients", "2"]);
    let mut first = server.connect();
    first.check(&[("PING", "+PONG\r\n"), ("CONFIG SET max-clients 1", "+OK\r\n")]);
    let mut second = server.connect();
    assert_eq!(second.line("PING"), "-ERR max number of clients reached\r\n");
}

#[test]
fn http_shows_metrics_and_health() {
    let server = Server::start();
    server.connect().check(&[("SET a 1", "+OK\r\n")]);
    let health = server.http("/health");
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.contains("\"status\":\"ok\""), "{health}");
    let metrics = server.http("/metrics");
    for line in [
        "annulus_keys{database=\"0\"} 1",
        "# TYPE annulus_command_calls_total counter",
        "annulus_memory_limit_bytes{budget=\"memtables\"} 335544320",
        "annulus_healthy 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    assert!(server.http("/").starts_with("HTTP/1.1 404"));
}
