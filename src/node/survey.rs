//! `annulus status`: what a running node says of its cluster, as a table for people or as JSON.
//!
//! It asks as any client does (RING and RING NODES), so it works wherever redis-cli does.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Builder;

use crate::env::os::OsNet;
use crate::env::{Net as _, Stream};
use crate::node::error::Error;

/// How long the node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer: a thousand nodes are far below.
const ANSWER_LIMIT: usize = 16 << 20;

/// What a node said of its cluster.
#[derive(Clone, Debug)]
pub struct Survey {
    ring: Map<String, Value>,
    nodes: Vec<Map<String, Value>>,
}

/// Asks the node at `address`, with the password if there is one.
///
/// # Errors
/// It does not answer, or not as a node.
pub fn survey(address: SocketAddr, password: &str) -> Result<Survey, Error> {
    let failed = |source| Error::Machine { tried: "the node cannot be asked", source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let asking = async {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer"));
        tokio::time::timeout(PATIENCE, ask(address, password)).await.map_err(late)?
    };
    runtime.block_on(asking).map_err(failed)
}

async fn ask(address: SocketAddr, password: &str) -> io::Result<Survey> {
    let mut stream = OsNet.connect(address).await?;
    if !password.is_empty() {
        call(&mut *stream, &["AUTH", password]).await?;
    }
    let Value::Object(ring) = pairs(call(&mut *stream, &["RING"]).await?) else { return Err(strange()) };
    let OwnedFrame::Array(nodes) = call(&mut *stream, &["RING", "NODES"]).await? else { return Err(strange()) };
    let nodes = nodes.into_iter().map(|node| match pairs(node) {
        Value::Object(node) => Ok(node),
        _ => Err(strange()),
    });
    let mut nodes = nodes.collect::<io::Result<Vec<_>>>()?;
    nodes.sort_by_cached_key(|node| ["dc", "zone", "name"].map(|name| node.get(name).map(text)));
    Ok(Survey { ring, nodes })
}

async fn call(stream: &mut dyn Stream, words: &[&str]) -> io::Result<OwnedFrame> {
    let mut request = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| request.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::new();
    while received.len() < ANSWER_LIMIT {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed before an answer"));
        }
        match decode(&received).map_err(|_| strange())? {
            Some((OwnedFrame::Error(text), _)) => return Err(io::Error::other(text)),
            Some((frame, _)) => return Ok(frame),
            None => {}
        }
    }
    Err(strange())
}

fn strange() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what answers there is no node of Annulus, or one of another version")
}

/// A flat array of names and values as an object; anything else as it is.
fn pairs(frame: OwnedFrame) -> Value {
    match frame {
        OwnedFrame::Array(items) => {
            let mut items = items.into_iter();
            let mut object = Map::new();
            while let (Some(name), Some(value)) = (items.next(), items.next()) {
                object.insert(text(&pairs(name)), pairs(value));
            }
            Value::Object(object)
        }
        OwnedFrame::Integer(number) => number.into(),
        OwnedFrame::BulkString(bytes) | OwnedFrame::SimpleString(bytes) => String::from_utf8_lossy(&bytes).into(),
        OwnedFrame::Error(text) => text.into(),
        OwnedFrame::Null => Value::Null,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Survey {
    /// All that was said, as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut all = self.ring.clone();
        all.insert("members".into(), self.nodes.iter().cloned().map(Value::Object).collect());
        format!("{:#}\n", Value::Object(all))
    }

    /// A table for people.
    #[must_use]
    pub fn text(&self) -> String {
        let field = |object: &Map<String, Value>, name| object.get(name).map(text).unwrap_or_default();
        let arcs = self.ring.get("arcs").and_then(Value::as_u64).unwrap_or(1).max(1);
        let head = ["node", "clients", "dc", "zone", "weight", "share", "state", ""];
        let mut rows = vec![head.map(str::to_owned)];
        for node in &self.nodes {
            let held = node.get("arcs").and_then(Value::as_u64).unwrap_or(0);
            let share = format!("{:.1} %", held as f64 * 100.0 / arcs as f64);
            let asked = if field(node, "self") == "1" { "asked" } else { "" };
            let [name, clients, dc, zone, weight, state] =
                ["name", "clients", "dc", "zone", "weight", "state"].map(|name| field(node, name));
            rows.push([name, clients, dc, zone, weight, share, state, asked.to_owned()]);
        }
        let [nodes, epoch, replicas, moving] =
            ["nodes", "epoch", "replicas", "moving-arcs"].map(|name| field(&self.ring, name));
        let mut text = format!(
            "{nodes} nodes, epoch {epoch}, up to {replicas} replicas of each key in a data centre, {moving} of {arcs} arcs on \
             the move\n\n"
        );
        rows.iter().for_each(|row| text.push_str(&line(row, &rows)));
        text
    }
}

fn line(row: &[String; 8], rows: &[[String; 8]]) -> String {
    let widths = (0..row.len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    use super::{Survey, pairs};
    use redis_protocol::resp2::decode::decode;
    use serde_json::Value;

    #[test]
    fn what_is_said_becomes_a_table_and_json() {
        let object = |text: &str| match pairs(decode(text.as_bytes()).unwrap().unwrap().0) {
            Value::Object(object) => object,
            other => panic!("{other}"),
        };
        let ring =
            object("*8\r\n$5\r\nepoch\r\n:2\r\n$5\r\nnodes\r\n:1\r\n$4\r\narcs\r\n:1024\r\n$8\r\nreplicas\r\n:3\r\n");
        let node = object(
            "*12\r\n$4\r\nname\r\n$2\r\nn1\r\n$4\r\narcs\r\n:512\r\n$4\r\nself\r\n:1\r\n$2\r\ndc\r\n$3\r\ndc1\r\n$4\r\nzone\r\n$1\r\nz\r\n\
             $5\r\nstate\r\n$2\r\nup\r\n",
        );
        let survey = Survey { ring, nodes: vec![node] };
        let text = survey.text();
        assert!(text.starts_with("1 nodes, epoch 2"), "{text}");
        assert!(text.contains("\nnode  clients  dc   zone  weight  share   state\nn1             dc1  z             50.0 %  up     asked\n"), "{text}");
        let json: Value = serde_json::from_str(&survey.json()).unwrap();
        assert_eq!((&json["epoch"], &json["members"][0]["name"]), (&Value::from(2), &Value::from("n1")));
    }
}
