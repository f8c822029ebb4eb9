//! The pieces of work and what is measured of each.
//!
//! Every piece tells `operations`, `seconds`, `thread_us` (CPU of the calling thread per operation) and `cpu_us` (CPU of the
//! whole process per operation, until its background work has ended). What has no operations to count tells its own figures.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::data::{Dice, KEY_BYTES, Values, key};
use crate::meter;
use crate::store::{Setup, Store, open};

/// Keys at full scale: 186 MB of pairs.
const KEYS: u64 = 1_500_000;
/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// Keys that are overwritten in memory and read from there.
const FEW: u64 = 10_000;
/// Keys whose blocks fit the cache many times.
const HOT: u64 = 400;
/// First number of keys that do not exist.
const ABSENT: u64 = 500_000_000;
/// Pairs of a group.
const GROUP: usize = 50;
/// Entries of a short scan.
const SHORT: usize = 50;
/// Where the second writing of all keys leaves the list: prime to their number, so that each is written once.
const STRIDE: u64 = 1_000_003;

/// The figures of a piece of work.
type Figures = Map<String, Value>;

/// One engine and where its work stands.
pub(crate) struct Bench {
    setup: Setup,
    store: Option<Box<dyn Store>>,
    values: Values,
    dice: Dice,
    keys: u64,
    writes: u64,
}

impl Bench {
    /// Nothing is open yet.
    pub(crate) fn new(setup: Setup) -> Self {
        let keys = setup.scaled(KEYS);
        Bench { setup, store: None, values: Values::new(VALUE_BYTES), dice: Dice::new(3), keys, writes: 0 }
    }

    /// Does the work of that name.
    pub(crate) fn run(&mut self, work: &str) -> anyhow::Result<Value> {
        let figures = match work {
            "open" => self.open(),
            "close" => self.close(),
            "fill" => self.write_all(1),
            "overwrite" => self.write_all(STRIDE),
            "settle" | "settle after" => self.settle(),
            "few" => self.few(),
            "get memory" => self.get_few(),
            "get hot" => self.get_hot(),
            "get hit" => self.get(self.setup.scaled(400_000)),
            "get cold" => self.get(self.setup.scaled(10_000)),
            "get miss" => self.get_absent(),
            "scan all" => self.scan_all(),
            "scan 50" => self.scan_short(),
            "groups" => self.groups(),
            "log" => self.log(),
            _ => self.space(work.strip_prefix("space ").context("no such work")?.parse()?),
        };
        Ok(Value::Object(figures?))
    }

    fn store(&self) -> anyhow::Result<&dyn Store> {
        self.store.as_deref().context("the store is not open")
    }

    fn open(&mut self) -> anyhow::Result<Figures> {
        let begin = Instant::now();
        let store = open(&self.setup)?;
        let mut there = 0;
        store.get(&key(0), &mut |_| there += 1)?;
        let seconds = begin.elapsed().as_secs_f64();
        self.store = Some(store);
        Ok(Figures::from_iter([("open_seconds".into(), json!(seconds)), ("found".into(), json!(there))]))
    }

    fn close(&mut self) -> anyhow::Result<Figures> {
        self.store.take().context("the store is not open")?.close()?;
        Ok(Figures::new())
    }

    /// Writes every key once, in the order of numbers `stride` apart.
    fn write_all(&mut self, stride: u64) -> anyhow::Result<Figures> {
        let keys = self.keys;
        self.put(keys, |index, _| (index * stride) % keys)
    }

    /// Puts `count` pairs of keys that `choose` names; with latencies and the bytes that all the writing took.
    fn put(&mut self, count: u64, mut choose: impl FnMut(u64, &mut Dice) -> u64) -> anyhow::Result<Figures> {
        let store = self.store.as_deref().context("the store is not open")?;
        let (values, dice, writes) = (&self.values, &mut self.dice, &mut self.writes);
        let mut latencies = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
        let written = meter::written_bytes()?;
        let mut figures = measure(count, || {
            let mut last = Instant::now();
            for index in 0..count {
                *writes += 1;
                store.put(&key(choose(index, dice)), values.of(*writes))?;
                let now = Instant::now();
                latencies.saturating_record((now - last).as_nanos() as u64);
                last = now;
            }
            Ok(())
        })?;
        let pairs = count * (KEY_BYTES + values.bytes()) as u64;
        let quantile = |share| latencies.value_at_quantile(share) as f64 / 1e3;
        figures.insert("p99_us".into(), json!(quantile(0.99)));
        figures.insert("p999_us".into(), json!(quantile(0.999)));
        figures.insert("max_us".into(), json!(latencies.max() as f64 / 1e3));
        figures.insert("resident_mb".into(), json!(meter::resident_bytes()? as f64 / 1e6));
        figures.insert("write_amplification".into(), json!((meter::written_bytes()? - written) as f64 / pairs as f64));
        Ok(figures)
    }

    /// Everything in tables, and all compaction done.
    fn settle(&mut self) -> anyhow::Result<Figures> {
        self.store()?.flush()?;
        meter::wait_quiet();
        let data = self.keys * (KEY_BYTES + self.values.bytes()) as u64;
        let share = meter::disk_bytes(&self.setup.dir)? as f64 / data as f64;
        Ok(Figures::from_iter([("disk_share".into(), json!(share))]))
    }

    fn few(&mut self) -> anyhow::Result<Figures> {
        let few = self.setup.scaled(FEW);
        self.put(few, |index, _| index)?;
        self.put(self.setup.scaled(300_000).min(8 * few), |_, dice| dice.roll(few))
    }

