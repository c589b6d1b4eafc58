"""Example data for the authorization walk: the audit."""

from typing import Any

EXAMPLES: dict[str, Any] = {
    "admin.audit": lambda cast: {},
    "admin.search_audit": lambda cast: {"player": cast.ada, "data": {"person": "sam", "kind": "changes"}},
    "admin.export_audit": lambda cast: {"player": cast.ada, "data": {"format": "csv"}},
}
