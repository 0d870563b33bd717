"""Public data by name and checksum: from a mirror, from the cache, from the network, and when all fail."""

from __future__ import annotations

import functools
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxlib.errors import CxLookupError, DataUnavailable
from cxlib.study import registry

CONTENT = b"order_id,price\n1,2.50\n"


def write_registry(path: Path, address: str, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> None:
    lines = [
        "\t".join(registry.COLUMNS),
        f"shop/orders.csv\t{len(CONTENT)}\t{sha256}\t{address}\tCC0",
    ]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no mirror, and a registry of one file at an address nobody listens on."""
    monkeypatch.delenv("CXLIB_DATA_MIRROR", raising=False)
    monkeypatch.setenv("CXLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "registry.tsv")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    write_registry(tmp_path / "registry.tsv", f"http://127.0.0.1:{port}/orders.csv")
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a loopback server that offers `orders.csv`."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "orders.csv").write_bytes(CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/orders.csv"
        listening.shutdown()
        thread.join()


@pytest.fixture
def fake_mirror(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mirror" / "shop").mkdir(parents=True)
    monkeypatch.setenv("CXLIB_DATA_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror" / "shop" / "orders.csv"


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_registry_names_every_data_set_with_size_checksum_pinned_address_and_licence() -> None:
    assert registry.names() == sorted(
        [
            "airline_tweets",
            "asos",
            "attribution_paths",
            "bpic2012",
            "cdnow",
            "chn_hotel_reviews",
            "ecom_clickstream",
            "hillstrom",
            "lalonde",
            "laroseda",
            "olist",
            "open_bandit",
            "sfo_survey",
        ]
    )
    entries = [entry for name in registry.names() for entry in registry.files(name)]
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.bytes > 0
        assert len(entry.sha256) == 64
        assert int(entry.sha256, 16)
        assert entry.address.startswith("https://")
        assert entry.licence


def test_every_data_set_has_a_card() -> None:
    cards = registry.REGISTRY.parent / "cards"
    assert [name for name in registry.names() if not (cards / f"{name}.md").is_file()] == []


def test_an_unknown_name_lists_the_data_sets_and_the_nearest_one() -> None:
    with pytest.raises(DataUnavailable, match=r"no public data set `olits`.*hillstrom.*Did you mean `olist`"):
        registry.files("olits")


def test_a_mirror_gives_its_own_files_once_they_are_checked(fake_mirror: Path, cache: Path) -> None:
    fake_mirror.write_bytes(CONTENT)
    assert registry.fetch("shop") == {"orders.csv": fake_mirror}
    assert not cache.exists()


def test_a_corrupted_file_in_a_mirror_is_refused_with_both_checksums(fake_mirror: Path) -> None:
    fake_mirror.write_bytes(CONTENT.replace(b"2.50", b"2.51"))
    actual = hashlib.sha256(fake_mirror.read_bytes()).hexdigest()
    expected = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(DataUnavailable, match=rf"shop/orders.csv .*{expected}.*{actual}.*By hand: download"):
        registry.fetch("shop")


def test_a_file_that_a_mirror_lacks_is_named_with_its_address_and_its_place(fake_mirror: Path) -> None:
    with pytest.raises(DataUnavailable) as caught:
        registry.fetch("shop")
    message = str(caught.value)
    assert "shop/orders.csv is not in the mirror" in message
    assert str(fake_mirror) in message
    assert registry.files("shop")[0].address in message


def test_no_network_says_what_to_do_and_leaves_nothing_behind(cache: Path) -> None:
    with pytest.raises(
        DataUnavailable, match=r"could not be downloaded from http.*try again\. By hand: .*orders"
    ):
        registry.fetch("shop")
    assert kept(cache) == []


def test_a_download_is_checked_kept_and_not_made_twice(cache: Path, server: str, tmp_path: Path) -> None:
    write_registry(tmp_path / "registry.tsv", server)
    path = registry.fetch("shop")["orders.csv"]
    assert path == cache / "shop" / "orders.csv"
    assert path.read_bytes() == CONTENT
    (tmp_path / "www" / "orders.csv").unlink()
    assert registry.fetch("shop") == {"orders.csv": path}
    assert kept(cache) == [path]


def test_a_download_with_a_wrong_checksum_is_not_kept(cache: Path, server: str, tmp_path: Path) -> None:
    write_registry(tmp_path / "registry.tsv", server, sha256="0" * 64)
    with pytest.raises(
        DataUnavailable, match=r"expected sha256 0{64}.*found [0-9a-f]{64}.*The source has changed"
    ):
        registry.fetch("shop")
    assert kept(cache) == []


def test_an_address_that_answers_not_found_is_an_error_of_ours(
    cache: Path, server: str, tmp_path: Path
) -> None:
    write_registry(tmp_path / "registry.tsv", server.replace("orders", "nothing"))
    with pytest.raises(DataUnavailable, match="404"):
        registry.fetch("shop")
    assert kept(cache) == []


def test_a_damaged_file_in_the_cache_is_downloaded_anew(cache: Path, server: str, tmp_path: Path) -> None:
    write_registry(tmp_path / "registry.tsv", server)
    (cache / "shop").mkdir(parents=True)
    (cache / "shop" / "orders.csv").write_bytes(CONTENT[:5])
    assert registry.fetch("shop")["orders.csv"].read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_is_an_error_of_ours(
    cache: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_registry(tmp_path / "registry.tsv", server)
    (tmp_path / "occupied").write_text("a file, not a folder")
    monkeypatch.setenv("CXLIB_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(DataUnavailable, match="could not be downloaded"):
        registry.fetch("shop")


def test_a_missing_registry_says_where_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "nowhere.tsv")
    with pytest.raises(CxLookupError, match=r"nowhere\.tsv, cannot be read.*clone"):
        registry.names()


def test_the_real_mirror_holds_every_file_of_the_registry(mirror: Path) -> None:
    entries = [entry for name in registry.names() for entry in registry.files(name)]
    assert [e.name for e in entries if (mirror / e.name).stat().st_size != e.bytes] == []


def test_olist_is_fetched_by_name_from_the_real_mirror(mirror: Path) -> None:
    fetched = registry.fetch("olist")
    assert "olist_orders_dataset.csv" in fetched
    assert all(path.is_relative_to(mirror) for path in fetched.values())
