//! throwaway
#![allow(missing_docs, unsafe_code, clippy::all)]
use annulus::env::os;
use annulus::storage::*;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

struct Count(mimalloc::MiMalloc);
static HIST: [AtomicU64; 40] = [const { AtomicU64::new(0) }; 40];
fn hist(n: usize, i: usize) {
    HIST[i + (64 - (n as u64).leading_zeros() as usize).min(19)].fetch_add(1, Ordering::Relaxed);
}
static ALLOCS: AtomicU64 = AtomicU64::new(0);
unsafe impl GlobalAlloc for Count {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        ALLOCS.fetch_add(1, Ordering::Relaxed);
        hist(l.size(), 0);
        unsafe { self.0.alloc(l) }
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        unsafe { self.0.dealloc(p, l) }
    }
    unsafe fn realloc(&self, p: *mut u8, l: Layout, n: usize) -> *mut u8 {
        ALLOCS.fetch_add(1, Ordering::Relaxed);
        hist(n, 20);
        unsafe { self.0.realloc(p, l, n) }
    }
}
#[global_allocator]
static A: Count = Count(mimalloc::MiMalloc);

struct KeepAll;
impl Filter for KeepAll {
    fn judge(&self, _: &[u8], _: &[u8], _: bool) -> Judgement {
        Judgement::Keep
    }
}

fn key(i: u64) -> Vec<u8> {
    let h = i.wrapping_mul(0x9E3779B97F4A7C15);
    let mut k = ((h >> 50) as u16).to_be_bytes().to_vec();
    k.push(0);
    k.extend_from_slice(&((h >> 8) as u32).to_be_bytes());
    let name = format!("key:{i:012}");
    k.push(name.len() as u8);
    k.extend_from_slice(name.as_bytes());
    k
}
fn timed(name: &str, n: u64, mut f: impl FnMut()) {
    let (a, t) = (ALLOCS.load(Ordering::Relaxed), Instant::now());
    f();
    let e = t.elapsed();
    println!(
        "{name:40} {:8.1} ns/op  {:.3} allocs/op",
        e.as_nanos() as f64 / n as f64,
        (ALLOCS.load(Ordering::Relaxed) - a) as f64 / n as f64
    );
}
fn main() {
    let n: u64 = 100_000;
    let dir = std::env::args().nth(1).unwrap();
    let env = os::env(&os::Options::new());
    let mut o = Options::new(dir.clone().into(), Durability::None);
    o.memtable_bytes = 1 << 30;
    o.segment_bytes = 1 << 40;
    let t = Instant::now();
    let engine = Engine::open(&env, o.clone(), Arc::new(KeepAll)).unwrap();
    println!("open {:?}", t.elapsed());
    let keys: Vec<_> = (0..n).map(key).collect();
    let value = vec![7u8; 132];
    let mut order: Vec<usize> = (0..n as usize).collect();
    let mut s = 1u64;
    for i in (1..order.len()).rev() {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1);
        order.swap(i, (s >> 33) as usize % (i + 1));
    }
    let put = |k: &[u8]| {
        let mut c = |old: Option<&[u8]>, d: &mut Draft<'_>| {
            d.value(value.len()).extend_from_slice(&value);
            d.note.keys = i8::from(old.is_none());
            Verdict::Put
        };
        match engine.update(k, None, &mut c).unwrap() {
            Update::Done(_) => {}
            o => panic!("{o:?}"),
        }
    };
    let mut w = 0u64;
    let mut batch = || {
        w += 1;
        if w % 32 == 0 {
            engine.write_out().unwrap();
        }
    };
    timed("insert", n, || {
        for i in &order {
            put(&keys[*i]);
            batch();
        }
    });
    println!("{:?}", HIST);
    for _ in 0..3 {
        timed("update existing, write_out each 32", n, || {
            for i in &order {
                put(&keys[*i]);
                batch();
            }
        });
        timed("update existing, no write", 20_000, || {
            for i in &order[..20_000] {
                put(&keys[*i]);
            }
        });
        engine.write_out().unwrap();
        let mut sum = 0;
        timed("read", n, || {
            for i in &order {
                let _ = engine.read(&keys[*i], None, &mut |v| sum += v.unwrap()[5] as u64).unwrap();
            }
        });
        timed("read same 100 keys", n, || {
            for i in 0..n as usize {
                let _ = engine.read(&keys[order[i % 100]], None, &mut |v| sum += v.unwrap()[5] as u64).unwrap();
            }
        });
        timed("update same 100 keys", n, || {
            for i in 0..n as usize {
                put(&keys[order[i % 100]]);
                batch();
            }
        });
    }
    engine.close().unwrap();
    let t = Instant::now();
    let engine = Engine::open(&env, o, Arc::new(KeepAll)).unwrap();
    let size: u64 = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    println!(
        "replay {:?} of {} MB in dir; keys {}",
        t.elapsed(),
        size >> 20,
        engine.database_count(annulus::types::Database(0))
    );
}
