//! What a node says of itself, and what it has to know to be let in.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest as _, Sha256};

use crate::config::Settings;
use crate::ledger::Secret;
use crate::peer;
use crate::ring::Candidate;
use crate::types::{ClusterId, NodeId};

/// Addresses that were bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) clients: SocketAddr,
    pub(super) peers: SocketAddr,
    pub(super) http: Option<SocketAddr>,
}

/// What the node called `id` says of itself.
pub(super) fn candidate(settings: &Settings, addresses: &Addresses, id: NodeId) -> Candidate {
    let given = Some(settings.text("name")).filter(|name| !name.is_empty());
    let short: String = id.to_string().chars().take(8).collect();
    // Where nodes reach it clients do too, if it serves them on all its addresses.
    let reachable = |address: SocketAddr| {
        let ip: IpAddr = if address.ip().is_unspecified() { addresses.peers.ip() } else { address.ip() };
        SocketAddr::new(ip, address.port())
    };
    Candidate {
        id,
        name: given.map_or_else(|| format!("node-{short}"), str::to_owned),
        dc: settings.text("dc").to_owned(),
        zone: settings.text("zone").to_owned(),
        weight: settings.count("weight") as u32,
        peer: addresses.peers,
        clients: reachable(addresses.clients),
        http: addresses.http.map(reachable),
    }
}

/// Who a node is to its peers that is in `member`'s cluster with its secret, or in none.
///
/// The setting `cluster-secret` is what both ends prove to know, at the door too. Without it, on loopback, members prove the
/// secret that the founder made, and whoever is on this machine may ask to join; off loopback nobody knows what the door
/// wants, so a node without the setting stays alone.
pub(super) fn local(
    settings: &Settings,
    peers: SocketAddr,
    id: NodeId,
    member: Option<(ClusterId, Secret)>,
) -> peer::Identity {
    let cluster = member.map(|(cluster, _)| cluster);
    let given = settings.text("cluster-secret");
    let founded = member.map_or(Secret([0; 32]), |(_, secret)| secret);
    let (secret, door) = if !given.is_empty() {
        let derived = Sha256::new().chain_update(b"annulus cluster-secret").chain_update(given.as_bytes()).finalize();
        (Secret(derived.into()), Secret(derived.into()))
    } else if peers.ip().to_canonical().is_loopback() {
        (founded, Secret([0; 32]))
    } else {
        (founded, founded)
    };
    peer::Identity { node: id, cluster, secret, door }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, candidate, local};
    use crate::config::{Place, Settings};
    use crate::ledger::Secret;
    use crate::types::{ClusterId, NodeId};

    const MEMBER: Option<(ClusterId, Secret)> = Some((ClusterId([1; 20]), Secret([2; 32])));

    #[test]
    fn a_node_that_listens_everywhere_is_reached_where_its_peers_reach_it() {
        let address = |text: &str| text.parse().unwrap();
        let (clients, http) = (address("0.0.0.0:6379"), Some(address("127.0.0.1:8379")));
        let addresses = Addresses { clients, peers: address("10.0.0.1:16379"), http };
        let said = candidate(&Settings::new(), &addresses, NodeId([0xab; 20]));
        assert_eq!((said.clients, said.http), (address("10.0.0.1:6379"), http));
        assert_eq!(said.name, "node-abababab");
    }

    #[test]
    fn the_secret_of_the_door_is_open_only_on_loopback_and_only_if_none_is_set() {
        let mut settings = Settings::new();
        let proofs = |settings: &Settings, peers: &str, member| {
            let identity = local(settings, peers.parse().unwrap(), NodeId([3; 20]), member);
            (identity.secret, identity.door)
        };
        let (made, open) = (Secret([2; 32]), Secret([0; 32]));
        assert!(proofs(&settings, "127.0.0.1:1", MEMBER) == (made, open));
        assert!(proofs(&settings, "127.0.0.1:1", None).1 == open);
        assert!(proofs(&settings, "10.0.0.1:1", MEMBER) == (made, made));
        settings.set("cluster-secret", "x", Place::Default).unwrap();
        let (secret, door) = proofs(&settings, "127.0.0.1:1", MEMBER);
        assert!(secret == door && secret != open && secret != made);
        assert!(proofs(&settings, "10.0.0.1:1", None) == (secret, door), "the same on every node");
    }
}
