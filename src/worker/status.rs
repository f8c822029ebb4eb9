//! What INFO says of a worker.

use std::fmt;
use std::time::Duration;

/// A number that a worker tells of itself; its name ends in its unit, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Lower case with underscores.
    pub name: &'static str,
    /// The number.
    pub value: u64,
}

/// What a worker does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It works, or is about to.
    #[default]
    Busy,
    /// It waits so as not to take too much.
    Throttled,
    /// It has nothing to do.
    Idle,
    /// It has ended.
    Stopped,
}

/// A worker as it was after its last unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub state: State,
    /// Units done.
    pub units: u64,
    /// Time spent in them.
    pub busy: Duration,
    /// What it says itself.
    pub fields: Vec<Field>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Busy => "busy",
            State::Throttled => "throttled",
            State::Idle => "idle",
            State::Stopped => "stopped",
        })
    }
}

/// All but the name, as the value of an INFO line: `state=idle,units=3,busy_ms=12,scanned=90`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state={},units={},busy_ms={}", self.state, self.units, self.busy.as_millis())?;
        self.fields.iter().try_for_each(|field| write!(f, ",{}={}", field.name, field.value))
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, State, Status};
    use std::time::Duration;

    #[test]
    fn a_status_reads_as_an_info_value() {
        let fields = vec![Field { name: "scanned", value: 90 }];
        let status = Status { name: "expiry", state: State::Idle, units: 3, busy: Duration::from_millis(12), fields };
        assert_eq!(status.to_string(), "state=idle,units=3,busy_ms=12,scanned=90");
    }
}
