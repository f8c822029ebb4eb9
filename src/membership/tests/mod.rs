//! A cluster in virtual time, the figures it gives, and the rules one by one.

mod cluster;
mod figures;
mod rules;
