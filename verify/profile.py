"""Profiles: how much work a run may do.

``quick`` is for every day, ``full`` is the protocol of the papers. Any setting of a check may be
given once, or per profile as ``{"quick": …, "full": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROFILES = ("quick", "full")


def require_profile(profile: str) -> str:
    """Return `profile`; raise ValueError unless it is a known one."""
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}; got {profile!r}")
    return profile


def is_per_profile(value: Any) -> bool:
    """Whether `value` is a mapping from profile names to values."""
    return isinstance(value, Mapping) and bool(value) and set(value) <= set(PROFILES)


def for_profile(value: Any, profile: str) -> Any:
    """The value that holds in `profile`: `value` itself unless it is given per profile.

    Raises ValueError if it is given per profile but not for this one.
    """
    require_profile(profile)
    if not is_per_profile(value):
        return value
    if profile not in value:
        raise ValueError(
            f"no value for profile {profile!r}: it is given for {', '.join(sorted(value))} only"
        )
    return value[profile]
