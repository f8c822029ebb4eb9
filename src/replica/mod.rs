//! A node's local truth: apply, read, pages, expiry, counters.
