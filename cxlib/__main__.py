"""The command line: `python -m cxlib`, installed as `cx`.

Each command imports what it needs when it runs, so `cx --help` is quick. An error of ours is one
message on stderr and exit code 1; a wrong command line is exit code 2.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxlib.errors import CxError, CxValueError

if TYPE_CHECKING:
    from cxlib.report import About, Built
    from cxlib.study import Study


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CxError as error:
        print(f"cx: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("cx: stopped", file=sys.stderr)
    except RuntimeError as error:
        if "interrupted" not in str(error).lower():  # which is how DuckDB hears Ctrl-C
            raise
        print("cx: stopped", file=sys.stderr)
    except BrokenPipeError:  # `cx studies | head`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cx", description="From raw customer touchpoints to a revenue decision."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="run the walk on a study: reports/STUDY/index.html")
    report.add_argument("study", nargs="?", default="demo", help="a study's name or folder (default: demo)")
    report.add_argument("--brief", action="store_true", help="pages without code")
    report.add_argument("--only", metavar="03", help="the notebooks whose name begins so")
    report.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: reports/STUDY)")
    report.set_defaults(run=_report)

    case = commands.add_parser("case", help="run a case on its public data: reports/cases/NAME.html")
    case.add_argument("name", nargs="?", help="a case of notebooks/cases; without it they are listed")
    case.add_argument("--brief", action="store_true", help="a page without code")
    case.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: reports/cases)")
    case.set_defaults(run=_case)

    check = commands.add_parser("check", help="say everything that is wrong with a study's tables")
    check.add_argument("path", help="a folder with <table>.parquet or <table>.csv")
    check.set_defaults(run=_check)

    new = commands.add_parser("new", help="a study of your own files: guess their mapping, to be edited")
    new.add_argument("study", type=Path, help="a new folder, for study.yaml and the key of its pseudonyms")
    new.add_argument("--from", dest="files", type=Path, nargs="+", required=True, metavar="FILE",
                     help="CSV, TSV, Excel, JSON, Parquet, XES; they stay where they are")  # fmt: skip
    new.add_argument(
        "--zone", default="", metavar="Z", help="the clock of times without one: Europe/Rome, UTC"
    )
    new.add_argument("--currency", default="", metavar="C", help="of amounts whose file names none: EUR")
    new.add_argument("--title", default="", help="the study's title (default: the folder's name)")
    new.set_defaults(run=_new)

    forget = commands.add_parser("forget", help="take a person out of a study's tables and every cache of it")
    forget.add_argument("study", type=Path, help="the study's folder")
    forget.add_argument("person", help="an id of theirs, as exported or as a pseudonym")
    forget.set_defaults(run=_forget)

    studies = commands.add_parser("studies", help="list the studies that can be opened by name")
    studies.set_defaults(run=_studies)

    data = commands.add_parser("data", help="public data sets: list, fetch, where they are kept")
    actions = data.add_subparsers(required=True, metavar="list | fetch NAME | where")
    actions.add_parser("list", help="names, sizes, licences").set_defaults(run=_data_list)
    fetch = actions.add_parser("fetch", help="download one, checked by its sha256")
    fetch.add_argument("name")
    fetch.set_defaults(run=_data_fetch)
    actions.add_parser("where", help="the folder they are kept in").set_defaults(run=_data_where)

    notebooks = commands.add_parser("notebooks", help="make notebooks/*.ipynb from notebooks/src/*.py")
    how = notebooks.add_mutually_exclusive_group()
    how.add_argument(
        "--run", dest="execute", action="store_true", help="also run on the demo, store checked outputs"
    )
    how.add_argument(
        "--check", action="store_true", help="compare sources, tags and notebooks; write nothing"
    )
    notebooks.set_defaults(run=_notebooks)

    simulate = commands.add_parser("simulate", help="write a simulated company, with its planted truth")
    simulate.add_argument("out", type=Path, help="a new folder")
    simulate.add_argument("--customers", type=_positive, required=True, metavar="N")
    simulate.add_argument("--seed", type=int, default=0, metavar="S", help="draws the customers (default: 0)")
    simulate.add_argument(
        "--world", default="demo", metavar="W", help="demo (default), one_kind or continuum"
    )
    simulate.add_argument(
        "--no-faults", action="store_true", help="a clean log: no duplicates, bots, late events"
    )
    simulate.set_defaults(run=_simulate)
    return parser


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number of customers; give 1 or more")
    return number


def _report(arguments: argparse.Namespace) -> int:
    from cxlib.report import build
    from cxlib.report.sources import folder
    from cxlib.study import open_study, studies

    where = arguments.study
    if where not in studies() and Path(where).is_dir():
        where = str(Path(where).resolve())  # the notebooks run in another folder
    study = open_study(where)
    about, has = _about(study)
    built = build(
        sorted(folder().glob("*.ipynb")),
        about,
        arguments.out or Path("reports") / _file_name(about.name),
        has=has,
        parameters={"STUDY": where},
        brief=arguments.brief,
        only=arguments.only,
    )
    print(_told(about, built))
    return 0


def _case(arguments: argparse.Namespace) -> int:
    import nbformat

    from cxlib.errors import CxLookupError, did_you_mean
    from cxlib.report import About, case
    from cxlib.report.cells import heading, tags
    from cxlib.report.sources import folder
    from cxlib.study import open_study, studies

    books = {path.stem: path for path in sorted(folder().glob("cases/*.ipynb"))}
    if arguments.name is None:
        for name, path in books.items():
            print(f"{name:<28} {heading(nbformat.read(path, 4).cells[0])[1]}")
        return 0
    if arguments.name not in books:
        hint = did_you_mean(arguments.name, books)
        raise CxLookupError(f"No case `{arguments.name}`; there are: {', '.join(books)}.{hint}")
    cells = nbformat.read(books[arguments.name], 4).cells
    stated = "\n".join(cell.source for cell in cells if "parameters" in tags(cell))
    named = [name for name in re.findall(r"[\"'](\w+)[\"']", stated) if name in studies()]
    rests = [_about(open_study(name))[0] for name in named]
    provenance = {
        one.title: "; ".join(
            f"{label} {one.provenance[label]}" for label in ("licence", "fingerprint", "rows")
        )
        for one in rests
    }
    title = rests[0].title if len(rests) == 1 else "Public data, each with its licence"
    built = case(
        books[arguments.name],
        About(arguments.name, title, provenance),
        arguments.out or Path("reports") / "cases",
        brief=arguments.brief,
    )
    print(built.index.parent / f"{arguments.name}.html")
    return 0


def _told(about: About, built: Built) -> str:
    """The report in short: each chapter's question and headline, what was left out, where the index is."""
    width = min(shutil.get_terminal_size().columns, 100)
    lines = [about.title or about.name, ""]
    for chapter, question, found in built.headlines:
        lines += [f"{chapter:>2}  {question}", textwrap.indent(textwrap.fill(found, width - 4), " " * 4)]
    if built.left_out:
        lines += ["", "Left out, because the study has nothing to fill it with:"]
        lines += [f"    {part}" for part in built.left_out]
    return "\n".join([*lines, "", f"Report: {built.index}"])


