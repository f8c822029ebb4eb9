//! Coming to a cluster: a candidate asks until it is welcomed or refused, a member answers those who ask.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::causality::Time;
use crate::peer::{Fault, Parts, Peer, Target, Terms};
use crate::ring::Candidate;
use crate::topology::gathering::skew_objection;
use crate::topology::{Agreement, Answer, Application, Reception, Request, Welcome};
use crate::types::Epoch;

/// How often a candidate asks.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a node cannot be a member; what to do, for people.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {text}")]
pub struct JoinError {
    /// Who says so.
    pub address: SocketAddr,
    /// Why, and what to do.
    pub text: String,
}

/// What a candidate sees while it waits, for its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinState {
    /// Nobody answers; why.
    Unreachable(String),
    /// The founding waits for more nodes.
    Waiting {
        /// Nodes that have come, the founder included.
        present: u16,
        /// Nodes that it waits for.
        wanted: u16,
    },
}

/// Asks at all `addresses` until one of them makes `candidate` a member; `changed` is told what it waits for whenever that
/// is something else. Must run on the runtime that is to serve the connections.
///
/// # Errors
/// [`JoinError`] if one of them says that it never will.
pub async fn join(
    parts: Parts,
    addresses: &[SocketAddr],
    application: impl Fn() -> Application,
    mut changed: impl FnMut(&JoinState),
) -> Result<Welcome, JoinError> {
    let target = |&address: &SocketAddr| Target { node: None, address };
    let peers: Vec<Peer> = addresses.iter().map(|address| Peer::start(parts.clone(), target(address))).collect();
    let mut last = None;
    loop {
        let mut state = None;
        for peer in &peers {
            match ask(peer, application()).await? {
                Asked::Welcome(welcome) => return Ok(welcome),
                Asked::Wait(waiting @ JoinState::Waiting { .. }) => state = Some(waiting),
                Asked::Wait(other) => state = state.or(Some(other)),
                Asked::Nothing => {}
            }
        }
        if let Some(state) = state.filter(|state| last.as_ref() != Some(state)) {
            changed(&state);
            last = Some(state);
        }
        sleep(ASK_EVERY).await;
    }
}

enum Asked {
    Welcome(Welcome),
    Wait(JoinState),
    Nothing,
}

async fn ask(peer: &Peer, application: Application) -> Result<Asked, JoinError> {
    let address = peer.target().address;
    if !peer.is_connected() {
        return match peer.status().failure {
            None => Ok(Asked::Nothing),
            Some(failure) if is_final(failure.fault) => Err(JoinError { address, text: failure.text }),
            Some(failure) => Ok(Asked::Wait(JoinState::Unreachable(failure.text))),
        };
    }
    let now = Instant::now();
    let terms = Terms { epoch: Epoch(0), time: Time::ZERO, now, deadline: now + PATIENCE };
    let Ok(call) = peer.call(&Request::Join(application).message(), &terms) else { return Ok(Asked::Nothing) };
    let Ok(frame) = call.await else { return Ok(Asked::Nothing) };
    match Answer::decode(&frame) {
        Some(Answer::Join(Reception::Welcome(welcome))) => Ok(Asked::Welcome(welcome)),
        Some(Answer::Join(Reception::Waiting { present, wanted })) => {
            Ok(Asked::Wait(JoinState::Waiting { present, wanted }))
        }
        Some(Answer::Join(Reception::Refused(text))) => Err(JoinError { address, text }),
        _ => Ok(Asked::Nothing),
    }
}

/// Whether only people can help.
fn is_final(fault: Fault) -> bool {
    match fault {
        Fault::Version | Fault::Cluster | Fault::Secret | Fault::Itself | Fault::NotAdmitted | Fault::Garbage => true,
        Fault::Unreachable | Fault::OtherNode | Fault::Slow => false,
    }
}

impl Agreement {
    /// What a node hears that wants to be in this cluster. One that founded it is welcome until it has come as a member: it
    /// may have been killed before it heard of it.
    #[must_use]
    pub fn welcome(&self, application: &Application) -> Reception {
        let topology = self.current.topology();
        let Candidate { id, name, .. } = &application.candidate;
        if topology.was_removed(*id) {
            return refused(
                "this node was removed from the cluster for good; start it with an empty data directory, as a new node",
            );
        }
        if let Some(objection) = skew_objection(application, self.env.clock.wall_ms()) {
            return Reception::Refused(objection);
        }
        if topology.is_member(*id) {
            if self.peers.get(id).is_some_and(|peer| peer.is_connected()) {
                return refused("a member with this id is up: its data directory is a copy; give it an empty one");
            }
            return Reception::Welcome(Welcome {
                cluster: topology.cluster(),
                secret: self.ledger.facts().secret.0,
                topology: self.current.decided(),
            });
        }
        if topology.members().iter().any(|member| member.name == *name) {
            return Reception::Refused(format!("there is a member called {name}; give each node its own --name"));
        }
        let members = topology.members().len();
        Reception::Refused(format!(
            "the cluster runs with its {members} nodes, and this version cannot move data to a new one: a later version will; \
             found a new cluster with --found {} and copy the data",
            members + 1
        ))
    }
}

fn refused(text: &str) -> Reception {
    Reception::Refused(text.to_owned())
}
