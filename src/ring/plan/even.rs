//! Evening out: nodes that hold too much give to those that hold too little.
//!
//! First directly, which costs one move for each arc that a node has to be given, the least there is. What zones prevent
//! goes over other nodes, on the path with the fewest moves (a search from all who have too much at once, in the graph of
//! nodes where an edge says that the one may take a place of the other).

use std::collections::VecDeque;

use crate::ring::plan::board::{Board, Cost};

/// Fills what is still empty and replaces nodes on lists, until all hold what they should or no path is left.
pub(super) fn even_out(board: &mut Board<'_>) {
    for node in 0..board.site.len() {
        give_directly(board, node);
    }
    let vacant: Vec<usize> =
        (0..board.lists.len()).filter(|&arc| !board.is_frozen[arc] && board.vacancies(arc) > 0).collect();
    if vacant.is_empty() && !(0..board.site.len()).any(|node| board.surplus(node) > 0) {
        return;
    }
    let mut edges = Edges::new(board);
    for arc in vacant {
        while edges.fill(board, arc) {}
    }
    // Each path mends one arc's worth of surplus; a path that breaks off half-way mends nothing but may be tried again.
    for _ in 0..2 * board.goal.per_arc * board.lists.len() {
        let too_much: Vec<usize> = (0..board.site.len()).filter(|&node| board.surplus(node) > 0).collect();
        let Some(path) = edges.path(board, &too_much) else { break };
        edges.walk(board, &path);
    }
}

/// Gives arcs to `node` until it holds what it should, from those of their holders that have most too much.
fn give_directly(board: &mut Board<'_>, node: usize) {
    if board.surplus(node) >= 0 {
        return;
    }
    let mut arcs: Vec<usize> = (0..board.lists.len()).collect();
    arcs.sort_by_key(|&arc| board.site.chance(node, arc));
    for arc in arcs {
        let may_give = |old: usize| board.surplus(old) > 0 && board.may_replace(arc, old, node);
        let givers = board.lists[arc].iter().copied().filter(|&old| may_give(old));
        if let Some(giver) = givers.max_by_key(|&old| (board.surplus(old), old)) {
            board.replace(arc, giver, node);
        }
        if board.surplus(node) >= 0 {
            return;
        }
    }
}

/// How many arcs let one node take the place of another, by what that costs.
struct Edges {
    nodes: usize,
    counts: Vec<[u32; 3]>,
}

impl Edges {
    fn new(board: &Board<'_>) -> Edges {
        let nodes = board.site.len();
        let mut edges = Edges { nodes, counts: vec![[0; 3]; nodes * nodes] };
        for arc in 0..board.lists.len() {
            edges.count(board, arc, u32::wrapping_add);
        }
        edges
    }

    /// Counts `arc` in, or out.
    fn count(&mut self, board: &Board<'_>, arc: usize, operation: fn(u32, u32) -> u32) {
        for &old in &board.lists[arc] {
            for fresh in (0..self.nodes).filter(|&fresh| board.may_replace(arc, old, fresh)) {
                let count = &mut self.counts[old * self.nodes + fresh][board.cost(arc, old, fresh) as usize];
                *count = operation(*count, 1);
            }
        }
    }

    /// How many moves it takes at least for `fresh` to take a place of `old`; `None` if it may take none.
    fn moves(&self, old: usize, fresh: usize) -> Option<i64> {
        let cheapest = self.counts[old * self.nodes + fresh].iter().position(|&count| count > 0);
        cheapest.map(|cost| cost as i64 - Cost::Free as i64)
    }

    /// Puts a node into an empty place of `arc`: the one from which the path to a node that has too little is cheapest. False
    /// if there is no empty place, or nobody may take it.
    fn fill(&mut self, board: &mut Board<'_>, arc: usize) -> bool {
        let able: Vec<usize> = (0..self.nodes).filter(|&node| board.may_join(arc, node)).collect();
        let path = self
            .path(board, &able)
            .or_else(|| able.iter().min_by_key(|&&node| board.surplus(node)).map(|&node| vec![node]));
        let Some(path) = path.filter(|_| board.vacancies(arc) > 0) else { return false };
        self.count(board, arc, u32::wrapping_sub);
        board.put(arc, path[0]);
        self.count(board, arc, u32::wrapping_add);
        self.walk(board, &path);
        true
    }

    /// Takes the steps of a path from its end, so that a step that has become impossible leaves no list in disorder.
    fn walk(&mut self, board: &mut Board<'_>, path: &[usize]) {
        for step in path.windows(2).rev() {
            if !self.step(board, step[0], step[1]) {
                break;
            }
        }
    }

    /// The path with the fewest moves from one of `sources` to a node that has too little.
    fn path(&self, board: &Board<'_>, sources: &[usize]) -> Option<Vec<usize>> {
        let path = self.path_of(board, sources, |moves| moves);
        path.or_else(|| self.path_of(board, sources, |moves| moves.max(0)))
    }

    /// The cheapest path (Bellman and Ford, with a queue); `None` if there is none, or if going in circles seems to save.
    fn path_of(&self, board: &Board<'_>, sources: &[usize], price: fn(i64) -> i64) -> Option<Vec<usize>> {
        let mut prices: Vec<Option<i64>> = vec![None; self.nodes];
        sources.iter().for_each(|&node| prices[node] = Some(0));
        let mut is_queued: Vec<bool> = prices.iter().map(Option::is_some).collect();
        let mut queue: VecDeque<usize> = sources.iter().copied().collect();
        let mut before = vec![None; self.nodes];
        for _ in 0..self.nodes * self.nodes {
            let Some(node) = queue.pop_front() else { break };
            is_queued[node] = false;
            let Some(here) = prices[node] else { continue };
            for fresh in 0..self.nodes {
                let Some(there) = self.moves(node, fresh).map(|moves| here + price(moves)) else { continue };
                if prices[fresh].is_none_or(|known| there < known) {
                    (prices[fresh], before[fresh]) = (Some(there), Some(node));
                    if !std::mem::replace(&mut is_queued[fresh], true) {
                        queue.push_back(fresh);
                    }
                }
            }
        }
        let wanting = (0..self.nodes).filter(|&node| board.surplus(node) < 0 && prices[node].is_some());
        wanting.min_by_key(|&node| prices[node]).and_then(|node| trace(&before, node))
    }

    /// Lets `fresh` take the place of `old` on one list; false if there is none.
    fn step(&mut self, board: &mut Board<'_>, old: usize, fresh: usize) -> bool {
        let has = |arc: &usize| board.lists[*arc].contains(&old) && board.may_replace(*arc, old, fresh);
        let choices = (0..board.lists.len()).filter(has);
        let best = choices.min_by_key(|&arc| (board.cost(arc, old, fresh), board.site.chance(fresh, arc)));
        let Some(arc) = best else { return false };
        self.count(board, arc, u32::wrapping_sub);
        board.replace(arc, old, fresh);
        self.count(board, arc, u32::wrapping_add);
        true
    }
}

/// The path that ends in `node`; `None` if it goes in circles.
fn trace(before: &[Option<usize>], node: usize) -> Option<Vec<usize>> {
    let steps = std::iter::successors(Some(node), |&node| before[node]);
    let mut path: Vec<usize> = steps.take(before.len() + 1).collect();
    path.reverse();
    (path.len() <= before.len()).then_some(path)
}
