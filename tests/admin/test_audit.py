"""Audit: what is listed, sought, paged and exported, and what nobody else sees."""

import ast
import csv
import io
import re
from html import unescape
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa

from admin import audit as pages
from admin import audit_words as words
from practice import coverage, trail
from practice.audit import note
from practice.db import COMMAND, SYSTEM, Actor, Audit, db, transaction
from practice.jobs import JOBS, run_due_jobs
from practice.people import AccountStatus
from practice.threads import ReadLog
from tests.conftest import Cast
from tests.house import ROOT

URL = "/admin/audit"


def seek(cast: Cast, **values: str) -> str:
    """The page that a search leads to."""
    response = cast.ada.post(f"{URL}/searches", values)
    assert response.status_code == 303, response.text
    return unescape(cast.ada.get(response.location).text)


def rows(text: str) -> list[str]:
    return re.findall(r"<tr role=\"row\">\s*<th role=\"rowheader\".*?</tr>", text, re.S)


def number_of(did: str) -> int:
    db.session.close()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Audit).where(Audit.did == did)) or 0


# ---- What a row says -----------------------------------------------------------------------------


def test_a_change_says_who_when_from_where_what_before_and_after(cast: Cast) -> None:
    by = Actor(cast.ada.id, "ADA AS SHE WAS", address="192.0.2.7")
    with transaction(by=by, did="save_entry", about=cast.linden) as tx:
        tx.note_change({"name": "Linden", "is_in_use": True}, {"name": "Linden Street", "is_in_use": False})
    row = unescape(rows(cast.ada.get(URL).text)[0])
    assert re.search(r"<bdi>20\d\d-\d\d-\d\d \d\d:\d\d:\d\d</bdi>", row)
    for text in ("ADA AS SHE WAS", "192.0.2.7", "changed an entry of a short list", "Facility: Linden Street", "In Use"):
        assert text in row
    assert re.search(r"<bdi>Linden</bdi>.*→.*<bdi>Linden Street</bdi>", row) and re.search(r"Yes</bdi>.*<bdi>No</bdi>", row)


def test_a_patient_is_named_with_the_record_number(cast: Cast) -> None:
    cast.send(cast.sophie)
    row = unescape(rows(seek(cast, did="send"))[0])
    assert "KWON, SOPHIE" in row and "00000113" in row and "Thread: Others" in row and "A question" not in row


def test_a21_what_people_wrote_is_shown_as_text(cast: Cast) -> None:
    evil = "<img src=x onerror=alert(1)>"
    with transaction(by=Actor(cast.sam.id, evil, address=evil[:40]), did=evil, about=evil) as tx:
        tx.note_change({evil: evil}, {evil: [evil, {evil: evil}]})
    page = cast.ada.get(URL).text
    assert "<img src=x" not in page and page.count("&lt;img src=x") >= 6


def test_those_who_are_no_person_have_their_names(cast: Cast) -> None:
    cast.anonymous.post("/login", {"email": "x@test.example", "password": "wrong password, wrong"})
    page = cast.ada.get(URL).text
    assert "somebody not logged in" in page and "could not log in" in page and "a command" in page


def test_a_row_of_another_shape_is_shown_too(cast: Cast) -> None:
    note(by=SYSTEM, did="a_verb_of_old", about="x" * 80, details={"before": "only", "ids": [1, 2], "none": None})
    page = cast.ada.get(URL).text
    assert "a verb of old" in page and "1, 2" in page


