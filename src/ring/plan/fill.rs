//! Empty places are taken on the clockwise walk: from the arc on around the ring, by the owners of the arcs that follow.

use crate::ring::plan::board::Board;
use crate::ring::plan::share;
use crate::ring::plan::site::Site;

/// Fills empty places, as far as there are nodes that should hold more and may take them.
pub(super) fn fill(board: &mut Board<'_>) {
    let arcs = board.lists.len();
    let is_open = |arc: usize, board: &Board<'_>| !board.is_frozen[arc] && board.vacancies(arc) > 0;
    if !(0..arcs).any(|arc| is_open(arc, board)) {
        return;
    }
    let owners = owners(board.site, arcs);
    for arc in 0..arcs {
        while is_open(arc, board) {
            let Some(node) = walk(board, &owners, arc) else { break };
            board.put(arc, node);
        }
    }
}

/// The first node from `arc` on that may take a place of it and should hold more.
fn walk(board: &Board<'_>, owners: &[usize], arc: usize) -> Option<usize> {
    let is_wanting = |node: usize| board.surplus(node) < 0 && board.may_join(arc, node);
    let candidates: Vec<bool> = (0..board.site.len()).map(is_wanting).collect();
    let mut on_the_way = owners[arc..].iter().chain(&owners[..arc]).copied();
    on_the_way.find(|&node| candidates[node]).or_else(|| candidates.iter().position(|&is_candidate| is_candidate))
}

/// The ring: each arc's owner. Nodes own arcs in proportion to their weights, and lie around the ring as if by chance, so
/// that the arcs of a node that is lost have their other replicas, and later their new ones, on all the others.
fn owners(site: &Site, arcs: usize) -> Vec<usize> {
    let mut even = vec![arcs / site.len(); site.len()];
    even[0] += arcs % site.len();
    let owned = share::primary_quotas(site, &vec![arcs; site.len()], &even);
    let tokens = |node: usize| (0..owned[node]).map(move |token| (site.chance(node, token), node));
    let mut tokens: Vec<(u64, usize)> = (0..site.len()).flat_map(tokens).collect();
    tokens.sort_unstable();
    tokens.into_iter().map(|(_, node)| node).collect()
}
