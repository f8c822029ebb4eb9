//! From one topology and a change to the next topology.
//!
//! Invariants: what comes out is valid; a change that already holds gives the same topology, epoch included; members, ids and
//! numbers are never given again; a node that comes (back) to a list has a new `since`.

use std::collections::{BTreeMap, BTreeSet};

use crate::ring::arc::lists;
use crate::ring::plan::{List, plan};
use crate::ring::{ArcPlacement, Candidate, Change, Refused, Replica, Replicas, Settled, Topology, validate};
use crate::types::{ArcLayout, ClusterId, DATABASES, Database, Epoch, NodeId, NodeNumber};

/// Most members of a cluster.
pub const MAX_MEMBERS: usize = 1_000;

/// Most replicas in each data centre.
pub const MAX_REPLICAS: u8 = 15;

const _: () = assert!(MAX_MEMBERS < u16::MAX as usize, "numbers have 16 bits");

impl Topology {
    /// The first topology of a cluster, with all `candidates`: the same in whatever order they stand.
    ///
    /// # Errors
    /// [`Refused`] if the candidates cannot make a cluster with `replicas` in each data centre.
    pub fn found(
        cluster: ClusterId,
        layout: ArcLayout,
        replicas: u8,
        mut candidates: Vec<Candidate>,
    ) -> Result<Topology, Refused> {
        if !(1..=MAX_REPLICAS).contains(&replicas) {
            return Err(Refused::Impossible("the number of replicas is from 1 to 15"));
        }
        candidates.sort_by_key(|candidate| candidate.id);
        let empty = ArcPlacement { replicas: Replicas::new(), next: None, changed: Epoch(1) };
        let mut topology = Topology {
            cluster,
            layout,
            replicas,
            epoch: Epoch(1),
            members: Vec::new(),
            next_number: 1,
            removed: BTreeSet::new(),
            keepers: Vec::new(),
            arcs: vec![empty; usize::from(layout.arcs())],
            flushes: BTreeMap::new(),
        };
        for candidate in candidates {
            if topology.is_member(candidate.id) {
                return Err(Refused::Twins(candidate.id));
            }
            topology.enrol(candidate)?;
        }
        topology.check_somebody_holds()?;
        let lists = plan(&topology.members, replicas, &topology.arcs);
        for (arc, list) in topology.arcs.iter_mut().zip(lists) {
            arc.replicas = list.into_iter().map(|node| Replica { node, since: Epoch(1) }).collect();
        }
        topology.keepers = topology.keepers_for(&topology.numbers());
        topology.checked()
    }

    /// The topology in which `change` holds: this one if it holds already, else the one of the next epoch.
    ///
    /// # Errors
    /// [`Refused`] if it cannot be made to hold.
    pub fn apply(&self, change: &Change) -> Result<Topology, Refused> {
        let mut next = self.clone();
        next.epoch = Epoch(self.epoch.0 + 1);
        match change {
            Change::Present(candidate) => next.admit(candidate)?,
            Change::Absent(id) => next.dismiss(*id)?,
            Change::Weight(node, weight) => next.weigh(*node, *weight)?,
            Change::Flush(database, time) => next.flush(*database, *time)?,
            Change::FlushAll(time) => (0..DATABASES).try_for_each(|database| next.flush(Database(database), *time))?,
            Change::Keepers(keepers) => next.entrust(keepers)?,
            Change::Placed => next.place(),
            Change::Moved(moves) => next.end(moves, |arc| arc.replicas = arc.target().clone()),
            Change::Cancelled(moves) => next.end(moves, |_| ()),
        }
        next.let_go();
        if next.keepers.iter().any(|&keeper| next.member(keeper).is_none())
            || (self.members.len() != next.members.len() && !matches!(change, Change::Keepers(_)))
        {
            next.keepers = next.keepers_for(&next.numbers());
        }
        let epoch = std::mem::replace(&mut next.epoch, self.epoch);
        if next == *self {
            return Ok(next);
        }
        next.epoch = epoch;
        next.checked()
    }

    /// Like [`Topology::apply`], and if that is a new topology, keepers that are not among `live` are replaced.
    ///
    /// # Errors
    /// As [`Topology::apply`].
    pub fn propose(&self, change: &Change, live: &BTreeSet<NodeNumber>) -> Result<Topology, Refused> {
        let mut next = self.apply(change)?;
        if next.epoch != self.epoch && !matches!(change, Change::Keepers(_)) {
            next.keepers = next.keepers_for(live);
        }
        Ok(next)
    }

