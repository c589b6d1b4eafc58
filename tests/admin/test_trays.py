"""Overdue, Removed and reading one with a reason: envelopes without words, and what an admin does to them."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa

from practice import conversations, trays
from practice.db import COMMAND, Audit, clock_at, db, new_key, now, transaction
from practice.people import Staff
from practice.threads import ReadLog, Thread
from practice.trays import BreakGlass
from tests.conftest import Cast, Player
from tests.examples.admin_trays import neglect, remove, strand

LISTS = ("/admin/unrouted", "/admin/overdue", "/admin/removed")
REASON = "The family asks for it"


def restore(cast: Cast, key: str, **changed: str) -> dict[str, str]:
    return {"version": str(cast.thread(key).version)} | changed


def said(**changed: str) -> dict[str, str]:
    return {"reason": REASON, "key": new_key()} | changed


def opening(key: str) -> str:
    return f"/admin/threads/{key}/opening"


def test_empty_trays_say_so(cast: Cast) -> None:
    assert "Nothing is overdue" in cast.ada.get("/admin/overdue").text
    assert "Nothing is removed" in cast.ada.get("/admin/removed").text
    assert "Nothing was opened" in cast.ada.get("/admin/openings").text


@pytest.mark.parametrize("htmx", [False, True])
def test_envelopes_show_who_and_when_but_never_a_title_or_a_word(cast: Cast, htmx: bool) -> None:
    with clock_at(now() - timedelta(days=30)):
        cast.send(cast.sophie, body="Private words", title="Private title")
    gone = cast.send(cast.jihae, body="Private words", title="Private title")
    cast.answer(cast.nina, gone, "Private answer")
    conversations.remove(gone, version=cast.thread(gone).version, by=cast.nina.actor)
    late, removed = (unescape(cast.ada.get(url, htmx=htmx).text) for url in LISTS[1:])
    assert "KWON, SOPHIE" in late and "30 d" in late and "<bdi>Clinicians</bdi>" in late and "JIHAE" not in late
    assert "KWON, JIHAE" in removed and "<bdi>STAFF, NINA</bdi>" in removed and "SOPHIE" not in removed
    assert "Private" not in late + removed


def test_an_overdue_envelope_says_who_has_claimed_it(cast: Cast) -> None:
    key = neglect(cast, cast.sophie)
    assert "STAFF, NINA" not in cast.ada.get("/admin/overdue").text
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        thread = tx.session.scalars(sa.select(Thread).where(Thread.key == key)).one()
        thread.claimed_by_id, thread.claimed_until = cast.nina.id, now() + timedelta(hours=1)
    assert "<bdi>STAFF, NINA</bdi>" in cast.ada.get("/admin/overdue").text


@pytest.mark.parametrize("name", ["<b>X</b>", "כהן־לוי", "W" * 100])
def test_strange_names_are_shown_as_they_are(cast: Cast, name: str) -> None:
    patient = cast.patient("first", name)
    remove(cast, patient)
    key = neglect(cast, patient)
    cast.ada.post(opening(key), said(reason="<i>why</i>"))
    for url in (*LISTS[1:], opening(key), f"/admin/threads/{key}", "/admin/openings"):
        page = cast.ada.get(url).text
        assert f"{name}, FIRST" in unescape(page) and "<b>X" not in page and "<i>" not in page


@pytest.mark.parametrize("url", LISTS)
def test_a_tray_needs_the_same_statements_for_3_and_for_60(cast: Cast, statements: Any, url: str) -> None:
    counts = []
    for _size in (3, 60):
        fill(cast, 60 if counts else 3)
        cast.ada.get(url)
        with statements() as found:
            page = cast.ada.get(url).text
        counts.append(len(found))
    assert counts[0] == counts[1] and page.count("Open with a reason") == 25


def fill(cast: Cast, size: int) -> None:
    """So many threads that lie in every tray at once, over three audiences."""
    like = [cast.thread(cast.send(cast.sophie, to=to)) for to in ("Clinicians", "IT Manager")]
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        for n in range(size):
            columns = {c.name: getattr(like[n % 2], c.name) for c in Thread.__table__.columns if c.name not in ("id", "key")}
            past = now() - timedelta(days=1, minutes=n)
            tx.session.add(Thread(**columns | {"unrouted_since": past, "due_at": past, "removed_at": past}, key=new_key()))


@pytest.mark.parametrize("url", LISTS)
def test_older_and_newer_lead_through_the_pages(cast: Cast, url: str) -> None:
    fill(cast, 30)
    first = cast.ada.get(url).text
    words = ("Older", "Newer") if url == "/admin/removed" else ("Newer", "Older")
    pager = r'<a class="btn" href="([^"]+)">(?:<svg[^>]*><use[^>]*></use></svg>)?'
    onwards = re.search(pager + words[0], first)
    assert onwards and not re.search(pager + words[1], first)
    second = cast.ada.get(unescape(onwards[1])).text
    assert second.count("Open with a reason") == 5
    back = re.search(pager + words[1], second)
    assert back and re.findall(r"threads/([\w-]{22})", cast.ada.get(unescape(back[1])).text) == re.findall(
        r"threads/([\w-]{22})", first
    )
    for nonsense in ("x" * 22, "1", "9" * 30, "'", "%F0%9F%98%80"):
        assert cast.ada.get(f"{url}?before={nonsense}").text.count("Open with a reason") == 25


@pytest.mark.parametrize("url", [*LISTS, "/admin/openings"])
def test_a_nul_in_an_address_is_nothing(cast: Cast, url: str) -> None:
    assert cast.ada.get(f"{url}?before=%00").status_code == 404


# ---- Restore -------------------------------------------------------------------------------------


@pytest.mark.parametrize("htmx", [False, True])
def test_restoring_brings_it_back_to_the_staff(cast: Cast, htmx: bool) -> None:
    key = remove(cast, cast.sophie)
    assert key not in cast.nina.get("/staff/").text
    response = cast.ada.post(f"/admin/removed/{key}/restoring", restore(cast, key), htmx=htmx)
    assert response.status_code == (200 if htmx else 303)
    assert "Restored." in cast.ada.get("/admin/removed?done=restored").text
    assert key in cast.nina.get("/staff/").text


@pytest.mark.parametrize("htmx", [False, True])
def test_two_admins_the_second_sees_who_was_faster(cast: Cast, htmx: bool) -> None:
    key = remove(cast, cast.sophie)
    mine, eve = restore(cast, key), cast.staff("eve", is_admin=True)
    eve.post(f"/admin/removed/{key}/restoring", restore(cast, key))
    response = cast.ada.post(f"/admin/removed/{key}/restoring", mine, htmx=htmx)
    assert response.status_code == 409 and "<bdi>STAFF, EVE</bdi>" in response.text


def test_one_that_an_answer_brought_back_says_so(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    mine = restore(cast, key)
    cast.answer(cast.nina, key)
    response = cast.ada.post(f"/admin/removed/{key}/restoring", mine)
    assert response.status_code == 409 and "not removed any more" in response.text


@pytest.mark.parametrize("version", ["0", "", "x", "9" * 30, "٣", "-1", "\0"])
def test_one_that_changed_and_is_still_removed_can_be_restored_again(cast: Cast, version: str) -> None:
    key = remove(cast, cast.sophie)
    response = cast.ada.post(f"/admin/removed/{key}/restoring", restore(cast, key, version=version))
    assert response.status_code == 409 and "it is still removed" in response.text
    assert f"/admin/removed/{key}/restoring" in response.text


# ---- Open with a reason --------------------------------------------------------------------------


def test_the_form_says_that_all_admins_see_it(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    assert opening(key) in cast.ada.get("/admin/removed").text
    page = cast.ada.get(opening(key)).text
    assert "shown to all admins" in page and "KWON, SOPHIE" in page and "A question" not in page


@pytest.mark.parametrize("lay", [remove, neglect, strand])
@pytest.mark.parametrize("htmx", [False, True])
def test_with_a_reason_the_whole_thread_is_read_and_nothing_more(cast: Cast, lay: Any, htmx: bool) -> None:
    key = lay(cast, cast.sophie)
    assert cast.ada.get(f"/admin/threads/{key}").status_code == 404
    response = cast.ada.post(opening(key), said(), htmx=htmx)
    assert response.status_code == (200 if htmx else 303)
    page = cast.ada.get(f"/admin/threads/{key}", htmx=htmx).text
    assert "Hello" in page and REASON in page and "to read only, until" in page and "opened by an admin" in page
    assert ("Which type of media" in page) == (lay is strand)
    assert htmx == ("<form" not in page) and "<textarea" not in page
    assert cast.ada.get(f"/staff/messages/{key}").status_code == 404


def test_each_look_is_in_the_read_log(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    cast.ada.post(opening(key), said())
    db.session.close()
    mine = sa.select(ReadLog.thread_id).where(ReadLog.person_id == cast.ada.id)
    assert db.session.scalars(mine).all() == []
    cast.ada.get(f"/admin/threads/{key}")
    db.session.close()
    assert db.session.scalars(mine).all() == [cast.thread(key).id]


def test_it_is_shown_to_all_admins(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    cast.ada.post(opening(key), said())
    eve = cast.staff("eve", is_admin=True)
    for url in LISTS:
        assert "One envelope was opened with a reason" in eve.get(url).text
    page = unescape(eve.get("/admin/openings").text)
    assert "<bdi>STAFF, ADA</bdi>" in page and "KWON, SOPHIE" in page and REASON in page and "Read it until" not in page
    assert "A question" not in page
    assert f"/admin/threads/{key}" in cast.ada.get("/admin/openings").text


def test_another_admin_or_the_time_after_or_another_thread_finds_nothing_and_it_is_audited(cast: Cast) -> None:
    key, normal = remove(cast, cast.sophie), cast.send(cast.sophie)
    cast.ada.post(opening(key), said())
    eve = cast.staff("eve", is_admin=True)
    assert eve.get(f"/admin/threads/{key}").status_code == 404
    assert cast.ada.get(f"/admin/threads/{normal}").status_code == 404
    for page in (cast.ada.get(opening(normal)), cast.ada.post(opening(normal), said())):
        assert page.status_code == 404
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.scalars(sa.select(BreakGlass)).one().ends_at = now()
    assert cast.ada.get(f"/admin/threads/{key}").status_code == 404
    db.session.close()
    denied = db.session.scalars(sa.select(Audit.about).where(Audit.did == "denied").order_by(Audit.id)).all()
    places = [f"/admin/threads/{key}", f"/admin/threads/{normal}", opening(normal), opening(normal), f"/admin/threads/{key}"]
    assert denied == places


def test_ones_own_thread_has_no_way_in(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.get_one(Staff, cast.ada.id).own_patient_id = cast.sophie.id
    page = cast.ada.get("/admin/removed").text
    assert "KWON, SOPHIE" in page and opening(key) not in page
    assert cast.ada.get(opening(key)).status_code == 404 and cast.ada.post(opening(key), said()).status_code == 404


@pytest.mark.parametrize("reason", ["", "   ", "\0", "Secret\0", "x" * 501])
@pytest.mark.parametrize("htmx", [False, True])
def test_a_reason_that_is_none_is_refused_and_the_text_kept(cast: Cast, reason: str, htmx: bool) -> None:
    key = remove(cast, cast.sophie)
    response = cast.ada.post(opening(key), said(reason=reason), htmx=htmx)
    assert response.status_code == 422 and 'aria-invalid="true"' in response.text
    assert htmx or "<title>Error:" in response.text.replace("\n", "")
    assert "x" * 501 in response.text or "x" not in reason
    assert cast.ada.get(f"/admin/threads/{key}").status_code == 404


def test_a_double_click_opens_once_and_other_words_under_its_key_are_refused(cast: Cast) -> None:
    key, form = remove(cast, cast.sophie), said()
    for _ in range(2):
        assert cast.ada.post(opening(key), form).status_code == 303
    assert "sent before" in cast.ada.post(opening(key), form | {"reason": "Another"}).text
    db.session.close()
    assert db.session.scalars(sa.select(BreakGlass.reason)).all() == [REASON]


@pytest.mark.parametrize("form_key", ["", "\0", "short", "x" * 500])
def test_a_key_of_nothing_is_replaced(cast: Cast, form_key: str) -> None:
    assert cast.ada.post(opening(remove(cast, cast.sophie)), said(key=form_key)).status_code == 303


def test_earlier_messages_of_a_long_thread_are_a_page_of_their_own(cast: Cast) -> None:
    key = cast.send(cast.sophie, body="The very first words")
    for n in range(50):
        cast.answer(cast.nina, key, f"Answer {n}")
    conversations.remove(key, version=cast.thread(key).version, by=cast.nina.actor)
    cast.ada.post(opening(key), said())
    page = cast.ada.get(f"/admin/threads/{key}").text
    earlier = re.search(r"\?earlier=[\w-]{22}", page)
    assert earlier and "The very first" not in page
    assert "The very first" in cast.ada.get(f"/admin/threads/{key}{earlier[0]}").text
    assert "Answer 49" in cast.ada.get(f"/admin/threads/{key}?earlier=x").text


def test_patients_and_staff_go_on_as_before_and_only_the_staff_read_of_it(cast: Cast) -> None:
    key = remove(cast, cast.sophie)
    cast.ada.post(opening(key), said())
    mine, theirs = cast.sophie.get(f"/messages/{key}").text, cast.nina.get(f"/staff/messages/{key}").text
    assert "opened" not in mine and "ADA" not in mine and REASON not in mine
    assert "opened by an admin, with a reason" in theirs and REASON not in theirs


def test_who_lost_a_race_is_not_told_that_the_reading_admin_was_faster(cast: Cast) -> None:
    key = neglect(cast, cast.sophie)
    old = str(cast.thread(key).version)
    conversations.receive(key, version=int(old), by=cast.fay.actor)
    cast.ada.post(opening(key), said())
    response = cast.nina.post(f"/staff/messages/{key}/closing", {"version": old})
    assert response.status_code == 409 and "STAFF, FAY was faster" in unescape(response.text)


# ---- Who, and how --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["x" * 22, "1", "9" * 30])
def test_a_key_of_nothing_is_not_found(cast: Cast, key: str) -> None:
    assert cast.ada.post(f"/admin/removed/{key}/restoring", {"version": "1"}).status_code == 404
    assert cast.ada.post(opening(key), said()).status_code == 404
    assert cast.ada.get(opening(key)).status_code == cast.ada.get(f"/admin/threads/{key}").status_code == 404


@pytest.mark.parametrize("who", ["sam", "sophie"])
def test_only_an_admin_gets_in(cast: Cast, who: str) -> None:
    key, player = remove(cast, cast.sophie), getattr(cast, who)
    trays.open_with_reason(key, reason="x", form_key=new_key(), by=cast.ada.actor)
    assert {answer.status_code for answer in all_of_it(cast, player, key)} == {403}
    assert cast.thread(key).removed_at is not None


def all_of_it(cast: Cast, player: Player, key: str) -> list[Any]:
    addresses = [*LISTS, "/admin/openings", opening(key), f"/admin/threads/{key}"]
    posted = [player.post(f"/admin/removed/{key}/restoring", restore(cast, key)), player.post(opening(key), said())]
    return [player.get(url) for url in addresses] + posted


def test_get_restores_nothing(cast: Cast) -> None:
    assert cast.ada.get(f"/admin/removed/{'x' * 22}/restoring").status_code == 405
