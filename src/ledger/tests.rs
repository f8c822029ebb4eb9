//! The ledger on real files and on a disk that loses power, fills up and breaks, at every operation.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::{ProptestConfig, any, proptest};

use crate::causality::Time;
use crate::env::memory::{Fault, MemoryDisk, OperationKind, SeededRandom};
use crate::env::os::OsDisk;
use crate::env::{Disk, OpenMode};
use crate::ledger::format::{self, Flaw};
use crate::ledger::{ArcFacts, ClusterId, Error, Facts, Flush, Ledger, Secret, TopologyValue};
use crate::paxos::{Acceptor, Ballot, Prepare, Request, Verdict};
use crate::types::{ArcId, ArcLayout, Database, Epoch, Incarnation, NodeId, NodeNumber};

const DIR: &str = "srv/data";
/// The file of `sample`, as hexadecimal digits.
const GOLDEN: &str = include_str!("../../tests/data/ledger-2.txt");
/// The file that the first format had for it.
const GOLDEN_1: &str = include_str!("../../tests/data/ledger.txt");

fn found(disk: &MemoryDisk) -> Result<Ledger, Error> {
    Ledger::found(Arc::new(disk.clone()), &SeededRandom::new(7), Path::new(DIR), ArcLayout::default())
}

fn open(disk: &MemoryDisk) -> Result<Ledger, Error> {
    Ledger::open(Arc::new(disk.clone()), Path::new(DIR))
}

fn sample() -> Facts {
    let ledger = found(&MemoryDisk::new(1)).expect("an empty disk");
    let mut facts = Facts::clone(&ledger.facts());
    (facts.node_id, facts.cluster_id, facts.secret) = (NodeId([1; 20]), ClusterId([2; 20]), Secret([3; 32]));
    facts.incarnation = Incarnation(1_800_000_000_000);
    facts.start_flush(Database(0), Time(500));
    facts.start_flush(Database(3), Time(700));
    facts.finish_flush(Database(3), Time(700));
    facts.close(ArcId(5), Time(900));
    facts.arcs.insert(ArcId(1023), ArcFacts { closed: Time(3), fence: Time(2), floor: Time(1) });
    facts.topology = Some(TopologyValue { epoch: Epoch(9), bytes: b"topology".to_vec() });
    facts.acceptor = Some(voted(10));
    facts
}

/// An acceptor that has promised something.
fn voted(instance: u64) -> Acceptor {
    let ballot = Ballot { round: 3, proposer: NodeId([4; 20]) };
    let prepare = Request::Prepare(Prepare { instance: Epoch(instance), ballot });
    match Acceptor::new(Epoch(instance)).receive(&prepare) {
        Verdict::Sync { acceptor, .. } => acceptor,
        other => panic!("{other:?}"),
    }
}

#[test]
fn facts_outlive_a_restart() {
    let root = tempfile::tempdir().expect("a directory for the test");
    let dir = root.path().join("nested/data");
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    assert!(!Ledger::exists(&*disk, &dir).expect("no directory is no error"));
    assert!(matches!(Ledger::open(Arc::clone(&disk), &dir), Err(Error::Missing { .. })));
    let random = SeededRandom::new(1);
    let ledger = Ledger::found(Arc::clone(&disk), &random, &dir, ArcLayout::default()).expect("a writable directory");
    let actor = ledger.raise(1_800_000_000_000).expect("a writable directory");
    assert_eq!((actor.node(), actor.incarnation()), (NodeNumber(1), Incarnation(1_800_000_000_000)));
    let facts = ledger.update(|facts| facts.close(ArcId(5), Time(77))).expect("a writable directory");
    assert_eq!((facts.arc(ArcId(5)).closed, facts.hlc_floor), (Time(77), Time(77)));

    let open = || Ledger::open(Arc::clone(&disk), &dir);
    assert!(matches!(open(), Err(Error::Locked { .. })), "the first handle lives");
    drop(ledger);
    let ledger = open().expect("it was written");
    assert_eq!(ledger.facts(), facts);
    let actor = ledger.raise(5).expect("a writable directory");
    assert_eq!(actor.incarnation(), Incarnation(1_800_000_000_001), "the wall clock was set back");
    drop(ledger);
    let again = Ledger::found(Arc::clone(&disk), &random, &dir, ArcLayout::default());
    assert!(matches!(again, Err(Error::Exists { .. })));
}

