//! What a level means for one arc: how many members of which list have to answer, and whom to ask.

use smallvec::SmallVec;

use crate::quorum::{Level, List, MemberSet, Names, Purpose, Scope, Stage, Timeout, Unavailable};
use crate::types::NodeNumber;

/// A data centre, by its index in the topology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dc(pub u8);

/// A member of a preference list, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub node: NodeNumber,
    /// Where.
    pub dc: Dc,
}

/// The preference lists of one arc, as one node sees them.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// The list; while the arc moves, the one it moves from.
    pub now: &'a [Seat],
    /// While the arc moves, the one it moves to.
    pub next: Option<&'a [Seat]>,
    /// The coordinator's data centre.
    pub local: Dc,
}

/// Whether enough has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet.
    Pending,
    /// Yes.
    Met,
    /// No, and it cannot any more.
    OutOfReach,
}

/// So many of these members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota {
    scope: Scope,
    members: MemberSet,
    need: usize,
}

/// What a level requires of one arc's members, in one epoch.
///
/// Members are named by their index: those of the list now in its order, then those that only the next list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    nodes: SmallVec<[NodeNumber; 4]>,
    quotas: SmallVec<[Quota; 2]>,
}

/// How many are more than half.
fn majority(count: usize) -> usize {
    count / 2 + 1
}

impl Requirement {
    /// What `level` requires of the members of `lists`.
    ///
    /// # Panics
    /// If the lists name more than [`crate::quorum::MAX_MEMBERS`] members.
    #[must_use]
    pub fn new(level: Level, lists: Lists<'_>) -> Self {
        let mut requirement = Requirement { nodes: SmallVec::new(), quotas: SmallVec::new() };
        let now = if lists.next.is_some() { List::Old } else { List::Only };
        requirement.add(level, (now, lists.now), lists.local);
        if let Some(next) = lists.next {
            requirement.add(level, (List::New, next), lists.local);
        }
        requirement
    }

    /// What the query before a write at `level` requires; `None` where there is no query.
    ///
    /// A majority is enough for `ALL` too: it meets every majority that acknowledged a write.
    #[must_use]
    pub fn of_query(level: Level, lists: Lists<'_>) -> Option<Self> {
        let asked = if level == Level::All { Level::Quorum } else { level };
        level.has_query().then(|| Requirement::new(asked, lists))
    }

    fn add(&mut self, level: Level, (list, seats): (List, &[Seat]), local: Dc) {
        let mut all = MemberSet::EMPTY;
        let mut dcs: SmallVec<[(Dc, MemberSet); 4]> = SmallVec::new();
        for seat in seats {
            let index = self.enter(seat.node);
            all.insert(index);
            match dcs.iter_mut().find(|(dc, _)| *dc == seat.dc) {
                Some((_, members)) => members.insert(index),
                None => dcs.push((seat.dc, MemberSet::of(index))),
            }
        }
        let here = dcs.iter().find(|(dc, _)| *dc == local).map_or(MemberSet::EMPTY, |(_, members)| *members);
        let everywhere = Scope { list, dc: None };
        let inside = |dc| Scope { list, dc: Some(dc) };
        let mut quota = |scope, members, need| self.quotas.push(Quota { scope, members, need });
        match level {
            Level::One => quota(everywhere, all, 1),
            Level::Two => quota(everywhere, all, 2),
            Level::Three => quota(everywhere, all, 3),
            Level::Number(number) => quota(everywhere, all, usize::from(number)),
            Level::LocalOne => quota(inside(local), here, 1),
            Level::Quorum => quota(everywhere, all, majority(all.count())),
            Level::LocalQuorum => quota(inside(local), here, majority(here.count())),
            Level::EachQuorum if dcs.is_empty() => quota(everywhere, all, 1),
            Level::EachQuorum => dcs.iter().for_each(|(dc, members)| {
                quota(inside(*dc), *members, majority(members.count()));
            }),
            Level::All => quota(everywhere, all, all.count().max(1)),
        }
    }

