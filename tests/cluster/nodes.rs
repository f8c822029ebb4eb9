//! Whole nodes, as `annulus serve` starts them, on machines that lose power.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use annulus::config::{Config, Place, Settings};
use annulus::env::Stream;
use annulus::node::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::machine::Death;
use crate::world::{Host, World};

const PORT: u16 = 6379;
const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    let mut settings = Settings::new();
    for (name, value) in [("listen", "127.0.0.1:6379"), ("data", "/data"), ("found", "1"), ("memtable-bytes", "4MB")] {
        settings.set(name, value, Place::Default).unwrap();
    }
    Config { settings, file: None::<PathBuf> }
}

/// One node, for as long as its host lives.
async fn serve(host: Host) {
    let mut node = Node::start(host.life.surroundings(), &config()).await.unwrap();
    host.note("serves");
    let ending = node.ending().await;
    host.note(&format!("ended: {ending:?}"));
}

/// Sets `count` to 1, 2, 3 and so on; after each new connection it first notes what it finds.
async fn client(host: Host, address: SocketAddr) {
    let mut number = 0;
    loop {
        let Ok(mut stream) = host.life.env.net.connect(address).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let found = ask(&mut *stream, "GET count\r\n").await;
        host.note(&format!("found {found:?} after {number}"));
        while ask(&mut *stream, &format!("SET count {}\r\n", number + 1)).await == "+OK\r\n" {
            number += 1;
            if number % 50 == 0 {
                host.note(&format!("has set {number}"));
            }
        }
        host.note("lost its connection");
    }
}

/// What is answered; nothing if the connection is gone or silent.
async fn ask(stream: &mut dyn Stream, request: &str) -> String {
    let mut answer = vec![0; 4096];
    if stream.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    match timeout(SECOND, stream.read(&mut answer)).await {
        Ok(Ok(count)) => String::from_utf8_lossy(&answer[..count]).into_owned(),
        _ => String::new(),
    }
}

fn one_node(seed: u64) -> World {
    let mut world = World::new(seed);
    world.host("node", serve);
    let address = world.address("node", PORT);
    world.host("client", move |host| client(host, address));
    world
}

/// Crashes the node `deaths` times under writes; answers the run's digest and text.
fn run(seed: u64, deaths: &[Death]) -> (u64, String) {
    let mut world = one_node(seed);
    for (index, death) in deaths.iter().enumerate() {
        world.until(20 * SECOND, |events| events.count("client", "found") == index + 1);
        world.pass(Duration::from_millis(700 + 13 * index as u64));
        world.crash("node", *death);
        world.pass(SECOND / 2);
        world.restart("node");
    }
    world.until(20 * SECOND, |events| events.count("client", "found") == deaths.len() + 1);
    world.pass(SECOND);
    (world.events.digest(), world.events.text())
}

#[test]
fn a_node_that_loses_power_has_all_that_it_acknowledged() {
    let (_, text) = run(21, &[Death::Power, Death::Kill, Death::Power]);
    let mut checked = 0;
    for line in text.lines().filter(|line| line.contains("found") && !line.contains("after 0")) {
        // The last write may have been carried out without its acknowledgement.
        let acknowledged: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let value = |number: u64| format!("\\r\\n{number}\\r\\n");
        let is_there = line.contains(&value(acknowledged)) || line.contains(&value(acknowledged + 1));
        assert!(is_there && acknowledged > 50, "{line} in\n{text}");
        checked += 1;
    }
    assert_eq!(checked, 3, "{text}");
}

#[test]
fn the_same_seed_gives_the_same_run_of_a_node() {
    let first = run(31, &[Death::Power, Death::Kill]);
    assert_eq!(first, run(31, &[Death::Power, Death::Kill]));
    assert_ne!(first.0, run(32, &[Death::Power, Death::Kill]).0);
}
