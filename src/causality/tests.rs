//! Records for tests, written as the texts do: `record(&[(actor, covered)], &[(actor, time)])` is `{live | context}`.

use crate::causality::{Actor, Context, Dot, Plan, Record, RecordView, Time, Version};

pub(super) fn dot(actor: u64, time: u64) -> Dot {
    Dot::new(Actor::from_bits(actor), Time(time))
}

pub(super) fn seen(entries: &[(u64, u64)]) -> Context {
    let mut context = Context::new();
    for &(actor, time) in entries {
        context.insert(dot(actor, time)).expect("few actors");
    }
    context
}

/// The record of these context entries and live versions; a version's payload is made from its dot.
pub(super) fn record(entries: &[(u64, u64)], live: &[(u64, u64)]) -> Record {
    let payloads: Vec<_> = live.iter().map(|(actor, time)| format!("v@{actor}:{time}")).collect();
    let version = |(&(actor, time), payload)| Version { dot: dot(actor, time), payload, expiry: None };
    let versions = live.iter().zip(payloads.iter().map(String::as_bytes)).map(version).collect();
    let record = Plan { context: seen(entries), versions }.to_record();
    assert!(RecordView::decode(record.as_bytes()).is_ok(), "a record that cannot be: {entries:?} {live:?}");
    record
}

/// Checks context and live dots of `plan`, and that its bytes say the same.
pub(super) fn check_record(plan: &Plan<'_>, entries: &[(u64, u64)], live: &[(u64, u64)]) {
    let dots = |pairs: &[(u64, u64)]| pairs.iter().map(|&(actor, time)| dot(actor, time)).collect::<Vec<_>>();
    assert_eq!(plan.context().iter().collect::<Vec<_>>(), dots(entries), "context");
    assert_eq!(plan.versions().iter().map(|version| version.dot).collect::<Vec<_>>(), dots(live), "live");
    let record = plan.to_record();
    assert_eq!(record.as_bytes().len(), plan.encoded_len(), "the length is known before");
    let view = record.view();
    assert!(view.entries().eq(plan.context().iter()), "bytes say the same context");
    assert!(view.versions().eq(plan.versions().iter().copied()), "bytes say the same versions");
}

mod properties {
    //! Random histories of one cell on three replicas, against a model that knows for every record the set of all writes
    //! that went into it. What a context says in a few numbers must be what the model says by listing.

    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use crate::causality::{
        Actor, Context, Dot, Hlc, Plan, PlanError, PurgeBounds, Record, RecordView, Time, Version, delete, merge,
        overwrite, remove_covered, replace_covered,
    };
    use crate::types::{Incarnation, NodeNumber};

    const REPLICAS: usize = 3;
    const OPEN: PurgeBounds = PurgeBounds { fence: Time::ZERO, floor: Time::ZERO };

    #[derive(Clone, Copy, Debug)]
    enum Kind {
        Set,
        Delete,
        SetCovered,
        DeleteCovered,
        Merge,
        Restart,
    }

    /// What happens at replica `at`, with the record of replica `from` as seen, token, or other side.
    #[derive(Clone, Copy, Debug)]
    struct Event {
        kind: Kind,
        at: usize,
        from: usize,
    }

    struct Write {
        dot: Dot,
        has_version: bool,
        superseded: BTreeSet<usize>,
    }

    struct Replica {
        record: Record,
        hlc: Hlc,
        incarnation: u64,
        known: BTreeSet<usize>,
    }

    /// The replicas, and every write there ever was.
    struct World {
        replicas: Vec<Replica>,
        writes: Vec<Write>,
        now_ms: u64,
        bounds: PurgeBounds,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let kind = prop_oneof![
            3 => Just(Kind::Set), 1 => Just(Kind::Delete), 3 => Just(Kind::SetCovered), 1 => Just(Kind::DeleteCovered),
            4 => Just(Kind::Merge), 1 => Just(Kind::Restart),
        ];
        vec((kind, 0..REPLICAS, 0..REPLICAS).prop_map(|(kind, at, from)| Event { kind, at, from }), 1..24)
    }

    impl World {
        fn new() -> Self {
            let empty = || Plan::unchanged(&RecordView::default()).to_record();
            let replica =
                |_| Replica { record: empty(), hlc: Hlc::new(Time::ZERO), incarnation: 1, known: BTreeSet::new() };
            World { replicas: (0..REPLICAS).map(replica).collect(), writes: vec![], now_ms: 100, bounds: OPEN }
        }

        fn run(&mut self, events: &[Event]) {
            for &event in events {
                self.now_ms += 1;
                match event.kind {
                    Kind::Merge => self.merge(event),
                    Kind::Restart => self.replicas[event.at].incarnation += 1,
                    _ => self.write(event),
                }
            }
        }

        fn merge(&mut self, Event { at, from, .. }: Event) {
            let (mine, theirs) = (self.replicas[at].record.view(), self.replicas[from].record.view());
            let merged = merge(&mine, &theirs, self.bounds).expect("few actors").plan.to_record();
            let known = self.replicas[from].known.clone();
            self.replicas[at].record = merged;
            self.replicas[at].known.extend(known);
        }