def test_every_verb_has_words() -> None:
    """A new verb fails here until admin/audit_words.py says what it is called."""
    found: set[str] = set(JOBS)
    for path in [*(ROOT / "practice").glob("*.py"), *(ROOT / "web").glob("*.py"), *(ROOT / "admin").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "did" and path.name != "load.py":
                found |= verbs_in(node.value, path)
    assert sorted(found - set(words.VERBS)) == []


NO_VERBS = {"threads.py", "jobs.py", "audit.py", "trail.py", "routing.py"}  # pass on what they are given


def verbs_in(value: ast.expr, path: Path) -> set[str]:
    if isinstance(value, ast.Constant):
        return {str(value.value)}
    if isinstance(value, ast.IfExp):
        return verbs_in(value.body, path) | verbs_in(value.orelse, path)
    if isinstance(value, ast.JoinedStr) and ast.unparse(value) == "f'{status}_staff'":
        return {f"{status}_staff" for status in AccountStatus}
    assert path.name in NO_VERBS, f"{path.name}: {ast.unparse(value)}: write the verb out, so that its words are found"
    return set()


# ---- Kinds and filters ---------------------------------------------------------------------------


def test_reads_of_threads_are_listed_without_title(cast: Cast) -> None:
    key = cast.send(cast.sophie, title="Very private title")
    cast.nina.get(f"/staff/messages/{key}")
    page = seek(cast, kind="reads")
    assert len(rows(page)) == 1 and "STAFF, NINA" in page and "KWON, SOPHIE" in page and key in page
    assert "read a thread" in page and "private" not in page
    assert len(rows(seek(cast, kind="reads", person="nina", patient="KWON, SOPHIE"))) == 1
    assert "Nothing found" in seek(cast, kind="reads", person="sam")
    assert "Nothing found" in seek(cast, kind="reads", patient="KWON, HUGO")
    assert "Nothing found" in seek(cast, kind="reads", person="system")


def test_denials_hold_wrong_roles_and_threads_of_others(cast: Cast) -> None:
    key = cast.send(cast.sophie)
    cast.sam.get(URL)
    cast.jihae.get(f"/messages/{key}")
    cast.max.get(f"/staff/messages/{key}")
    page = seek(cast, kind="denials")
    assert len(rows(page)) == 3 and f"/staff/messages/{key}" in page and "admin.audit" in page
    assert "KWON, JIHAE" in page and "STAFF, SAM" in page


def test_log_ins_and_changes_are_apart(cast: Cast) -> None:
    cast.sam.post("/logout")
    page = seek(cast, kind="log-ins", person="sam")
    assert len(rows(page)) == 2 and "logged out" in page
    page = seek(cast, kind="changes")
    assert "logged in</td>" not in page and "added a communicator" in page
    assert "Nothing found" in seek(cast, kind="changes", did="log_in")
    assert "Nothing found" in seek(cast, kind="denials", did="log_in")
    assert len(rows(seek(cast, kind="log-ins", did="log_out"))) == 1


@pytest.mark.parametrize("text", ["nina", "NINA", "nina@test.example", "staff, nina", "STAFF NINA"])
def test_a_person_is_found_by_login_mail_or_name(cast: Cast, text: str) -> None:
    assert "STAFF, NINA" in seek(cast, person=text, kind="log-ins")


def test_a_patient_is_found_by_record_number(cast: Cast) -> None:
    cast.send(cast.sophie)
    cast.send(cast.jihae)
    page = seek(cast, patient="00000113", did="send")
    assert len(rows(page)) == 1 and "KWON, SOPHIE" in page
    assert cast.ada.post(f"{URL}/searches", {"patient": "sam"}).status_code == 422  # staff are no patients


@pytest.mark.parametrize("htmx", [False, True])
def test_of_several_people_one_is_chosen(cast: Cast, htmx: bool) -> None:
    cast.send(cast.sophie)
    asked = cast.ada.post(f"{URL}/searches", {"patient": "kwon", "did": "send"}, htmx=htmx)
    assert asked.status_code == 422 and asked.text.count('name="patient_key"') == 3 and 'value="kwon"' in asked.text
    chosen = {"patient": "kwon", "did": "send", "patient_key": cast.sophie.key}
    answer = cast.ada.post(f"{URL}/searches", chosen, htmx=htmx)
    page = answer if htmx else cast.ada.get(answer.location)
    assert len(rows(page.text)) == 1 and "KWON, SOPHIE" in page.text
    if htmx:
        assert re.fullmatch(r"/admin/audit\?filter=[\w-]{22}", answer.headers["HX-Push-Url"])


def test_a_chosen_key_counts_only_for_the_name_it_was_offered_for(cast: Cast) -> None:
    page = seek(cast, person="sam", person_key=cast.nina.key, kind="log-ins")
    assert "STAFF, SAM" in page and not any("NINA" in row for row in rows(page))


@pytest.mark.parametrize(
    ("values", "words_"),
    [
        ({"person": "nobody like this"}, "Nobody is called like this."),
        ({"since": "2026-02-30"}, "Write the date as"),
        ({"until": "yesterday"}, "Write the date as"),
        ({"since": "0001-01-01"}, "Write the date as"),
        ({"since": "2026-05-02", "until": "2026-05-01"}, "The last day is before the first day."),
        ({"person": "x" * 201}, "Use at most 200 characters."),
        ({"kind": "everything"}, "Not a valid choice"),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_what_cannot_be_sought_is_said_and_kept(cast: Cast, values: dict[str, str], words_: str, htmx: bool) -> None:
    answer = cast.ada.post(f"{URL}/searches", values | {"patient": "Typed by me"}, htmx=htmx)
    assert answer.status_code == 422 and words_ in unescape(answer.text) and "Typed by me" in answer.text


def test_too_many_of_a_name_are_said(cast: Cast) -> None:
    for n in range(20):
        cast.patient(f"kim{n}", "KWON", number=60 + n)
    answer = cast.ada.post(f"{URL}/searches", {"patient": "kwon"})
    assert answer.status_code == 422 and "Too many people" in answer.text


def test_a_period_takes_whole_days_of_the_practice(cast: Cast) -> None:
    by = {"by": COMMAND, "did": "export_audit"}
    for at in ("2026-03-01 04:59:59", "2026-03-01 05:00:00", "2026-03-02 04:59:59", "2026-03-02 05:00:00"):  # New York
        write(at, **by)
    page = seek(cast, since="2026-03-01", until="2026-03-01")
    assert re.findall(r"<bdi>(2026-03-0\d \d\d:\d\d:\d\d)</bdi>", page) == ["2026-03-01 23:59:59", "2026-03-01 00:00:00"]


def write(at: str, **how: Any) -> None:
    from_text = trail.datetime.fromisoformat(at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("practice.db.now", lambda: from_text)
        note(**how)


def test_personal_values_never_stand_in_an_address(cast: Cast) -> None:
    answer = cast.ada.post(f"{URL}/searches", {"person": "nina", "patient": "KWON, SOPHIE", "since": "2026-01-01"})
    assert re.fullmatch(r"/admin/audit\?filter=[\w-]{22}", answer.location)
    page = cast.ada.get(answer.location).text
    assert 'value="KWON, SOPHIE"' in page and 'value="nina"' in page
    eve = cast.staff("eve", is_admin=True)
    assert "KWON, SOPHIE" not in re.findall(r'name="patient"[^>]*', eve.get(answer.location).text)
    assert cast.ada.post(f"{URL}/searches", {}).location == URL


def test_all_about_one_thing_is_a_link(cast: Cast) -> None:
    key = cast.communicator("IT Manager")
    cast.change("IT Manager", staff=[cast.dan])
    assert f'href="{URL}?about={key}"' in cast.ada.get(URL).text
    page = cast.ada.get(f"{URL}?about={key}").text
    assert len(rows(page)) == 2 and f'name="about" value="{key}"' in page


# ---- Pages ---------------------------------------------------------------------------------------


def pages_of(cast: Cast, address: str) -> list[list[str]]:
    """The rows of each page from the newest on; and the way back shows the same."""
    found, walked = [], []
    while True:
        page = cast.ada.get(address).text
        found.append(rows(page))
        walked.append(address)
        older = re.search(r'href="([^"]*before=[^"]*)"', page)
        if not older:
            break
        address = unescape(older[1])
    for n in range(len(walked) - 2, -1, -1):
        page = cast.ada.get(walked[n + 1]).text if n == len(walked) - 2 else page
        page = cast.ada.get(unescape(re.search(r'href="([^"]*after=[^"]*)"', page)[1])).text  # type: ignore[index]
        assert rows(page) == found[n]
    assert not re.search(r'href="[^"]*after=', page if len(walked) > 1 else cast.ada.get(walked[0]).text)
    return found


def test_pages_lead_on_and_back_and_leave_nothing_out(cast: Cast) -> None:
    with transaction(by=COMMAND, did="export_audit") as tx:
        for n in range(59):
            with transaction(by=COMMAND, did="answer", about=f"row {n}"):
                pass
        tx.is_silent = True
    answer = cast.ada.post(f"{URL}/searches", {"did": "answer"})
    found = pages_of(cast, answer.location)
    assert [len(page) for page in found] == [25, 25, 9]
    assert re.findall(r"row (\d+)", "".join(sum(found, []))) == [str(n) for n in range(58, -1, -1)]


def test_pages_of_reads_lead_on_and_back(cast: Cast) -> None:
    cast.send(cast.sophie)
    with db.engines["write"].begin() as connection:
        thread = connection.scalar(sa.text("SELECT id FROM thread"))
        at = trail.datetime(2026, 3, 1)
        values = [
            {"person_id": person.id, "thread_id": thread, "hour": hour, "at": at}
            for person in (cast.sam, cast.nina)
            for hour in range(13)
        ]
        connection.execute(sa.insert(ReadLog), [v | {"at": at.replace(hour=v["hour"])} for v in values])
    answer = cast.ada.post(f"{URL}/searches", {"kind": "reads"})
    assert [len(page) for page in pages_of(cast, answer.location)] == [25, 1]
    answer = cast.ada.post(f"{URL}/searches", {"kind": "reads", "person": "sam"})
    assert [len(page) for page in pages_of(cast, answer.location)] == [13]


@pytest.mark.parametrize(
    "query",
    [
        "before=1", "before=1.1", "before=99999999999999999.9999999999", "before=1.9999999999999", "after=x", "before=",
        f"before=1.{'x' * 22}.{'y' * 22}", "filter=x", "filter=" + "x" * 22, "about=" + "9" * 30, "about=" + "x" * 22,
        "before=-5.3", "before=٣.٣", "filter=" + "9" * 30,
    ],
)  # fmt: skip
def test_addresses_that_name_nothing_are_harmless(cast: Cast, query: str) -> None:
    assert cast.ada.get(f"{URL}?{query}").status_code == 200


def test_a_page_costs_the_same_number_of_statements_whatever_it_holds(cast: Cast, statements: Any) -> None:
    with statements() as few:
        cast.ada.get(URL)
    with transaction(by=COMMAND, did="export_audit"):
        for n in range(300):
            with transaction(by=COMMAND, did="answer", about=cast.communicator("IT Manager"), patient=cast.sophie.id):
                assert n >= 0
    with statements() as many:
        cast.ada.get(URL)
    assert len(many) == len(few)
    assert not any("count(" in statement and " audit" in statement for statement in many)


# ---- Export, seal, who may ------------------------------------------------------------------------


def test_a50_the_export_holds_what_is_found_as_text(cast: Cast) -> None:
    coverage.set_staff_status(cast.ivan.key, AccountStatus.DISABLED, by=Actor(cast.ada.id, "=HYPERLINK(1)"))
    location = cast.ada.post(f"{URL}/searches", {"did": "disabled_staff"}).location
    data = {"filter": location.partition("filter=")[2]}
    answer = cast.ada.post(f"{URL}/exports", data | {"format": "xlsx"})
    sheet = openpyxl.load_workbook(io.BytesIO(answer.data)).active
    assert sheet.max_row == 2 and sheet["B2"].value == "=HYPERLINK(1)" and sheet["B2"].data_type == "s"
    answer = cast.ada.post(f"{URL}/exports", data | {"format": "csv"})
    assert "'=HYPERLINK(1)" in answer.text and "STAFF, IVAN" in answer.text and answer.text.count("\n") == 2
    assert number_of("export_audit") == 2 and "exported the audit" in cast.ada.get(URL).text


def test_the_export_of_all_about_one_thing_holds_that_alone(cast: Cast) -> None:
    coverage.set_staff_status(cast.ivan.key, AccountStatus.DISABLED, by=cast.ada.actor)
    coverage.set_staff_status(cast.max.key, AccountStatus.DISABLED, by=cast.ada.actor)
    assert f'name="about" value="{cast.ivan.key}"' in cast.ada.get(f"{URL}?about={cast.ivan.key}").text.partition("/exports")[2]
    text = cast.ada.post(f"{URL}/exports", {"about": cast.ivan.key, "format": "csv"}).text
    assert "STAFF, IVAN" in text and "STAFF, MAX" not in text


def test_an_export_that_is_cut_says_so(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def exported() -> list[list[str]]:
        return list(csv.reader(io.StringIO(cast.ada.post(f"{URL}/exports", {"format": "csv"}).text)))

    monkeypatch.setattr(pages, "EXPORT_MAX", 7)
    monkeypatch.setattr(trail, "CHUNK", 3)
    cut = exported()
    assert len(cut) == 9 and "Cut here" in cut[-1][0]
    monkeypatch.setattr(pages, "EXPORT_MAX", 10_000)
    whole = exported()
    db.session.close()
    assert len(whole) - 1 == db.session.scalar(sa.select(sa.func.count()).select_from(Audit)) - 1  # its own comes after
    assert [row[0] for row in whole[1:]] == sorted((row[0] for row in whole[1:]), reverse=True)
    assert whole[2:9] == cut[1:8]


def test_an_export_of_anothers_filter_is_not_there(cast: Cast) -> None:
    location = cast.ada.post(f"{URL}/searches", {"person": "sam"}).location
    eve = cast.staff("eve", is_admin=True)
    assert eve.post(f"{URL}/exports", {"filter": location.partition("filter=")[2]}).status_code == 404
    assert cast.ada.post(f"{URL}/exports", {"filter": "\0"}).status_code == 404
    assert number_of("export_audit") == 0


def test_the_page_says_how_far_the_seal_reaches(cast: Cast) -> None:
    assert "Nothing is sealed yet." in cast.ada.get(URL).text
    run_due_jobs()
    db.session.close()
    newest = db.session.scalar(sa.text("SELECT max(audit_id) FROM audit_seal"))
    assert f"Sealed up to row {newest:,}" in cast.ada.get(URL).text


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_sees_it(cast: Cast, who: str) -> None:
    player = getattr(cast, who)
    assert player.get(URL).status_code == 403
    assert player.post(f"{URL}/searches", {"person": "sam"}).status_code == 403
    assert player.post(f"{URL}/exports", {}).status_code == 403
    assert number_of("export_audit") == 0


def test_get_neither_searches_nor_exports(cast: Cast) -> None:
    assert cast.ada.get(f"{URL}/searches").status_code == 405 and cast.ada.get(f"{URL}/exports").status_code == 405
