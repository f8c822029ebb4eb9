//! A cluster of keepers and proposers in memory, the schedules that break naive versions, and a scheduler from a seed.

mod cluster;
mod schedules;
mod simulation;
