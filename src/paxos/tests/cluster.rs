//! Keepers whose memory and disk are apart: what was not synced is lost in a crash, what was not answered stays unsaid.

use std::collections::{BTreeMap, BTreeSet};

use crate::paxos::{Acceptor, Answer, Ballot, Decided, Request, Value, Verdict};
use crate::types::{Epoch, NodeId};

pub(super) const INSTANCE: Epoch = Epoch(2);

/// The id of node `number`.
pub(super) fn node(number: usize) -> NodeId {
    NodeId([number as u8; 20])
}

pub(super) fn value(text: &str) -> Value {
    Value::new(text.as_bytes()).expect("short")
}

/// A keeper as its driver runs it.
pub(super) struct Keeper {
    disk: Vec<u8>,
    /// What is being synced, and whom to answer then.
    syncing: Option<(Acceptor, NodeId, Answer)>,
    decided: Option<Value>,
}

impl Keeper {
    pub(super) fn new() -> Self {
        let mut disk = Vec::new();
        Acceptor::new(INSTANCE).encode(&mut disk);
        Keeper { disk, syncing: None, decided: None }
    }

    pub(super) fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// What it answers at once to a request of `from`.
    pub(super) fn receive(&mut self, from: NodeId, request: &Request) -> Option<Answer> {
        assert!(!self.is_syncing(), "one request after the other");
        if let Some(value) = &self.decided {
            return Some(Answer::Decided(Decided { instance: INSTANCE, value: value.clone() }));
        }
        match Acceptor::decode(&self.disk).expect("it wrote them").receive(request) {
            Verdict::Answer(answer) => Some(answer),
            Verdict::Sync { acceptor, answer } => {
                self.syncing = Some((acceptor, from, answer));
                None
            }
            Verdict::OtherInstance => panic!("there is one instance"),
        }
    }

    /// The sync is done: whom it may answer now, and what.
    pub(super) fn sync(&mut self) -> Option<(NodeId, Answer)> {
        let (acceptor, to, answer) = self.syncing.take()?;
        self.disk.clear();
        acceptor.encode(&mut self.disk);
        Some((to, answer))
    }

    /// What was not synced is gone.
    pub(super) fn crash(&mut self) {
        self.syncing = None;
    }

    /// It has heard and synced what was decided.
    pub(super) fn learn(&mut self, value: &Value) {
        self.decided = Some(value.clone());
    }
}

/// Every vote that was ever made durable, and what every proposer was told: what agreement is judged by.
#[derive(Default)]
pub(super) struct Judge {
    keepers: usize,
    votes: BTreeMap<(Ballot, Value), BTreeSet<NodeId>>,
    told: BTreeSet<Value>,
    proposed: BTreeSet<Value>,
}

impl Judge {
    pub(super) fn new(keepers: usize) -> Self {
        Judge { keepers, ..Judge::default() }
    }

    pub(super) fn proposed(&mut self, value: &Value) {
        self.proposed.insert(value.clone());
    }

    pub(super) fn voted(&mut self, keeper: NodeId, request: &Request, answer: &Answer) {
        if let (Request::Accept(accept), Answer::Accepted(_)) = (request, answer) {
            self.votes.entry((accept.ballot, accept.value.clone())).or_default().insert(keeper);
        }
    }

    pub(super) fn told(&mut self, value: &Value) {
        self.told.insert(value.clone());
    }

    /// At most one value was ever chosen; whoever was told a value was told that one; it had been proposed.
    pub(super) fn check(&self) {
        let is_chosen = |voters: &BTreeSet<NodeId>| 2 * voters.len() > self.keepers;
        let chosen: BTreeSet<_> =
            self.votes.iter().filter(|(_, voters)| is_chosen(voters)).map(|((_, value), _)| value).collect();
        assert!(chosen.len() <= 1, "agreement: {chosen:?} are chosen");
        assert!(self.told.iter().all(|value| chosen.contains(value)), "told {:?}, chosen {chosen:?}", self.told);
        assert!(self.told.is_subset(&self.proposed), "validity: {:?} of {:?}", self.told, self.proposed);
    }
}
