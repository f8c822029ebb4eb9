//! The command table and one file per family.
