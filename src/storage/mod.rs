//! The engine: commit log, memtable, compressed tables, recovery. Synchronous; keys and values are opaque bytes.
