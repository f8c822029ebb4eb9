//! Three nodes become a cluster while they are killed and lose power at any moment of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use annulus::config::{Config, Place, Settings};
use annulus::node::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::machine::Death;
use crate::world::{Host, World};

const PORT: u16 = 6379;
const PEERS: u16 = 16_379;
const NAMES: [&str; 3] = ["one", "two", "three"];
const SECOND: Duration = Duration::from_secs(1);

/// The first founds, the others join it; whoever is started again is given the same.
fn config(name: &'static str) -> Config {
    let address = |name: &str, port| SocketAddr::new(turmoil::lookup(name), port).to_string();
    let join = ("join", address(NAMES[0], PEERS));
    let part = if name == NAMES[0] { ("found", "3".to_owned()) } else { join };
    let mut settings = Settings::new();
    let others = [
        ("listen", address(name, PORT)),
        ("name", name.to_owned()),
        ("data", "/data".to_owned()),
        ("allow-open", "true".to_owned()),
        ("cluster-secret", "known to three".to_owned()),
        ("memtable-bytes", "4MB".to_owned()),
    ];
    for (name, value) in [part].into_iter().chain(others) {
        settings.set(name, &value, Place::Default).unwrap();
    }
    settings.check().unwrap();
    Config { settings, file: None::<PathBuf> }
}

async fn serve(host: Host, name: &'static str) {
    match Node::start(host.life.surroundings(), &config(name)).await {
        Ok(mut node) => {
            host.note("serves");
            let ending = node.ending().await;
            host.note(&format!("ended: {ending:?}"));
        }
        Err(error) => host.note(&format!("does not start: {error}")),
    }
}

/// Asks all nodes for their cluster until each sees three, and notes what they say.
async fn client(host: Host) {
    loop {
        let mut seen = Vec::new();
        for name in NAMES {
            let said = ask(&host, SocketAddr::new(turmoil::lookup(name), PORT)).await;
            let fact = |name: &str| {
                said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().to_owned()
            };
            if (fact("cluster_nodes"), fact("cluster_nodes_unreachable")) == ("3".into(), "0".into()) {
                seen.push((fact("cluster_id"), fact("cluster_epoch")));
            }
        }
        if seen.len() == NAMES.len() {
            let is_one = seen.iter().all(|one| *one == seen[0]);
            host.note(&format!("{}: {seen:?}", if is_one { "all are one cluster" } else { "they differ" }));
            return;
        }
        sleep(SECOND / 10).await;
    }
}

async fn ask(host: &Host, address: SocketAddr) -> String {
    let Ok(mut stream) = host.life.env.net.connect(address).await else { return String::new() };
    if stream.write_all(b"INFO cluster\r\n").await.is_err() {
        return String::new();
    }
    let mut answer = vec![0; 4096];
    match timeout(SECOND, stream.read(&mut answer)).await {
        Ok(Ok(count)) => String::from_utf8_lossy(&answer[..count]).into_owned(),
        _ => String::new(),
    }
}

/// Founds a cluster in which `victim` dies so long after the beginning; answers the run's digest and text.
fn run(seed: u64, (victim, after, death): (&str, Duration, Death)) -> (u64, String) {
    let mut world = World::new(seed);
    for name in NAMES {
        world.host(name, move |host| serve(host, name));
    }
    world.pass(after);
    world.crash(victim, death);
    world.pass(SECOND / 3);
    world.restart(victim);
    world.host("client", client);
    world.until(60 * SECOND, |events| events.count("client", "") > 0);
    (world.events.digest(), world.events.text())
}

#[test]
fn whoever_dies_during_a_founding_is_in_the_cluster_when_it_is_back() {
    for (index, after_ms) in (5..600).step_by(35).enumerate() {
        let victim = NAMES[index % NAMES.len()];
        let death = if index % 2 == 0 { Death::Power } else { Death::Kill };
        let (_, text) = run(index as u64, (victim, Duration::from_millis(after_ms), death));
        assert!(text.contains("all are one cluster"), "{victim} after {after_ms} ms:\n{text}");
        assert!(!text.contains("does not start"), "{victim} after {after_ms} ms:\n{text}");
    }
}

#[test]
fn the_same_seed_gives_the_same_founding() {
    let death = || ("two", Duration::from_millis(120), Death::Power);
    assert_eq!(run(5, death()), run(5, death()));
}
