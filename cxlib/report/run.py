"""Execute a notebook for one study, in a kernel of its own; the notebook on disk is not touched."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nbformat import NotebookNode

from cxlib.errors import CxError, CxValueError
from cxlib.report.cells import first_line, tags

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
CELL_SECONDS = 1800


class CellFailed(CxError):
    """A cell of a notebook raised an error, so nothing was written."""


def set_parameters(name: str, book: NotebookNode, values: Mapping[str, object]) -> None:
    """Assign each value in the cell tagged `parameters`; `CxValueError` for a name it lacks."""
    cells = [cell for cell in book.cells if "parameters" in tags(cell)]
    for key, value in values.items():
        pattern = re.compile(rf"^{re.escape(key)}\s*(:[^=]+)?=[^\n]*", re.M)
        if not any(pattern.search(cell.source) for cell in cells):
            raise CxValueError(f"{name}: no cell tagged `parameters` assigns `{key}`; add `{key} = ...`.")
        line = f"{key} = {value!r}".replace("\\", "\\\\")
        for cell in cells:
            cell.source = pattern.sub(line, cell.source)


def execute(
    name: str, book: NotebookNode, workdir: Path, done: Callable[[], object] = lambda: None
) -> NotebookNode:
    """Run every cell in a fresh kernel of this interpreter; `done` is called after each code cell.

    Raises `CellFailed` with the notebook, the cell and the error.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert.filters import strip_ansi

    client = NotebookClient(
        book,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(workdir)}},
        on_cell_complete=lambda cell, cell_index: done() if cell.cell_type == "code" else None,
        record_timing=False,
    )
    manager = client.create_kernel_manager()
    # No search path: the kernel is ours, whatever `python3` a user's own Jupyter would pick.
    manager.kernel_spec_manager.kernel_dirs = []
    manager.transport_encryption = "required"  # else ipykernel warns, once a kernel
    running: list[NotebookNode] = []
    client.on_cell_start = lambda cell, cell_index: running.append(cell)
    try:
        executed: NotebookNode = client.execute(env=_environment(workdir), stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        what = f"the cell `{first_line(running[-1])}` failed with {error.ename}: {error.evalue}".rstrip(": ")
        shown = _source(running[-1], strip_ansi(error.traceback))
        raise CellFailed(f"{name}: {what}\n{shown}\nNothing was written.") from None
    except (CellTimeoutError, DeadKernelError) as error:
        where = first_line(running[-1]) if running else "the first"
        message = f"{name}: the cell `{where}` did not finish: {error}. Nothing was written."
        raise CellFailed(message) from None
    except AssertionError:
        if client.km is None:  # nbclient's answer to Ctrl-C: it ends the kernel, then misses it
            raise KeyboardInterrupt from None
        raise
    return executed


def _source(cell: NotebookNode, traceback: str) -> str:
    """The cell's lines, an arrow at the one that failed (the first frame of the traceback is the cell)."""
    found = re.search(r"^-+> (\d+)", traceback, re.M)
    failed = int(found[1]) if found else 0
    lines = enumerate(cell.source.splitlines(), start=1)
    return "\n".join(f"{'->' if number == failed else '  '}  {line}" for number, line in lines)


def _environment(workdir: Path) -> dict[str, str]:
    """One BLAS thread, no profile of the user's, the same string hashes in every run."""
    env = dict(os.environ)
    for key, value in env.items():  # the kernel runs elsewhere: a relative path must still be found
        if key.startswith("CXLIB_") and Path(value).exists():
            env[key] = str(Path(value).resolve())
    env |= dict.fromkeys(ONE_THREAD, "1") | {"PYTHONHASHSEED": "0", "IPYTHONDIR": str(workdir / ".ipython")}
    package = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [package, env.get("PYTHONPATH")]))
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # every kernel would compile every import anew
    env.pop("MPLBACKEND", None)  # figures are for the page, whatever a shell was set to
    return env


@contextmanager
def working_folder() -> Iterator[Path]:
    """An empty folder in which notebooks run, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="cxlib-", ignore_cleanup_errors=True) as name:
        yield Path(name)
