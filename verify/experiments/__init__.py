"""The experiments of the project, one module per figure or subject.

To add an experiment, write a module here (or add to one) and name it in `MODULES`.
"""

from __future__ import annotations

from importlib import import_module

from verify.experiment import REGISTRY, Experiments

MODULES: tuple[str, ...] = ("figure_1", "coupled_factor", "spectrum", "synflow_transition")


def load() -> Experiments:
    """Import every module of experiments and return the registry they filled."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
    return REGISTRY
