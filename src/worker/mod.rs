//! The one trait and runner for background work.
