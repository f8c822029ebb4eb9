//! Which node of a list comes first: Redis clients see it as the master, and changes of the old value go to it, so firsts
//! are even by weight too. The order of the others looks like chance: what a lost node was first of is then second to all.
//!
//! No data moves for an order, so it is found after the lists, by the same search for paths as evening out.

use std::collections::VecDeque;

use crate::ring::plan::board::{Board, Nodes};
use crate::ring::plan::share;

/// The lists of `board`, each in its order.
pub(super) fn order(board: &Board<'_>) -> Vec<Nodes> {
    let firsts = Firsts::even(board);
    let ordered = |(arc, list): (usize, &Nodes)| {
        let mut list = list.clone();
        list.sort_by_key(|&node| (firsts.of[arc] != Some(node), board.site.chance(node, arc)));
        list
    };
    board.lists.iter().enumerate().map(ordered).collect()
}

/// The first of each arc, and how many arcs each node is first of.
struct Firsts {
    of: Vec<Option<usize>>,
    held: Vec<usize>,
    quotas: Vec<usize>,
    /// At `a * nodes + b`: how many arcs `a` is first of that `b` is on the list of too.
    edges: Vec<u32>,
}

impl Firsts {
    /// Starts from who is first now, and evens out.
    fn even(board: &Board<'_>) -> Firsts {
        let nodes = board.site.len();
        let mut firsts = Firsts::now(board);
        for arc in 0..board.lists.len() {
            firsts.count(board, arc, u32::wrapping_add);
        }
        for _ in 0..2 * board.lists.len() {
            let Some(path) = firsts.path() else { break };
            for step in path.windows(2).rev() {
                let (old, fresh) = (step[0], step[1]);
                let gives = |arc: &usize| firsts.of[*arc] == Some(old) && firsts.may_change(board, *arc, fresh);
                let Some(arc) = (0..board.lists.len()).filter(gives).min_by_key(|&arc| board.site.chance(fresh, arc))
                else {
                    break;
                };
                firsts.count(board, arc, u32::wrapping_sub);
                firsts.of[arc] = Some(fresh);
                (firsts.held[old], firsts.held[fresh]) = (firsts.held[old] - 1, firsts.held[fresh] + 1);
                firsts.count(board, arc, u32::wrapping_add);
            }
        }
        debug_assert_eq!(firsts.held.len(), nodes, "nobody comes or goes meanwhile");
        firsts
    }

    /// Who is first now, and where that node is gone, the one that is first of least for its weight.
    fn now(board: &Board<'_>) -> Firsts {
        let nodes = board.site.len();
        let still = |arc: usize| board.origin[arc].first().copied().filter(|node| board.lists[arc].contains(node));
        let mut of: Vec<Option<usize>> = (0..board.lists.len()).map(still).collect();
        let mut held = vec![0; nodes];
        of.iter().flatten().for_each(|&node| held[node] += 1);
        let burden = |held: &[usize], node: usize| held[node] * 1_000_000 / board.site.weights[node] as usize;
        for (arc, first) in of.iter_mut().enumerate().filter(|(_, first)| first.is_none()) {
            *first = board.lists[arc].iter().copied().min_by_key(|&node| (burden(&held, node), node));
            first.iter().for_each(|&node| held[node] += 1);
        }
        let quotas = share::primary_quotas(board.site, &board.held, &held);
        Firsts { of, held, quotas, edges: vec![0; nodes * nodes] }
    }

    fn may_change(&self, board: &Board<'_>, arc: usize, fresh: usize) -> bool {
        !board.is_frozen[arc] && self.of[arc] != Some(fresh) && board.lists[arc].contains(&fresh)
    }

    /// Counts `arc` in, or out.
    fn count(&mut self, board: &Board<'_>, arc: usize, operation: fn(u32, u32) -> u32) {
        let Some(first) = self.of[arc] else { return };
        for &fresh in &board.lists[arc] {
            if self.may_change(board, arc, fresh) {
                let edge = &mut self.edges[first * board.site.len() + fresh];
                *edge = operation(*edge, 1);
            }
        }
    }

    /// The shortest path from a node that is first too often to one that is first too seldom.
    fn path(&self) -> Option<Vec<usize>> {
        let nodes = self.held.len();
        let mut queue: VecDeque<usize> = (0..nodes).filter(|&node| self.held[node] > self.quotas[node]).collect();
        let mut before: Vec<Option<usize>> = vec![None; nodes];
        let mut is_seen: Vec<bool> = (0..nodes).map(|node| self.held[node] > self.quotas[node]).collect();
        while let Some(node) = queue.pop_front() {
            if self.held[node] < self.quotas[node] {
                let mut path: Vec<usize> = std::iter::successors(Some(node), |&node| before[node]).collect();
                path.reverse();
                return Some(path);
            }
            for fresh in 0..nodes {
                if self.edges[node * nodes + fresh] > 0 && !std::mem::replace(&mut is_seen[fresh], true) {
                    before[fresh] = Some(node);
                    queue.push_back(fresh);
                }
            }
        }
        None
    }
}