    fn get_few(&mut self) -> anyhow::Result<Figures> {
        let few = self.setup.scaled(FEW);
        self.get_of(self.setup.scaled(1_000_000), |dice| dice.roll(few))
    }

    fn get_hot(&mut self) -> anyhow::Result<Figures> {
        let (keys, hot) = (self.keys, self.setup.scaled(HOT));
        let apart = keys / hot;
        for index in 0..2 * hot {
            self.store()?.get(&key(index % hot * apart), &mut |_| {})?;
        }
        self.get_of(self.setup.scaled(1_000_000), |dice| dice.roll(hot) * apart)
    }

    fn get(&mut self, count: u64) -> anyhow::Result<Figures> {
        let keys = self.keys;
        self.get_of(count, |dice| dice.roll(keys))
    }

    fn get_of(&mut self, count: u64, mut choose: impl FnMut(&mut Dice) -> u64) -> anyhow::Result<Figures> {
        let (found, figures) = self.get_each(count, &mut choose)?;
        ensure!(found == count, "{found} of {count} keys were there");
        Ok(figures)
    }

    fn get_absent(&mut self) -> anyhow::Result<Figures> {
        let (found, figures) = self.get_each(self.setup.scaled(1_000_000), &mut |dice| ABSENT + dice.roll(ABSENT))?;
        ensure!(found == 0, "{found} keys were there that nobody wrote");
        Ok(figures)
    }

    fn get_each(&mut self, count: u64, choose: &mut dyn FnMut(&mut Dice) -> u64) -> anyhow::Result<(u64, Figures)> {
        let (store, dice) = (self.store.as_deref().context("the store is not open")?, &mut self.dice);
        let mut found = 0;
        let figures = measure(count, || {
            for _ in 0..count {
                store
                    .get(&key(choose(dice)), &mut |value| found += u64::from(black_box(value).len() == VALUE_BYTES))?;
            }
            Ok(())
        })?;
        Ok((found, figures))
    }

    fn scan_all(&mut self) -> anyhow::Result<Figures> {
        let mut entries = 0;
        let figures = measure(self.keys, || {
            self.store()?.scan(&[], usize::MAX, &mut |_, value| entries += black_box(value).len())
        })?;
        ensure!(entries as u64 == self.keys * VALUE_BYTES as u64, "a scan saw {entries} bytes");
        Ok(figures)
    }

    fn scan_short(&mut self) -> anyhow::Result<Figures> {
        let (store, dice) = (self.store.as_deref().context("the store is not open")?, &mut self.dice);
        let (keys, count) = (self.keys, self.setup.scaled(20_000));
        let mut entries = 0;
        measure(count, || {
            for _ in 0..count {
                store.scan(&key(dice.roll(keys)), SHORT, &mut |_, value| entries += black_box(value).len())?;
            }
            Ok(())
        })
    }

    /// Groups of pairs, each durable before the next begins. Counted in pairs.
    fn groups(&mut self) -> anyhow::Result<Figures> {
        let (store, dice) = (self.store.as_deref().context("the store is not open")?, &mut self.dice);
        let (values, keys, groups) = (&self.values, self.keys, self.setup.scaled(1_000));
        measure(groups * GROUP as u64, || {
            for group in 0..groups {
                let chosen: Vec<_> = (0..GROUP).map(|_| key(dice.roll(keys))).collect();
                let pairs: Vec<_> = chosen.iter().map(|key| (&key[..], values.of(group))).collect();
                store.put_group(&pairs)?;
            }
            Ok(())
        })
    }

    /// Pairs that stay in the log, for the driver to kill this process and time the next open.
    fn log(&mut self) -> anyhow::Result<Figures> {
        self.store()?.flush()?;
        let (keys, count) = (self.keys, self.setup.memtable_bytes() / 256);
        self.put(count, |_, dice| dice.roll(keys))?;
        Ok(Figures::from_iter([("entries".into(), json!(count))]))
    }

    /// Space on disk of values of `bytes` each, in a store of its own.
    fn space(&mut self, bytes: usize) -> anyhow::Result<Figures> {
        let setup = Setup { dir: self.setup.dir.with_extension(format!("{bytes}")), ..self.setup.clone() };
        let (store, values) = (open(&setup)?, Values::new(bytes));
        let count = setup.scaled(64 << 20) / (KEY_BYTES + bytes) as u64;
        for number in 0..count {
            store.put(&key(number), values.of(number))?;
        }
        store.flush()?;
        meter::wait_quiet();
        let share = meter::disk_bytes(&setup.dir)? as f64 / (count * (KEY_BYTES + bytes) as u64) as f64;
        store.close()?;
        std::fs::remove_dir_all(&setup.dir)?;
        Ok(Figures::from_iter([("disk_share".into(), json!(share))]))
    }
}

/// Runs `work`, which is `operations` of them, and tells what it cost.
fn measure(operations: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Figures> {
    meter::wait_quiet();
    let (process, thread, begin) = (meter::process_cpu(), meter::thread_cpu(), Instant::now());
    work()?;
    let (seconds, thread) = (begin.elapsed().as_secs_f64(), meter::thread_cpu() - thread);
    meter::wait_quiet();
    let process = meter::process_cpu() - process;
    let each = 1e6 / operations as f64;
    Ok(Figures::from_iter([
        ("rate".into(), json!(operations as f64 / seconds)),
        ("thread_us".into(), json!(thread * each)),
        ("cpu_us".into(), json!(process * each)),
    ]))
}