NAMING = {"touchpoints": ("touchpoint", "outcome"), "exposures": ("experiment",)}
"""Columns whose values a section of a notebook may need."""


def _about(study: Study) -> tuple[About, set[str]]:
    """What the report builder may know of a study: its name, its provenance, what it holds."""
    from cxlib.report import About

    has = set(study.tables) | {f"{table}.{column}" for table in study.tables for column in study.given[table]}
    if study.truths:
        has.add("truth")
    if study.has("touchpoints") or study.has("orders") or study.has("surveys", "customer_id"):
        has.add("persons")
    if study.has("touchpoints"):
        from cxlib.journeys import purchases

        has |= {"conversion"} if purchases(study) else set()
    if study.has("surveys"):
        from cxlib.text import noted
        from cxlib.voice import asked

        has |= {"answers"} if asked(study) else set()
        read = [name for name in study.given["surveys"] if name.startswith("read_")]
        has -= {f"surveys.{name}" for name in read if not noted(study, name)}  # nothing to learn a theme from
    for table, columns in NAMING.items():
        for column in columns:
            if study.has(table, column):
                values = study.fetch(study.table(table).select(column).distinct())[column].dropna()
                has |= {f"{table}.{column}={value}" for value in values}
    rows = ", ".join(f"{table} {count:,}" for table, count in study.findings.rows.items())
    provenance = {label: text for label, text in study.provenance.items() if label != "cxlib"}
    return About(study.name, study.title, {**provenance, "rows": rows}), has


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "study"


