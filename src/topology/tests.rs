//! Three members on a network in memory, in time that only timers move: agreement, duels, members that are away; and how
//! three candidates become members.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::causality::{Hlc, Time};
use crate::env::memory::{Jobs, ManualClock, MemoryDisk, MemoryNet, SeededRandom, SteppedPool};
use crate::env::{Env, Net as _};
use crate::ledger::{Candidacy, Ledger, Membership, Secret, TopologyValue};
use crate::paxos::{self, Ballot, Prepare};
use crate::peer::{
    Acceptor, Identity, Incoming, Local, Options, Parts, Peers, Remote, Response, ResponseFuture, Service,
};
use crate::ring::{Candidate, Change, Topology};
use crate::topology::{
    Adopter, Agreement, AgreementParts, Answer, Application, Error, Founding, JoinState, Reception, Request, TOPIC,
    join,
};
use crate::types::{ArcLayout, ClusterId, Database, Epoch, NodeId, NodeNumber};
use crate::wire::Request as WireRequest;

const DIR: &str = "data";
const CLUSTER: ClusterId = ClusterId([9; 20]);
const SECRET: Secret = Secret([5; 32]);
const DOOR: Secret = Secret([4; 32]);
const LONG: Duration = Duration::from_secs(20);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), test);
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happens");
}

fn id(number: u8) -> NodeId {
    NodeId([number; 20])
}

fn candidate(number: u8) -> Candidate {
    Candidate {
        id: id(number),
        name: format!("n{number}"),
        dc: "dc1".into(),
        zone: format!("z{number}"),
        weight: 100,
        peer: SocketAddr::from(([10, 0, 0, number], 1)),
        clients: SocketAddr::from(([10, 0, 0, number], 2)),
        http: None,
    }
}

fn first() -> Topology {
    Topology::found(CLUSTER, ArcLayout::default(), 3, (1..=3).map(candidate).collect()).unwrap()
}

fn identity(number: u8, cluster: Option<ClusterId>) -> Identity {
    Identity { node: id(number), cluster, secret: SECRET, door: DOOR }
}

/// Remembers what was adopted, and whether the ledger had it and nobody saw it yet.
#[derive(Default)]
struct Adopted {
    epochs: Mutex<Vec<u64>>,
    ledger: Mutex<Option<Ledger>>,
    refuses: Mutex<bool>,
}

impl Adopter for Adopted {
    fn adopt(&self, topology: &Topology) -> Result<(), String> {
        if *self.refuses.lock() {
            return Err("the store failed".into());
        }
        let ledger = self.ledger.lock();
        assert_eq!(
            ledger.as_ref().expect("set before").facts().epoch(),
            topology.epoch(),
            "durable before it is adopted"
        );
        self.epochs.lock().push(topology.epoch().0);
        Ok(())
    }
}

/// A member as its peers see it.
struct Door(Arc<Agreement>);

impl Service for Door {
    fn admit(&self, _: &Remote) -> Result<(), String> {
        Ok(())
    }

    fn serve(&self, request: Incoming) -> ResponseFuture<'_> {
        Box::pin(async move {
            let Ok(WireRequest::Cold { topic: TOPIC, bytes }) = WireRequest::decode(&request.frame) else { panic!() };
            let asked = Request::decode(bytes).unwrap();
            let answer = self.0.answer(request.from.node, asked).await.unwrap();
            Response { message: answer.message(), epoch: self.0.current().epoch(), time: Time(1) }
        })
    }
}

/// A member that runs.
struct Member {
    agreement: Arc<Agreement>,
    adopted: Arc<Adopted>,
    disk: MemoryDisk,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Member {
    fn change(&self, change: &Change) -> impl Future<Output = Result<Arc<Topology>, Error>> + use<> {
        let (agreement, change) = (Arc::clone(&self.agreement), change.clone());
        async move { agreement.propose(&change, Instant::now() + LONG).await }
    }

    fn epoch(&self) -> u64 {
        self.agreement.current().epoch().0
    }

    async fn stop(self) -> MemoryDisk {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
        drop((self.agreement, self.adopted));
        self.disk.crash()
    }
}

fn env(number: u8, net: &MemoryNet, disk: &MemoryDisk) -> Env {
    let clock = Arc::new(ManualClock::new(1_767_225_600_000));
    Env {
        clock: Arc::<ManualClock>::clone(&clock),
        random: Arc::new(SeededRandom::new(u64::from(number))),
        disk: Arc::new(disk.clone()),
        net: Arc::new(net.clone()),
        pool: Arc::new(SteppedPool::new(1, clock, Jobs::AtOnce)),
    }
}

/// The ledger of member `number` of the first topology.
fn member_disk(number: u8) -> MemoryDisk {
    let disk = MemoryDisk::new(u64::from(number));
    let topology = first();
    let name = disk_with_name(&disk, number);
    let membership = Membership {
        node_id: id(number),
        node_number: topology.by_id(id(number)).unwrap().number,
        cluster_id: CLUSTER,
        secret: SECRET,
        layout: topology.layout(),
        topology: Some(TopologyValue { epoch: Epoch(1), bytes: topology.encode() }),
    };
    name.become_member(membership).unwrap();
    disk
}

/// A directory of the candidate `number`, whose name is no accident.
fn disk_with_name(disk: &MemoryDisk, number: u8) -> Candidacy {
    struct Fixed(u8);
    impl crate::env::Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }
    Candidacy::begin(Arc::new(disk.clone()), &Fixed(number), Path::new(DIR)).unwrap()
}

