//! The first words of a connection: who are you, and do you know the secret?
//!
//! ```text
//! asker                                     answerer
//! hello                              ->
//!                                    <-     0, hello, proof     or  fault u8, length u16, text
//! 0, proof  or  fault, length, text  ->
//!                                    <-     0                   or  fault u8, length u16, text
//!
//! hello   "annulus\n" | version u16 | 1 if there is a cluster, else 0 | cluster, 20 bytes | node, 20 bytes | nonce, 32 bytes
//! proof   HMAC-SHA-256, keyed with the secret (that of the door if one end has no cluster), of: role | asker's hello | answerer's hello
//! ```
//!
//! Little endian. Magic and version keep their place in every version, so that any two can tell each other apart.
//!
//! Invariant: a proof names its role and both hellos, so that it can neither be sent back to its maker nor used again, and
//! nobody is asked to prove anything before he has proved (the asker) or agreed on version and cluster (the answerer).
//! Invariant: proofs are compared in constant time, by the crate that makes them.
//!
//! Left out: keeping what follows secret or whole against somebody on the path; that is what TLS is for.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::codec::{Reader, put_u16};
use crate::env::Stream;
use crate::ledger::Secret;
use crate::peer::{Fault, HandshakeError, Identity, Remote};
use crate::types::{ClusterId, NodeId};

/// Version of all that nodes say to each other after the handshake, and of its second half.
pub(super) const VERSION: u16 = 1;
/// What every hello begins with.
const MAGIC: [u8; 8] = *b"annulus\n";
/// Bytes of a hello.
const HELLO_BYTES: usize = 8 + 2 + 1 + 20 + 20 + NONCE_BYTES;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 32;
/// Bytes of a proof.
const PROOF_BYTES: usize = 32;
/// Longest text of a refusal.
const TEXT_LIMIT: usize = 512;
/// Stands where a refusal would have its fault.
const AGREED: u8 = 0;
/// Roles in proofs.
const ASKER: &[u8] = b"annulus peer asker";
const ANSWERER: &[u8] = b"annulus peer answerer";

type Hello = [u8; HELLO_BYTES];
type Nonce = [u8; NONCE_BYTES];

/// This side of a handshake.
pub(super) struct Side {
    /// Who this is.
    pub(super) identity: Identity,
    /// Random bytes, new for each connection.
    pub(super) nonce: Nonce,
}

/// Asks for a connection; `wanted` is the node that should be there, if that is known.
pub(super) async fn ask(
    stream: &mut dyn Stream,
    side: &Side,
    wanted: Option<NodeId>,
) -> Result<Remote, HandshakeError> {
    let own = side.hello();
    send(stream, &own).await?;
    read_agreement(stream).await?;
    let theirs: Hello = read_array(stream).await?;
    let proof: [u8; PROOF_BYTES] = read_array(stream).await?;
    let agreed = side.agree(&theirs).and_then(|remote| {
        verify(&side.identity.shared_with(&remote), ANSWERER, [&own, &theirs], &proof)?;
        expect_node(wanted, remote.node).map(|()| remote)
    });
    let remote = match agreed {
        Ok(remote) => remote,
        Err(error) => return Err(refuse(stream, error).await),
    };
    let proof = prove(&side.identity.shared_with(&remote), ASKER, [&own, &theirs]).finalize().into_bytes();
    send(stream, &[&[AGREED][..], &proof].concat()).await?;
    read_agreement(stream).await?;
    Ok(remote)
}

/// Answers one who asks; `admit` may still say no to a node that has proved itself.
pub(super) async fn answer(
    stream: &mut dyn Stream,
    side: &Side,
    admit: impl FnOnce(&Remote) -> Result<(), String>,
) -> Result<Remote, HandshakeError> {
    let theirs: Hello = read_hello(stream).await?;
    let remote = match side.agree(&theirs) {
        Ok(remote) => remote,
        // Whoever does not even speak the protocol is told nothing.
        Err(error) if error.fault == Fault::Garbage => return Err(error),
        Err(error) => return Err(refuse(stream, error).await),
    };
    let own = side.hello();
    let key = side.identity.shared_with(&remote);
    let proof = prove(&key, ANSWERER, [&theirs, &own]).finalize().into_bytes();
    send(stream, &[&[AGREED][..], &own, &proof].concat()).await?;
    read_agreement(stream).await?;
    let proof: [u8; PROOF_BYTES] = read_array(stream).await?;
    let admitted = verify(&key, ASKER, [&theirs, &own], &proof)
        .and_then(|()| admit(&remote).map_err(|text| HandshakeError::new(Fault::NotAdmitted, text)));
    if let Err(error) = admitted {
        return Err(refuse(stream, error).await);
    }
    send(stream, &[AGREED]).await?;
    Ok(remote)
}

