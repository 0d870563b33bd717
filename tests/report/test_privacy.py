"""What is planted in ids, names and texts of customers is in no page of a report, nor in its downloads."""

from __future__ import annotations

import base64
import html
import re
import urllib.parse
from pathlib import Path

import pandas as pd
import pytest

from cxlib.__main__ import main
from cxlib.world import simulate

PHONE, MAIL = "+39 333 123 4567", "anna.rossi@example.com"
NAME = ("Zebediah", "Quillfeather")
TOLD = re.compile(r"example\.com|333 ?1(23|55)|@anna|%40|zebediah|quillfeather|\u202e", re.I)


def planted(folder: Path, base_seed: int) -> Path:
    """A company whose customers are known by their addresses, whose devices by their numbers, and whose
    touchpoints, channels, regions and comments name people."""
    made = simulate(700, seed=base_seed).write(folder)
    for path in made.glob("*.parquet"):
        if path.stem == "truth":
            path.unlink()
            continue
        frame = pd.read_parquet(path)
        for name in ("customer_id", "referred_by"):
            if name in frame:
                frame[name] = frame[name].map(lambda c: f"{c}@example.com", na_action="ignore")
        for name in ("anonymous_id", "id_value"):
            if name in frame:
                frame[name] = frame[name].map(lambda a: f"+39 333 155 {a[-6:]}", na_action="ignore")
        if "touchpoint" in frame:
            frame["touchpoint"] = frame["touchpoint"].replace("web_product_page", f"page_of_{MAIL}")
        if "channel" in frame:
            frame["channel"] = frame["channel"].replace("call", f"call {PHONE}")
        if "region" in frame:
            frame["region"] = frame["region"].where(frame["region"] != frame["region"].min(), f"near {MAIL}")
        if "comment" in frame:
            more = f" Write to {MAIL} or @anna, call {PHONE}, ask for {' '.join(NAME)}. <script>alert(1)</script>\u202e"
            frame["comment"] = frame["comment"] + more
        if path.stem == "customers":
            frame["first_name"], frame["last_name"] = NAME
        if path.stem == "touchpoints":
            frame["content"], frame["campaign"] = f"seen by {MAIL}", f"for {PHONE}"
            frame["source"] = f"mailbox of {MAIL}"
        frame.to_parquet(path, index=False)
    return made


def texts(page: Path) -> str:
    """A page's text with its downloads decoded; pictures have their alt text."""
    written = page.read_text("utf-8")
    parts = [html.unescape(re.sub(r"data:image/[^\"']+", "", written))]
    for kind, data in re.findall(r"data:text/csv([^,\"']*),([^\"']+)", written):
        raw = html.unescape(data)
        parts.append(base64.b64decode(raw).decode() if "base64" in kind else urllib.parse.unquote(raw))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, base_seed: int) -> Path:
    folder = planted(tmp_path_factory.mktemp("planted") / "company", base_seed)
    out = tmp_path_factory.mktemp("report")
    assert main(["report", str(folder), "--out", str(out)]) == 0
    return out


def test_no_page_and_no_download_tells_an_address_or_a_number_of_anybody(report: Path) -> None:
    pages = sorted(report.rglob("*.html"))
    assert len(pages) > 5
    assert any("data:text/csv" in page.read_text("utf-8") for page in pages)
    for page in pages:
        assert "<script>alert" not in page.read_text("utf-8")
        found = TOLD.search(text := texts(page))
        assert found is None, (page.name, text[max(found.start() - 200, 0) : found.end() + 80])


def test_what_is_masked_is_still_named(report: Path) -> None:
    said = texts(report / "03_journey_templates.html")
    assert "page of [e-mail]" in said or "page_of_[e-mail]" in said or ">[e-mail]" in said
