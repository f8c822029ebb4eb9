//! One storage engine in a process of its own: does the work that its standard input names, and prints what it cost.
//!
//! `engines NAME DIRECTORY SCALE` with the names `annulus`, `rocksdb` and `fjall`; each line of input is the name of a piece
//! of work, each line of output a JSON object with its figures. A process per engine keeps memory and CPU apart; the driver
//! `run` gives the lines, so that the engines take turns at each piece.

mod annulus_store;
mod data;
mod fjall_store;
mod meter;
mod rocksdb_store;
mod store;
mod work;

use std::io::{BufRead as _, Write as _};

use anyhow::Context as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what| arguments.next().with_context(|| format!("missing argument: {what}"));
    let name = argument("name of the engine")?;
    let dir = argument("directory")?.into();
    let scale = argument("scale")?.parse().context("the scale is a number")?;
    let mut bench = work::Bench::new(store::Setup { name, dir, scale });
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let figures = bench.run(line.trim()).with_context(|| format!("work {line:?}"))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{figures}")?;
        out.flush()?;
    }
    Ok(())
}
