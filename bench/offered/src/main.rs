//! An open-loop load for latencies at an equal offered rate.
//!
//! Requests are sent when they are due, in turn over all connections, whether or not earlier replies have come; a
//! latency counts from the moment a request was due. A closed loop (redis-benchmark) sends less to a server that
//! stalls, and so hides the stall ("coordinated omission").
//!
//! Usage: `offered PORT set|get RATE SECONDS CONNECTIONS KEYS VALUE_BYTES KEY_PREFIX`. Prints one line of JSON.

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long after the last request replies are awaited.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to send, how fast, and to whom.
struct Plan {
    port: u16,
    is_set: bool,
    rate: u64,
    seconds: u64,
    connections: usize,
    keys: u64,
    value: String,
    prefix: String,
}

impl Plan {
    fn from_arguments() -> Outcome<Plan> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [port, operation, rate, seconds, connections, keys, value_bytes, prefix] = words.as_slice() else {
            return Err("usage: offered PORT set|get RATE SECONDS CONNECTIONS KEYS VALUE_BYTES KEY_PREFIX".into());
        };
        Ok(Plan {
            port: port.parse()?,
            is_set: operation == "set",
            rate: rate.parse()?,
            seconds: seconds.parse()?,
            connections: connections.parse()?,
            keys: keys.parse()?,
            value: "x".repeat(value_bytes.parse()?),
            prefix: prefix.clone(),
        })
    }

    /// Appends the request of one number; keys come in a scattered order that repeats in every run.
    fn request(&self, number: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
        let index = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.keys;
        let key = format!("{}{index:012}", self.prefix);
        if self.is_set {
            write!(out, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{}\r\n", key.len(), self.value.len(), self.value)
        } else {
            write!(out, "*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len())
        }
    }
}

/// One connection: what it has yet to send, and when its unanswered requests were due.
struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    incoming: Vec<u8>,
    due: VecDeque<Instant>,
}

impl Client {
    fn connect(port: u16) -> Outcome<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Client { stream, out: Vec::new(), incoming: Vec::new(), due: VecDeque::new() })
    }

    /// Sends as much as the socket takes.
    fn send(&mut self) -> Outcome<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Receives what is there and records the latency of every reply; returns how many came.
    fn receive(&mut self, latencies: &mut Histogram<u64>) -> Outcome<u64> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(count) => self.incoming.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        let (mut position, mut count) = (0, 0);
        while let Some(length) = reply_length(&self.incoming[position..])? {
            position += length;
            count += 1;
            let due = self.due.pop_front().ok_or("a reply that nobody asked for")?;
            latencies.record(u64::try_from((now - due).as_nanos())?.max(1))?;
        }
        self.incoming.drain(..position);
        Ok(count)
    }
}

/// The length of the first reply, once it is whole; an error reply ends the run.
fn reply_length(bytes: &[u8]) -> Outcome<Option<usize>> {
    let Some(line) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[1..line])?;
    let length = match bytes[0] {
        b'+' => line + 2,
        b'$' if head.starts_with('-') => line + 2,
        b'$' => line + 4 + head.parse::<usize>()?,
        _ => return Err(format!("reply {}", String::from_utf8_lossy(&bytes[..line])).into()),
    };
    Ok((bytes.len() >= length).then_some(length))
}

/// Waits until a socket has something to do, or the next request is due.
fn wait(clients: &[Client], until: Instant) -> Outcome<Vec<bool>> {
    let timeout = until.saturating_duration_since(Instant::now());
    let timeout = Timespec { tv_sec: i64::try_from(timeout.as_secs())?, tv_nsec: timeout.subsec_nanos().into() };
    let mut sockets: Vec<PollFd<'_>> = clients
        .iter()
        .map(|client| {
            let write = if client.out.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            PollFd::new(&client.stream, PollFlags::IN | write)
        })
        .collect();
    poll(&mut sockets, Some(&timeout))?;
    Ok(sockets.iter().map(|socket| !socket.revents().is_empty()).collect())
}

/// Sends everything that is due and returns how many requests have been sent so far.
fn send_due(plan: &Plan, clients: &mut [Client], start: Instant, mut sent: u64) -> Outcome<u64> {
    let now = Instant::now();
    let total = plan.rate * plan.seconds;
    while sent < total && due(plan, start, sent) <= now {
        let turn = usize::try_from(sent)? % clients.len();
        let client = &mut clients[turn];
        plan.request(sent, &mut client.out)?;
        client.due.push_back(due(plan, start, sent));
        sent += 1;
    }
    for client in clients {
        client.send()?;
    }
    Ok(sent)
}

/// When a request is due.
fn due(plan: &Plan, start: Instant, number: u64) -> Instant {
    start + Duration::from_nanos(number * 1_000_000_000 / plan.rate)
}

fn run(plan: &Plan) -> Outcome<Histogram<u64>> {
    let mut latencies = Histogram::new_with_bounds(1, 120_000_000_000, 3)?;
    let mut clients = (0..plan.connections).map(|_| Client::connect(plan.port)).collect::<Outcome<Vec<_>>>()?;
    let (total, start) = (plan.rate * plan.seconds, Instant::now());
    let (mut sent, mut answered) = (0, 0);
    while answered < total {
        sent = send_due(plan, &mut clients, start, sent)?;
        let until = if sent < total { due(plan, start, sent) } else { Instant::now() + Duration::from_secs(1) };
        let ready = wait(&clients, until)?;
        for (client, _) in clients.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            answered += client.receive(&mut latencies)?;
        }
        if start.elapsed() > Duration::from_secs(plan.seconds) + PATIENCE {
            return Err(format!("{answered} of {total} requests were answered in time").into());
        }
    }
    Ok(latencies)
}

fn main() -> Outcome<()> {
    let plan = Plan::from_arguments()?;
    let latencies = run(&plan)?;
    let milliseconds = |quantile: f64| latencies.value_at_quantile(quantile) as f64 / 1e6;
    println!(
        "{{\"requests\": {}, \"p50_ms\": {}, \"p99_ms\": {}, \"p999_ms\": {}, \"max_ms\": {}}}",
        latencies.len(),
        milliseconds(0.5),
        milliseconds(0.99),
        milliseconds(0.999),
        latencies.max() as f64 / 1e6
    );
    Ok(())
}
