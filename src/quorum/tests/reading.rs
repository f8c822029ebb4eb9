//! The core of a read, against members that hold records of a random history, answer in any order, fail, and ignore.

use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, TestCaseError, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use crate::causality::{Context, Record, Time};
use crate::quorum::tests::{blind, lists, live, merged, node, nodes, nothing, seats, set};
use crate::quorum::{Ask, Digest, Form, Level, ReadAction, ReadQuorum, Reading, Requirement, Standing};
use crate::types::{Epoch, NodeNumber};

const NOW: Epoch = Epoch(3);

/// The members of an arc, each with its record, and what is under way to and from them.
struct World {
    records: Vec<Record>,
    asks: Vec<Ask>,
    writes: Vec<NodeNumber>,
    done: Option<Vec<NodeNumber>>,
    gave_up: bool,
}

impl World {
    fn new(records: Vec<Record>) -> Self {
        World { records, asks: Vec::new(), writes: Vec::new(), done: None, gave_up: false }
    }

    fn follow(&mut self, action: ReadAction) {
        match action {
            ReadAction::Wait => {}
            ReadAction::Ask(asks) => self.asks.extend(asks),
            ReadAction::WriteBack(to) => self.writes.extend(to),
            ReadAction::Done(behind) if self.done.is_none() => self.done = Some(behind),
            ReadAction::Done(_) => {}
            ReadAction::GiveUp => self.gave_up = true,
            ReadAction::Refuse(error) => panic!("{error}"),
        }
    }

    fn record(&mut self, at: NodeNumber) -> &mut Record {
        &mut self.records[usize::from(at.0) - 1]
    }

    fn answer(&mut self, read: &mut ReadQuorum, ask: Ask) {
        let hlc = Time(u64::from(ask.node.0));
        let record = self.record(ask.node).clone();
        let action = match ask.form {
            Form::Digest => read.digest(ask.node, NOW, Digest::of(&record.view(), Time::ZERO, hlc)),
            Form::Record => read.record(ask.node, NOW, Reading { record, floor: Time::ZERO, hlc }),
        };
        self.follow(action);
    }

    fn store(&mut self, read: &mut ReadQuorum, to: NodeNumber) {
        let merging = read.merged().expect("what is written was merged").clone();
        let record = self.record(to);
        *record = merged(record, &merging);
        let action = read.stored(to, NOW);
        self.follow(action);
    }

    /// Lets everything happen, in the order in which it was asked for.
    fn run(&mut self, read: &mut ReadQuorum) {
        while self.done.is_none() && !self.gave_up {
            if let Some(to) = self.writes.pop() {
                self.store(read, to);
            } else if !self.asks.is_empty() {
                let ask = self.asks.remove(0);
                self.answer(read, ask);
            } else {
                return;
            }
        }
    }
}

/// A write at one member, which has seen that member's record, and reaches some others.
#[derive(Clone, Debug)]
struct Written {
    at: usize,
    reaches: Vec<bool>,
}

fn history() -> impl Strategy<Value = Vec<Written>> {
    vec((0..5_usize, vec(proptest::bool::ANY, 5)).prop_map(|(at, reaches)| Written { at, reaches }), 0..6)
}

fn play(history: &[Written]) -> Vec<Record> {
    let mut records = vec![nothing(); 5];
    for (time, Written { at, reaches }) in history.iter().enumerate() {
        let written = blind(&records[*at], (*at as u64 + 1, time as u64 + 10));
        for (index, record) in records.iter_mut().enumerate() {
            if index == *at || reaches[index] {
                *record = merged(record, &written);
            }
        }
    }
    records
}

/// What may happen next: each takes the thing under way that the number picks.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Answer(usize),
    Store(usize),
    Lose(usize),
    Ignore(usize),
    Hedge,
    Again(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    let any = 0..8_usize;
    prop_oneof![
        6 => any.clone().prop_map(Happening::Answer),
        6 => any.clone().prop_map(Happening::Store),
        1 => any.clone().prop_map(Happening::Lose),
        1 => any.clone().prop_map(Happening::Ignore),
        1 => Just(Happening::Hedge),
        1 => any.prop_map(Happening::Again),
    ]
}

