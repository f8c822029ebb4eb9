//! The placement of one data centre while it is planned, and the rules that every step keeps.
//!
//! Invariant: no list ever holds a node twice or more replicas in a zone than the goal allows, and a list can always be
//! completed to one that has the fewest in each zone. Lists of moving arcs are counted but never touched.

use smallvec::SmallVec;

use crate::ring::ArcPlacement;
use crate::ring::plan::share::{self, Goal};
use crate::ring::plan::site::Site;

/// Nodes by index.
pub(super) type Nodes = SmallVec<[usize; 4]>;

/// What a step costs, against the placement before the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// A move less: an arc goes back to who had it.
    Saves,
    /// Nothing: a move that is made anyway goes elsewhere.
    Free,
    /// One more move.
    Move,
}

/// A placement being planned. What belongs to a node stands at its index, what belongs to an arc at the arc's.
pub(super) struct Board<'a> {
    pub(super) site: &'a Site,
    pub(super) goal: Goal,
    /// Who holds each arc before the plan, as far as they may hold anything.
    pub(super) origin: Vec<Nodes>,
    pub(super) is_frozen: Vec<bool>,
    pub(super) lists: Vec<Nodes>,
    /// How many arcs each node holds.
    pub(super) held: Vec<usize>,
    /// How many it should hold.
    pub(super) quotas: Vec<usize>,
}

impl<'a> Board<'a> {
    /// The placement as it is, without what the rules forbid.
    pub(super) fn new(site: &'a Site, goal: Goal, arcs: &[ArcPlacement]) -> Board<'a> {
        let known =
            |arc: &ArcPlacement| arc.target().iter().filter_map(|replica| site.index(replica.node)).collect::<Nodes>();
        let origin: Vec<Nodes> = arcs.iter().map(known).collect();
        let mut held = vec![0; site.len()];
        origin.iter().flatten().for_each(|&node| held[node] += 1);
        let quotas = share::quotas(site, &goal, &held, arcs.len());
        let is_frozen = arcs.iter().map(ArcPlacement::is_moving).collect();
        let mut board = Board { site, goal, lists: origin.clone(), origin, is_frozen, held, quotas };
        for arc in (0..board.lists.len()).filter(|&arc| !arcs[arc].is_moving()) {
            while let Some(node) = board.offender(arc) {
                board.take(arc, node);
            }
        }
        board
    }

    /// A node that has to go from the list of `arc`: of those that would mend it, the one that has most to give.
    fn offender(&self, arc: usize) -> Option<usize> {
        let list = &self.lists[arc];
        let is_full = |zone: usize| self.in_zone(arc, zone) > self.goal.most[zone];
        let has_spare = |zone: usize| self.in_zone(arc, zone) > self.goal.least[zone];
        let is_long = list.len() > self.goal.per_arc || self.shortfall(arc) > self.vacancies(arc);
        let crowded = list.iter().copied().filter(|&node| is_full(self.site.zones[node]));
        let spare = list.iter().copied().filter(|&node| is_long && has_spare(self.site.zones[node]));
        crowded.max_by_key(|&node| self.surplus(node)).or_else(|| spare.max_by_key(|&node| self.surplus(node)))
    }

    /// How many more arcs `node` holds than it should; negative if it should hold more.
    pub(super) fn surplus(&self, node: usize) -> i64 {
        self.held[node] as i64 - self.quotas[node] as i64
    }

    /// Empty places on the list of `arc`.
    pub(super) fn vacancies(&self, arc: usize) -> usize {
        self.goal.per_arc.saturating_sub(self.lists[arc].len())
    }

    fn in_zone(&self, arc: usize, zone: usize) -> usize {
        self.lists[arc].iter().filter(|&&node| self.site.zones[node] == zone).count()
    }

    /// How many places of `arc` have to be taken by zones that have too few.
    fn shortfall(&self, arc: usize) -> usize {
        self.goal.least.iter().enumerate().map(|(zone, &least)| least.saturating_sub(self.in_zone(arc, zone))).sum()
    }

    /// Whether `node` may take an empty place of `arc`.
    pub(super) fn may_join(&self, arc: usize, node: usize) -> bool {
        if self.lists[arc].contains(&node) {
            return false;
        }
        let (zone, least, most) = (self.site.zones[node], &self.goal.least, &self.goal.most);
        let there = self.in_zone(arc, zone);
        there < most[zone] && (there < least[zone] || self.shortfall(arc) < self.vacancies(arc))
    }

    /// Whether `fresh` may take the place of `old` on the list of `arc`, which `old` is on.
    pub(super) fn may_replace(&self, arc: usize, old: usize, fresh: usize) -> bool {
        if self.is_frozen[arc] || self.lists[arc].contains(&fresh) {
            return false;
        }
        let (from, to) = (self.site.zones[old], self.site.zones[fresh]);
        from == to || (self.in_zone(arc, to) < self.goal.most[to] && self.in_zone(arc, from) > self.goal.least[from])
    }

    /// What `fresh` in the place of `old` costs on `arc`.
    pub(super) fn cost(&self, arc: usize, old: usize, fresh: usize) -> Cost {
        match (self.origin[arc].contains(&old), self.origin[arc].contains(&fresh)) {
            (false, true) => Cost::Saves,
            (true, false) => Cost::Move,
            _ => Cost::Free,
        }
    }

    /// Puts `node` on the list of `arc`.
    pub(super) fn put(&mut self, arc: usize, node: usize) {
        self.lists[arc].push(node);
        self.held[node] += 1;
    }

    /// Takes `node` off the list of `arc`.
    fn take(&mut self, arc: usize, node: usize) {
        self.lists[arc].retain(|held| *held != node);
        self.held[node] -= 1;
    }

    /// Puts `fresh` in the place of `old` on the list of `arc`.
    pub(super) fn replace(&mut self, arc: usize, old: usize, fresh: usize) {
        self.take(arc, old);
        self.put(arc, fresh);
    }
}