        fn write(&mut self, Event { kind, at, from }: Event) {
            let floor = self.bounds.floor;
            let mut covered = self.replicas[from].record.view().context();
            if matches!(kind, Kind::Set | Kind::Delete) {
                covered.retain(|entry| entry.time > floor);
            }
            let known = self.replicas[from].known.clone();
            let replica = &mut self.replicas[at];
            let old = replica.record.view();
            // Clocks that are apart: replica 0 lags, replica 2 runs ahead.
            let after = old.newest_time().max(covered.newest_time()).max(floor);
            let time = replica.hlc.next(self.now_ms + 20 * at as u64, after);
            let actor = Actor::new(NodeNumber(at as u16 + 1), Incarnation(replica.incarnation));
            let version = Version { dot: Dot::new(actor, time), payload: b"payload", expiry: None };
            let written = match write(kind, &old, &covered, (floor, version)) {
                Err(PlanError::Siblings) => return,
                plan => plan.expect("few actors").to_record(),
            };
            let mut superseded = known.clone();
            if matches!(kind, Kind::Set | Kind::Delete) {
                superseded.extend(replica.known.iter().copied());
            }
            replica.record = written;
            replica.known.extend(known);
            replica.known.insert(self.writes.len());
            let has_version = matches!(kind, Kind::Set | Kind::SetCovered);
            self.writes.push(Write { dot: version.dot, has_version, superseded });
        }

        /// The dots live in replica `at`, as the model says.
        fn live(&self, at: usize) -> Vec<Dot> {
            let known = &self.replicas[at].known;
            let gone: BTreeSet<_> = known.iter().flat_map(|&write| &self.writes[write].superseded).collect();
            let live = known.iter().filter(|&write| !gone.contains(write) && self.writes[*write].has_version);
            let mut live: Vec<_> = live.map(|&write| self.writes[write].dot).collect();
            live.sort_unstable();
            live
        }

        fn live_in_record(&self, at: usize) -> Vec<Dot> {
            self.replicas[at].record.view().versions().map(|version| version.dot).collect()
        }

        /// What a digest shows of a context: the entries above the floor.
        fn above(&self, at: usize, floor: Time) -> Vec<Dot> {
            self.replicas[at].record.view().entries().filter(|entry| entry.time > floor).collect()
        }
    }

    fn write<'a>(
        kind: Kind,
        old: &RecordView<'a>,
        covered: &Context,
        (floor, version): (Time, Version<'a>),
    ) -> Result<Plan<'a>, PlanError> {
        match kind {
            Kind::Set => overwrite(old, covered, floor, version),
            Kind::Delete => delete(old, covered, floor, version.dot),
            Kind::SetCovered => replace_covered(old, covered, floor, version),
            _ => remove_covered(old, covered, floor, version.dot),
        }
    }

    fn merged(left: &Record, right: &Record) -> Record {
        merge(&left.view(), &right.view(), OPEN).expect("few actors").plan.to_record()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_context_covers_exactly_what_went_into_the_record(events in events()) {
            let mut world = World::new();
            for event in events {
                world.run(&[event]);
                for at in 0..REPLICAS {
                    prop_assert_eq!(world.live_in_record(at), world.live(at), "live versions of replica {}", at);
                    let replica = &world.replicas[at];
                    for (index, write) in world.writes.iter().enumerate() {
                        let covered = replica.record.view().covers(write.dot);
                        prop_assert_eq!(covered, replica.known.contains(&index), "I1: {} at replica {}", write.dot, at);
                    }
                }
            }
        }

        #[test]
        fn merging_commutes_associates_and_repeats_without_effect(events in events()) {
            let mut world = World::new();
            world.run(&events);
            let [a, b, c] = [0, 1, 2].map(|at| world.replicas[at].record.clone());
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            let both = merged(&a, &b);
            prop_assert_eq!(merged(&both, &a), both.clone());
            let plan = merge(&a.view(), &b.view(), OPEN).expect("few actors").plan;
            prop_assert_eq!(plan.adds_to(&a.view()), both != a);
        }

        #[test]
        fn cutting_contexts_never_shows(before in events(), after in events()) {
            let [mut whole, mut cut] = [World::new(), World::new()];
            for world in [&mut whole, &mut cut] {
                world.run(&before);
                // What has to hold before a floor is declared: every member has what any member had up to then.
                for _ in 0..2 {
                    for (at, from) in [(0, 1), (1, 2), (2, 0), (0, 1)] {
                        world.merge(Event { kind: Kind::Merge, at, from });
                    }
                }
                let floor = world.replicas[0].record.view().newest_time();
                prop_assert!(world.replicas.iter().all(|replica| replica.record == world.replicas[0].record));
                world.replicas.iter().for_each(|replica| replica.hlc.pass(floor));
            }
            let floor = cut.replicas[0].record.view().newest_time();
            cut.bounds = PurgeBounds { fence: floor, floor };
            for event in after {
                whole.run(&[event]);
                cut.run(&[event]);
                for at in 0..REPLICAS {
                    prop_assert_eq!(cut.live_in_record(at), whole.live_in_record(at), "live at replica {}", at);
                    prop_assert_eq!(cut.above(at, floor), whole.above(at, floor), "seen at replica {}", at);
                }
            }
        }
    }
}