#[test]
fn identities_are_drawn_and_secrets_are_not_shown() {
    let facts = found(&MemoryDisk::new(1)).expect("an empty disk").facts();
    assert!(facts.node_id.0 != facts.cluster_id.0 && facts.secret.0[..20] != facts.node_id.0);
    assert!(format!("{facts:?}").contains("secret: Secret(..)"));
    assert_eq!(facts.cluster_id.to_string().len(), 40);
}

#[test]
fn a_flush_is_finished_only_if_no_later_one_has_begun() {
    let mut facts = sample();
    let never = Flush { time: Time::ZERO, is_carried_out: true };
    assert_eq!(facts.flush(Database(9)), never);
    facts.start_flush(Database(0), Time(600));
    facts.finish_flush(Database(0), Time(500));
    facts.start_flush(Database(0), Time(550));
    assert_eq!(facts.flush(Database(0)), Flush { time: Time(600), is_carried_out: false });
    facts.finish_flush(Database(0), Time(600));
    facts.start_flush(Database(1), Time(5000));
    assert_eq!(facts.hlc_floor, Time(5000), "a later write would be flushed too");
    assert!(facts.flush(Database(0)).is_carried_out);
}

#[test]
fn the_file_keeps_the_bytes_it_always_had() {
    let bytes = format::encode(&sample());
    let written: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(written, GOLDEN.trim(), "a stored ledger would no longer be read: this needs a new format version");
    assert_eq!(format::decode(&bytes), Ok(sample()));
}

#[test]
fn a_file_of_the_first_format_is_read() {
    let digits = GOLDEN_1.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.map(byte).collect();
    assert_eq!(format::decode(&bytes), Ok(Facts { acceptor: None, ..sample() }));
}

#[test]
fn votes_are_kept_until_what_they_are_about_is_adopted() {
    let disk = MemoryDisk::new(1);
    let ledger = found(&disk).expect("an empty disk");
    let facts = ledger.update(|facts| facts.acceptor = Some(voted(1))).expect("a sound disk");
    assert_eq!((facts.next_acceptor(), facts.epoch()), (voted(1), Epoch(0)));
    drop(ledger);
    let ledger = open(&disk.crash()).expect("it was shown");
    assert_eq!(ledger.facts().acceptor, Some(voted(1)));
    let topology = |epoch| TopologyValue { epoch: Epoch(epoch), bytes: vec![epoch as u8] };
    let facts = ledger.update(|facts| facts.adopt(topology(3))).expect("a sound disk");
    assert_eq!((facts.acceptor.clone(), facts.next_acceptor().instance()), (None, Epoch(4)));
    let facts = ledger.update(|facts| facts.adopt(topology(2))).expect("a sound disk");
    assert_eq!(facts.topology, Some(topology(3)), "a late message does not take it back");
}

#[test]
#[should_panic(expected = "votes are forgotten")]
fn a_vote_that_is_forgotten_is_a_mistake() {
    let ledger = found(&MemoryDisk::new(1)).expect("an empty disk");
    ledger.update(|facts| facts.acceptor = Some(voted(1))).expect("a sound disk");
    let _ = ledger.update(|facts| facts.acceptor = None);
}

#[test]
fn every_damage_is_found_and_named() {
    let bytes = format::encode(&sample());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        match format::decode(&damaged).expect_err("damaged") {
            Flaw::Future { .. } => assert!((8..12).contains(&at), "{at}"),
            Flaw::Corrupt { offset, .. } => assert!(offset <= 24, "{at}"),
        }
        assert!(matches!(format::decode(&bytes[..at]), Err(Flaw::Corrupt { .. })), "cut at {at}");
    }
    let mut future = bytes;
    future[8] = 3;
    assert_eq!(format::decode(&future), Err(Flaw::Future { version: 3 }));
}