fn happen(world: &mut World, read: &mut ReadQuorum, happening: Happening) {
    let pick = |count: usize, at: usize| (count > 0).then(|| at % count);
    match happening {
        Happening::Answer(at) => {
            if let Some(index) = pick(world.asks.len(), at) {
                let ask = world.asks.remove(index);
                world.answer(read, ask);
            }
        }
        Happening::Store(at) => {
            if let Some(index) = pick(world.writes.len(), at) {
                let to = world.writes.remove(index);
                world.store(read, to);
            }
        }
        Happening::Lose(at) => {
            if let Some(index) = pick(world.asks.len(), at) {
                let ask = world.asks.remove(index);
                world.follow(read.failed(ask.node));
            }
        }
        Happening::Ignore(at) => {
            if let Some(index) = pick(world.writes.len(), at) {
                let to = world.writes.remove(index);
                world.follow(read.failed(to));
            }
        }
        Happening::Hedge => world.asks.extend(read.hedge()),
        // A duplicate, a message of another epoch, one of a stranger.
        Happening::Again(at) => {
            let from = node(at as u16 + 1);
            world.follow(read.stored(from, Epoch(2)));
            world.follow(read.digest(from, Epoch(4), Digest::default()));
            world.follow(read.failed(node(99)));
        }
    }
}