    /// Whether the arcs lie, or are on their way to lie, as planned: whether [`Change::Placed`] holds.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.apply(&Change::Placed).is_ok_and(|next| next.epoch == self.epoch)
    }

    fn numbers(&self) -> BTreeSet<NodeNumber> {
        self.members.iter().map(|member| member.number).collect()
    }

    fn checked(self) -> Result<Topology, Refused> {
        debug_assert_eq!(validate::flaw(&self), None, "what is made here can be read everywhere");
        Ok(self)
    }

    fn check_somebody_holds(&self) -> Result<(), Refused> {
        let somebody = self.members.iter().any(|member| member.effective_weight() > 0);
        somebody.then_some(()).ok_or(Refused::Last)
    }

    /// Makes a member of `candidate`, who is none, without giving it anything.
    fn enrol(&mut self, candidate: Candidate) -> Result<(), Refused> {
        if let Some(reason) = candidate.flaw() {
            return Err(Refused::Unfit { id: candidate.id, reason });
        }
        if self.members.len() == MAX_MEMBERS {
            return Err(Refused::Full("it has 1000 members"));
        }
        let number = self.next_number;
        self.next_number = number.checked_add(1).ok_or(Refused::Full("all node numbers have been given"))?;
        self.members.push(candidate.admit(NodeNumber(number)));
        Ok(())
    }

    fn admit(&mut self, candidate: &Candidate) -> Result<(), Refused> {
        let id = candidate.id;
        if self.was_removed(id) {
            return Err(Refused::Removed(id));
        }
        if let Some(reason) = candidate.flaw() {
            return Err(Refused::Unfit { id, reason });
        }
        let Some(member) = self.members.iter_mut().find(|member| member.id == id) else {
            self.enrol(candidate.clone())?;
            self.place();
            return Ok(());
        };
        if member.dc != candidate.dc {
            return Err(Refused::Unfit { id, reason: "a member cannot change its data centre" });
        }
        let moved = member.zone != candidate.zone;
        member.update(candidate);
        if moved {
            self.place();
        }
        Ok(())
    }

    /// Marks a member as leaving, and finds other homes for what it holds or is to get.
    fn dismiss(&mut self, id: NodeId) -> Result<(), Refused> {
        let Some(member) = self.members.iter_mut().find(|member| member.id == id && !member.is_leaving) else {
            return Ok(());
        };
        member.is_leaving = true;
        let number = member.number;
        self.check_somebody_holds()?;
        // A move to a node that leaves is called off. Its arc is planned again at once: the pending nodes of the move that
        // takes its place have a new `since`, so they start from nothing, as if the cancelling had been an epoch of its own.
        for arc in self.arcs.iter_mut().filter(|arc| arc.next.as_ref().is_some_and(|next| lists(next, number))) {
            (arc.next, arc.changed) = (None, self.epoch);
        }
        self.place();
        Ok(())
    }

    fn weigh(&mut self, node: NodeNumber, weight: u32) -> Result<(), Refused> {
        let found = self.members.iter_mut().find(|member| member.number == node);
        let member = found.ok_or(Refused::Unknown(node))?;
        if member.weight == weight {
            return Ok(());
        }
        member.weight = weight;
        if let Some(reason) = member.flaw() {
            return Err(Refused::Unfit { id: member.id, reason });
        }
        self.check_somebody_holds()?;
        self.place();
        Ok(())
    }

    fn flush(&mut self, database: Database, time: u64) -> Result<(), Refused> {
        if let Some(reason) = validate::flush_flaw(database, time) {
            return Err(Refused::Impossible(reason));
        }
        let flushed = self.flushes.entry(database).or_insert(time);
        *flushed = time.max(*flushed);
        Ok(())
    }

    fn entrust(&mut self, keepers: &[NodeNumber]) -> Result<(), Refused> {
        self.keepers = keepers.to_vec();
        self.keepers.sort_unstable();
        if let Some(unknown) = keepers.iter().find(|&&keeper| self.member(keeper).is_none()) {
            return Err(Refused::Unknown(*unknown));
        }
        validate::keepers_flaw(&self.keepers).map_or(Ok(()), |reason| Err(Refused::Impossible(reason)))
    }

    /// Sets every arc that lies elsewhere than planned on its way. Those that are moving already stay on theirs.
    fn place(&mut self) {
        let (planned, epoch) = (plan(&self.members, self.replicas, &self.arcs), self.epoch);
        for (arc, list) in self.arcs.iter_mut().zip(planned).filter(|(arc, _)| !arc.is_moving()) {
            let is_same = list.len() == arc.replicas.len() && list.iter().all(|&node| lists(&arc.replicas, node));
            let list = with_since(&list, &arc.replicas, epoch);
            if is_same {
                arc.replicas = list;
            } else {
                (arc.next, arc.changed) = (Some(list), epoch);
            }
        }
    }

    /// Ends moves, each in the way that `settle` says.
    fn end(&mut self, moves: &[Settled], settle: fn(&mut ArcPlacement)) {
        for ended in moves {
            let Some(arc) = self.arcs.get_mut(usize::from(ended.arc.0)) else { continue };
            if arc.is_moving() && arc.changed == ended.begun {
                settle(arc);
                (arc.next, arc.changed) = (None, self.epoch);
            }
        }
    }

    /// Parts with members that are leaving and hold nothing any more.
    fn let_go(&mut self) {
        if self.members.iter().all(|member| !member.is_leaving) {
            return;
        }
        let holders: BTreeSet<NodeNumber> = self.arcs.iter().flat_map(ArcPlacement::nodes).collect();
        let is_gone = |member: &crate::ring::Member| member.is_leaving && !holders.contains(&member.number);
        let gone = self.members.extract_if(.., |member| is_gone(member));
        self.removed.extend(gone.map(|member| member.id));
    }
}

/// The list of these nodes: those that were on the old list since they were, the others since `epoch`.
fn with_since(list: &List, old: &Replicas, epoch: Epoch) -> Replicas {
    let since =
        |node: NodeNumber| old.iter().find(|replica| replica.node == node).map_or(epoch, |replica| replica.since);
    list.iter().map(|&node| Replica { node, since: since(node) }).collect()
}
