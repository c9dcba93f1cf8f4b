"""Exact statements about graphon limits of pruning masks: symbols, laws, limits and their proofs.

Everything in this package is mathematics. Expressions are SymPy objects, proofs are
:class:`theory.derivation.Derivation` objects that verify themselves, and numbers come either
from ``mpmath`` to any precision or from ball arithmetic with a rigorous radius. Nothing here
knows about neural-network libraries.

Convention
----------
``u`` in [0, 1] is the position of a *source* (an input, index ``i`` of ``d``) and ``v`` in
[0, 1] that of a *target* (a neuron, index ``j`` of ``n``). Graphons are functions ``P(u, v)``.
Arrays are ``(target, source)``, as in a linear layer's weight: ``M[j, i]`` has shape
``(n, d)``, and a graphon on a grid is ``P[v, u]``. The position of index ``i`` among ``m`` is
``(i + 1/2) / m``. A row profile ``r`` belongs to the sources and a column law ``c`` to the
targets, because the source literature writes ``S_ij`` with ``i`` an input. ``rho`` is the
density of weights *kept*, so the sparsity is ``1 - rho``; ``tau`` is the threshold of the score.

Imports are light on purpose: ``import theory`` loads no submodule.
"""

from __future__ import annotations

__version__ = "0.1.0"