async fn start(number: u8, net: &MemoryNet, disk: MemoryDisk) -> Member {
    let env = env(number, net, &disk);
    let ledger = Ledger::open(Arc::clone(&env.disk), Path::new(DIR)).unwrap();
    let local = Arc::new(Local::new(identity(number, Some(CLUSTER))));
    let parts = Parts {
        net: Arc::clone(&env.net),
        random: Arc::clone(&env.random),
        local: Arc::clone(&local),
        options: Options::default(),
        observer: Arc::new(|_| ()),
    };
    let adopted = Arc::new(Adopted::default());
    *adopted.ledger.lock() = Some(ledger.clone());
    let agreement = Agreement::open(AgreementParts {
        ledger,
        peers: Arc::new(Peers::new(parts)),
        hlc: Arc::new(Hlc::new(Time::ZERO)),
        env: env.clone(),
        adopter: Arc::<Adopted>::clone(&adopted),
    });
    let agreement = Arc::new(agreement.unwrap());
    let stop = CancellationToken::new();
    let listener = net.listen(candidate(number).peer).await.unwrap();
    let acceptor = Acceptor::new(Rc::new(Door(Arc::clone(&agreement))), local, env.random, Options::default());
    let serving = tokio::task::spawn_local(Rc::new(acceptor).run(listener, stop.clone()));
    let (keeping, stopping) = (Arc::clone(&agreement), stop.clone());
    let keeping = tokio::task::spawn_local(async move { keeping.run(candidate(number), stopping).await });
    Member { agreement, adopted, disk, stop, tasks: vec![serving, keeping] }
}

async fn cluster(net: &MemoryNet) -> Vec<Member> {
    let mut members = Vec::new();
    for number in 1..=3 {
        members.push(start(number, net, member_disk(number)).await);
    }
    let all = |member: &Member| member.agreement.live(&member.agreement.current().topology()).len() == 3;
    until(|| members.iter().all(all)).await;
    members
}

fn weight(number: u16, weight: u32) -> Change {
    Change::Weight(NodeNumber(number), weight)
}

#[test]
fn a_change_that_one_proposes_holds_everywhere() {
    run(async {
        let net = MemoryNet::default();
        let members = cluster(&net).await;
        let topology = members[1].change(&Change::Flush(Database(3), 77)).await.unwrap();
        assert_eq!((topology.epoch(), topology.flushed_to(Database(3))), (Epoch(2), 77));
        until(|| members.iter().all(|member| member.epoch() == 2)).await;
        for member in &members {
            assert_eq!(*member.adopted.epochs.lock(), [1, 2]);
            let facts = member.agreement.ledger.facts();
            assert_eq!((facts.epoch(), facts.acceptor.clone()), (Epoch(2), None), "votes go with what they were about");
        }
        let again = members[0].change(&Change::Flush(Database(3), 70)).await.unwrap();
        assert_eq!(again.epoch(), Epoch(2), "it holds already");
    });
}

#[test]
fn those_who_propose_at_the_same_time_all_get_their_change() {
    run(async {
        let net = MemoryNet::default();
        let members = cluster(&net).await;
        let flush = |database: u8| Change::Flush(Database(database), 5);
        let duel =
            tokio::join!(members[0].change(&flush(0)), members[1].change(&flush(1)), members[2].change(&flush(2)),);
        let _ = (duel.0.unwrap(), duel.1.unwrap(), duel.2.unwrap());
        until(|| members.iter().all(|member| member.epoch() == 4)).await;
        let values: Vec<Vec<u8>> =
            members.iter().map(|member| member.agreement.current().topology().encode()).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "one epoch, one topology");
        let topology = members[0].agreement.current().topology();
        assert!((0..3).all(|database| topology.flushed_to(Database(database)) == 5));
    });
}

