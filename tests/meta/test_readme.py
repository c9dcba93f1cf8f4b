"""What the README says still happens: its tour runs, its table and its figure are there."""

from __future__ import annotations

import doctest
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def tool(name: str) -> ModuleType:
    """A script of ``tools/`` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failures(source: str) -> str:
    """Run a doctest; return its complaints, empty when there are none."""
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
    assert test.examples, "no examples: nothing was tested"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=said.append)
    return "".join(said)


def test_the_tour_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 3  # one tour in two parts: the second uses names of the first
    said = failures("\n".join(blocks))
    assert not said, said


def test_a_wrong_tour_is_noticed() -> None:
    assert "Expected" in failures(">>> 1 + 1\n3\n")


def test_the_table_is_what_the_claims_say() -> None:
    table = tool("readme_table")
    assert table.inserted(README) == README, "run `make readme`"


def test_a_stale_table_is_noticed() -> None:
    table = tool("readme_table")
    begin, end = table.MARKERS
    assert table.inserted(f"{begin}\nold\n{end}\n") != f"{begin}\nold\n{end}\n"
    with pytest.raises(ValueError, match="marker"):
        table.inserted("no markers")


def test_linked_files_exist() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert "docs/figures/limit.png" in targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_remote_fetches_are_noticed() -> None:
    """The checker behind `make book` can fail: a page may link to a host, but not load from it."""
    fetches = tool("check_offline").fetches
    assert fetches('<a href="https://example.org/">read</a>') == []
    assert fetches('<script src="local.js"></script><img src="data:image/png;base64,AA">') == []
    assert fetches('<script src="//example.org/a.js"></script>') == ["//example.org/a.js"]
    assert fetches('<link rel="stylesheet" href="https://example.org/a.css">') != []
    assert fetches("<style>@import url(https://example.org/f.css);</style>") != []
    assert fetches('<script>const A_URL = "https://example.org/a.js"</script>') != []
