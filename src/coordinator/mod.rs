//! Carries out a batch of operations and waits for their durability.
