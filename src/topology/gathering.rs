//! The core of a founding: who has come, who is still there, who cannot be let in.
//!
//! Invariant: a cluster is founded only with nodes that asked within the last [`FRESH`]: one that came and went is not
//! waited for later.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ring::Candidate;
use crate::topology::{Application, Reception};
use crate::types::NodeId;

/// How long a candidate counts after it has asked.
pub const FRESH: Duration = Duration::from_secs(3);
/// How far the clocks of two nodes may differ.
pub const MAX_SKEW: Duration = Duration::from_millis(500);

/// A founding that waits for candidates.
#[derive(Debug)]
pub struct Gathering {
    own: Candidate,
    wanted: u16,
    others: BTreeMap<NodeId, (Candidate, Duration)>,
}

impl Gathering {
    /// A founding by `own` with `wanted` nodes, itself included.
    #[must_use]
    pub fn new(own: Candidate, wanted: u16) -> Self {
        Gathering { own, wanted, others: BTreeMap::new() }
    }

    /// What a node hears that asks at `now`, when the wall clock here says `wall_ms`.
    #[must_use]
    pub fn receive(&mut self, application: &Application, now: Duration, wall_ms: u64) -> Reception {
        self.others.retain(|_, (_, asked)| now.saturating_sub(*asked) <= FRESH);
        let candidate = &application.candidate;
        let refused = self.objection(candidate).or_else(|| skew_objection(application, wall_ms));
        if let Some(text) = refused {
            return Reception::Refused(text);
        }
        if self.present() == self.wanted && !self.others.contains_key(&candidate.id) {
            let wanted = self.wanted;
            return Reception::Refused(format!("the cluster is founded with {wanted} nodes, and so many have come"));
        }
        self.others.insert(candidate.id, (candidate.clone(), now));
        Reception::Waiting { present: self.present(), wanted: self.wanted }
    }

    /// All candidates, if at `now` as many as wanted are there.
    #[must_use]
    pub fn complete(&mut self, now: Duration) -> Option<Vec<Candidate>> {
        self.others.retain(|_, (_, asked)| now.saturating_sub(*asked) <= FRESH);
        let others = self.others.values().map(|(candidate, _)| candidate.clone());
        (self.present() == self.wanted).then(|| std::iter::once(self.own.clone()).chain(others).collect())
    }

    /// Nodes that are there, the founder included.
    #[must_use]
    pub fn present(&self) -> u16 {
        self.others.len() as u16 + 1
    }

    fn objection(&self, candidate: &Candidate) -> Option<String> {
        let others = self.others.values().map(|(other, _)| other);
        let twin = std::iter::once(&self.own).chain(others).filter(|other| other.id != candidate.id);
        let names = |other: &&Candidate| other.name == candidate.name;
        let places = |other: &&Candidate| other.peer == candidate.peer;
        if candidate.id == self.own.id {
            Some("it has the id of the founder: its data directory is a copy; give it an empty one".into())
        } else if twin.clone().any(|other| names(&other)) {
            Some(format!("there is another node called {}; give each its own --name", candidate.name))
        } else if twin.clone().any(|other| places(&other)) {
            Some(format!("there is another node at {}; give each its own --peer-listen", candidate.peer))
        } else {
            None
        }
    }
}

/// Why a node with such a clock cannot be let in.
pub(super) fn skew_objection(application: &Application, wall_ms: u64) -> Option<String> {
    let (theirs, limit) = (application.wall_ms, MAX_SKEW.as_millis() as u64);
    let differ = theirs.abs_diff(wall_ms);
    let direction = if theirs > wall_ms { "ahead of" } else { "behind" };
    (differ > limit).then(|| {
        format!(
            "its clock is {differ} ms {direction} that of the cluster, more than the {limit} ms allowed: set both by NTP"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{FRESH, Gathering};
    use crate::ring::Candidate;
    use crate::topology::{Application, Reception};
    use crate::types::NodeId;
    use std::time::Duration;

    fn candidate(number: u8) -> Candidate {
        let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port + u16::from(number)));
        Candidate {
            id: NodeId([number; 20]),
            name: format!("n{number}"),
            dc: "dc1".into(),
            zone: "zone1".into(),
            weight: 100,
            peer: address(16_000),
            clients: address(6000),
            http: None,
        }
    }

    fn ask(gathering: &mut Gathering, candidate: Candidate, now_s: u64) -> Reception {
        gathering.receive(&Application { candidate, wall_ms: 1_000_000 }, Duration::from_secs(now_s), 1_000_100)
    }

    #[test]
    fn as_many_as_wanted_make_a_cluster() {
        let mut gathering = Gathering::new(candidate(1), 3);
        assert_eq!(ask(&mut gathering, candidate(2), 0), Reception::Waiting { present: 2, wanted: 3 });
        assert_eq!(ask(&mut gathering, candidate(2), 1), Reception::Waiting { present: 2, wanted: 3 });
        assert_eq!(gathering.complete(Duration::from_secs(1)), None);
        assert_eq!(ask(&mut gathering, candidate(3), 2), Reception::Waiting { present: 3, wanted: 3 });
        assert!(matches!(ask(&mut gathering, candidate(4), 2), Reception::Refused(text) if text.contains("so many")));
        let complete = gathering.complete(Duration::from_secs(2)).expect("three are there");
        assert_eq!(complete.iter().map(|candidate| candidate.id.0[0]).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn who_has_gone_is_not_counted() {
        let mut gathering = Gathering::new(candidate(1), 3);
        let later = FRESH.as_secs() + 1;
        assert_eq!(ask(&mut gathering, candidate(2), 0), Reception::Waiting { present: 2, wanted: 3 });
        assert_eq!(ask(&mut gathering, candidate(3), later), Reception::Waiting { present: 2, wanted: 3 });
        assert_eq!(ask(&mut gathering, candidate(2), later), Reception::Waiting { present: 3, wanted: 3 });
        assert_eq!(gathering.complete(Duration::from_secs(3 * later)), None);
    }

    #[test]
    fn twins_and_bad_clocks_are_told_what_to_do() {
        let mut gathering = Gathering::new(candidate(1), 3);
        let mut check = |candidate: Candidate, wall_ms, told: &str| {
            let application = Application { candidate, wall_ms };
            match gathering.receive(&application, Duration::ZERO, 1_000_000) {
                Reception::Refused(text) => assert!(text.contains(told), "{text}"),
                other => panic!("{other:?}"),
            }
        };
        check(candidate(1), 1_000_000, "data directory is a copy");
        check(Candidate { name: "n1".into(), ..candidate(2) }, 1_000_000, "its own --name");
        check(Candidate { peer: candidate(1).peer, ..candidate(2) }, 1_000_000, "its own --peer-listen");
        check(candidate(2), 1_000_501, "its clock is 501 ms ahead");
        check(candidate(2), 999_499, "its clock is 501 ms behind");
    }
}
