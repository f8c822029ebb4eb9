//! The replica over a real engine on a machine in memory.

mod actions;
mod covered;
mod flush;
mod life;
mod member;
mod model;
mod purge;
mod reap;