#[test]
fn a_member_that_was_away_learns_what_was_decided_without_it() {
    run(async {
        let net = MemoryNet::default();
        let mut members = cluster(&net).await;
        let disk = members.pop().unwrap().stop().await;
        members[0].change(&Change::Flush(Database(0), 5)).await.unwrap();
        members[1].change(&Change::Flush(Database(1), 5)).await.unwrap();
        let away = start(3, &net, disk).await;
        assert_eq!(away.epoch(), 1);
        until(|| away.epoch() == 3).await;
        assert_eq!(*away.adopted.epochs.lock(), [1, 3], "what lies between is not needed");
        // It votes again at once, as the second of two.
        members.pop().unwrap().stop().await;
        assert_eq!(away.change(&Change::Flush(Database(2), 5)).await.unwrap().epoch(), Epoch(4));
    });
}

#[test]
fn nothing_is_decided_without_a_majority_of_the_keepers() {
    run(async {
        let net = MemoryNet::default();
        let mut members = cluster(&net).await;
        let disks = [members.pop().unwrap().stop().await, members.pop().unwrap().stop().await];
        let refused = members[0].change(&Change::Flush(Database(0), 5)).await.expect_err("it is alone");
        assert_eq!(
            refused.to_string(),
            "a change of the cluster needs 2 of its 3 keepers, 1 can be reached; it may still be made"
        );
        assert_eq!(members[0].epoch(), 1);
        let [third, second] = disks;
        let (second, third) = (start(2, &net, second).await, start(3, &net, third).await);
        // What it has accepted then is found by the next proposer, whoever that is.
        let topology = third.change(&Change::Flush(Database(1), 5)).await.unwrap();
        assert_eq!(topology.flushed_to(Database(1)), 5);
        until(|| second.epoch() == third.epoch() && members[0].epoch() == third.epoch()).await;
    });
}

#[test]
fn a_vote_outlives_a_loss_of_power() {
    run(async {
        let net = MemoryNet::default();
        let member = start(1, &net, member_disk(1)).await;
        let prepare = |instance, round| {
            let ballot = Ballot { round, proposer: id(2) };
            Request::Vote(paxos::Request::Prepare(Prepare { instance: Epoch(instance), ballot }))
        };
        let promised = member.agreement.answer(id(2), prepare(2, 5)).await.unwrap();
        assert!(matches!(promised, Answer::Vote(paxos::Answer::Promise(_))), "{promised:?}");
        let again = start(1, &net, member.stop().await).await;
        let refused = again.agreement.answer(id(2), prepare(2, 4)).await.unwrap();
        assert!(matches!(refused, Answer::Vote(paxos::Answer::Refused(_))), "{refused:?}");
        let early = again.agreement.answer(id(2), prepare(3, 9)).await.unwrap();
        assert_eq!(early, Answer::At(Epoch(1)), "what comes before has to be learned first");
        let late = again.agreement.answer(id(2), prepare(1, 9)).await.unwrap();
        assert_eq!(late, Answer::Vote(paxos::Answer::Decided(again.agreement.current().decided())));
    });
}

#[test]
fn what_cannot_be_carried_out_is_not_seen_and_tried_again_at_the_next_start() {
    run(async {
        let net = MemoryNet::default();
        let mut members = cluster(&net).await;
        *members[2].adopted.refuses.lock() = true;
        members[0].change(&Change::Flush(Database(0), 5)).await.unwrap();
        until(|| members[2].agreement.ledger.facts().epoch() == Epoch(2)).await;
        assert_eq!(members[2].epoch(), 1, "durable, but not visible");
        let disk = members.pop().unwrap().stop().await;
        let again = start(3, &net, disk).await;
        assert_eq!((again.epoch(), again.adopted.epochs.lock().clone()), (2, vec![2]));
    });
}

#[test]
fn a_member_with_another_address_tells_all() {
    run(async {
        let net = MemoryNet::default();
        let members = cluster(&net).await;
        let moved = Candidate { clients: SocketAddr::from(([10, 0, 0, 3], 7)), ..candidate(3) };
        members[2].agreement.present(&moved).await.unwrap();
        until(|| members.iter().all(|member| member.epoch() == 2)).await;
        let topology = members[0].agreement.current().topology();
        assert_eq!(topology.by_id(id(3)).unwrap().clients, moved.clients);
        members[2].agreement.present(&moved).await.unwrap();
        assert_eq!(members[2].epoch(), 2, "once is enough");
    });
}

