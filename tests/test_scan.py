"""What `make scan` makes of reports and answers: what is found fails it, what did not run says so, each id has its tests."""

from datetime import date

from tests.scan import ids, raw, sample, timings, tools
from tests.scan.report import Run, with_cells, with_kept, written
from tests.scan.site import Page, Target, Visitor

INJECTION = {"level": 4, "method": "POST", "path": "/x", "parameter": "name", "info": "SQL Injection"}
HEADER = {"level": 1, "method": "GET", "path": "/x", "parameter": "", "info": "a header is missing"}
NOTICE = {"level": 4, "method": "GET", "path": "/reset", "parameter": "done", "info": "LDAP"}


def test_every_id_of_an_attack_or_a_promise_has_a_test_named_after_it():
    assert [known for known, tests in ids.tests_by_id().items() if not tests] == []
    assert ids.ids_in("test_a17_S3_a_form_of_a4_pages") == {"A17", "S3", "A4"} and ids.ids_in("test_f3_a_race") == set()


def test_s9_a_finding_of_medium_or_more_fails_the_run_unless_it_is_explained():
    told = {"vulnerabilities": {"SQL Injection": [INJECTION], "LDAP Injection": [NOTICE]}, "additionals": {"Headers": [HEADER]}}
    scan = tools.Scan("wapiti", "staff", findings=tools.wapiti_findings(told))
    assert scan.counted == {"critical": 2, "low": 1}
    assert [one.words for one in scan.bad] == ["SQL Injection: POST /x name SQL Injection"]
    (problem,) = Run(scans=[scan]).problems
    assert "SQL Injection" in problem and "as staff" in problem
    text = written(Run(scans=[scan]), date(2026, 1, 2))
    assert "**1 findings**" in text and "speaks no LDAP" in text and "Below medium, as the tools call them: Headers." in text


def test_s9_sqlmaps_table_is_read(tmp_path):
    table = tmp_path / "results.csv"
    assert tools.sqlmap_findings(table) == ()
    table.write_text("Target URL,Place,Parameter,Technique(s),Note(s)\n")
    assert tools.sqlmap_findings(table) == ()
    table.write_text("Target URL,Place,Parameter,Technique(s),Note(s)\nhttp://127.0.0.1/x,POST,name,B,\n")
    (found,) = tools.sqlmap_findings(table)
    assert found.level >= tools.MEDIUM and "name" in found.words and not found.explained("sqlmap")
    table.write_text(
        "Target URL,Place,Parameter,Technique(s),Note(s)\nhttp://127.0.0.1/x,POST,name,B,false positive or unexploitable\n"
    )
    assert tools.sqlmap_findings(table)[0].explained("sqlmap"), "it says so itself"


def test_s9_a_scanner_that_finds_no_planted_hole_or_loses_its_session_says_nothing():
    run = Run(scans=[tools.Scan("sqlmap", "planted"), tools.Scan("wapiti", "staff", problem="it wrote no report")])
    run.sessions = {("wapiti", "staff"): False, ("wapiti", "admin"): True}
    problems = [
        "wapiti as staff: it wrote no report",
        "sqlmap did not find the planted hole",
        "wapiti as staff: the session ended",
    ]
    assert run.problems == problems


def test_what_differs_too_much_or_is_not_refused_fails_the_run():
    slow = timings.Timing("Log-in", 100, 80)
    assert not slow.is_right and timings.Timing("Log-in", 100, 86).is_right
    taken = raw.Refusal("two lengths", 200, 2, False)
    assert raw.Refusal("two lengths", 400, 1, True).is_right and not raw.Refusal("two lengths", 400, 2, True).is_right
    assert Run(times=[slow], refusals=[taken]).problems == ["Log-in: 20% apart", "two lengths: 200, 2 answers"]


def test_what_did_not_run_says_so(tmp_path):
    text = written(Run(), date(2026, 1, 2))
    row = next(line for line in text.splitlines() if line.startswith("| A17 |"))
    assert row.count("not run") == 2 and "| not run | | | |" in text
    report = tmp_path / "report.xml"
    cases = ("a17_x[1]", "", "a17_x[2]", "<failure/>", "a18_x", "<skipped/>", "s3_a18_x", "")
    tests = "".join(f'<testcase name="test_{name}">{what}</testcase>' for name, what in zip(cases[::2], cases[1::2], strict=True))
    report.write_text(f"<testsuite>{tests}</testsuite>")
    found = ids.outcomes(report)
    assert found == {"A17": ids.Outcome(1, 1, 0), "A18": ids.Outcome(1, 0, 1), "S3": ids.Outcome(1, 0, 0)}
    assert Run(tests={"sqlite": found}).problems == ["A17 on sqlite: 1 failed"]
    assert "**1 failed**" in written(Run(tests={"sqlite": found}), date(2026, 1, 2))
    assert ids.Outcome(0, 0, 3).words == "not run"
    assert Run(tests={"postgresql": {}}).problems == ["the tests did not run on postgresql"]


def test_of_a_table_some_rows_are_run_evenly_spaced():
    assert sample.spaced([*range(20)], 4) == [0, 5, 10, 15] and sample.spaced([1, 2], 4) == [1, 2]


def test_forms_and_links_of_a_page_are_what_a_scanner_is_given():
    page = Page("/staff/")
    page.feed(
        '<a href="messages/x?box=1">a</a><form method="post" action="/staff/searches"><input name="key" value="k">'
        '<select name="type"><option value=""></option><option value="Others"></option></select><textarea name="body"></textarea>'
        '<input type="file" name="file"></form><form action="/staff/sent"><input name="q" value="1"></form>'
    )
    assert page.links == ["/staff/messages/x?box=1", "/staff/sent?q=1"]
    form = (("key", "k"), ("type", "Others"), ("body", "scan"))
    assert page.forms == [Target("POST", "/staff/searches", form)]
    logged = tools.as_logged(Visitor(8000, cookie="a=b"), page.forms[0])
    assert "POST /staff/searches HTTP/1.1" in logged and "Cookie: a=b" in logged and "key=k&type=Others&body=scan" in logged
    assert Target("GET", f"/messages/{'k' * 22}?box=1").kind == Target("GET", f"/messages/{'m' * 22}?box=2").kind


def test_of_a_run_of_one_part_the_others_stay_as_they_were_with_their_day():
    before = written(Run(times=[timings.Timing("Log-in", 100, 99)]), date(2026, 1, 2))
    text = with_kept(written(Run(), date(2026, 3, 4), "python -m tests.scan --only tests"), before, ["tests"])
    assert "`python -m tests.scan --only tests` on 2026-03-04" in text and "| Log-in | 100.0 | 99.0" in text
    assert text.count("Of 2026-01-02.") == 3 and with_kept(text, text, ["tests"]).count("Of 2026-01-02.") == 3


def test_what_was_tried_outside_of_the_tests_stays_beside_an_id_when_only_tests_run():
    before = written(Run(times=[timings.Timing("Log-in", 100, 99)]), date(2026, 1, 2))
    text = with_cells(written(Run(), date(2026, 3, 4)), before)
    assert text.count("; timings below: as promised |") == before.count("; timings below: as promised |") == 1
