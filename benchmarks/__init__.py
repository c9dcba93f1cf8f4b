"""Speed and memory of what has to be fast; each module measures one subject and its peer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["report"]


def report(figures: Any, path: Path | None) -> None:
    """Print figures as JSON, and write them to ``path`` if one is given."""
    text = json.dumps(figures, indent=2)
    print(text)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
