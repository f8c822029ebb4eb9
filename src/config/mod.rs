//! Settings from file, flags and environment.
