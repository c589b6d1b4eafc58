"""Example data for every view: what its owner opens, and who must not. tests/test_walk.py walks them."""

from tests.examples import (
    absences,
    admin,
    admin_audit,
    admin_coverage,
    admin_lists,
    admin_numbers,
    admin_patients,
    admin_practice,
    admin_staff,
    admin_trays,
    portal,
    registering,
    second_steps,
    shared,
    staff,
)

EXAMPLES = (
    shared.EXAMPLES
    | portal.EXAMPLES
    | registering.EXAMPLES
    | second_steps.EXAMPLES
    | staff.EXAMPLES
    | admin.EXAMPLES
    | admin_audit.EXAMPLES
    | admin_coverage.EXAMPLES
    | absences.EXAMPLES
    | admin_lists.EXAMPLES
    | admin_numbers.EXAMPLES
    | admin_patients.EXAMPLES
    | admin_practice.EXAMPLES
    | admin_staff.EXAMPLES
    | admin_trays.EXAMPLES
)
