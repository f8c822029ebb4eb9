"""What every program of `compat/` and `bench/` shares: servers, the protocol, the report."""
