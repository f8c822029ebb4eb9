//! Random input against everything that reads bytes it cannot trust, and random output against an independent reader.
//!
//! Properties come from proptest: a failure prints the smallest input that still fails. `PROPTEST_CASES=100000` looks
//! longer, `PROPTEST_RNG_SEED=n` repeats a run.

mod bytes;
mod messages;
mod numbers;
mod replies;
mod requests;

use proptest::prelude::ProptestConfig;

/// Settings of every property here: `cases` unless the environment says otherwise, nothing written to disk.
fn config(cases: u32) -> ProptestConfig {
    let defaults = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { defaults.cases } else { cases }, failure_persistence: None, ..defaults }
}