def _check(arguments: argparse.Namespace) -> int:
    from cxlib.study import check

    findings = check(arguments.path)
    print(findings)
    return 1 if findings.violations else 0


def _new(arguments: argparse.Namespace) -> int:
    from cxlib.guess import guess
    from cxlib.study.pseudonyms import key_of

    folder = arguments.study
    _refuse_filled(folder)
    given = {name: getattr(arguments, name) for name in ("zone", "currency", "title")}
    made = guess(arguments.files, folder, **given)
    unfinished = folder.resolve().with_name(f".{folder.resolve().name}-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        (unfinished / "study.yaml").write_text(made.text, "utf-8")
        (unfinished / ".gitignore").write_text(".key\n", "utf-8")
        key_of(unfinished, make=True)
        folder.mkdir(exist_ok=True)
        for name in (".key", ".gitignore", "study.yaml"):
            (unfinished / name).replace(folder / name)
    except OSError as error:
        raise CxValueError(f"{folder} cannot be written: {error}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for title, lines in (
        ("Found", made.found),
        ("Not taken", made.left),
        (f"To be stated by hand in {folder / 'study.yaml'}", made.state),
    ):
        if lines:
            print("\n".join([f"{title}:", *(f"  {line}" for line in lines), ""]))
    print(f"Next: cx check {folder}")
    return 0


def _refuse_filled(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CxValueError(f"{folder} is there already and not empty; name a new folder.")


def _forget(arguments: argparse.Namespace) -> int:
    from cxlib.study.forget import forget

    print(forget(arguments.study, arguments.person))
    return 0


def _studies(arguments: argparse.Namespace) -> int:
    from cxlib.study import studies

    for name, title in studies().items():
        print(f"{name:<18} {title}")
    return 0


def _data_list(arguments: argparse.Namespace) -> int:
    from cxlib.study import registry

    for name in registry.names():
        files = registry.files(name)
        size = sum(file.bytes for file in files) / 1e6
        print(f"{name:<20} {size:>9,.1f} MB  {'; '.join(sorted({file.licence for file in files}))}")
    return 0


def _data_fetch(arguments: argparse.Namespace) -> int:
    from cxlib.study import registry

    for path in registry.fetch(arguments.name, progress=True).values():
        print(path)
    return 0


def _data_where(arguments: argparse.Namespace) -> int:
    from cxlib.study import registry

    print(registry.where())
    return 0


def _notebooks(arguments: argparse.Namespace) -> int:
    from cxlib.report import sources, store
    from cxlib.study import open_study

    where = sources.folder()
    if not (arguments.check or arguments.execute):
        print("\n".join(str(path) for path in sources.regenerate(where)))
        return 0
    has = _about(open_study("demo"))[1]
    if arguments.check:
        findings = sources.check(where, has)
        for finding in findings:
            print(finding if finding.wrong else f"{finding} (advice)")
        wrong = sum(finding.wrong for finding in findings)
        print(f"{len(sources.sources(where))} notebooks, {wrong} things wrong")
        return 1 if wrong else 0
    print("\n".join(str(path) for path in store(where, has)))
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from cxlib.world import simulate

    _refuse_filled(arguments.out)
    made = simulate(
        arguments.customers, arguments.seed, world=arguments.world, faults=not arguments.no_faults
    )
    made.write(arguments.out)
    print(
        f"{arguments.out}: open it with cx.open_study({str(arguments.out)!r}) or `cx report {arguments.out}`"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
