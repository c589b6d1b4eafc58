"""A plugin of pytest: of each table of rows no more than `--rows` are run, evenly spaced, always the same."""

from itertools import groupby

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", type=int, default=0, help="of each parametrized test; 0: all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    most = config.getoption("--rows")
    if most:
        items[:] = [one for _, group in groupby(items, _test) for one in spaced(list(group), most)]


def _test(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def spaced(items: list[pytest.Item], most: int) -> list[pytest.Item]:
    if len(items) <= most:
        return items
    return [items[n * len(items) // most] for n in range(most)]
