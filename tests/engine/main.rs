//! The engine under everything that can happen to it: random work beside a model, power loss at every moment, disks that
//! fail, fill up and lie, threads that race. All on the machine in memory, from seeds.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod allocations;
mod crash;
mod damage;
mod failure;
mod history;
mod inspection;
mod model;
mod pressure;
mod salvage;
mod snapshot;
mod store;
mod threads;
