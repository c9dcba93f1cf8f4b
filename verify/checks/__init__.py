"""The five kinds of check a claim can be made of.

`DerivationCheck` runs a chain of symbolic steps, `CertifiedCheck` rigorous enclosures, and
`LimitCheck`, `RateCheck` and `ValueCheck` judge independent replicates of a trial.
"""

from verify.checks.base import Check, Reading
from verify.checks.certified import Certified, CertifiedCheck
from verify.checks.derivation import DerivationCheck
from verify.checks.limit import LimitCheck
from verify.checks.rate import RateCheck
from verify.checks.value import ValueCheck

__all__ = [
    "Certified",
    "CertifiedCheck",
    "Check",
    "DerivationCheck",
    "LimitCheck",
    "RateCheck",
    "Reading",
    "ValueCheck",
]
