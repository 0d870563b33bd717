"""Raw files that lie about themselves: their columns are found, and a wrong line is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxlib.errors import CxValueError
from cxlib.readers.mapping import Source
from cxlib.readers.raw import check_widths, form_of, layout_of, names_of, records, rewritten


def written(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def source(**entries: Any) -> Source:
    return Source("a.csv", "csv", (), **entries)


def test_names_are_made_of_header_rows_and_never_twice() -> None:
    assert names_of([["Id", "id", "Id", "", " a\nb "]]) == ("Id (1)", "id", "Id (2)", "column 4", "a b")
    rows = [["Respondent", "Which?", "", "", "Why?"], ["", "web", "app", "", ""]]
    assert names_of(rows, joined=True) == ("Respondent", "Which? - web", "Which? - app", "column 4", "Why?")


def test_a_line_that_names_the_separator_is_believed(tmp_path: Path) -> None:
    layout = layout_of(written(tmp_path, "sep=;\r\na;b\r\n1;2\r\n"), source())
    assert (layout.names, layout.delimiter, layout.skip) == (("a", "b"), ";", 2)


@pytest.mark.parametrize("quotes", ["", "none"])
def test_a_field_too_many_is_refused_by_its_line_even_where_the_last_is_empty(
    tmp_path: Path, quotes: str
) -> None:
    """An engine reads `Rome, Italy,` under `city,note` as the city Rome with the note Italy."""
    path = written(tmp_path, "city,note\nPisa,\nRome, Italy,\n")
    with pytest.raises(CxValueError, match=r"a\.csv, line 3, has 3 fields; the header has 2"):
        check_widths(path, layout_of(path, source(quotes=quotes)))
    fine = written(tmp_path, "city,note\nPisa,\n\nRome,Italy\n", "b.csv")
    check_widths(fine, layout_of(fine, source(quotes=quotes)))


@pytest.mark.parametrize("text", ["a,b,\n1,2,\n", "a,b,\n1,2\n", "a,b\n1,2,\n"])
def test_a_delimiter_at_the_end_of_lines_makes_no_column_lost_or_shifted(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    layout = layout_of(path, source())
    assert layout.names[:2] == ("a", "b")
    assert [record[:2] for _, record in records(path, layout)] == [["1", "2"]]


def test_records_begin_where_the_file_says_despite_line_breaks_in_fields(tmp_path: Path) -> None:
    path = written(tmp_path, '"a\nx",b\n"1\n1",2\n\n3,4\n')
    layout = layout_of(path, source())
    assert not layout.plain
    assert [line for line, _ in records(path, layout)] == [3, 6]


def test_what_an_engine_cannot_read_is_written_anew(tmp_path: Path) -> None:
    path = written(tmp_path, 'Né;b\r\n1;"x\r\ny"\r\n2;€\n'.encode("cp1252"))
    layout = layout_of(path, source(delimiter=";", encoding="cp1252"))
    copy = tmp_path / "copy.csv"
    assert rewritten(path, layout, copy).names == ("Né", "b")
    assert copy.read_bytes().decode() == 'Né,b\n1,"x\r\ny"\n2,€\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n3\n", "line 3, has 1 fields; the header has 2"),
        ('a,b\n1,"2\n3,4\n', "Mend its quotes"),
        (b"a,b\n1,2\n3,\xe9\n", "line 3, is not utf-8"),
        ("", "is empty"),
        (b"a\0b", "binary data"),
        (b"PAR1", "a Parquet file named .csv"),
        ("a;b;c\n1;2;3\n", 'delimiter: ";"'),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_to_do(
    tmp_path: Path, content: Any, says: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CxValueError, match=says):
        list(records(path, layout_of(path, source())))


def test_the_form_of_a_json_file_is_seen_at_its_start(tmp_path: Path) -> None:
    forms = {'{"a": 1}\n{"a": 2}': "newline_delimited", "\n[1]": "array", '{\n"a": 1}': "unstructured"}
    for text, form in forms.items():
        assert form_of(written(tmp_path, text, "a.json")) == form
