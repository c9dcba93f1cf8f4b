"""The claims of the project, one module per subject.

To add a claim, write a module here (or add to one) and name it in `MODULES`. Claims may depend
only on claims of modules further up.
"""

from __future__ import annotations

from importlib import import_module

from verify.claim import REGISTRY, Registry

MODULES: tuple[str, ...] = (
    "closed_forms",
    "dual_forms",
    "factorised",
    "factorised_grasp",
    "theorem47",
    "graphons",
    "signals",
    "tangent_kernel",
    "reductions",
    "spectra",
    "saliency_kernels",
    "coupled_forms",
    "coupled_kernels",
    "coupled_factor",
    "spectrum_causes",
    "expressivity",
    "expressivity_boundary",
    "expressivity_widths",
    "expressivity_functions",
    "figures",
    "generalisation",
    "generalisation_curves",
    "generalisation_alignment",
    "generalisation_paths",
    "synflow",
    "deep_masks",
    "deep_limits",
)


def load() -> Registry:
    """Import every claim module and return the registry they filled."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
    return REGISTRY
