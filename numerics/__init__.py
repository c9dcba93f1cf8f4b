"""Measurements: finite networks, their scores and masks, and distances between them, in PyTorch.

Imports go downwards only: this package may use :mod:`theory`, never :mod:`verify`. Arrays are
``(target, source)``, the convention of :mod:`theory`. Random numbers come from
:mod:`numerics.seeds` alone, so that a result is a function of its arguments, the integer seed
among them.
"""
