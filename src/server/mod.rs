//! Listeners, connection loops, admission and drain; the HTTP endpoint.
