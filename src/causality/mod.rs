//! HLC, dots, contexts, records, their merge and their encoding: pure values.
