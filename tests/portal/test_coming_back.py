"""Coming back from a conversation leads to the list its reader came from: the same search, the same box, the same page."""

import html
import re

import pytest

from tests.portal.test_search import write


def link(page: str, words: str) -> str:
    """Where the link with these words leads."""
    found = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>(?:(?!<a ).)*?{words}', page, re.DOTALL)
    assert found, words
    return html.unescape(found[1])


@pytest.fixture()
def place(cast):
    """The second page of a search of Sent, and a conversation on it, as an address of that page."""
    for n in range(30):
        write(cast, f"{n:02} knee", "hurts")
    write(cast, "Other", "thing")
    first = cast.sophie.post("/messages/search", {"box": "sent", "words": "knee"}).location
    older = html.unescape(cast.sophie.get(first).text.split('class="btn" href="')[-1].split('"')[0])
    row = html.unescape(re.search(r'href="([^"]+)"[^>]*><bdi>03 knee', cast.sophie.get(older).text, re.DOTALL)[1])
    assert "knee" not in row and "hurts" not in row
    return older, row


def test_back_leads_to_the_page_of_the_search(cast, place):
    page = cast.sophie.get(place[1]).text
    assert link(page, "Back to Sent") == place[0]
    assert "03 knee" in page.split("<article")[0], "the list beside begins where the list did"


@pytest.mark.parametrize("htmx", [False, True])
def test_a_reply_keeps_it(cast, place, htmx):
    page = cast.sophie.get(place[1]).text
    action = html.unescape(re.search(r'action="([^"]+/replies[^"]*)"', page)[1])
    assert f'hx-post="{html.escape(action)}"' in page
    refused = cast.sophie.post(action, {"body": "", "key": "r1"}, htmx=htmx)
    assert refused.status_code == 422 and link(refused.text, "Back to Sent") == place[0]
    answer = cast.sophie.post(action, {"body": "More", "key": "r1"}, htmx=htmx)
    address = answer.headers["HX-Redirect" if htmx else "Location"]
    page = cast.sophie.get(address).text
    assert "was sent" in page and link(page, "Back to Sent") == place[0]


@pytest.mark.parametrize("htmx", [False, True])
def test_deleting_and_undoing_keep_it(cast, place, htmx):
    page = cast.sophie.get(place[1]).text
    answer = cast.sophie.post(html.unescape(re.search(r'action="([^"]+/deletion[^"]*)"', page)[1]), htmx=htmx)
    address = answer.headers["HX-Redirect" if htmx else "Location"]
    after = cast.sophie.get(address).text
    assert "was deleted from your lists" in after and 'value="knee"' in after and "03 knee" not in after
    assert "02 knee" in after and "29 knee" not in after, "the same page"
    undo = html.unescape(re.search(r'action="([^"]+/undoing[^"]*)"', after)[1])
    answer = cast.sophie.post(undo, htmx=htmx)
    page = cast.sophie.get(answer.headers["HX-Redirect" if htmx else "Location"]).text
    assert "back in your lists" in page and link(page, "Back to Sent") == place[0]


def test_print_keeps_it(cast, place):
    printed = cast.sophie.get(link(cast.sophie.get(place[1]).text, "Print")).text
    page = cast.sophie.get(link(printed, "Back to the conversation")).text
    assert link(page, "Back to Sent") == place[0]


def test_a_page_whose_last_row_was_deleted_leads_to_the_first(cast):
    keys = [write(cast, f"{n:02} knee", "hurts").key for n in range(26)]
    older = html.unescape(cast.sophie.get("/messages/sent").text.split('class="btn" href="')[-1].split('"')[0])
    row = html.unescape(re.search(r'href="([^"]+)"[^>]*><bdi>00 knee', cast.sophie.get(older).text, re.DOTALL)[1])
    page = cast.sophie.get(row).text
    answer = cast.sophie.post(html.unescape(re.search(r'action="([^"]+/deletion[^"]*)"', page)[1]))
    assert "25 knee" in cast.sophie.get(answer.location).text and keys


@pytest.mark.parametrize("said", ["list_before=nonsense", "filter=a%22b", "list_after=" + "x" * 22, "box=drafts"])
def test_a_conversation_opens_whatever_is_said_of_its_list(cast, said):
    key = write(cast, "Refill", "My inhaler").key
    assert cast.sophie.get(f"/messages/{key}?{said}").status_code == 200


@pytest.mark.parametrize("box", ["inbox", "sent"])
@pytest.mark.parametrize("htmx", [False, True])
def test_days_the_wrong_way_round_are_said_beside_the_field(cast, box, htmx):
    write(cast, "Refill", "My inhaler")
    days = {"first_day": "2026-12-05", "last_day": "2026-12-01"}
    answer = cast.sophie.post("/messages/search", {"box": box, "words": "inhaler"} | days, htmx=htmx)
    assert answer.status_code == 422 and "The first day lies after the last." in answer.text
    for name, day in days.items():
        assert f'name="{name}" type="date" value="{day}"' in answer.text
    assert 'value="inhaler"' in answer.text and "Nothing found" not in answer.text
    assert answer.text.count('aria-invalid="true"') == 1 and 'aria-describedby="s-last-error"' in answer.text
    assert ("<html" in answer.text) is not htmx and ("Error:" in answer.text.split("</title>")[0])


def test_the_same_day_twice_is_a_day(cast):
    assert cast.sophie.post("/messages/search", {"first_day": "2026-12-05", "last_day": "2026-12-05"}).status_code == 303
