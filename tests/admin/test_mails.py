"""The notice as a mail: that something waits, its reference number and a link; nothing of the patient or of health."""

from types import SimpleNamespace

import pytest
from flask import render_template

from practice.outbox import Occasion
from tests.conftest import HOME, Cast

KEY = "abcdefgh-0123456789_xy"


@pytest.mark.parametrize(
    ("occasion", "link"),
    [(Occasion.ANSWERED, f"/messages/{KEY}"), (Occasion.WAITING, KEY), (Occasion.UNROUTED, "/admin/unrouted")],
)
@pytest.mark.parametrize("template", ["mail/notice.txt", "mail/notice.html"])
def test_a_notice_says_that_something_waits_and_where(cast: Cast, template: str, occasion: Occasion, link: str) -> None:
    with cast.app.test_request_context(base_url=HOME):
        mail = render_template(
            template, mail=SimpleNamespace(occasion=occasion, threads=[KEY], references=["123-456-789"], email="x@test.example")
        )
    assert HOME in mail and link in mail and "Reference: 123-456-789" in mail and "call 911" in mail
    assert "KWON" not in mail and "x@test.example" not in mail