fn check(world: &World, read: &ReadQuorum, start: &[Record], requirement: &Requirement) -> Result<(), TestCaseError> {
    if world.done.is_none() {
        return Ok(());
    }
    let answer = read.merged().expect("a read that is done has an answer");
    let holds = |record: &Record| merged(record, answer).as_bytes() == record.as_bytes();
    let holders = (1..=5).map(node).filter(|at| holds(&world.records[usize::from(at.0) - 1]));
    let none = requirement.set_of([]);
    prop_assert_eq!(requirement.standing(requirement.set_of(holders), none), Standing::Met, "not held by enough");
    // Whatever a majority of each list held at the start is in the answer.
    for (at, record) in start.iter().enumerate() {
        let others = start.iter().enumerate().filter(|(_, other)| merged(other, record).as_bytes() == other.as_bytes());
        let held = requirement.set_of(others.map(|(index, _)| node(index as u16 + 1)));
        if requirement.standing(held, none) == Standing::Met {
            prop_assert!(merged(answer, record).as_bytes() == answer.as_bytes(), "{at} had what a majority held");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_a_read_answers_is_held_by_enough_and_has_what_was_acknowledged(
        history in history(),
        moves in proptest::bool::ANY,
        order in Just(nodes(&[1, 2, 3, 4, 5])).prop_shuffle(),
        happenings in vec(happening(), 0..40),
    ) {
        let (now, next) = (seats(&[1, 2, 3]), seats(&[2, 4, 5]));
        let requirement = Requirement::new(Level::Quorum, lists(&now, moves.then_some(&next)));
        let start = play(&history);
        let mut world = World::new(start.clone());
        let mut read = ReadQuorum::new(requirement.clone(), NOW, &order);
        world.follow(read.begin());
        for happening in happenings {
            if world.gave_up {
                break;
            }
            happen(&mut world, &mut read, happening);
            check(&world, &read, &start, &requirement)?;
        }
        let failed_before = world.gave_up;
        world.run(&mut read);
        check(&world, &read, &start, &requirement)?;
        prop_assert!(failed_before || world.gave_up || world.done.is_some(), "it neither waits for anything nor ends");
    }

    #[test]
    fn without_failures_every_read_ends_and_says_the_merge_of_all_it_asked(
        history in history(),
        level in (0..Level::NAMED.len()).prop_map(|index| Level::NAMED[index]),
        order in Just(nodes(&[1, 2, 3])).prop_shuffle(),
    ) {
        let now = seats(&[1, 2, 3]);
        let requirement = Requirement::new(level, lists(&now, None));
        let mut world = World::new(play(&history));
        let mut read = ReadQuorum::new(requirement.clone(), NOW, &order);
        let first = read.begin();
        let ReadAction::Ask(asks) = &first else { panic!("{first:?}") };
        let together = asks.iter().fold(nothing(), |all, ask| merged(&all, world.record(ask.node)));
        prop_assert_eq!((asks[0].form, asks.iter().filter(|ask| ask.form == Form::Record).count()), (Form::Record, 1));
        world.follow(first);
        world.run(&mut read);
        prop_assert!(world.done.is_some());
        let answer = read.merged().expect("an answer");
        prop_assert_eq!(live(answer), live(&together));
        prop_assert_eq!(merged(answer, &together), together);
    }
}

fn start(records: Vec<Record>, level: Level) -> (World, ReadQuorum) {
    let three = seats(&[1, 2, 3]);
    let requirement = Requirement::new(level, lists(&three, None));
    let mut read = ReadQuorum::new(requirement, NOW, &nodes(&[1, 2, 3]));
    let mut world = World::new(records);
    let first = read.begin();
    world.follow(first);
    (world, read)
}

#[test]
fn equal_answers_end_a_read_in_one_round() {
    let record = blind(&nothing(), (1, 5));
    let (mut world, mut read) = start(vec![record.clone(), record.clone(), nothing()], Level::Quorum);
    assert_eq!(world.asks.len(), 2);
    world.run(&mut read);
    assert_eq!((world.done.as_deref(), world.writes.len()), (Some(&[][..]), 0));
    assert_eq!((read.merged(), read.judged_at(Time(1))), (Some(&record), Time(2)), "the greatest of the clocks");
}

#[test]
fn a_member_that_includes_all_others_is_asked_for_its_record_alone() {
    let old = blind(&nothing(), (1, 5));
    let new = blind(&old, (2, 9));
    let (mut world, mut read) = start(vec![old, new.clone(), nothing()], Level::Quorum);
    let ask = world.asks.remove(0);
    world.answer(&mut read, ask);
    let ask = world.asks.remove(0);
    world.answer(&mut read, ask);
    assert_eq!(world.asks, [Ask { node: node(2), form: Form::Record }]);
    let ask = world.asks.remove(0);
    world.answer(&mut read, ask);
    assert_eq!((world.writes.clone(), read.merged()), (nodes(&[1]), Some(&new)));
    assert_eq!(
        read.timeout(7).to_string(),
        "read got its answers, but what it found was held by 1 of 2 replicas after 7 ms"
    );
    world.run(&mut read);
    assert!(world.done.is_some());
}

#[test]
fn ignored_does_not_count_and_a_further_member_is_written_to() {
    let (one, other) = (blind(&nothing(), (1, 5)), blind(&nothing(), (2, 6)));
    let (mut world, mut read) = start(vec![one, other, nothing()], Level::Quorum);
    while world.writes.is_empty() {
        let ask = world.asks.remove(0);
        world.answer(&mut read, ask);
    }
    assert_eq!(std::mem::take(&mut world.writes), nodes(&[1, 2]), "neither has both siblings");
    world.follow(read.stored(node(1), NOW));
    assert_eq!(world.done, None);
    world.follow(read.failed(node(2)));
    assert_eq!((world.writes.clone(), world.done.clone()), (nodes(&[3]), None));
    let mut lost = read.clone();
    assert_eq!(lost.failed(node(3)), ReadAction::GiveUp);
    world.follow(read.stored(node(3), NOW));
    assert_eq!(world.done, Some(vec![]));
}

#[test]
fn a_slow_member_is_stood_in_for_and_repaired_when_it_answers() {
    let record = blind(&nothing(), (1, 5));
    let (mut world, mut read) = start(vec![nothing(), record.clone(), record.clone()], Level::Quorum);
    let ask = world.asks.remove(1);
    world.answer(&mut read, ask);
    assert_eq!(read.hedge(), Some(Ask { node: node(3), form: Form::Digest }));
    assert_eq!(read.hedge(), None, "nobody is left");
    world.answer(&mut read, Ask { node: node(3), form: Form::Digest });
    assert_eq!(world.asks, [Ask { node: node(1), form: Form::Record }, Ask { node: node(2), form: Form::Record }]);
    world.answer(&mut read, Ask { node: node(2), form: Form::Record });
    assert_eq!((world.done.as_deref(), read.merged()), (Some(&[][..]), Some(&record)));
    let late = Reading { record: nothing(), floor: Time::ZERO, hlc: Time(1) };
    assert_eq!(read.record(node(1), NOW, late), ReadAction::Done(nodes(&[1])), "it lacks what was read");
}

#[test]
fn digests_are_compared_above_the_greater_floor() {
    let old = blind(&nothing(), (1, 5));
    let kept = set(&old, &Context::new(), (2, 9));
    // One replica has purged the entry of actor 1, the other has not yet.
    let full = Digest::of(&kept.view(), Time::ZERO, Time::ZERO);
    let cut = Digest::of(&kept.view(), Time(6), Time::ZERO);
    assert!(full != cut && full.says_same(&cut) && cut.says_same(&full) && cut.includes(&full));
    let older = Digest::of(&old.view(), Time::ZERO, Time::ZERO);
    assert!(full.includes(&older) && !older.includes(&full) && !older.says_same(&full));
}
