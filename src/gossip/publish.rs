//! From what is known to what is shown: the view, the events, the question for a newer topology.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::gossip::{Event, Gossip, Measured, NodeView, Owner, View, told};
use crate::membership::{Key, Member, Membership, Options, Standing};
use crate::ring::Topology;
use crate::types::{Epoch, Incarnation, NodeId};

/// What is guarded by one lock, never held across an await or a call of the owner.
pub(super) struct State {
    pub(super) core: Membership,
    /// The topology that this node goes by.
    pub(super) epoch: Epoch,
    me: NodeId,
    /// What people call the members.
    names: BTreeMap<NodeId, String>,
    /// Members that were said to be down and not to be back.
    down: BTreeSet<NodeId>,
    twin: Option<Incarnation>,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        State {
            core: Membership::new(options, Duration::ZERO),
            epoch: Epoch(0),
            me: options.me,
            names: BTreeMap::new(),
            down: BTreeSet::new(),
            twin: None,
        }
    }

    pub(super) fn go_by(&mut self, topology: &Topology, now: Duration) {
        // The same word in two data centres means two zones.
        let zone = |dc: &str, zone: &str| format!("{dc}/{zone}");
        let members = topology.members();
        let seen = members.iter().map(|member| Member { id: member.id, zone: zone(&member.dc, &member.zone) });
        let removed: Vec<NodeId> = topology.removed().collect();
        self.core.set_members(&seen.collect::<Vec<_>>(), &removed, now);
        let is_new = |node: &NodeId| *node != self.me && !self.names.contains_key(node);
        for node in members.iter().map(|member| member.id).filter(is_new) {
            self.core.connection_closed(node);
        }
        self.names = members.iter().map(|member| (member.id, member.name.clone())).collect();
        self.down.retain(|node| topology.is_member(*node));
        self.epoch = topology.epoch();
        if let Err(error) = self.core.set(Key::EPOCH, &told::encode(Some(&self.epoch))) {
            tracing::warn!(%error, "the others are not told which topology this node goes by");
        }
    }

    /// Takes note of which members are connected.
    pub(super) fn connections_are(&mut self, connected: &[(NodeId, bool)]) {
        for &(node, is_connected) in connected.iter().filter(|(node, _)| *node != self.me) {
            if is_connected {
                self.core.connection_opened(node);
            } else {
                self.core.connection_closed(node);
            }
        }
    }

    fn view(&self, now: Duration) -> View {
        let nodes = self.names.keys().map(|&node| (node, self.node_view(node, now)));
        let candidates = self.core.candidates(now).map(|(node, told)| (node, told.to_vec()));
        View { nodes: nodes.collect(), candidates: candidates.collect(), twin: self.core.twin() }
    }

    fn node_view(&self, node: NodeId, now: Duration) -> NodeView {
        let value = |key| self.core.value(node, key).unwrap_or_default();
        let told = Measured {
            load: told::decode(value(Key::LOAD)),
            disk: told::decode(value(Key::DISK)),
            hints: told::decode(value(Key::HINTS)),
        };
        NodeView {
            standing: self.core.standing(node, now),
            is_reachable: self.core.is_reachable(node, now),
            phi: self.core.phi(node, now),
            incarnation: self.core.incarnation(node),
            epoch: told::decode(value(Key::EPOCH)),
            told,
        }
    }

    /// What `view` shows that was not said yet.
    pub(super) fn news(&mut self, view: &View) -> Vec<Event> {
        let mut events = Vec::new();
        for (node, known) in view.nodes() {
            match &known.standing {
                Standing::Down(accusers) if self.down.insert(node) => {
                    events.push(Event::Down { node, accusers: accusers.clone() });
                }
                Standing::Up if self.down.remove(&node) => events.push(Event::Back { node }),
                // One accuser less does not make it better, one more not worse.
                Standing::Up | Standing::Suspected(_) | Standing::Down(_) => {}
            }
        }
        if let Some(incarnation) = view.twin.filter(|_| self.twin != view.twin) {
            self.twin = view.twin;
            events.push(Event::Twin { incarnation });
        }
        events
    }

    /// The reachable member that goes by the newest topology, if this node goes by an older one.
    fn ahead(&self, view: &View) -> Option<NodeId> {
        let reachable = view.nodes().filter(|(_, known)| known.is_reachable);
        let told = reachable.filter_map(|(node, known)| known.epoch.map(|epoch| (epoch, node)));
        told.max().filter(|(epoch, _)| *epoch > self.epoch).map(|(_, node)| node)
    }

    /// Says for people what happened.
    fn log(&self, event: &Event) {
        let name = |node: &NodeId| self.names.get(node).cloned().unwrap_or_default();
        match event {
            Event::Down { node, accusers } => {
                let accusers: Vec<String> = accusers.iter().map(name).collect();
                tracing::warn!(name = name(node), %node, not_heard_by = accusers.join(", "), "a node is down");
            }
            Event::Back { node } => tracing::info!(name = name(node), %node, "a node is back"),
            Event::Twin { incarnation } => {
                let (node, life) = (self.me, incarnation.0);
                tracing::error!(%node, life, "another process goes by this node's id: its data directory was copied");
            }
        }
    }
}

impl Gossip {
    /// Shows what is known now, and says what is new in it. Called by one task.
    pub(super) fn publish(&self, owner: &dyn Owner) {
        let mut state = self.state.lock();
        let view = self.show(&state, self.now());
        let (events, ahead) = (state.news(&view), state.ahead(&view));
        events.iter().for_each(|event| state.log(event));
        drop(state);
        events.iter().for_each(|event| owner.note(event));
        if let Some(node) = ahead {
            owner.is_behind(node);
        }
    }

    /// Shows what is known now.
    pub(super) fn show(&self, state: &State, now: Duration) -> Arc<View> {
        let view = Arc::new(state.view(now));
        self.view.store(Arc::clone(&view));
        view
    }
}
