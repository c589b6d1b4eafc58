"""Example data for the authorization walk: numbers."""

from typing import Any

EXAMPLES: dict[str, Any] = {
    "admin.numbers": lambda cast: {"player": cast.ada, "own": {"by": "month"}},
    "admin.export_numbers": lambda cast: {"player": cast.ada, "data": {"table": "waits", "by": "week"}},
}
