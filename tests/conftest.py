"""What every test shares: a drawing backend without a screen, Hypothesis, and the gpu marker."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")

# Helpers that tests and worker processes import by name; collecting them would import them twice.
collect_ignore_glob = ["*/demo_*.py"]

# The same examples on every run, so that a red build is red for everybody; no deadline, because
# the first call of a function compiles or imports and says nothing about its speed.
settings.register_profile("house", derandomize=True, deadline=None, print_blob=True)
# As many examples as one has patience for, different ones each time: HYPOTHESIS_PROFILE=search.
settings.register_profile("search", derandomize=False, deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` where there is no CUDA device."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
