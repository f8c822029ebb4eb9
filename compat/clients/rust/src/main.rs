//! Scenarios of the `redis` crate: blocking, async and cluster clients, over RESP2 and RESP3.
//!
//! Usage: `annulus-compat PORT CLUSTER_PORT`. Prints `pass NAME` or `fail NAME: why` per check, as `compat/run` counts
//! them. Leaves out what only other clients do: inline commands and pipe mode.

use redis::cluster_read_routing::RandomReplicaStrategy;
use redis::{AsyncTypedCommands, Commands, ErrorKind, RedisError, RedisResult, ServerErrorKind, TypedCommands, Value};
use std::collections::HashSet;
use std::fmt::Debug;

type Outcome = Result<(), Problem>;

/// What went wrong in a check.
#[derive(Debug)]
struct Problem(String);

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        Problem(format!("redis error: {error}"))
    }
}

/// Fails unless both are equal.
fn equal<T: PartialEq + Debug>(actual: T, wanted: T) -> Outcome {
    if actual == wanted { Ok(()) } else { Err(Problem(format!("got {actual:?}, wanted {wanted:?}"))) }
}

/// Fails unless the call ended with an error that has the text.
fn fails<T: Debug>(result: RedisResult<T>, text: &str) -> Outcome {
    match result {
        Err(error) if error.to_string().contains(text) => Ok(()),
        other => Err(Problem(format!("got {other:?}, wanted an error with {text:?}"))),
    }
}

/// Prints how a check ended; counts failures.
struct Report {
    failed: usize,
}

impl Report {
    fn record(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => println!("pass {name}"),
            Err(Problem(why)) => {
                self.failed += 1;
                println!("fail {name}: {}", why.replace(['\r', '\n'], " "));
            }
        }
    }
}

fn types(connection: &mut redis::Connection) -> Outcome {
    let binary: Vec<u8> = (0..=255).collect();
    TypedCommands::flushall(connection)?;
    TypedCommands::set(connection, "text", "hello")?;
    equal(TypedCommands::get(connection, "text")?, Some("hello".to_owned()))?;
    equal(TypedCommands::get(connection, "none")?, None)?;
    equal(TypedCommands::set_nx(connection, "text", "x")?, false)?;
    equal(TypedCommands::incr(connection, "number", 41)?, 41)?;
    TypedCommands::mset(connection, &[("a", "1"), ("b", "2")])?;
    equal(
        TypedCommands::mget(connection, &["a", "b", "none"])?,
        vec![Some("1".to_owned()), Some("2".to_owned()), None],
    )?;
    equal(TypedCommands::del(connection, &["a", "b", "none"])?, 2)?;
    equal(TypedCommands::append(connection, "text", "!")?, 6)?;
    TypedCommands::set(connection, "binary", &binary)?;
    equal(Commands::get::<_, Vec<u8>>(connection, "binary")?, binary)?;
    equal(redis::cmd("TYPE").arg("text").query::<String>(connection)?, "string".to_owned())
}

fn expiries(connection: &mut redis::Connection) -> Outcome {
    TypedCommands::set_ex(connection, "k", "v", 100)?;
    equal(redis::cmd("TTL").arg("k").query::<i64>(connection)?, 100)?;
    equal(TypedCommands::persist(connection, "k")?, true)?;
    equal(redis::cmd("TTL").arg("k").query::<i64>(connection)?, -1)?;
    equal(redis::cmd("PEXPIREAT").arg("k").arg(4_102_444_800_123_i64).query::<i64>(connection)?, 1)?;
    equal(redis::cmd("PEXPIRETIME").arg("k").query::<i64>(connection)?, 4_102_444_800_123)?;
    equal(redis::cmd("EXPIRE").arg("k").arg(-1).query::<i64>(connection)?, 1)?;
    equal(TypedCommands::exists(connection, "k")?, false)
}

fn errors(connection: &mut redis::Connection) -> Outcome {
    TypedCommands::set(connection, "text", "hello")?;
    fails(TypedCommands::incr(connection, "text", 1), "value is not an integer or out of range")?;
    fails(redis::cmd("NOSUCH").query::<Value>(connection), "unknown command 'NOSUCH'")?;
    fails(redis::cmd("GET").query::<Value>(connection), "wrong number of arguments for 'get' command")?;
    let error = redis::cmd("GET").query::<Value>(connection).expect_err("GET without a key is an error");
    equal(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError))
}

fn pipelines(connection: &mut redis::Connection) -> Outcome {
    let mut pipe = redis::pipe();
    for number in 0..10_000 {
        pipe.cmd("SET").arg(format!("p:{number}")).arg(number).ignore().cmd("GET").arg(format!("p:{number}"));
    }
    equal(pipe.query::<Vec<i64>>(connection)?, (0..10_000).collect())?;
    let mut transaction = redis::pipe();
    transaction.atomic().cmd("SET").arg("t").arg(1).ignore().cmd("INCR").arg("t");
    equal(transaction.query::<Vec<i64>>(connection)?, vec![2])
}

