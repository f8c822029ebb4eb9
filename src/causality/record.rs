//! Reading records: a view over encoded bytes that copies and allocates nothing, and an owner of such bytes.
//!
//! A view is checked once, when it is made; after that nothing it does can fail. Views of a record that does not exist, of a
//! record without entries and of the default value are equal: the cell was never written, or that has been purged.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::causality::format::{self, EXPIRES, Entry, SINGLE, entry_dot};
use crate::causality::{Actor, Context, Dot, Expiry, FormatError, Presence, Time};
use crate::codec::Reader;

/// One live version of a record. It never changes: the same dot always means the same payload and expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version<'a> {
    /// The write that made it.
    pub dot: Dot,
    /// The value's bytes.
    pub payload: &'a [u8],
    /// When it expires, in milliseconds since the Unix epoch; `None` if never.
    pub expiry: Option<u64>,
}

impl Version<'_> {
    /// Whether it has expired at `at_ms`.
    #[inline]
    #[must_use]
    pub fn is_expired(&self, at_ms: u64) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= at_ms)
    }
}

/// An encoded record, checked and readable in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordView<'a> {
    context: &'a [Entry],
    versions: Versions<'a>,
}

impl<'a> RecordView<'a> {
    /// Checks `bytes` and makes them readable.
    ///
    /// # Errors
    /// [`FormatError`] if they are no record; nothing is allocated, whatever they say.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes);
        let flags = reader.u8()?;
        if flags & SINGLE != 0 {
            return Self::decode_single(reader, flags);
        }
        if flags != 0 {
            return Err(FormatError::Flags { flags });
        }
        let context = format::read_context(&mut reader)?;
        let listed = format::read_versions(&mut reader, context)?;
        let versions = Versions { single: None, listed: Reader::new(listed), context, flushed: Time::ZERO };
        Ok(RecordView { context, versions })
    }

    /// The record of a cell as the engine has it: of no bytes at all if the cell was never written.
    ///
    /// # Errors
    /// [`FormatError`] if there are bytes and they are no record.
    #[inline]
    pub fn of(bytes: Option<&'a [u8]>) -> Result<Self, FormatError> {
        bytes.map_or(Ok(RecordView::default()), RecordView::decode)
    }

    #[inline]
    fn decode_single(mut reader: Reader<'a>, flags: u8) -> Result<Self, FormatError> {
        if flags & !(SINGLE | EXPIRES) != 0 {
            return Err(FormatError::Flags { flags });
        }
        let context = format::read_entry(&mut reader)?;
        let expiry = if flags & EXPIRES != 0 { Some(reader.u64()?) } else { None };
        let dot = context.first().map(entry_dot).unwrap_or_default();
        let single = Some(Version { dot, payload: reader.rest(), expiry });
        let versions = Versions { single, listed: Reader::new(&[]), context, flushed: Time::ZERO };
        Ok(RecordView { context, versions })
    }

    /// The same record as it is after its database was flushed at `time`: versions up to then are gone, their dots stay
    /// covered. Everything that is done with the result sees it so.
    #[must_use]
    pub fn after_flush(mut self, time: Time) -> Self {
        self.versions.flushed = self.versions.flushed.max(time);
        self
    }

    /// The live versions in order of dots.
    #[inline]
    #[must_use]
    pub fn versions(&self) -> Versions<'a> {
        self.versions
    }

    /// The context's entries in order of actors.
    #[inline]
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Dot> + Clone + use<'a> {
        self.context.iter().map(entry_dot)
    }

    /// The context as a value of its own.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::from_checked(self.entries())
    }

    /// The greatest time covered of `actor`; zero if none is.
    #[must_use]
    pub fn time_of(&self, actor: Actor) -> Time {
        let found = self.context.binary_search_by_key(&actor, |entry| entry_dot(entry).actor);
        found.ok().and_then(|index| self.context.get(index)).map_or(Time::ZERO, |entry| entry_dot(entry).time)
    }

    /// Whether the write `dot` has been seen: its version is here, or superseded, or has expired.
    #[must_use]
    pub fn covers(&self, dot: Dot) -> bool {
        dot.time <= self.time_of(dot.actor)
    }

    /// What a plain read shows at `at_ms`: the unexpired version that is greatest by (time, actor).
    #[inline]
    #[must_use]
    pub fn winner(&self, at_ms: u64) -> Option<Version<'a>> {
        self.unexpired(at_ms).max_by_key(|version| version.dot.age())
    }

    /// The versions that have not expired at `at_ms`, in order of dots.
    #[inline]
    pub fn unexpired(&self, at_ms: u64) -> impl Iterator<Item = Version<'a>> + Clone + use<'a> {
        self.versions().filter(move |version| !version.is_expired(at_ms))
    }

    /// The newest write seen, by (time, actor), whether or not a version is left of it. A new dot has to lie after it.
    #[must_use]
    pub fn newest_dot(&self) -> Option<Dot> {
        self.entries().max_by_key(|dot| dot.age())
    }

    /// The time of the newest write seen; zero if there is none.
    #[inline]
    #[must_use]
    pub fn newest_time(&self) -> Time {
        self.entries().map(|dot| dot.time).max().unwrap_or(Time::ZERO)
    }

    /// The earliest expiry of a live version, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn earliest_expiry(&self) -> Option<u64> {
        self.versions().filter_map(|version| version.expiry).min()
    }

    /// Whether no version is live: deleted, reaped, or never written.
    #[inline]
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.versions().next().is_none()
    }

    /// What the counters of keys and expiries hold of this record.
    #[must_use]
    pub fn presence(&self) -> Presence {
        Presence::of(self.versions())
    }

    /// A number that changes whenever a write, a merge or an expiry changes which versions are unexpired at `at_ms`; zero if
    /// none is. With [`RecordView::newest_time`], which every write raises, it tells `WATCH` of every change, while what
    /// reaping and purging take away, which nobody can see, changes neither.
    #[must_use]
    pub fn fingerprint(&self, at_ms: u64) -> u64 {
        self.unexpired(at_ms).fold(0, |seed, version| {
            let mut entry = [0; format::ENTRY_BYTES];
            let (actor, time) = entry.split_at_mut(8);
            let Dot { actor: from, time: at } = version.dot;
            actor.copy_from_slice(&from.bits().to_le_bytes());
            time.copy_from_slice(&at.0.to_le_bytes());
            xxh3_64_with_seed(&entry, seed)
        })
    }
}

