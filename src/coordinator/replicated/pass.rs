//! Writes of commands on several keys, to keys that this node does not hold: passed on as commands on one key.

use crate::coordinator::{Batch, Coordinator};
use crate::replica::{Action, Existed, Failure, Outcome};
use crate::types::{Args, NodeNumber, Span};
use crate::wire::{Forwarded, Protocol};

/// A command made here, its arguments one behind the other.
#[derive(Default)]
struct Made {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Made {
    fn with(mut self, argument: &[u8]) -> Self {
        self.spans.push(Span { start: self.bytes.len() as u32, len: argument.len() as u32 });
        self.bytes.extend_from_slice(argument);
        self
    }
}

impl Coordinator {
    /// Has one of `members` carry out the write that is operation `index`.
    pub(super) async fn pass_on(
        &self,
        (batch, input): (&Batch, &[u8]),
        index: usize,
        members: &[NodeNumber],
    ) -> Result<Outcome, Failure> {
        let operation = batch.operations[index];
        let key = batch.operand(operation.key, input);
        let made = match operation.action {
            Action::Delete => Made::default().with(b"DEL").with(key),
            Action::Write { value, expiry } => {
                let set = Made::default().with(b"SET").with(key).with(batch.operand(value, input));
                match expiry {
                    Some(at_ms) => set.with(b"PXAT").with(at_ms.to_string().as_bytes()),
                    None => set,
                }
            }
            // What computes from the old value is about one key, and went to a member as a whole.
            _ => return Err(Failure::Unavailable("this node holds no replica of the key".into())),
        };
        let levels = batch.levels(index);
        let (read_level, write_level) = (levels.read.to_string(), levels.write.to_string());
        let command = Forwarded {
            database: operation.database,
            protocol: Protocol::Resp2,
            read_level: &read_level,
            write_level: &write_level,
            arguments: Args::new(&made.bytes, &made.spans),
        };
        let replies = self.forward(members, &[command]).await;
        let reply = replies.into_iter().next().unwrap_or(Err(Failure::Stopping))?;
        outcome(&reply)
    }
}

/// What a reply to SET or DEL says.
fn outcome(reply: &[u8]) -> Result<Outcome, Failure> {
    match reply {
        b"+OK\r\n" => Ok(Outcome::Written),
        b":0\r\n" => Ok(Outcome::Deleted(Existed::No)),
        [b':', ..] => Ok(Outcome::Deleted(Existed::Yes)),
        other => {
            let line = String::from_utf8_lossy(other.strip_prefix(b"-").unwrap_or(other));
            let (code, text) = line.trim_end().split_once(' ').unwrap_or(("", &line));
            Err(match code {
                "TIMEOUT" => Failure::TimedOut(text.into()),
                "UNAVAILABLE" => Failure::Unavailable(text.into()),
                _ => Failure::Storage(text.into()),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::outcome;
    use crate::replica::{Existed, Failure, Outcome};

    #[test]
    fn replies_are_outcomes() {
        assert!(matches!(outcome(b"+OK\r\n"), Ok(Outcome::Written)));
        assert!(matches!(outcome(b":0\r\n"), Ok(Outcome::Deleted(Existed::No))));
        assert!(matches!(outcome(b":1\r\n"), Ok(Outcome::Deleted(Existed::Yes))));
        let refused = outcome(b"-TIMEOUT write got 1 of 2\r\n");
        assert!(matches!(refused, Err(Failure::TimedOut(text)) if &*text == "write got 1 of 2"));
        let refused = outcome(b"-UNAVAILABLE no\r\n");
        assert!(matches!(refused, Err(Failure::Unavailable(text)) if &*text == "no"));
        assert!(matches!(outcome(b"-ERR x\r\n"), Err(Failure::Storage(text)) if &*text == "x"));
        assert!(outcome(b"").is_err());
    }
}
