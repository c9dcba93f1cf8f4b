"""The store keeps what was finished, refuses what is damaged, and loses nothing."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from verify.outcome import TrialResult
from verify.store import DEFAULT_PATH, Store, StoreError, default_path

RESULT = TrialResult({"n": 10}, 7, {"mean": 0.1 + 0.2, "list": [1.0, 2.5]}, 0.25)


def test_what_was_put_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trials.sqlite"
    with Store(path) as store:
        assert store.get(["k"]) == {}
        store.put("k", "name", "digest", RESULT)
    with Store(path) as store:
        assert store.get(["k", "other"]) == {"k": RESULT}
        assert len(store) == 1


def test_many_keys_at_once(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        for number in range(1203):
            store.put(f"k{number}", "name", "digest", RESULT)
        assert len(store.get(f"k{n}" for n in range(0, 2000, 2))) == 602


def test_the_first_result_under_a_key_stays(tmp_path: Path) -> None:
    with Store(tmp_path / "s.sqlite") as store:
        store.put("k", "name", "digest", RESULT)
        store.put("k", "name", "digest", TrialResult({}, 1, {"mean": 9.0}, 1.0))
        assert store.get(["k"])["k"] == RESULT


def test_two_runs_may_use_one_file(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store(path).close()

    def fill(name: str) -> None:
        with Store(path) as store:
            for number in range(100):
                store.put(f"{name}{number}", "name", "digest", RESULT)

    threads = [threading.Thread(target=fill, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(path) as store:
        assert len(store) == 300


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    content = b"my notes " * 1000
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"notes\.txt is not usable.*move it") as caught:
        Store(path)
    assert "--store" in str(caught.value)
    assert path.read_bytes() == content


def test_a_damaged_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        for number in range(500):
            store.put(f"k{number}", "name", "digest", RESULT)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not usable"), Store(path) as store:
        store.get(["k1"])
    assert path.read_bytes() == bytes(content)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="schema is 99, not 2"):
        Store(path)


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StoreError, match="schema is 0"):
        Store(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "made",
    ["CREATE TABLE mine (x)", "CREATE TABLE trials (key, x)", "CREATE VIEW trials AS VALUES(1)"],
)
def test_a_foreign_database_with_a_version_of_ours_is_left_alone(
    tmp_path: Path, version: int, made: str
) -> None:
    path = tmp_path / "s.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(made)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StoreError, match=r"no table of trials; nothing was changed"):
        Store(path)
    assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["s.sqlite"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file" / "s.sqlite")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)


def test_the_environment_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHONLIMIT_STORE", raising=False)
    assert default_path() == DEFAULT_PATH
    monkeypatch.setenv("GRAPHONLIMIT_STORE", "elsewhere.sqlite")
    assert default_path() == Path("elsewhere.sqlite")