#[test]
fn a_damaged_file_stops_the_start_with_its_path_and_place() {
    let disk = MemoryDisk::new(1);
    drop(found(&disk).expect("an empty disk"));
    let path = Path::new(DIR).join("ledger");
    disk.flip_bit(&path, 8 * 30);
    let error = open(&disk).err().expect("damaged").to_string();
    assert_eq!(error, "ledger srv/data/ledger is damaged at offset 16: has a wrong checksum");
    disk.flip_bit(&path, 8 * 30);
    disk.flip_bit(&path, 8 * 8 + 2);
    let error = open(&disk).err().expect("from the future").to_string();
    assert_eq!(error, "ledger srv/data/ledger has format 6, this version reads up to 2");
    disk.flip_bit(&path, 8 * 8 + 2);
    assert!(open(&disk).is_ok());
    let file = disk.open(&path, OpenMode::ReadWrite).expect("it is there");
    file.truncate(64 << 21).expect("no limit");
    assert!(matches!(open(&disk), Err(Error::TooLarge { .. })), "read before its length is looked at");
}

/// What a node does with its ledger in a life, and what it was told of it.
struct Life {
    /// The last facts that were shown.
    shown: Option<Facts>,
    /// What was asked for when the disk failed.
    asked: Option<Facts>,
}

/// Runs one life on `disk` until it ends or fails.
fn live(disk: &MemoryDisk) -> Life {
    let mut life = Life { shown: None, asked: None };
    let opened = if Ledger::exists(disk, Path::new(DIR)).unwrap_or(false) { open(disk) } else { found(disk) };
    let Ok(ledger) = opened else { return life };
    life.shown = Some(Facts::clone(&ledger.facts()));
    let changes: [fn(&mut Facts); 4] = [
        |facts| facts.incarnation.0 += 1,
        |facts| facts.start_flush(Database(2), Time(facts.flush(Database(2)).time.0 + 10)),
        |facts| facts.close(ArcId(3), facts.hlc_floor.after()),
        |facts| facts.topology = Some(TopologyValue { epoch: Epoch(1), bytes: vec![7; 1500] }),
    ];
    for change in changes {
        let mut asked = Facts::clone(&ledger.facts());
        change(&mut asked);
        life.asked = Some(asked);
        match ledger.update(change) {
            Ok(facts) => life.shown = Some(Facts::clone(&facts)),
            Err(_) => return life,
        }
    }
    life.asked = None;
    life
}

