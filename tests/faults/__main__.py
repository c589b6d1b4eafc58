"""`make faults`: makes every fault of the list for real, on SQLite and PostgreSQL, and writes docs/reliability.md.

Exit status 1 when something does not hold. `--only F1,F13` makes some and rewrites their rows alone.
"""

import argparse
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from tests.faults import book, clock, damage, database, mails, named, pages, restarts  # noqa: F401  each makes its faults known
from tests.faults.book import Broken, Fault, NotHere, NotRun, Row
from tests.faults.senders import Crowd
from tests.faults.stage import Cluster, Stage, set_up


def main() -> int:
    asked = arguments()
    faults = list(book.wanted(asked.only))
    crowd = Crowd()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("faults: ended before all was run"))
    command = " ".join(["python -m tests.faults", *sys.argv[1:]]) if sys.argv[1:] else "make faults"
    rows: list[Row] = []
    with contextlib.ExitStack() as ends:
        folder = Path(tempfile.mkdtemp(prefix="portal-faults-"))
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # another user runs the server
        for kind in [asked.database] if asked.database else book.DATABASES:
            for row in of_database(kind, folder, crowd, asked.seed, faults):
                rows.append(row)
                book.write([row], command=command, seed=asked.seed)
    broken = [row for row in rows if row.result == "broken"]
    say(f"{len(rows)} rows in {book.FILE}, {len(broken)} broken")
    return 1 if broken else 0


def of_database(kind: str, folder: Path, crowd: Crowd, seed: int, faults: Sequence[Fault]) -> Iterator[Row]:
    begun = time.monotonic()
    with contextlib.ExitStack() as ends:
        try:
            stage = begin(kind, folder, crowd, seed, ends)
        except NotRun as error:
            for one in faults:
                yield from rows_of(one, kind, "not run", str(error), 0)
            return
        say(f"{kind}: the practice is set up, after {time.monotonic() - begun:.0f} s")
        for one in faults:
            yield from made(one, stage)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", metavar="IDS", help="some alone, as F1,F13")
    parser.add_argument("--database", choices=book.DATABASES)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def begin(kind: str, folder: Path, crowd: Crowd, seed: int, ends: contextlib.ExitStack) -> Stage:
    home = folder / kind
    home.mkdir()
    home.chmod(0o755)
    cluster = None
    if kind == "postgresql":
        cluster = Cluster(home)
        ends.callback(cluster.stop, "immediate")
        cluster.command("CREATE DATABASE portal TEMPLATE template0")
    url = cluster.url("portal") if cluster else f"sqlite:///{home / 'portal.sqlite3'}"
    stage = Stage(kind, url, home, random.Random(seed), crowd, cluster)
    set_up(stage)
    ends.callback(stage.rest)
    return stage


def made(one: Fault, stage: Stage) -> list[Row]:
    begun = time.monotonic()
    try:
        result, figures = "holds", one.make(stage)
    except NotRun as error:
        result, figures = "not run", str(error)
    except NotHere as error:
        result, figures = "does not apply", str(error)
    except Broken as error:
        result, figures = "broken", str(error)
    except Exception as error:  # of the test itself: what it was to show is not shown
        traceback.print_exc()
        result, figures = "broken", f"the test failed: {type(error).__name__}: {error}"
    rows = rows_of(one, stage.kind, result, figures, round(time.monotonic() - begun))
    say(f"{stage.kind}: {', '.join(one.ids)} {result}, {rows[0].seconds} s: {figures}")
    return rows


def rows_of(one: Fault, kind: str, result: str, figures: str, seconds: int) -> list[Row]:
    return [Row(id, kind, result, figures[:900], seconds, f"{date.today()}") for id in one.ids]


def say(words: str) -> None:
    print(f"faults: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
