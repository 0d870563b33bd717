"""What every test stands on: caches of its own, one thread, real data and Spark where they can be had.

Environment, all optional: `CXLIB_SEED` (base of every simulation's seed), `CXLIB_DATA_MIRROR` (a folder of
the public files that data/registry.tsv names). With `CI=true` what is missing fails instead of skipping.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

# Before numpy is imported: two BLAS threads on a busy machine cost a hundredfold in small fits.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ["MPLBACKEND"] = "Agg"


def pytest_configure(config: pytest.Config) -> None:
    """Set by variable, not by fixture, so that doctests, kernels and child processes get it too.

    The workers of a parallel run inherit one cache: what the demo's doctests and notebooks share is made once.
    """
    if not hasattr(config, "workerinput"):
        os.environ["CXLIB_CACHE"] = tempfile.mkdtemp(prefix="cxlib-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["CXLIB_CACHE"], ignore_errors=True)


def missing(what: str, how: str) -> NoReturn:
    """Skip a test that needs something this machine lacks, saying how to get it; in CI, fail."""
    message = f"{what}: {how}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def base_seed() -> int:
    """The seed that a simulation's own small numbers are added to."""
    return int(os.environ.get("CXLIB_SEED", "0"))


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A folder that holds the public files by the names of data/registry.tsv."""
    where = os.environ.get("CXLIB_DATA_MIRROR")
    if not where or not Path(where).is_dir():
        missing(
            "no real data",
            "run `python -m cxlib data fetch NAME`, then set CXLIB_DATA_MIRROR to the folder that "
            "`python -m cxlib data where` prints",
        )
    return Path(where)


@pytest.fixture(scope="module")
def spark(spark_session: Any) -> Any:
    """A local Spark session without tables: what another file's tests left is no part of a study."""
    for table in spark_session.catalog.listTables():
        spark_session.catalog.dropTempView(table.name)
    return spark_session


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Spark session that needs no network; stopped when the tests end."""
    if shutil.which("java") is None:
        missing("no Java", "install a Java 17 runtime (Debian: default-jre-headless)")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        missing("no PySpark", "install requirements-spark.lock into the environment")
    scratch = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        # Two parts are enough for rows to come in another order; a minute's work is not worth optimised code.
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[2]").appName("cxlib tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
