//! A server process and connections to it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running node, killed when it is dropped.
pub(crate) struct Server {
    process: Child,
    ports: [u16; 3],
    directory: TempDir,
}

impl Server {
    /// Founds a node and waits until it answers.
    pub(crate) fn start() -> Server {
        Server::with(&[])
    }

    /// Founds a node with more flags and waits until it answers.
    pub(crate) fn with(flags: &[&str]) -> Server {
        let mut server = Server::begin(&[&["--found"], flags].concat());
        server.wait_until_it_answers();
        server
    }

    /// Starts a node that may have to wait for others.
    pub(crate) fn begin(flags: &[&str]) -> Server {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = free_ports();
        let process = launch(&directory, ports, flags);
        Server { process, ports, directory }
    }

    /// Starts the node again that has ended.
    pub(crate) fn start_again(&mut self, flags: &[&str]) {
        self.start_again_without_waiting(flags);
        self.wait_until_it_answers();
    }

    /// Starts the node again that has ended, and that may have to wait for others.
    pub(crate) fn start_again_without_waiting(&mut self, flags: &[&str]) {
        self.process = launch(&self.directory, self.ports, flags);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id() as i32).expect("a child has a number");
        kill_process(pid, signal).expect("a child of this process");
    }

    /// Waits until the process has ended: its exit code, and what it has logged in this run.
    pub(crate) fn wait_until_it_ends(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child of this process") {
                return (status.code(), self.log());
            }
            assert!(Instant::now() < deadline, "the server does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The port for other nodes.
    pub(crate) fn peer_port(&self) -> u16 {
        self.ports[1]
    }

    /// The client port.
    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Whole answer to `GET path` on the HTTP port.
    pub(crate) fn http(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[2])).expect("the HTTP port listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a duration above zero");
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers in time");
        answer
    }

    /// What it has logged in this run.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Waits until it serves clients.
    pub(crate) fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.answers() {
            let ended = self.process.try_wait().expect("a child of this process");
            if ended.is_some() || Instant::now() > deadline {
                panic!("the server does not answer: {ended:?} {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it serves: the port alone takes connections before the data is open.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port())) else { return false };
        stream.set_read_timeout(Some(PATIENCE)).expect("a duration above zero");
        stream.write_all(b"PING\r\n").is_ok() && stream.read(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a duration above zero");
        Connection { stream, received: Vec::new() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn launch(directory: &TempDir, ports: [u16; 3], flags: &[&str]) -> Child {
    let [address, peer, http] = ports.map(|port| format!("127.0.0.1:{port}"));
    let log = std::fs::File::create(directory.path().join("log")).expect("a new file");
    Command::new(env!("CARGO_BIN_EXE_annulus"))
        .args(["serve", "--listen", &address, "--http-listen", &http])
        .args(if flags.contains(&"--peer-listen") { vec![] } else { vec!["--peer-listen", &peer] })
        .arg("--data")
        .arg(directory.path().join("data"))
        .args(if flags.contains(&"--durability") { &[][..] } else { &["--durability", "none"] })
        .args(flags)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the program was built")
}

/// Ports that were free a moment ago, and that no other test of this process got.
fn free_ports() -> [u16; 3] {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    [(); 3].map(|()| {
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = listener.local_addr().expect("it is bound").port();
            if given.insert(port) {
                return port;
            }
        }
    })
}

/// A client.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Sends a command and answers the raw reply.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Vec<u8> {
        self.send(words);
        self.reply()
    }

    /// Sends a command; its reply, if it has one, is left for [`Connection::reply`].
    pub(crate) fn send(&mut self, words: &[&[u8]]) {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("the server reads");
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Sends as much of `bytes` as the server takes before it has not read for a while.
    pub(crate) fn send_what_is_taken(&self, bytes: &[u8]) {
        self.stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a duration above zero");
        // What is not taken is what the test is about.
        drop((&self.stream).write_all(bytes));
    }

    /// Waits until the server closes the connection.
    pub(crate) fn read_to_the_end(&mut self) {
        // A reset is an end too.
        drop(self.stream.read_to_end(&mut self.received));
    }

    /// Everything that the server sends until it closes the connection, as text.
    pub(crate) fn rest(&mut self) -> String {
        self.read_to_the_end();
        String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned()
    }

    /// Sends the words of a line as a command; `''` stands for the empty word. The raw reply as text.
    pub(crate) fn line(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> =
            line.split(' ').map(|word| if word == "''" { &[][..] } else { word.as_bytes() }).collect();
        String::from_utf8_lossy(&self.call(&words)).into_owned()
    }

    /// Sends lines and compares each raw reply.
    #[track_caller]
    pub(crate) fn check(&mut self, script: &[(&str, &str)]) {
        for (line, expected) in script {
            assert_eq!(self.line(line), *expected, "{line}");
        }
    }

    /// The number that a line is answered with.
    #[track_caller]
    pub(crate) fn number(&mut self, line: &str) -> i64 {
        let reply = self.line(line);
        let digits = reply.strip_prefix(':').and_then(|rest| rest.strip_suffix("\r\n"));
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{line}: {reply:?} is no number"))
    }

    /// Whether the server has closed the connection; waits for it.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0) | Err(_))
    }

    /// Sends a line again and again until it is answered with that number.
    #[track_caller]
    pub(crate) fn until(&mut self, line: &str, number: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.number(line) != number {
            assert!(Instant::now() < deadline, "{line} is never answered with {number}");
        }
    }

    /// The next reply, raw.
    pub(crate) fn reply(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = reply_end(&self.received) {
                return self.received.drain(..end).collect();
            }
            let mut piece = [0; 16 << 10];
            let count = self.stream.read(&mut piece).expect("the server answers in time");
            assert!(count > 0, "the server closed the connection after {:?}", self.received);
            self.received.extend_from_slice(&piece[..count]);
        }
    }
}

/// Length of the first reply in `bytes`, if it is complete.
fn reply_end(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let count = || std::str::from_utf8(&bytes[1..line]).ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let end = line + 2;
    match bytes[0] {
        b'$' | b'=' if count() >= 0 => Some(end + count() as usize + 2).filter(|end| *end <= bytes.len()),
        b'*' | b'~' | b'>' => items_end(bytes, end, count()),
        b'%' => items_end(bytes, end, 2 * count()),
        _ => Some(end),
    }
}

fn items_end(bytes: &[u8], start: usize, count: i64) -> Option<usize> {
    (0..count).try_fold(start, |start, _| Some(start + reply_end(&bytes[start..])?))
}

/// The bulk strings of a flat array.
pub(crate) fn bulks(reply: &str) -> Vec<String> {
    let mut lines = reply.split("\r\n").skip(1);
    std::iter::from_fn(|| lines.next().filter(|line| line.starts_with('$')).and_then(|_| lines.next()))
        .map(str::to_owned)
        .collect()
}