impl Side {
    fn hello(&self) -> Hello {
        let mut out = Vec::with_capacity(HELLO_BYTES);
        out.extend_from_slice(&MAGIC);
        put_u16(&mut out, VERSION);
        out.push(u8::from(self.identity.cluster.is_some()));
        out.extend_from_slice(&self.identity.cluster.map_or([0; 20], |cluster| cluster.0));
        out.extend_from_slice(&self.identity.node.0);
        out.extend_from_slice(&self.nonce);
        out.try_into().expect("the parts of a hello have its length")
    }

    /// Whether this side can talk to the one that said `hello`.
    fn agree(&self, hello: &Hello) -> Result<Remote, HandshakeError> {
        let mut reader = Reader::new(hello);
        let garbage = |_| HandshakeError::new(Fault::Garbage, "the other end does not speak as a node does");
        let magic = reader.array::<8>().map_err(garbage)?;
        let version = reader.u16().map_err(garbage)?;
        let has_cluster = reader.u8().map_err(garbage)?;
        let (cluster, node) = (reader.array().map_err(garbage)?, reader.array().map_err(garbage)?);
        if magic != MAGIC {
            return Err(HandshakeError::new(Fault::Garbage, "the other end does not speak as a node does"));
        }
        if version != VERSION {
            let text = format!("nodes of protocol versions {version} and {VERSION} cannot talk; run the same release");
            return Err(HandshakeError::new(Fault::Version, text));
        }
        let remote = Remote { node: NodeId(node), cluster: (has_cluster != 0).then_some(ClusterId(cluster)) };
        if let (Some(theirs), Some(own)) = (remote.cluster, self.identity.cluster)
            && theirs != own
        {
            return Err(HandshakeError::new(
                Fault::Cluster,
                format!("nodes of clusters {theirs} and {own} cannot talk"),
            ));
        }
        if remote.node == self.identity.node {
            let text = format!("node {} has connected to itself; its address stands for another node's", remote.node);
            return Err(HandshakeError::new(Fault::Itself, text));
        }
        Ok(remote)
    }
}

fn expect_node(wanted: Option<NodeId>, found: NodeId) -> Result<(), HandshakeError> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(HandshakeError::new(Fault::OtherNode, format!("node {found} answers at the address of node {wanted}")))
        }
        _ => Ok(()),
    }
}

fn prove(key: &Secret, role: &[u8], hellos: [&Hello; 2]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("any length of key will do");
    mac.update(role);
    hellos.into_iter().for_each(|hello| mac.update(hello));
    mac
}

fn verify(key: &Secret, role: &[u8], hellos: [&Hello; 2], proof: &[u8]) -> Result<(), HandshakeError> {
    let text = "the two nodes do not have the same cluster-secret";
    prove(key, role, hellos).verify_slice(proof).map_err(|_| HandshakeError::new(Fault::Secret, text))
}

async fn send(stream: &mut dyn Stream, bytes: &[u8]) -> Result<(), HandshakeError> {
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}

/// Tells the other end why there is no connection; answers the error. That it cannot be told any more changes nothing.
async fn refuse(stream: &mut dyn Stream, error: HandshakeError) -> HandshakeError {
    let end = error.text.floor_char_boundary(TEXT_LIMIT);
    let text = error.text.get(..end).unwrap_or_default().as_bytes();
    let mut out = vec![error.fault as u8];
    put_u16(&mut out, text.len() as u16);
    out.extend_from_slice(text);
    drop(send(stream, &out).await);
    drop(stream.shutdown().await);
    error
}

/// Reads a hello, and no more of something else than its first bytes.
async fn read_hello(stream: &mut dyn Stream) -> Result<Hello, HandshakeError> {
    let magic: [u8; MAGIC.len()] = read_array(stream).await?;
    if magic != MAGIC {
        return Err(HandshakeError::new(Fault::Garbage, "the other end does not speak as a node does"));
    }
    let rest: [u8; HELLO_BYTES - MAGIC.len()] = read_array(stream).await?;
    let mut hello = [0; HELLO_BYTES];
    let (head, tail) = hello.split_at_mut(MAGIC.len());
    head.copy_from_slice(&magic);
    tail.copy_from_slice(&rest);
    Ok(hello)
}

/// Reads that the other end agrees, or why it does not.
async fn read_agreement(stream: &mut dyn Stream) -> Result<(), HandshakeError> {
    let [status] = read_array(stream).await?;
    if status == AGREED {
        return Ok(());
    }
    let garbage = || HandshakeError::new(Fault::Garbage, "the other end does not speak as a node does");
    let fault = Fault::ALL.into_iter().find(|fault| *fault as u8 == status).ok_or_else(garbage)?;
    let length = u16::from_le_bytes(read_array(stream).await?);
    if usize::from(length) > TEXT_LIMIT {
        return Err(garbage());
    }
    let mut text = vec![0; usize::from(length)];
    stream.read_exact(&mut text).await?;
    Err(HandshakeError::new(fault, String::from_utf8_lossy(&text)))
}

async fn read_array<const N: usize>(stream: &mut dyn Stream) -> Result<[u8; N], HandshakeError> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
