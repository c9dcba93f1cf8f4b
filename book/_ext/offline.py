"""Sphinx extension: leave out of every page what would be fetched from another host.

Jupyter Book always loads ``sphinx_thebe``, which writes the address of a script host into each
page even where no page can be run in the browser. Its event handlers are disconnected here.
``tools/check_offline.py`` checks the result.
"""

from __future__ import annotations

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Disconnect ``sphinx_thebe``; raise nothing where it is absent."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if listener.handler.__module__.split(".")[0] == "sphinx_thebe":
                listeners.remove(listener)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