#[test]
fn a_loss_of_power_at_any_moment_keeps_what_was_shown() {
    for seed in 0..20 {
        for change in 0.. {
            let disk = MemoryDisk::new(seed);
            disk.crash_at(change);
            let life = live(&disk);
            let is_over = !disk.is_dead();
            let next = disk.crash();
            match (open(&next).map(|ledger| Facts::clone(&ledger.facts())), life.shown) {
                (Err(Error::Missing { .. }), None) => {}
                // Founded, but not told so.
                (Ok(facts), None) => assert_eq!(facts.incarnation, Incarnation(0)),
                (Ok(facts), Some(shown)) => {
                    let is_known = facts == shown || life.asked.is_some_and(|asked| asked == facts);
                    assert!(is_known, "seed {seed}, change {change}: {facts:?}");
                }
                (other, shown) => panic!("seed {seed}, change {change}: {other:?} after {shown:?}"),
            }
            let last = live(&next).shown.expect("the disk is well again");
            assert_eq!(last.topology.map(|topology| topology.epoch), Some(Epoch(1)));
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn a_failed_operation_never_shows_or_keeps_anything_else() {
    for fault in [Fault::Io, Fault::Full] {
        for operation in 0.. {
            let disk = MemoryDisk::new(operation);
            disk.fail_at(operation, fault);
            let life = live(&disk);
            let is_over = disk.operations() <= operation;
            disk.heal();
            let next = if operation % 2 == 0 { disk.crash() } else { disk.kill() };
            if let Some(shown) = life.shown {
                let facts = Facts::clone(&open(&next).expect("it was shown").facts());
                let is_known = facts == shown || life.asked.is_some_and(|asked| asked == facts);
                assert!(is_known, "operation {operation}: {facts:?}");
            }
            assert!(live(&next).shown.is_some_and(|facts| facts.topology.is_some()), "operation {operation}");
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_may_be_tried_again_but_a_failed_rename_may_not() {
    let disk = MemoryDisk::new(3);
    let ledger = found(&disk).expect("an empty disk");
    disk.set_capacity(Some(disk.used_bytes()));
    let close = |time| ledger.update(|facts| facts.close(ArcId(1), Time(time)));
    assert!(matches!(close(5), Err(Error::Io { .. })));
    assert_eq!(ledger.facts().hlc_floor, Time::ZERO, "shown before it was durable");
    disk.set_capacity(None);
    assert_eq!(close(6).expect("there is room again").hlc_floor, Time(6));

    for kind in [OperationKind::Rename, OperationKind::SyncDir] {
        let disk = MemoryDisk::new(3);
        let ledger = found(&disk).expect("an empty disk");
        disk.fail_where(move |operation| (operation.kind == kind).then_some(Fault::Io));
        let close = |time| ledger.update(|facts| facts.close(ArcId(1), Time(time)));
        assert!(matches!(close(50), Err(Error::Undecided { .. })), "{kind:?}");
        disk.heal();
        assert!(matches!(close(51), Err(Error::Poisoned { .. })) && ledger.is_poisoned(), "{kind:?}");
        assert_eq!(ledger.facts().hlc_floor, Time::ZERO, "{kind:?}");
    }
}

#[test]
fn what_a_killed_process_left_unsynced_is_durable_before_it_is_shown() {
    for seed in 0..20 {
        let disk = MemoryDisk::new(seed);
        let ledger = found(&disk).expect("an empty disk");
        disk.fail_where(|operation| (operation.kind == OperationKind::SyncDir).then_some(Fault::Io));
        let asked = ledger.update(|facts| facts.close(ArcId(1), Time(9)));
        assert!(matches!(asked, Err(Error::Undecided { .. })));
        let killed = disk.kill();
        let shown = open(&killed).expect("it was written").facts();
        assert_eq!(open(&killed.crash()).expect("it was shown").facts(), shown, "seed {seed}");
    }
}

#[test]
#[should_panic(expected = "the incarnation goes back")]
fn an_incarnation_that_goes_back_is_a_mistake() {
    let ledger = found(&MemoryDisk::new(1)).expect("an empty disk");
    ledger.raise(1000).expect("a sound disk");
    let _ = ledger.update(|facts| facts.incarnation = Incarnation(1));
}

#[test]
fn a_broken_clock_does_not_use_up_the_incarnations() {
    let ledger = found(&MemoryDisk::new(1)).expect("an empty disk");
    let first = ledger.raise(u64::MAX).expect("a sound disk").incarnation();
    let second = ledger.raise(1_800_000_000_000).expect("a sound disk").incarnation();
    assert_eq!(second.0, first.0 + 1);
    assert!(first < Incarnation(1 << 47));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_body_with_a_right_checksum_is_refused_or_read_back_the_same(at in any::<usize>(), byte in any::<u8>()) {
        let mut body = format::encode(&sample()).split_off(24);
        let at = at % body.len();
        body[at] = byte;
        let file = format::with_head(&body);
        match format::decode(&file) {
            Ok(facts) => assert_eq!(format::encode(&facts), file, "one ledger, one encoding"),
            Err(flaw) => assert!(matches!(flaw, Flaw::Corrupt { .. })),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
        let _ = format::decode(&bytes);
        let _ = format::decode(&format::with_head(&bytes));
    }
}
