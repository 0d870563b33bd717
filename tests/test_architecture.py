"""The shape of the package: arrows point one way, one file names a backend, all of it stays small."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cxlib"
ROOMS = {"collection", "voice", "text", "customers", "personas", "journeys", "experiments", "revenue"}
CHAPTER_ONE = "collection"  # of three rooms: its face and summaries speak of `voice` and `text`
CHAPTER_TWO = "personas"  # of two rooms: kinds are learnt from the features of `customers`
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path, source: str | None = None) -> set[str]:
    """Dotted names of what a file of the package imports from the package, wherever in the file it does;
    what is imported for type checkers only counts too, for it is knowledge as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source if source is not None else path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = path.relative_to(ROOT).parent.parts
                base = ".".join((*parents[: len(parents) - node.level + 1], *filter(None, [base])))
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in found if name == "cxlib" or name.startswith("cxlib.")}


def part(name: str) -> str:
    """The hall module or room a dotted name belongs to: `cxlib.study.log.GAP` is `study`."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else "cxlib"


def knows(folder: str) -> dict[str, set[str]]:
    """File name to the parts of the package it imports, its own part left out."""
    files = [p for p in FILES if p.relative_to(PACKAGE).parts[0] in (folder, f"{folder}.py")]
    return {p.relative_to(PACKAGE).as_posix(): {part(n) for n in imports(p)} - {folder} for p in files}


def test_the_reader_of_imports_sees_every_form() -> None:
    source = "import cxlib.world\nfrom cxlib import stats\nfrom . import counts\ndef f():\n    from cxlib.study.log import GAP\n"
    found = imports(PACKAGE / "journeys" / "x.py", source)
    assert {part(name) for name in found} == {"world", "stats", "journeys", "study"}


def test_only_the_engine_names_a_backend_or_runs_sql_or_creates_tables() -> None:
    words = re.compile(r"^\s*(?:import|from)\s+(duckdb|pyspark|sqlalchemy)\b|\b(raw_sql|create_table|ibis\.duckdb|ibis\.pyspark)\b", re.M)  # fmt: skip
    users = {p.relative_to(PACKAGE).as_posix() for p in FILES if words.search(p.read_text("utf-8"))}
    assert users == {"study/engine.py"}


def test_readers_know_the_contract_and_nothing_else() -> None:
    for file, known in knows("readers").items():
        assert known <= {"contract", "errors", "masks"}, file


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_does_not_import_another_room_nor_readers_nor_reports_nor_the_world(room: str) -> None:
    for file, known in knows(room).items():
        fine = (
            {"voice", "text"}
            if file in (f"{CHAPTER_ONE}/__init__.py", f"{CHAPTER_ONE}/summary.py")
            else {"customers"}
            if room == CHAPTER_TWO
            else set()
        )
        assert not (known - fine) & (ROOMS | {"readers", "report", "world"}), file


def test_the_report_knows_notebooks_and_no_room() -> None:
    for file, known in knows("report").items():
        assert not known & (ROOMS | {"study", "world", "readers", "contract"}), file


def test_the_world_uses_no_code_of_what_it_tests() -> None:
    for file, known in knows("world").items():
        assert not known & (ROOMS | {"study", "stats", "report", "readers", "contract", "results"}), file


def test_the_hall_knows_no_room() -> None:
    allowed = {
        "errors": set[str](),
        "contract": {"errors"},
        "masks": set[str](),
        "results": {"errors", "masks"},
        "frames": {"errors"},
        "figures": {"errors", "results"},
        "rates": {"errors", "results", "stats", "study"},
        "stats": {"errors", "frames", "results"},
        "guess": {"contract", "errors", "readers"},
        "study": {"contract", "errors", "masks", "readers", "cxlib"},
    }
    for name, fine in allowed.items():
        for file, known in knows(name).items():
            assert known <= fine, file


def test_a_result_does_not_import_its_plot() -> None:
    for room in ROOMS:
        for path in (PACKAGE / room).glob("*.py"):
            if not path.stem.endswith(("plot", "plots", "__init__")):
                known = imports(path)
                assert not [name for name in known if part(name) == room and "plot" in name], path.name
                assert "cxlib.figures" not in known, path.name


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = (
        "import sys, cxlib; "
        "heavy = {'ibis', 'pandas', 'numpy', 'matplotlib', 'duckdb', 'sklearn', 'scipy', 'pyarrow', 'nbclient'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_front_door_can_be_had_and_a_wrong_one_is_named() -> None:
    import cxlib as cx

    assert set(cx.__all__) == set(dir(cx))
    for name in cx.__all__:
        assert getattr(cx, name) is not None
    with pytest.raises(AttributeError, match=r"cxlib has no `jorneys`; it has: .*journeys"):
        _ = cx.jorneys


def lines_of_code(path: Path) -> int:
    """Lines that hold code: docstrings, comments and blank lines are free, or the shortest way to pass would
    be to explain less."""
    source = path.read_text("utf-8")
    documented = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                documented |= set(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in silent:
            held |= set(range(token.start[0], token.end[0] + 1))
    return len(held - documented)


def test_each_part_and_the_world_that_measures_them_stay_small() -> None:
    # Each part reads in a day: the hall's parts and the rooms alike. The simulated company is an instrument
    # beside the package: nobody needs to read it to use or trust that.
    sizes: dict[str, int] = {}
    for path in FILES:
        name = path.relative_to(PACKAGE).parts[0]
        sizes[name] = sizes.get(name, 0) + lines_of_code(path)
    world = sizes.pop("world")
    assert {name: size for name, size in sizes.items() if size > 2_100} == {}
    assert sum(sizes.values()) < 21_200
    assert world < 2_200


def test_a_file_reads_in_one_sitting() -> None:
    long = {p.relative_to(PACKAGE).as_posix(): lines_of_code(p) for p in FILES}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}


def test_library_code_prints_nothing() -> None:
    for path in FILES:
        if path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path.name}:{node.lineno}"


def tracked() -> list[Path]:
    """Every file of the project that git knows or would add."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_package_registry_or_a_place_of_work() -> None:
    # Put together here, so that this file does not name them either.
    hosts = [
        "py" + "pi.org",
        "files.python" + "hosted.org",
        "registry.npm" + "js.org",
        "conda" + ".anaconda.org",
    ]
    places = ["/wo" + "rk/", "/tmp/sp" + "ec", "/home/" + "agent", "/ro" + "ot/"]
    words = re.compile("|".join(re.escape(word) for word in hosts + places).encode())
    for path in tracked():
        if path.suffix in (".parquet", ".png"):
            continue
        found = words.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)}: {found.group() if found else ''!r}"