fn watched(connection: &mut redis::Connection, client: &redis::Client) -> Outcome {
    let mut other = client.get_connection()?;
    let mut interfere = true;
    let result: (i64,) = redis::transaction(connection, &["w"], |connection, pipe| {
        let old = Commands::get::<_, Option<i64>>(connection, "w")?.unwrap_or(0);
        if std::mem::take(&mut interfere) {
            TypedCommands::set(&mut other, "w", 10)?;
        }
        pipe.cmd("SET").arg("w").arg(old + 1).ignore().cmd("GET").arg("w").query(connection)
    })?;
    equal(result, (11,))
}

fn scans(connection: &mut redis::Connection) -> Outcome {
    TypedCommands::flushall(connection)?;
    let mut pipe = redis::pipe();
    for number in 0..1000 {
        pipe.cmd("SET").arg(format!("s:{number}")).arg(number).ignore();
    }
    pipe.exec(connection)?;
    let found: RedisResult<HashSet<String>> = Commands::scan_match(connection, "s:*")?.collect();
    equal(found?.len(), 1000)
}

async fn asynchronous(client: &redis::Client) -> Outcome {
    let connection = client.get_multiplexed_async_connection().await?;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1000_i64 {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            let key = format!("async:{number}");
            AsyncTypedCommands::set(&mut connection, &key, number).await?;
            let value = AsyncTypedCommands::get(&mut connection, &key).await?;
            AsyncTypedCommands::incr(&mut connection, "async-count", 1).await?;
            Ok::<_, RedisError>(value == Some(number.to_string()))
        });
    }
    while let Some(done) = tasks.join_next().await {
        equal(done.map_err(|error| Problem(error.to_string()))??, true)?;
    }
    let mut connection = connection.clone();
    equal(AsyncTypedCommands::get_int(&mut connection, "async-count").await?, Some(1000))
}

fn cluster(address: &str) -> Outcome {
    let client =
        redis::cluster::ClusterClientBuilder::new([address]).read_routing_strategy(RandomReplicaStrategy).build()?;
    let mut connection = client.get_connection()?;
    for number in 0..500 {
        TypedCommands::set(&mut connection, format!("c:{number}"), number)?;
    }
    for number in 0..500 {
        equal(TypedCommands::get(&mut connection, format!("c:{number}"))?, Some(number.to_string()))?;
    }
    let mut pipe = redis::cluster::cluster_pipe();
    for number in 0..500 {
        pipe.cmd("INCR").arg(format!("c:{number}"));
    }
    equal(pipe.query::<Vec<i64>>(&mut connection)?, (1..=500).collect())?;
    equal(redis::cmd("MGET").arg("{t}1").arg("{t}2").query::<Vec<Option<String>>>(&mut connection)?, vec![None, None])
}

async fn asynchronous_cluster(address: &str) -> Outcome {
    let client = redis::cluster::ClusterClient::new(vec![address])?;
    let mut connection = client.get_async_connection().await?;
    AsyncTypedCommands::flushall(&mut connection).await?;
    for number in 0..500 {
        AsyncTypedCommands::set(&mut connection, format!("ac:{number}"), number).await?;
    }
    for number in 0..500 {
        equal(AsyncTypedCommands::get(&mut connection, format!("ac:{number}")).await?, Some(number.to_string()))?;
    }
    AsyncTypedCommands::mset(&mut connection, &[("x", "1"), ("y", "2"), ("z", "3")]).await?;
    equal(AsyncTypedCommands::del(&mut connection, &["x", "y", "z"]).await?, 3)
}

fn single_node(
    report: &mut Report,
    runtime: &tokio::runtime::Runtime,
    protocol: &str,
    port: &str,
) -> Result<(), RedisError> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol={protocol}"))?;
    let mut connection = client.get_connection()?;
    report.record(&format!("types, {protocol}"), types(&mut connection));
    report.record(&format!("expiries, {protocol}"), expiries(&mut connection));
    report.record(&format!("errors, {protocol}"), errors(&mut connection));
    report.record(&format!("pipelines, {protocol}"), pipelines(&mut connection));
    report.record(&format!("watched, {protocol}"), watched(&mut connection, &client));
    report.record(&format!("scans, {protocol}"), scans(&mut connection));
    report.record(&format!("asynchronous, {protocol}"), runtime.block_on(asynchronous(&client)));
    Ok(())
}

fn main() -> Result<(), RedisError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(cluster_port)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: annulus-compat PORT CLUSTER_PORT");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime needs only threads");
    let mut report = Report { failed: 0 };
    for protocol in ["resp2", "resp3"] {
        single_node(&mut report, &runtime, protocol, &port)?;
        let address = format!("redis://127.0.0.1:{cluster_port}/?protocol={protocol}");
        report.record(&format!("asynchronous cluster, {protocol}"), runtime.block_on(asynchronous_cluster(&address)));
        report.record(&format!("cluster, {protocol}"), cluster(&address));
    }
    std::process::exit(i32::from(report.failed > 0));
}
