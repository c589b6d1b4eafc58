"""Example data for every view: what its owner opens, and who must not. tests/test_walk.py walks them."""

from tests.examples import admin, portal, shared, staff

EXAMPLES = shared.EXAMPLES | portal.EXAMPLES | staff.EXAMPLES | admin.EXAMPLES
