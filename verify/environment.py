"""Where and from what a run was made: versions, machine, commit."""

from __future__ import annotations

import datetime
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from verify.pool import available_cpus

PACKAGE = "graphonlimit"


def describe(profile: str, seed: int, device: str) -> dict[str, Any]:
    """The ``environment`` entry of ``verdicts.json``."""
    return {
        "python": platform.python_version(),
        "torch": version("torch"),
        "sympy": version("sympy"),
        "numpy": version("numpy"),
        "platform": platform.platform(),
        "cpus": available_cpus(),
        "version": version(PACKAGE),
        "commit": commit(),
        "profile": profile,
        "seed": seed,
        "device": device,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def version(package: str) -> str | None:
    """Installed version of a package, without importing it; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """Commit this package was checked out at, ``+`` if it has changes; None outside git."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return None
    return head + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