/// The live versions of a record in order of dots.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    single: Option<Version<'a>>,
    listed: Reader<'a>,
    context: &'a [Entry],
    flushed: Time,
}

impl Default for Versions<'_> {
    fn default() -> Self {
        Versions { single: None, listed: Reader::new(&[]), context: &[], flushed: Time::ZERO }
    }
}

impl<'a> Iterator for Versions<'a> {
    type Item = Version<'a>;

    #[inline]
    fn next(&mut self) -> Option<Version<'a>> {
        if let Some(version) = self.single.take() {
            return (version.dot.time > self.flushed).then_some(version);
        }
        while !self.listed.is_empty() {
            // Cannot fail: the view was checked when it was made.
            let version = format::read_version(&mut self.listed, self.context).ok()?;
            if version.dot.time > self.flushed {
                return Some(version);
            }
        }
        None
    }
}

/// A record that owns its bytes: what is sent, kept across a wait, or read from a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    bytes: Vec<u8>,
}

impl Record {
    /// Checks `bytes` and keeps them.
    ///
    /// # Errors
    /// [`FormatError`] if they are no record.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, FormatError> {
        RecordView::decode(&bytes)?;
        Ok(Record { bytes })
    }

    /// A record of bytes that a plan has just encoded.
    pub(super) fn of_encoded(bytes: Vec<u8>) -> Self {
        Record { bytes }
    }

    /// The record, readable in place.
    ///
    /// # Panics
    /// Never: the bytes were checked, or written by this module.
    #[must_use]
    pub fn view(&self) -> RecordView<'_> {
        RecordView::decode(&self.bytes).expect("the bytes were checked when the record was made")
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded bytes, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Presence {
    /// What counters hold of a record with these live versions.
    pub(super) fn of<'a>(versions: impl Iterator<Item = Version<'a>>) -> Presence {
        versions.fold(Presence::default(), |presence, version| {
            let own = version.expiry.map(|at_ms| Expiry { at_ms, written: version.dot.time });
            let earliest = [presence.expiry, own].into_iter().flatten().min();
            Presence { is_live: true, expiry: earliest }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, RecordView, Version};
    use crate::causality::tests::{dot, record, seen};
    use crate::causality::{
        Expiry, FormatError, MAX_ACTORS, Plan, Presence, PurgeBounds, Time, merge, overwrite, replace_covered,
    };
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, proptest};

    /// Lines of a name, a blank and the bytes in hexadecimal digits.
    const GOLDEN: &str = include_str!("../../tests/data/records.txt");

    fn version(actor: u64, time: u64, expiry: Option<u64>) -> Version<'static> {
        Version { dot: dot(actor, time), payload: b"value", expiry }
    }

    fn samples() -> Vec<(&'static str, Record)> {
        let after = |old: &Record, version| {
            let plan = replace_covered(&old.view(), &seen(&[]), Time::ZERO, version);
            plan.expect("room").to_record()
        };
        let node_2 = (2 << 48) | 1_800_000_000_000;
        let none = record(&[], &[]);
        let single = after(&none, version(node_2, 1_800_000_000_123 << 16, None));
        let siblings = after(&after(&none, version(1, 5, None)), version(2, 9, Some(77)));
        let older = after(&siblings, version(1, 11, None));
        vec![
            ("never-written", none.clone()),
            ("single", single),
            ("single-expiring", after(&none, version(1, 5, Some(1_800_000_000_500)))),
            ("tombstone", record(&[(1, 5), (2, 9)], &[])),
            ("after-restart", record(&[(1, 5), (2, 9)], &[(2, 9)])),
            ("siblings", siblings),
            ("older-sibling-of-one-actor", older),
            ("one-older-version", record(&[(1, 8)], &[(1, 3)])),
        ]
    }

    #[test]
    fn records_keep_the_bytes_they_always_had() {
        let hex = |record: &Record| record.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let written: String = samples().iter().map(|(name, record)| format!("{name} {}\n", hex(record))).collect();
        assert_eq!(written, GOLDEN, "a stored record would no longer be read: this needs a new flag");
        assert_eq!(samples()[1].1.as_bytes().len(), 17 + b"value".len());
    }

    #[test]
    fn every_cut_and_every_unknown_flag_is_refused() {
        for (name, record) in samples() {
            let bytes = record.as_bytes();
            let head = if bytes[0] & 1 == 0 { bytes.len() } else { bytes.len() - b"value".len() };
            for end in 0..head {
                assert!(RecordView::decode(&bytes[..end]).is_err(), "{name} cut at {end}");
            }
            for flag in [2, 4, 8, 16, 32, 64, 128].into_iter().filter(|flag| bytes[0] & 1 == 0 || *flag != 2) {
                let mut changed = bytes.to_vec();
                changed[0] |= flag;
                let refused = RecordView::decode(&changed).expect_err(name);
                assert_eq!(refused, FormatError::Flags { flags: changed[0] }, "{name}");
            }
        }
    }

    #[test]
    fn what_no_writer_writes_is_refused() {
        let entry = |actor: u64, time: u64| [actor.to_le_bytes(), time.to_le_bytes()].concat();
        let check = |parts: &[&[u8]], what: &str| {
            let refused = RecordView::decode(&parts.concat()).expect_err(what).to_string();
            assert!(refused.contains(what), "{refused}");
        };
        check(&[&[0, 2], &entry(2, 1), &entry(1, 1), &[0]], "actors out of order");
        check(&[&[0, 2], &entry(1, 1), &entry(1, 2), &[0]], "actors out of order");
        check(&[&[0, 1], &entry(1, 0), &[0]], "no clock gives");
        check(&[&[1], &entry(1, u64::MAX)], "no clock gives");
        check(&[&[0, 1], &entry(1, 1), &[1, 0, 0]], "longer than its shortest form");
        check(&[&[0, 1], &entry(1, 1), &[1, 4, 0]], "the context lacks");
        check(&[&[0, 1], &entry(1, 1), &[1, 1], &9u64.to_le_bytes(), &[0]], "does not cover");
        check(&[&[0, 2], &entry(1, 1), &entry(2, 1), &[2, 4, 0, 0, 0]], "versions out of order");
        check(&[&[0, 0, 0, 0]], "1 bytes too many");
        check(&[&[0, 0x81, 4]], "announces 513 actors, at most 512 are allowed");
        check(&[&[0, 0, 0x81, 4]], "announces 513 versions, at most 512 are allowed");
        check(&[&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]], "announces 18446744073709551615");
        check(&[&[0, 1], &entry(1, 1), &[1, 0, 0xff, 0xff, 3]], "ends at offset");
        check(&[&[]], "ends at offset 0");
    }

    #[test]
    fn the_greatest_unexpired_version_wins() {
        let mut current = record(&[], &[]);
        for version in [version(3, 5, None), version(2, 5, None), version(1, 9, Some(100))] {
            // Written elsewhere, by nodes that had not heard of each other, and merged here.
            let one = overwrite(&RecordView::default(), &seen(&[]), Time::ZERO, version).expect("room").to_record();
            let both = merge(&current.view(), &one.view(), PurgeBounds::default()).expect("room").plan.to_record();
            current = both;
        }
        let view = current.view();
        let winner = |at_ms| view.winner(at_ms).map(|version| version.dot);
        assert_eq!((winner(99), winner(100)), (Some(dot(1, 9)), Some(dot(3, 5))));
        assert_eq!((view.newest_dot(), view.newest_time()), (Some(dot(1, 9)), Time(9)));
        assert_eq!((view.earliest_expiry(), view.unexpired(100).count()), (Some(100), 2));
        let expiry = Some(Expiry { at_ms: 100, written: Time(9) });
        assert_eq!(view.presence(), Presence { is_live: true, expiry });
        assert_eq!(view.after_flush(Time(5)).versions().count(), 1);
        assert!(view.after_flush(Time(9)).is_tombstone());
        let none = RecordView::of(None).expect("nothing is read");
        assert_eq!((none.winner(0), none.newest_dot(), none.presence()), (None, None, Presence::default()));
    }

    #[test]
    fn a_fingerprint_changes_with_what_a_reader_can_see() {
        let print = |entries: &[(u64, u64)], live: &[(u64, u64)]| record(entries, live).view().fingerprint(0);
        let siblings = print(&[(1, 5), (2, 9)], &[(1, 5), (2, 9)]);
        let mut prints =
            vec![print(&[(1, 5)], &[]), print(&[(1, 5)], &[(1, 5)]), print(&[(2, 9)], &[(2, 9)]), siblings];
        assert_eq!(print(&[(1, 5), (2, 9)], &[(1, 5)]), prints[1], "purging a context is no change");
        assert_eq!(record(&[(1, 5)], &[(1, 5)]).view().after_flush(Time(9)).fingerprint(0), 0, "as good as gone");
        let expiring =
            overwrite(&RecordView::default(), &seen(&[]), Time::ZERO, version(1, 5, Some(77))).expect("room");
        let expiring = expiring.to_record();
        assert_eq!((expiring.view().fingerprint(76), expiring.view().fingerprint(77)), (prints[1], 0));
        let count = prints.len();
        prints.sort_unstable();
        prints.dedup();
        assert_eq!((prints.len(), prints[0]), (count, 0));
    }

    #[test]
    fn a_plan_says_what_its_record_adds_to_another() {
        let [old, new] = [record(&[(1, 5)], &[(1, 5)]), record(&[(1, 5), (2, 9)], &[(2, 9)])];
        let adds = |plan: &Record, to: &Record| Plan::unchanged(&plan.view()).adds_to(&to.view());
        assert!(adds(&new, &old) && adds(&record(&[(1, 5)], &[]), &old));
        assert!(!adds(&old, &old) && !adds(&new, &new));
        assert!(!adds(&record(&[(2, 9)], &[(2, 9)]), &new), "a context that was cut adds nothing");
        let plan = Plan::unchanged(&RecordView::default());
        assert_eq!(plan.change_from(&old.view()).keys(), -1);
        let first = version(1, 5, None);
        let plan = overwrite(&RecordView::default(), &seen(&[]), Time::ZERO, first).expect("room");
        assert_eq!(plan.change_from(&RecordView::default()).keys(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_bytes_are_refused_or_read_back_the_same(
            flags in 0u8..5,
            counts in (0u8..4, 0u8..4),
            bytes in vec(0u8..6, 0..120),
            noise in any::<Vec<u8>>(),
        ) {
            let _ = RecordView::decode(&noise);
            let mut near = vec![flags, counts.0];
            near.extend(bytes.iter().copied());
            if let Some(byte) = near.get_mut(2 + 16 * usize::from(counts.0)) {
                *byte = counts.1;
            }
            if let Ok(view) = RecordView::decode(&near) {
                let plan = Plan::unchanged(&view);
                assert_eq!(plan.to_record().as_bytes(), near, "one record, one encoding");
                assert_eq!(plan.encoded_len(), near.len());
            }
        }

        #[test]
        fn a_changed_byte_never_panics(sample in 0usize..8, at in any::<usize>(), byte in any::<u8>()) {
            let mut bytes = samples()[sample].1.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(record) = Record::decode(bytes) {
                let view = record.view();
                let _ = (view.fingerprint(0), view.presence(), view.winner(0), view.context());
                assert_eq!(Plan::unchanged(&view).to_record(), record, "one record, one encoding");
            }
        }
    }

    #[test]
    fn the_largest_context_reads_back() {
        let entries: Vec<_> = (0..MAX_ACTORS as u64).map(|actor| (actor, actor + 1)).collect();
        let record = record(&entries, &[(511, 3)]);
        assert_eq!(record.view().context(), seen(&entries));
        assert_eq!((record.view().time_of(dot(100, 1).actor), record.view().covers(dot(511, 600))), (Time(101), false));
    }
}
