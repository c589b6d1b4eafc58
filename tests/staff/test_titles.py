"""No name, title of a message, text or filter value stands in an address, a log line or the title of a page of the staff."""

import logging
import re

import pytest

CANARY = "Wombat"


def page_title(answer):
    return re.search(r"<title>(.*?)</title>", answer.text, re.S)[1]


@pytest.fixture
def key(cast):
    patient = cast.patient("wombatina", "WOMBAT", number=70)
    return cast.send(patient, "Others", title=f"{CANARY} of mine", body=f"{CANARY} words")


PAGES = (
    "/staff/", "/staff/sent", "/staff/messages/{key}", "/staff/messages/{key}/reply", "/staff/messages/{key}/colleagues",
    "/staff/messages/{key}/transfer", "/staff/messages/{key}/duplicate", "/staff/messages/{key}/notes/new",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_a42_s8_no_title_of_a_page_says_it(cast, key, page):
    answer = cast.fay.get(page.format(key=key))
    assert CANARY.lower() not in page_title(answer).lower()
    assert CANARY.lower() in answer.text.lower() or page == "/staff/sent"


def test_a42_s8_neither_addresses_nor_the_log_say_it(cast, key, caplog):
    caplog.set_level(logging.DEBUG)
    answer = cast.fay.post("/staff/searches", {"last_name": CANARY, "email": "wombatina@test.example", "closed_too": "y"})
    page = cast.fay.get(answer.location)
    assert CANARY.upper() in page.text
    addresses = re.findall(r'(?:href|action|hx-[a-z-]+|data-[a-z]+)="([^"]*)"', page.text)
    assert [one for one in addresses if CANARY.lower() in one.lower()] == [] and CANARY.lower() not in answer.location.lower()
    assert CANARY.lower() not in caplog.text.lower()
    asked = cast.fay.post("/staff/batches", {"did": "entrust", "tick": f"{key}.{cast.thread(key).version}"})
    assert CANARY.lower() not in page_title(asked).lower()