#[test]
fn an_impossible_change_is_refused_at_once() {
    run(async {
        let net = MemoryNet::default();
        let members = cluster(&net).await;
        assert!(matches!(members[0].change(&weight(9, 1)).await, Err(Error::Refused(_))));
        assert_eq!(members[0].epoch(), 1);
    });
}

fn application(number: u8) -> Application {
    Application { candidate: candidate(number), wall_ms: 1_767_225_600_000 }
}

#[test]
fn members_welcome_those_of_the_founding_and_refuse_others() {
    run(async {
        let net = MemoryNet::default();
        let mut members = cluster(&net).await;
        let refused = |member: &Member, application: &Application| match member.agreement.welcome(application) {
            Reception::Refused(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(refused(&members[0], &application(3)).contains("its data directory is a copy"));
        assert!(refused(&members[0], &application(4)).contains("--found 4"));
        let twin = Application { candidate: Candidate { name: "n1".into(), ..candidate(4) }, ..application(4) };
        assert!(refused(&members[0], &twin).contains("its own --name"));
        let late = Application { wall_ms: 1, ..application(4) };
        assert!(refused(&members[0], &late).contains("NTP"));
        members.pop().unwrap().stop().await;
        until(|| members[0].agreement.live(&first()).len() == 2).await;
        match members[0].agreement.welcome(&application(3)) {
            Reception::Welcome(welcome) => assert_eq!((welcome.cluster, welcome.secret), (CLUSTER, SECRET.0)),
            other => panic!("{other:?}"),
        }
    });
}

fn parts(number: u8, net: &MemoryNet) -> Parts {
    let env = env(number, net, &MemoryDisk::new(1));
    Parts {
        net: env.net,
        random: env.random,
        local: Arc::new(Local::new(identity(number, None))),
        options: Options::default(),
        observer: Arc::new(|_| ()),
    }
}

#[test]
fn three_candidates_become_members_whoever_comes_first() {
    run(async {
        let net = MemoryNet::default();
        let heard: Arc<Mutex<BTreeMap<u8, Vec<JoinState>>>> = Arc::default();
        let mut joining = Vec::new();
        for number in [2, 3] {
            let (parts, heard) = (parts(number, &net), Arc::clone(&heard));
            joining.push(tokio::task::spawn_local(async move {
                let told = |state: &JoinState| heard.lock().entry(number).or_default().push(state.clone());
                join(parts, &[candidate(1).peer], || application(number), told).await
            }));
        }
        sleep(Duration::from_secs(1)).await;
        assert!(matches!(heard.lock()[&2][..], [JoinState::Unreachable(_)]), "{heard:?}");

        let founding = Rc::new(Founding::new(candidate(1), 3, env(1, &net, &MemoryDisk::new(1))));
        let listener = net.listen(candidate(1).peer).await.unwrap();
        let local = Arc::new(Local::new(identity(1, None)));
        let acceptor =
            Acceptor::new(Rc::<Founding>::clone(&founding), local, Arc::new(SeededRandom::new(1)), Options::default());
        let stop = CancellationToken::new();
        let serving = tokio::task::spawn_local(Rc::new(acceptor).run(listener, stop.clone()));
        let mut counted = Vec::new();
        let candidates = founding.complete(|present| counted.push(present)).await;
        assert_eq!((counted[0], counted.last().copied(), candidates.len()), (1, Some(3), 3));
        stop.cancel();
        serving.await.unwrap();

        // The founder is a member now, and gives the others what makes them members.
        let founder = start(1, &net, member_disk(1)).await;
        for joined in joining {
            let welcome = joined.await.unwrap().unwrap();
            assert_eq!(welcome.topology, founder.agreement.current().decided());
        }
        assert!(matches!(heard.lock()[&3].last(), Some(JoinState::Waiting { wanted: 3, .. })), "{heard:?}");
        let late = join(parts(4, &net), &[candidate(1).peer], || application(4), |_| ()).await;
        let told = late.expect_err("the cluster is complete").to_string();
        assert!(told.starts_with("10.0.0.1:1: the cluster runs with its 3 nodes"), "{told}");
        let strange =
            Parts { local: Arc::new(Local::new(Identity { door: SECRET, ..identity(5, None) })), ..parts(5, &net) };
        let told = join(strange, &[candidate(1).peer], || application(5), |_| ()).await.expect_err("another secret");
        assert!(told.text.contains("cluster-secret"), "{told}");
    });
}
