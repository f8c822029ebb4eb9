"""Random command sequences and what two servers must agree on; `compat/differential` is the program around it.

Reading order: `values` (arguments), `commands` (the grammar of each command), `generate` (sequences from a seed),
`play` (sends one to both servers), `compare` (the rules of `differences.toml`), `shrink`, `cases` (fixed byte streams).
"""
