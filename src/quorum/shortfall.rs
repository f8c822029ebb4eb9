//! What is said when it is not enough: who was needed, how many there were.

use std::borrow::Cow;
use std::fmt;

use crate::quorum::Dc;
use crate::types::NodeNumber;

/// What was to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A read.
    Read,
    /// A write.
    Write,
}

/// Which list is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// The only one.
    Only,
    /// The one that the arc moves from.
    Old,
    /// The one that it moves to.
    New,
}

/// Which members are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Of which list.
    pub list: List,
    /// Only those of this data centre, if the level says so.
    pub dc: Option<Dc>,
}

/// What a request waited for when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A write: the contexts of a majority. Nothing was written.
    Query,
    /// A write: acknowledgements. It may still take effect.
    Write,
    /// A read: answers.
    Read,
    /// A read: that enough replicas hold what it found.
    WriteBack,
}

/// Too few replicas can be reached; nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told(&Numbered))]
pub struct Unavailable {
    /// What was to be done.
    pub purpose: Purpose,
    /// How many are needed.
    pub need: usize,
    /// Of how many.
    pub of: usize,
    /// How many can be reached.
    pub reachable: usize,
    /// Those that cannot.
    pub down: Vec<NodeNumber>,
    /// Which members are counted.
    pub scope: Scope,
}

/// Too few replicas answered in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told(&Numbered))]
pub struct Timeout {
    /// What was waited for.
    pub stage: Stage,
    /// How many answered.
    pub got: usize,
    /// How many are needed.
    pub need: usize,
    /// How long it was waited, in milliseconds.
    pub waited_ms: u64,
    /// Which members are counted.
    pub scope: Scope,
}

/// What people call nodes and data centres.
pub trait Names {
    /// The name of a node.
    fn node(&self, node: NodeNumber) -> Cow<'_, str>;
    /// The name of a data centre.
    fn dc(&self, dc: Dc) -> Cow<'_, str>;
}

/// Names made of numbers: `node-2`, `dc-0`.
#[derive(Clone, Copy, Debug)]
pub struct Numbered;

impl Names for Numbered {
    fn node(&self, node: NodeNumber) -> Cow<'_, str> {
        format!("node-{}", node.0).into()
    }

    fn dc(&self, dc: Dc) -> Cow<'_, str> {
        format!("dc-{}", dc.0).into()
    }
}

impl Unavailable {
    /// The sentence, with names.
    #[must_use]
    pub fn told(&self, names: &dyn Names) -> String {
        let Unavailable { purpose, need, of, reachable, .. } = self;
        let are = if *reachable == 1 { "is" } else { "are" };
        let scope = self.scope.told(names);
        let down: Vec<_> = self.down.iter().map(|node| names.node(*node)).collect();
        let down = if down.is_empty() { String::new() } else { format!(" ({} down)", down.join(", ")) };
        format!("{purpose} needs {need} of {of} replicas{scope}, {reachable} {are} reachable{down}")
    }
}

impl Timeout {
    /// The sentence, with names.
    #[must_use]
    pub fn told(&self, names: &dyn Names) -> String {
        let Timeout { got, need, waited_ms, .. } = self;
        let scope = self.scope.told(names);
        match self.stage {
            Stage::Query => {
                format!("write got {got} of {need} contexts{scope} in {waited_ms} ms; it was not done")
            }
            Stage::Write => {
                format!("write got {got} of {need} acknowledgements{scope} in {waited_ms} ms; it may still take effect")
            }
            Stage::Read => format!("read got {got} of {need} answers{scope} in {waited_ms} ms"),
            Stage::WriteBack => format!(
                "read got its answers, but what it found was held by {got} of {need} replicas{scope} after {waited_ms} ms"
            ),
        }
    }
}

impl Scope {
    pub(super) fn told(self, names: &dyn Names) -> String {
        let list = match self.list {
            List::Only => "",
            List::Old => " of the list before the move",
            List::New => " of the list after the move",
        };
        let dc = self.dc.map_or_else(String::new, |dc| format!(" in {}", names.dc(dc)));
        format!("{list}{dc}")
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Read => "read",
            Purpose::Write => "write",
        })
    }
}
