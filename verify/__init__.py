"""Claims, decisions, verdicts and their report.

A *claim* is one statement of the theory with the checks that decide it and the mutants
(near misses) that the same checks must refute. `verify` runs claims, decides each of them
with stated error rates, and writes the verdicts down. Importing this package is cheap: it
imports neither SymPy nor torch.
"""
