//! One connection's state and the list of all connections.
