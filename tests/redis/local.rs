//! A whole cluster by one command: started, looked at, damaged, stopped.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::command_line::annulus;

const PATIENCE: Duration = Duration::from_secs(30);
const NODES: u16 = 3;

/// `annulus local`, killed when it is dropped; its nodes end with it.
struct Local {
    process: Child,
    port: u16,
    directory: TempDir,
}

impl Local {
    fn start() -> Local {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let process = launch(&directory, port);
        let local = Local { process, port, directory };
        local.until_it_says("is ready");
        local
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("said")).unwrap_or_default()
    }

    #[track_caller]
    fn until_it_says(&self, words: &str) {
        until(|| self.said().contains(words), || self.said());
    }

    /// Raw reply of a node to a line.
    fn ask(&self, number: u16, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port + number - 1)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        Some(reply)
    }

    fn pid_of(&self, number: u16) -> Pid {
        let info = self.ask(number, "INFO server").expect("it serves");
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("it is told");
        Pid::from_raw(pid.trim().parse().expect("a number")).expect("above zero")
    }

    fn status(&self) -> String {
        annulus(&["status", "--at", &format!("127.0.0.1:{}", self.port)]).1
    }

    fn ends_with(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.process), signal).expect("a child of this process");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child of this process") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn until_no_node_serves(&self) {
        until(|| (1..=NODES).all(|number| self.ask(number, "PING").is_none()), || self.said());
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn launch(directory: &TempDir, port: u16) -> Child {
    let said = std::fs::File::create(directory.path().join("said")).expect("a new file");
    Command::new(env!("CARGO_BIN_EXE_annulus"))
        .args(["local", "--nodes", &NODES.to_string(), "--port", &port.to_string(), "--data", "cluster"])
        .args(["--", "--durability", "none"])
        .current_dir(directory.path())
        .stdout(said.try_clone().expect("an open file"))
        .stderr(said)
        .spawn()
        .expect("the program was built")
}

/// A port that was free a moment ago, as were all that follow from it.
fn free_port() -> u16 {
    let are_free = |port: &u16| {
        let all = (0..NODES).flat_map(|node| [0, 2_000, 10_000].map(|offset| port + node + offset));
        all.into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    let start = 12_000 + (std::process::id() as u16 % 1_000) * 8;
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let port = (start..22_000).step_by(8).find(|port| !given.contains(port) && are_free(port)).expect("a free port");
    given.push(port);
    port
}

static GIVEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());

#[track_caller]
fn until(done: impl Fn() -> bool, told: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "it never happens: {}", told());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_command_runs_a_cluster_and_a_killed_node_comes_back_by_the_printed_one() {
    let mut local = Local::start();
    until(|| local.status().matches("  up").count() == 3, || local.status());
    let status = local.status();
    assert!(status.starts_with("3 nodes, epoch 1"), "{status}");
    assert!(status.contains("\nnode-1") && status.contains("100.0 %") && status.contains("asked"), "{status}");
    let (code, json) = annulus(&["status", "--json", "--at", &format!("127.0.0.1:{}", local.port)]);
    assert!(code == Some(0) && json.contains("\"members\"") && json.contains("\"name\": \"node-3\""), "{json}");

    kill_process(local.pid_of(2), Signal::KILL).expect("a node of this test");
    local.until_it_says("node-2 has ended");
    until(|| local.status().contains("unreachable"), || local.status());
    let said = local.said();
    let command = said.lines().find(|line| line.starts_with("  annulus serve")).expect("it is printed");
    let words = command.split_whitespace().skip(1);
    let mut node = Command::new(env!("CARGO_BIN_EXE_annulus"))
        .args(words)
        .current_dir(local.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built");
    until(|| local.status().matches("  up").count() == 3, || local.status());
    node.kill().expect("a child of this process");
    node.wait().expect("a child of this process");

    assert_eq!(local.ends_with(Signal::TERM), Some(0), "{}", local.said());
    local.until_no_node_serves();
    let (code, text) = annulus(&["status", "--at", &format!("127.0.0.1:{}", local.port)]);
    assert!(code == Some(1) && text.contains("cannot connect"), "{text}");

    local.process = launch(&local.directory, local.port);
    local.until_it_says("is ready");
    let elsewhere = local.directory.path().join("cluster").display().to_string();
    let (code, text) = annulus(&["local", "--nodes", "4", "--data", &elsewhere]);
    assert!(code == Some(2) && text.contains("pass --nodes 3"), "{text}");
}

#[test]
fn nodes_end_with_the_process_that_runs_them() {
    let mut local = Local::start();
    local.ends_with(Signal::KILL);
    local.until_no_node_serves();
}

#[test]
fn a_node_that_does_not_start_ends_all_with_its_reason() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port + 1)).expect("it was free");
    let mut process = launch(&directory, port);
    let status = process.wait().expect("a child of this process");
    let said = std::fs::read_to_string(directory.path().join("said")).expect("it was made");
    assert!(status.code() == Some(1) && said.contains("node-2 has ended") && said.contains("listen: "), "{said}");
    drop(taken);
}
