//! How much each node should hold: water-filling under the rules that no list may break.
//!
//! A node holds an arc once at most, and a zone holds no more and no fewer replicas of an arc than spreading over zones
//! allows. Under these caps the shares are as close to the weights as can be: one water level for all, and where a zone is
//! full or has to take more, a level of its own. The level is found by halving, so there is no case to forget.

use crate::ring::plan::site::Site;

/// What a placement of a data centre should be like. What belongs to a node or a zone stands at its index.
#[derive(Debug)]
pub(super) struct Goal {
    /// Replicas of each arc.
    pub(super) per_arc: usize,
    /// Fewest replicas of an arc in each zone.
    pub(super) least: Vec<usize>,
    /// Most replicas of an arc in each zone.
    pub(super) most: Vec<usize>,
    /// The attainable share of each node: the part of all arcs that it holds, 0 to 1.
    pub(super) shares: Vec<f64>,
}

/// The goal for `replicas` of each arc, or as many as there are nodes.
pub(super) fn goal(site: &Site, replicas: usize) -> Goal {
    let per_arc = replicas.min(site.len());
    let sizes = site.zone_sizes();
    let room = |height: usize| sizes.iter().map(|&size| size.min(height)).sum::<usize>();
    let height = (1..=per_arc).find(|&height| room(height) >= per_arc).unwrap_or(per_arc);
    let least: Vec<usize> = sizes.iter().map(|&size| size.min(height.saturating_sub(1))).collect();
    let most: Vec<usize> = sizes.iter().map(|&size| size.min(height)).collect();
    let in_zone = |zone: usize, level: f64| site.nodes_in(zone).map(|node| filled(site, node, level)).sum::<f64>();
    let of_zone = |zone: usize, level: f64| in_zone(zone, level).clamp(least[zone] as f64, most[zone] as f64);
    let level = level_of(per_arc as f64, |level| (0..sizes.len()).map(|zone| of_zone(zone, level)).sum());
    let mut shares = vec![0.0; site.len()];
    for zone in 0..sizes.len() {
        let own = level_of(of_zone(zone, level), |level| in_zone(zone, level));
        site.nodes_in(zone).for_each(|node| shares[node] = filled(site, node, own));
    }
    Goal { per_arc, least, most, shares }
}

/// What `node` holds at a water level: in proportion to its weight, until it has everything once.
fn filled(site: &Site, node: usize, level: f64) -> f64 {
    (level * f64::from(site.weights[node])).min(1.0)
}

/// The level from 0 to 1 at which `sum`, which never falls as the level rises, comes to `wanted`.
fn level_of(wanted: f64, sum: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if sum(middle) < wanted { low = middle } else { high = middle }
    }
    high
}

/// How many of `arcs` arcs each node should hold, where it holds `held` now: its share, rounded so that the sum is right, and
/// up rather than down where it has more anyway.
pub(super) fn quotas(site: &Site, goal: &Goal, held: &[usize], arcs: usize) -> Vec<usize> {
    let wanted: Vec<f64> = goal.shares.iter().map(|share| share * arcs as f64).collect();
    let (mut quotas, order) = round_down(&wanted, held);
    let mut in_zone: Vec<usize> =
        (0..site.zone_count).map(|z| site.nodes_in(z).map(|node| quotas[node]).sum()).collect();
    let mut missing = (goal.per_arc * arcs).saturating_sub(quotas.iter().sum());
    // First what zones must have, then whatever they may have.
    for limits in [&goal.least, &goal.most] {
        for &node in &order {
            let zone = site.zones[node];
            let is_down = quotas[node] as f64 <= wanted[node];
            if missing > 0 && is_down && in_zone[zone] < limits[zone] * arcs {
                (quotas[node], in_zone[zone], missing) = (quotas[node] + 1, in_zone[zone] + 1, missing - 1);
            }
        }
    }
    quotas
}

/// How many of `arcs` arcs each node should be first of, where it is first of `held` now and holds `quotas`: in proportion to
/// the weights, as far as it holds so many.
pub(super) fn primary_quotas(site: &Site, quotas: &[usize], held: &[usize]) -> Vec<usize> {
    let arcs: usize = held.iter().sum();
    let filled =
        |node: usize, level: f64| (level * f64::from(site.weights[node]) * arcs as f64).min(quotas[node] as f64);
    let level = level_of(arcs as f64, |level| (0..site.len()).map(|node| filled(node, level)).sum());
    let wanted: Vec<f64> = (0..site.len()).map(|node| filled(node, level)).collect();
    round(&wanted, held, arcs)
}

/// Rounds `wanted` to whole numbers with the sum `total`: up first where more is `held` anyway, then where most is cut off.
fn round(wanted: &[f64], held: &[usize], total: usize) -> Vec<usize> {
    let (mut rounded, order) = round_down(wanted, held);
    let missing = total.saturating_sub(rounded.iter().sum());
    order.iter().take(missing).for_each(|&index| rounded[index] += 1);
    rounded
}

/// Rounds `wanted` down; and the indices of what lost something by that, in the order in which it should be rounded up.
fn round_down(wanted: &[f64], held: &[usize]) -> (Vec<usize>, Vec<usize>) {
    /// What halving leaves between a whole number and itself, many times over.
    const NOTHING: f64 = 1e-6;
    let rounded: Vec<usize> = wanted.iter().map(|&value| (value + NOTHING) as usize).collect();
    let rest = |index: usize| (wanted[index] - rounded[index] as f64).max(0.0);
    let has_more = |index: usize| held[index] > rounded[index];
    let mut order: Vec<usize> = (0..wanted.len()).filter(|&index| rest(index) > NOTHING).collect();
    order.sort_by(|&a, &b| has_more(b).cmp(&has_more(a)).then(rest(b).total_cmp(&rest(a))).then(a.cmp(&b)));
    (rounded, order)
}
