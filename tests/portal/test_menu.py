"""What an admin switches off is gone for patients: hidden, refused in open pages too, and the page says how else to ask."""

from html import unescape

import pytest

from practice import appointments, conversations
from practice.db import new_key, now
from practice.settings import RequestType, SwitchedOff
from tests.conftest import Cast
from tests.examples import portal as examples
from tests.portal.helpers import change_practice, none_sent

PAGES = {
    "account_info": "/account",
    "my_appointments": "/appointments",
    "request_appointment": "/appointments/new",
    "my_results": "/results",
    "request_result": "/results/new",
    "message": "/messages/new",
    "my_info": "/my-info",
}
FORMS = {
    "request_appointment": ("/appointments/new", examples.appointment, "Check-up of my knee"),
    "request_result": ("/results/new", examples.result, "CD with Images"),
    "message": ("/messages/new", examples.new_message, "Of my inhaler, please"),
    "my_info": ("/my-info/{}/amendment", examples.amendment, "Measured at home"),
}


@pytest.mark.parametrize("item", PAGES)
def test_what_is_off_is_hidden_and_refused(cast: Cast, item: str) -> None:
    link = f'href="{PAGES[item]}"'
    assert link in cast.sophie.get("/").text
    change_practice(menu_off=item)
    for page in ("/", "/messages", "/messages/sent", "/appointments", "/results", "/account"):
        if page != PAGES[item]:
            assert link not in cast.sophie.get(page).text, page
    for htmx in (False, True):
        refused = cast.sophie.get(PAGES[item], htmx=htmx)
        assert refused.status_code == 404 and "This is switched off" in refused.text and "(555) 010-0199" in refused.text
        assert "Nothing was sent" not in refused.text


@pytest.mark.parametrize("item", PAGES)
def test_one_switch_leaves_the_others_alone(cast: Cast, item: str) -> None:
    change_practice(menu_off=item)
    for other, page in PAGES.items():
        assert cast.sophie.get(page).status_code == (404 if other == item else 200)


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("item", FORMS)
def test_a_page_that_was_open_is_refused_with_its_text(cast: Cast, item: str, htmx: bool) -> None:
    address, example, words = FORMS[item]
    data, url = example(cast)["data"], address.format(cast.value_of(cast.sophie))
    change_practice(menu_off=item)
    refused = cast.sophie.post(url, data, htmx=htmx)
    page = unescape(refused.text)
    assert refused.status_code == 404 and none_sent()
    assert words in page and "Nothing was sent" in page and "(555) 010-0199" in page
    assert ("You can also write a message" in page) == (item != "message")


@pytest.mark.parametrize("item", FORMS)
def test_a59_the_verb_refuses_too_when_the_switch_comes_between(cast: Cast, item: str, monkeypatch) -> None:
    address, example, _words = FORMS[item]
    data, url = example(cast)["data"], address.format(cast.value_of(cast.sophie))
    for module in ("appointments", "results", "writing", "records"):
        monkeypatch.setattr(f"portal.{module}.must_be_on", lambda *_args, **_kwargs: None)
    change_practice(menu_off=item)
    refused = cast.sophie.post(url, data)
    assert refused.status_code == 404 and "This is switched off" in refused.text and none_sent()


def test_a_form_sent_before_it_was_switched_off_is_answered_as_the_first_time(cast: Cast) -> None:
    data = examples.new_message(cast)["data"]
    first = cast.sophie.post("/messages/new", data)
    change_practice(menu_off="message")
    assert cast.sophie.post("/messages/new", data).headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize("kind", ["Appointment", "Result", "Others", "Amendment"])
def test_old_threads_stay_readable_and_go_on(cast: Cast, kind: str) -> None:
    key = cast.send(cast.sophie, kind, body="Very old words")
    change_practice(menu_off=",".join(PAGES), meaningful_use=False)
    assert key in cast.sophie.get("/messages/sent").text and key in cast.sophie.get("/").text
    assert "Very old words" in cast.sophie.get(f"/messages/{key}").text
    assert cast.sophie.post(f"/messages/{key}/replies", {"body": "More", "key": "r" * 22}).status_code == 303


def test_with_everything_off_home_says_how_else_to_ask(cast: Cast) -> None:
    change_practice(menu_off=",".join(PAGES))
    page = cast.sophie.get("/").text
    assert "New requests are not taken here now." in page and 'href="tel:5550100199"' in page
    assert cast.sophie.get("/messages").status_code == 200


def test_without_a_phone_the_page_still_says_how(cast: Cast) -> None:
    change_practice(menu_off="message", phone="")
    assert "call the practice or go there" in cast.sophie.get("/messages/new").text


@pytest.mark.parametrize(("menu_off", "meaningful"), [("my_info", True), ("", False)])
def test_my_info_needs_its_switch_and_meaningful_use(cast: Cast, menu_off: str, meaningful: bool) -> None:
    change_practice(menu_off=menu_off, meaningful_use=meaningful)
    assert cast.sophie.get("/my-info").status_code == 404
    with pytest.raises(SwitchedOff):
        cast.send(cast.sophie, "Amendment")


def test_staff_may_still_take_a_request_by_phone_but_no_amendment(cast: Cast) -> None:
    change_practice(menu_off="request_appointment,my_info")
    wish = appointments.Wish(facility=cast.linden, first_day=now().date(), last_day=now().date(), reason="By phone")
    sent = appointments.request_appointment(cast.sophie.id, wish, today=now().date(), form_key=new_key(), by=cast.sam.actor)
    assert sent.is_new
    with pytest.raises(SwitchedOff):
        conversations.send(
            cast.sophie.id, kind=RequestType.AMENDMENT, title="x", body="x", form_key=new_key(), by=cast.rita.actor
        )


# ---- My Account ----------------------------------------------------------------------------------


def test_my_account_shows_own_data_to_read(cast: Cast) -> None:
    page = cast.sophie.get("/account").text
    for said in ("KWON, SOPHIE", "February 24, 1978", "female", "(555) 010-0100", "sophie@test.example", "00000113"):
        assert said in page
    assert "Ask the practice to change it" in page


def test_my_account_of_somebody_not_matched(cast: Cast) -> None:
    other = cast.patient("omar", "<b>O'MALLEY", record_number=None)
    page = other.get("/account").text
    assert "not matched yet" in page and "<b>O" not in page


def test_my_account_needs_a_fixed_number_of_statements(cast: Cast, statements) -> None:
    with statements() as found:
        cast.sophie.get("/account")
    assert len(found) <= 2, found


# ---- What else the practice's settings do --------------------------------------------------------


@pytest.mark.parametrize("page", ["/appointments/new", "/results/new", "/messages/new"])
def test_the_emergency_text_stands_above_every_form(cast: Cast, page: str) -> None:
    change_practice(emergency_text="The next <i>emergency room</i> is at Oak Lane.", emergency_number="112")
    text = cast.sophie.get(page).text
    assert "The next &lt;i&gt;emergency room&lt;/i&gt; is at Oak Lane." in text and "call 112" in text


def test_each_type_has_its_own_promise(cast: Cast) -> None:
    change_practice(promise_appointment=1, promise_result=9)
    assert "within 1 working day," in cast.sophie.get("/appointments/new").text
    assert "within 9 working days" in cast.sophie.get("/results/new").text
