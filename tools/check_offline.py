"""Fail when a built HTML page would fetch anything from a network.

Usage: ``python tools/check_offline.py FOLDER``. Links that a reader may follow are allowed;
scripts, style sheets, images, frames and imports that a browser loads by itself are not.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

REMOTE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
# A URL in a script is a fetch only if it is the target of one; a namespace or a comment is not.
SCRIPTED = re.compile(
    r"""(?:\bimport\s*\(?|\bfetch\s*\(|\.src\s*=|\burl\s*\(|_URL\s*=)\s*["']?(https?://[^"'\s)]+)"""
)
STYLED = re.compile(r"""(?:@import\s+|url\()\s*["']?((?:https?:)?//[^"'\s)]+)""")
FETCHING_RELATIONS = {"stylesheet", "preload", "preconnect", "icon", "modulepreload", "manifest"}


class Fetches(HTMLParser):
    """Collects what a browser would load from another host while it shows one page."""

    def __init__(self) -> None:
        """Start with nothing found."""
        super().__init__()
        self.found: list[str] = []
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes that make a browser load something."""
        values = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in {"script", "style"} else None
        if tag == "link" and not FETCHING_RELATIONS & set(values.get("rel", "").lower().split()):
            return
        loaded = ["src", "srcset", "poster", "data"]
        if tag == "link":
            loaded.append("href")
        self.found += [values[name] for name in loaded if REMOTE.match(values.get(name, ""))]
        self.found += STYLED.findall(values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or a style sheet."""
        self._inside = None

    def handle_data(self, data: str) -> None:
        """Look into inline scripts and style sheets."""
        if self._inside == "script":
            self.found += SCRIPTED.findall(data)
        elif self._inside == "style":
            self.found += STYLED.findall(data)


def fetches(html: str) -> list[str]:
    """Addresses that ``html`` would load from another host."""
    parser = Fetches()
    parser.feed(html)
    return parser.found


def main(arguments: list[str]) -> int:
    """Check every page under one folder; return the number of pages at fault, at most 1."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python tools/check_offline.py FOLDER", file=sys.stderr)
        return 2
    pages = sorted(Path(arguments[0]).rglob("*.html"))
    faults = {
        page: found
        for page in pages
        if "_static" not in page.parts and (found := fetches(page.read_text(encoding="utf-8")))
    }
    for page, found in faults.items():
        print(f"{page}: needs the network for {', '.join(sorted(set(found)))}", file=sys.stderr)
    if not pages:
        print(f"{arguments[0]}: no HTML pages", file=sys.stderr)
    if faults or not pages:
        return 1
    print(f"{len(pages)} pages, none of which needs the network")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