    fn enter(&mut self, node: NodeNumber) -> usize {
        self.index_of(node).unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }

    /// The members of both lists.
    #[must_use]
    pub fn nodes(&self) -> &[NodeNumber] {
        &self.nodes
    }

    /// All members, as a set.
    #[must_use]
    pub fn everyone(&self) -> MemberSet {
        MemberSet::first(self.nodes.len())
    }

    /// The index of a member.
    #[must_use]
    pub fn index_of(&self, node: NodeNumber) -> Option<usize> {
        self.nodes.iter().position(|member| *member == node)
    }

    /// The nodes of a set, in the order of the lists.
    pub fn nodes_of(&self, set: MemberSet) -> impl Iterator<Item = NodeNumber> + '_ {
        set.iter().filter_map(|index| self.nodes.get(index).copied())
    }

    /// Those of `nodes` that are members, as a set.
    #[must_use]
    pub fn set_of(&self, nodes: impl IntoIterator<Item = NodeNumber>) -> MemberSet {
        let mut set = MemberSet::EMPTY;
        nodes.into_iter().filter_map(|node| self.index_of(node)).for_each(|index| set.insert(index));
        set
    }

    /// Whether `yes` is enough, where `no` will never join it.
    #[must_use]
    pub fn standing(&self, yes: MemberSet, no: MemberSet) -> Standing {
        let short = |set: MemberSet| self.quotas.iter().any(|quota| quota.lack(set) > 0);
        if !short(yes) {
            Standing::Met
        } else if short(self.everyone().without(no).or(yes)) {
            Standing::OutOfReach
        } else {
            Standing::Pending
        }
    }

    /// Whom to ask, beside those `asked`, so that their answers are enough: of the members `order`, nearest first, each that
    /// some count still lacks. It may be too few: then all of `order` are.
    #[must_use]
    pub fn choose(&self, asked: MemberSet, order: &[NodeNumber]) -> MemberSet {
        let mut set = asked;
        for index in order.iter().filter_map(|node| self.index_of(*node)) {
            let helps = |quota: &Quota| quota.members.has(index) && quota.lack(set) > 0;
            if !set.has(index) && self.quotas.iter().any(helps) {
                set.insert(index);
            }
        }
        set.without(asked)
    }

    /// What it requires, as a text: `2 of 3 replicas`.
    #[must_use]
    pub fn told(&self, names: &dyn Names) -> String {
        let each =
            |quota: &Quota| format!("{} of {} replicas{}", quota.need, quota.members.count(), quota.scope.told(names));
        self.quotas.iter().map(each).collect::<Vec<_>>().join(" and ")
    }

    /// What is said if only `reachable` can be asked; `None` if they are enough.
    #[must_use]
    pub fn shortfall(&self, purpose: Purpose, reachable: MemberSet) -> Option<Unavailable> {
        let quota = self.quotas.iter().find(|quota| quota.lack(reachable) > 0)?;
        Some(Unavailable {
            purpose,
            need: quota.need,
            of: quota.members.count(),
            reachable: quota.members.and(reachable).count(),
            down: self.nodes_of(quota.members.without(reachable)).collect(),
            scope: quota.scope,
        })
    }

    /// What is said if only `got` have answered in `waited_ms`: the numbers of the first count that lacks some, or of the
    /// first if none does.
    ///
    /// # Panics
    /// Never: every level has a count.
    #[must_use]
    pub fn timeout(&self, stage: Stage, got: MemberSet, waited_ms: u64) -> Timeout {
        let short = self.quotas.iter().find(|quota| quota.lack(got) > 0).or(self.quotas.first());
        let quota = short.expect("every level has a count");
        Timeout { stage, got: quota.members.and(got).count(), need: quota.need, waited_ms, scope: quota.scope }
    }
}

impl Quota {
    /// How many are missing if `set` has answered.
    fn lack(&self, set: MemberSet) -> usize {
        self.need.saturating_sub(self.members.and(set).count())
    }
}
