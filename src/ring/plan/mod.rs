//! Where the arcs should lie: a pure function of the members, their weights and zones, and of where the arcs lie now.
//!
//! Each data centre is planned for itself, in this order of importance: distinct zones wherever there are enough (and as many
//! of each as evenly as can be where there are not); shares as the weights say, as far as they are attainable; fewest moves.
//!
//! 1. `site.rs`: a data centre as the planner sees it. `share.rs`: the attainable shares, and how many arcs that is for each.
//! 2. `board.rs`: arcs keep who holds them, unless rules forbid it. `fill.rs`: empty places are taken on the clockwise walk
//!    of the ring. `even.rs`: nodes that have too much give to those that have too little, over others if need be.
//! 3. `order.rs`: which node of a list comes first.
//!
//! Invariant: the same input gives the same plan on every machine: indices and sorted lists only, and of floating point
//! only the basic operations, which IEEE 754 defines exactly. Arcs that are moving are left as they are.

mod board;
mod even;
mod fill;
mod order;
mod share;
mod site;

#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use crate::ring::plan::board::Board;
use crate::ring::plan::site::Site;
use crate::ring::{ArcPlacement, Member};
use crate::types::NodeNumber;

/// A planned preference list.
pub(super) type List = SmallVec<[NodeNumber; 3]>;

/// The list that each arc should have, for `replicas` in each data centre. `arcs` is where they lie now.
pub(super) fn plan(members: &[Member], replicas: u8, arcs: &[ArcPlacement]) -> Vec<List> {
    let mut lists = vec![List::new(); arcs.len()];
    for site in Site::all(members) {
        let goal = share::goal(&site, usize::from(replicas));
        let mut board = Board::new(&site, goal, arcs);
        fill::fill(&mut board);
        even::even_out(&mut board);
        let ordered = order::order(&board);
        for (list, planned) in lists.iter_mut().zip(ordered) {
            list.extend(planned.into_iter().map(|index| site.numbers[index]));
        }
    }
    for (list, arc) in lists.iter_mut().zip(arcs).filter(|(_, arc)| arc.is_moving()) {
        *list = arc.target().iter().map(|replica| replica.node).collect();
    }
    lists
}
