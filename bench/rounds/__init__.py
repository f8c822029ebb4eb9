"""Pairwise measurements: the same work on Annulus and on a peer in turn, and what is written about it.

Reading order: `load` (one measurement), `work` (the list of what is measured), `table` (ratios, text), `plot` (SVG), `memory`.
"""
