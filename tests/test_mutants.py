"""The list of `make mutants` does not rot: every line of it is still in its file, every condition still has its mutant."""

import pytest

from tests.mutants import MUTANTS, NOTHING_CHANGES, ROOT, conditions, files_of_tests, without_mutant


def test_s10_each_mutant_finds_its_line_once():
    wrong = [
        f"{found} times in {mutant.file}: {mutant.says!r}"
        for mutant in MUTANTS
        if (found := (ROOT / mutant.file).read_text().count(mutant.says)) != 1
    ]
    assert not wrong, "Change tests/mutants.py along with the code:\n" + "\n".join(wrong)


def test_s10_each_mutant_names_tests_that_are_there():
    known = files_of_tests()
    missing = {test for mutant in MUTANTS for test in mutant.tests if test.partition("[")[0] not in known}
    assert not missing, "Name another test in tests/mutants.py:\n" + "\n".join(sorted(missing))


def test_a58_s10_every_condition_has_a_mutant():
    missing = without_mutant()
    assert not missing, "Add to tests/mutants.py, with a test that notices:\n" + "\n".join(missing)


@pytest.mark.parametrize("file", NOTHING_CHANGES)
def test_each_exception_is_still_there(file):
    there = {" ".join(text.split()) for text, *_ in conditions(file)}
    assert set(NOTHING_CHANGES[file]) <= there
