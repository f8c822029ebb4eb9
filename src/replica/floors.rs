//! How far purging has come on each arc: fences and floors, and what compaction may take away because of it.
//!
//! Made from the ledger before the engine opens, because compaction may run before there is a replica; shared by the two.
//!
//! Invariant: a floor shown here is durable in the ledger.
//! Invariant: compaction never changes a counter, so only records without versions go, and versions never change. What
//! expired or was flushed still counts, and is left to whoever takes it out by a write, with its counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::causality::{Purged, RecordView, Time, purge};
use crate::ledger::Facts;
use crate::replica::key::key_head;
use crate::storage::{Depth, Filter, Judgement};
use crate::types::{ArcId, ArcLayout};

/// The purge floor of every arc.
#[derive(Debug)]
pub struct PurgeFloors {
    layout: ArcLayout,
    floors: Box<[AtomicU64]>,
    fences: Box<[AtomicU64]>,
}

impl PurgeFloors {
    /// The floors that the ledger knows.
    #[must_use]
    pub fn new(facts: &Facts) -> Arc<PurgeFloors> {
        let arcs = || (0..facts.layout.arcs()).map(|arc| facts.arc(ArcId(arc)));
        Arc::new(PurgeFloors {
            layout: facts.layout,
            floors: arcs().map(|arc| AtomicU64::new(arc.floor.0)).collect(),
            fences: arcs().map(|arc| AtomicU64::new(arc.fence.0)).collect(),
        })
    }

    /// The floor of `arc`: every member is known to have fenced at this time.
    #[inline]
    #[must_use]
    pub fn of(&self, arc: ArcId) -> Time {
        self.floors.get(usize::from(arc.0)).map_or(Time::ZERO, |floor| Time(floor.load(Ordering::Acquire)))
    }

    /// The fence of `arc`: versions that are not known here and not later are refused.
    #[must_use]
    pub fn fence_of(&self, arc: ArcId) -> Time {
        self.fences.get(usize::from(arc.0)).map_or(Time::ZERO, |fence| Time(fence.load(Ordering::Acquire)))
    }

    /// Shows a floor that the ledger has, and the fence that is not below it.
    pub(super) fn raise(&self, arc: ArcId, time: Time) {
        if let Some(fence) = self.fences.get(usize::from(arc.0)) {
            fence.fetch_max(time.0, Ordering::AcqRel);
        }
        if let Some(floor) = self.floors.get(usize::from(arc.0)) {
            floor.fetch_max(time.0, Ordering::AcqRel);
        }
    }
}

impl Filter for PurgeFloors {
    fn judge(&self, key: &[u8], value: &[u8], depth: Depth) -> Judgement {
        let Some((slot, _)) = key_head(key) else { return Judgement::Keep };
        // What cannot be read is kept as it is: reading it tells.
        let Ok(record) = RecordView::decode(value) else { return Judgement::Keep };
        match purge(&record, self.of(self.layout.arc_of(slot))) {
            Purged::Nothing if depth == Depth::Deepest => Judgement::Drop,
            Purged::Unchanged | Purged::Nothing => Judgement::Keep,
            Purged::Less(plan) => Judgement::Replace(plan.to_record().into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PurgeFloors;
    use crate::causality::{Actor, Context, Dot, Record, RecordView, Time, Version, delete, overwrite};
    use crate::env::memory::MemoryMachine;
    use crate::ledger::Ledger;
    use crate::replica::key::encode_key;
    use crate::storage::{Depth, Filter, Judgement};
    use crate::types::{ArcId, ArcLayout, Database, slot_of};
    use std::path::Path;

    fn write(old: &Record, actor: u64, time: u64) -> Record {
        let version = Version { dot: dot(actor, time), payload: b"v", expiry: None };
        overwrite(&old.view(), &Context::new(), Time::ZERO, version).expect("room").to_record()
    }

    fn dot(actor: u64, time: u64) -> Dot {
        Dot::new(Actor::from_bits(actor), Time(time))
    }

    #[test]
    fn only_what_every_member_has_deleted_goes_and_only_where_nothing_lies_below() {
        let (env, layout) = (MemoryMachine::new(1).env(), ArcLayout::default());
        let ledger = Ledger::found(env.disk.clone(), &*env.random, Path::new("data"), layout).expect("an empty disk");
        let floors = PurgeFloors::new(&ledger.facts());
        floors.raise(layout.arc_of(slot_of(b"k")), Time(10));
        let other = "other";
        assert_ne!(layout.arc_of(slot_of(other.as_bytes())), layout.arc_of(slot_of(b"k")));
        let none = Record::decode(vec![0, 0, 0]).expect("the empty record");
        let written = write(&none, 1, 5);
        let deleted =
            |time| delete(&written.view(), &Context::new(), Time::ZERO, dot(2, time)).expect("room").to_record();
        let restarted = |time| write(&written, 2, time);
        let judge = |name: &str, record: &Record, depth| {
            let mut key = Vec::new();
            encode_key(Database(0), name.as_bytes(), &mut key);
            floors.judge(&key, record.as_bytes(), depth)
        };
        for (record, deepest, above) in [
            (&none, Judgement::Drop, Judgement::Keep),
            (&written, Judgement::Keep, Judgement::Keep),
            (&deleted(10), Judgement::Drop, Judgement::Keep),
            (&deleted(11), Judgement::Keep, Judgement::Keep),
            (&restarted(11), Judgement::Keep, Judgement::Keep),
        ] {
            assert_eq!(judge("k", record, Depth::Deepest), deepest, "{:?}", record.view());
            assert_eq!(judge("k", record, Depth::Above), above, "{:?}", record.view());
            if record != &none {
                assert_eq!(judge(other, record, Depth::Deepest), Judgement::Keep, "the other arc has no floor");
            }
        }
        for depth in [Depth::Deepest, Depth::Above] {
            let Judgement::Replace(bytes) = judge("k", &restarted(10), depth) else { panic!("nothing was cut") };
            let cut = RecordView::decode(&bytes).expect("a record");
            assert_eq!(cut.entries().collect::<Vec<_>>(), [dot(2, 10)]);
            assert_eq!(cut.presence(), restarted(10).view().presence());
        }
        assert_eq!(floors.judge(b"\0", b"", Depth::Deepest), Judgement::Keep);
        assert_eq!(floors.judge(b"\xff\xff\0", written.as_bytes(), Depth::Deepest), Judgement::Keep);
        assert_eq!(floors.of(ArcId(u16::MAX)), Time::ZERO);
    }
}
