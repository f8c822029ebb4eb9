//! The reaper: what it reads, what it leaves, what it costs.

use crate::replica::tests::life::Life;
use crate::worker::{Work, Worker};

fn field(life: &Life, name: &str) -> u64 {
    life.reaper.status().iter().find(|field| field.name == name).expect("a field of that name").value
}

#[test]
fn an_arc_is_read_only_when_something_in_it_is_due() {
    let mut life = Life::first(1);
    let now_ms = life.now_ms();
    life.set(0, "for ever", b"v");
    life.set_until(0, "soon", (b"v", Some(now_ms + 1000)));
    life.set_until(0, "{soon}later", (b"v", Some(now_ms + 60_000)));
    life.set_until(0, "much later", (b"v", Some(now_ms + 90 * 86_400_000)));
    life.reap();
    let learned = field(&life, "arcs_read");
    assert!(learned <= 2, "at first the sums decide, by the hour");
    life.advance(11_000);
    life.reap();
    assert_eq!((field(&life, "arcs_read"), life.count(0)), (learned + 1, 3));
    life.advance(58_000);
    life.reap();
    assert_eq!(field(&life, "arcs_read"), learned + 1, "what was learned tells that nothing is due");
    life.advance(1000);
    life.reap();
    assert_eq!((field(&life, "arcs_read"), life.count(0)), (learned + 2, 2));
    life.set_until(0, "for ever", (b"v", Some(life.now_ms() + 1)));
    life.advance(10_001);
    life.reap();
    assert_eq!((field(&life, "arcs_read"), life.count(0)), (learned + 3, 1), "a write lowers what was learned");
}

#[test]
fn other_databases_of_the_arc_are_not_read() {
    let mut life = Life::first(1);
    (0..50).for_each(|index| life.set(3, &format!("{{k}}{index}"), b"v"));
    life.set_until(5, "{k}", (b"v", Some(life.now_ms() + 1)));
    life.advance(10_001);
    life.reap();
    assert_eq!((life.count(5), life.count(3), field(&life, "scanned")), (0, 50, 1));
}

#[test]
fn many_are_reaped_in_bounded_units_from_tables_too_and_after_a_restart() {
    let mut life = Life::first(7);
    let keys: Vec<String> = (0..1500).map(|index| format!("k{index}")).collect();
    for (index, key) in keys.iter().enumerate() {
        let expiry = (index % 3 > 0).then(|| life.now_ms() + index as u64);
        life.set_until(index as u8 % 2, key, (b"some value", expiry));
    }
    life.compact();
    life.advance(12_000);
    life = life.restart();
    assert_eq!(life.count(0) + life.count(1), 1500);
    life.reap();
    assert_eq!((life.count(0), life.count(1), life.replica.reaped()), (250, 250, 1000));
    assert_eq!(life.raw().iter().filter(|raw| raw.versions > 0).count(), 500);
    life = life.restart();
    assert_eq!((life.count(0), life.count(1)), (250, 250));
}

#[test]
fn a_unit_ends_after_one_page_and_a_busy_store_loses_nothing() {
    let mut life = Life::first(7);
    let expiry = Some(life.now_ms() + 1);
    (0..1000).for_each(|index| life.set_until(0, &format!("{{k}}{index}"), (&[7; 40], expiry)));
    life.advance(10_001);
    let mut longest = 0;
    while life.count(0) > 0 {
        let before = life.count(0);
        // The pool stands still, so that memory runs full while there is still something to reap.
        if matches!(life.reaper.work(), Work::Throttled(_)) && life.count(0) == before {
            life.machine.pool.step();
        }
        longest = longest.max(before - life.count(0));
    }
    assert!((1..=256).contains(&longest), "{longest}");
    assert_eq!(life.replica.reaped(), 1000);
}
