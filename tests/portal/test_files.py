"""A patient's files: attached with and without JavaScript, listed with their message everywhere, opened by their owner."""

import gc
import io
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from practice.db import clock_at, db, now
from practice.drafts import save_draft
from practice.files import Attachment, FileState
from tests.conftest import FILES
from tests.examples.portal import amendment, appointment, result
from tests.samples import TEXT, dicom, jpeg, pdf, png
from web.headers import FILE_POLICY

JSON = {"Accept": "application/json"}


def begin(player, key="d1", about="/messages/new", **more):
    """*Attach files* in the form of a message."""
    return player.post(f"/drafts/{key}", {"about": about, "draft_version": "0", "attach": "yes", "body": "", "title": ""} | more)


def put(player, content=TEXT, name="a.txt", key="d1", *, side="", **how):
    return player.post(f"{side}/drafts/{key}/files", {"file": (io.BytesIO(content), name, "text/html")}, **how)


def rows():
    db.session.close()
    return list(db.session.scalars(sa.select(Attachment).order_by(Attachment.id)))


def send(player, cast, key="d1", **more):
    data = {"to": cast.communicator("Clinicians"), "title": "Refill", "body": "Of my inhaler", "key": key, "draft_version": "1"}
    answer = player.post("/messages/new", data | more)
    assert answer.status_code == 303, answer.text
    return re.search(r"/messages/([\w-]{22})", answer.location)[1]


def with_file(cast, content=TEXT, name="a.txt"):
    """Address of the thread and of its only file."""
    begin(cast.sophie)
    assert put(cast.sophie, content, name).status_code == 303
    key = send(cast.sophie, cast)
    return key, f"/messages/{key}/files/{rows()[-1].key}"


def test_without_javascript_the_draft_is_kept_and_a_page_takes_the_files(cast):
    answer = begin(cast.sophie, body="Half a sent")
    assert answer.status_code == 303 and answer.location == "/drafts/d1/files"
    page = cast.sophie.get(answer.location)
    assert "No file is attached" in page.text and 'enctype="multipart/form-data"' in page.text
    answer = put(cast.sophie, pdf(), "plan.pdf")
    assert answer.status_code == 303 and answer.location == "/drafts/d1/files"
    page = cast.sophie.get(answer.location).text
    assert "plan.pdf" in page and "Remove" in page and "/messages/new?draft=d1" in page
    form = cast.sophie.get("/messages/new?draft=d1").text
    assert "Half a sent</textarea>" in form and "plan.pdf" in form and 'name="draft_version" value="1"' in form


def test_files_can_be_attached_before_anything_is_written(cast):
    assert begin(cast.sophie).status_code == 303
    put(cast.sophie, png(), "me.png")
    form = cast.sophie.get("/messages/new?draft=d1").text
    assert "me.png" in form and 'name="key" value="d1"' in form
    answer = cast.sophie.post("/drafts/d2", {"about": "/messages/new", "draft_version": "0", "attach": "yes"}, headers=JSON)
    assert answer.json["version"] == 1


def test_with_htmx_the_part_of_the_form_comes_back(cast):
    begin(cast.sophie)
    part = put(cast.sophie, htmx=True)
    assert part.status_code == 200 and part.text.lstrip().startswith('<div class="stack stack-s attaching" id="files"')
    assert "a.txt" in part.text and "1 file is attached." in part.text
    key = rows()[0].key
    part = cast.sophie.post(f"/drafts/d1/files/{key}/removal", htmx=True)
    assert part.status_code == 200 and "a.txt" not in part.text and rows() == []


def test_a_draft_whose_form_takes_no_files_has_no_such_page(cast):
    save_draft(cast.sophie.id, key="d1", about="/account", values={"name": ["A"]}, seen=None, by=cast.sophie.actor)
    assert cast.sophie.get("/drafts/d1/files").status_code == 404
    assert put(cast.sophie).status_code == 404 and rows() == []


@pytest.mark.parametrize("form", [appointment, result, amendment])
@pytest.mark.parametrize("htmx", [False, True])
def test_a_request_has_files_too_on_both_sides(cast, form, htmx):
    said = form(cast)
    address = f"/my-info/{said['own']['key']}/amendment" if form is amendment else f"/{form.__name__}s/new"
    data = {name: value for name, value in said["data"].items() if name != "reviewed"} | {"key": "d1", "draft_version": "1"}
    assert "Attach files" in cast.sophie.get(address).text
    assert begin(cast.sophie, about=address, **data | {"draft_version": "0"}).location == "/drafts/d1/files"
    assert put(cast.sophie, pdf(), "plan.pdf").status_code == 303
    assert f"{address}?draft=d1" in cast.sophie.get("/drafts/d1/files").text
    assert "plan.pdf" in cast.sophie.get(f"{address}?draft=d1").text
    if form is not amendment:
        review = cast.sophie.post(address, data, htmx=htmx)
        assert review.status_code == 200 and "Check and send" in review.text and "plan.pdf" in review.text
        assert rows()[0].draft_key == "d1", "nothing is sent by a form that was not reviewed"
        version = re.search(r'name="draft_version" value="(\d+)"', review.text)[1]
        data |= {"draft_version": version}
        assert "plan.pdf" in cast.sophie.post(address, data | {"change": "yes"}, htmx=htmx).text
        data |= {"reviewed": "yes"}
    answer = cast.sophie.post(address, data, htmx=htmx)
    sent = answer.headers["HX-Redirect" if htmx else "Location"]
    key = re.search(r"/messages/([\w-]{22})", sent)[1]
    file = rows()[0]
    assert file.message_id and file.draft_key is None
    assert f"/messages/{key}/files/{file.key}" in cast.sophie.get(f"/messages/{key}").text
    assert cast.jihae.get(f"/messages/{key}/files/{file.key}").status_code == 404
    in_charge = (cast.sam, cast.max, cast.rita)
    staff = next(p for p in in_charge if p.get(f"/staff/messages/{key}").status_code == 200)
    assert f"/staff/messages/{key}/files/{file.key}" in staff.get(f"/staff/messages/{key}").text


def test_every_page_that_shows_the_message_lists_its_files(cast):
    key, address = with_file(cast, pdf(), "plan.pdf")
    for page in ("", "/print"):
        text = cast.sophie.get(f"/messages/{key}{page}").text
        assert "plan.pdf" in text and address in text and "(1 kB)" in text
    assert "Attached file: plan.pdf (1 kB)" in cast.sophie.get(f"/messages/{key}/download").text


def test_a_reply_has_files_too(cast):
    key = cast.send(cast.sophie)
    begin(cast.sophie, "r1", f"/messages/{key}")
    put(cast.sophie, key="r1")
    page = cast.sophie.get(f"/messages/{key}").text
    assert "a.txt" in page and "/drafts/r1/files" in page
    answer = cast.sophie.post(f"/messages/{key}/replies", {"body": "More", "key": "r1", "draft_version": "1"})
    assert answer.status_code == 303 and rows()[0].message_id
    assert f"/messages/{key}/files/{rows()[0].key}" in cast.sophie.get(f"/messages/{key}").text


def test_a_form_that_is_refused_keeps_its_files(cast):
    begin(cast.sophie)
    put(cast.sophie)
    answer = cast.sophie.post("/messages/new", {"title": "", "body": "Text", "key": "d1", "draft_version": "1"})
    assert answer.status_code == 422 and "a.txt" in answer.text and "Text</textarea>" in answer.text


def test_a36_a_file_is_saved_never_run(cast):
    """A36."""
    _, address = with_file(cast, TEXT, "notes.html")
    answer = cast.sophie.get(address)
    assert answer.status_code == 200 and answer.data == TEXT
    assert answer.mimetype == "application/octet-stream" and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "attachment; filename=notes.html.txt"
    assert answer.headers["Content-Security-Policy"] == FILE_POLICY and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("content", "kind"), [(png(), "image/png"), (jpeg(), "image/jpeg")])
def test_pictures_are_shown_small_and_saved_as_files(cast, content, kind):
    key, address = with_file(cast, content, "me")
    page = cast.sophie.get(f"/messages/{key}").text
    assert f'<img src="{address}?as=picture" alt="" width="3" height="2" loading="lazy">' in page
    picture = cast.sophie.get(f"{address}?as=picture")
    assert picture.mimetype == kind and picture.data == content and picture.headers["Content-Security-Policy"] == FILE_POLICY
    assert rows()[0].stored_as not in str(picture.headers)
    assert cast.sophie.get(address).mimetype == "application/octet-stream"


@pytest.mark.parametrize("content", [TEXT, pdf()])
def test_nothing_else_is_ever_shown_in_the_page(cast, content):
    key, address = with_file(cast, content)
    assert "<img" not in cast.sophie.get(f"/messages/{key}").text
    assert cast.sophie.get(f"{address}?as=picture").mimetype == "application/octet-stream"


def test_a_part_of_a_file_and_an_unchanged_one(cast):
    _, address = with_file(cast)
    part = cast.sophie.get(address, headers={"Range": "bytes=0-4"})
    assert part.status_code == 206 and part.data == TEXT[:5] and part.headers["Content-Security-Policy"] == FILE_POLICY
    tag = cast.sophie.get(address).headers["ETag"]
    assert cast.sophie.get(address, headers={"If-None-Match": tag}).status_code == 304
    assert cast.jihae.get(address, headers={"If-None-Match": tag}).status_code == 404


def test_dicom_is_not_the_patients(cast):
    begin(cast.sophie)
    answer = put(cast.sophie, dicom(), "scan.dcm")
    assert answer.status_code == 422 and "not taken" in answer.text and rows() == []


def test_what_waits_for_the_scanner_is_said_and_opened_by_nobody(cast):
    key, address = with_file(cast, png(), "me.png")
    for state, words in ((FileState.WAITING, "being checked for viruses"), (FileState.REFUSED, "was deleted")):
        with db.engines["write"].begin() as connection:
            connection.execute(sa.update(Attachment.__table__).values(state=state))
        page = cast.sophie.get(f"/messages/{key}").text
        assert words in page and address not in page
        for one in (address, f"{address}?as=picture"):
            assert cast.sophie.get(one).status_code == (409 if state == FileState.WAITING else 404)


# ---- What is tried against it ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # what the server had of it is nameless, and goes by itself
def test_a35_too_large(cast):
    """A35: by our own count, and by the server's before that."""
    begin(cast.sophie, body="Text")
    put(cast.sophie)
    answer = put(cast.sophie, b"a" * (10 * 1024 * 1024 + 1))
    assert answer.status_code == 413 and "larger than 10 MB" in answer.text and "a.txt" in answer.text
    answer = put(cast.sophie, b"a" * (11 * 1024 * 1024))
    assert answer.status_code == 413 and "larger than 10 MB" in answer.text and "a.txt" in answer.text
    assert len(rows()) == 1 and len(list(FILES.iterdir())) == 1
    assert "Text</textarea>" in cast.sophie.get("/messages/new?draft=d1").text
    del answer
    gc.collect()


def test_a35_one_too_many_empty_none_and_two_at_once(cast):
    """A35."""
    begin(cast.sophie)
    for n in range(5):
        put(cast.sophie, f"File {n}".encode())
    answer = put(cast.sophie)
    assert answer.status_code == 422 and "At most 5 files may go along. Remove one" in answer.text and "File" in answer.text
    begin(cast.sophie, "d2")
    for data, words in (
        ({"file": (io.BytesIO(b""), "a.txt")}, "empty"),
        ({"file": (io.BytesIO(b""), "")}, "Choose a file"),
        ({"file": "a.txt"}, "Choose a file"),
        ({}, "Choose a file"),
        ({"other": (io.BytesIO(TEXT), "a.txt")}, "Choose a file"),
        ({"file": [(io.BytesIO(TEXT), "a.txt"), (io.BytesIO(b"<html>"), "b.txt")]}, "one file after the other"),
        ({"file": (io.BytesIO(TEXT), "a.txt"), "second": (io.BytesIO(b"<html>"), "b.txt")}, "one file after the other"),
    ):
        answer = cast.sophie.post("/drafts/d2/files", data)
        assert answer.status_code == 422 and words in answer.text, data
    assert put(cast.sophie, TEXT, "noextension", "d2").status_code == 303
    assert len(rows()) == 6 and rows()[-1].name == "noextension.txt" and len(list(FILES.iterdir())) == 6


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.xml", "x.pht", "x.png", "x.pdf"])
def test_a36_a_page_under_any_name(cast, name):
    """A36: neither its name nor what the browser says of it makes a page a picture."""
    begin(cast.sophie)
    for content in (b"<html><script>alert(1)</script>", b"<svg onload='alert(1)'/>", b"<?xml version='1.0'?><a/>", b"<?php x();"):
        assert put(cast.sophie, content, name).status_code == 422
    assert rows() == [] and list(FILES.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\x\\y",
        "CON",
        "x" * 300,
        "\u202efdp.exe",
        "a\"b'c",
        "a%0D%0ASet-Cookie: x=1",
        "血圧",
        "\u200b",
        "a;b=c",
    ],
)
def test_a37_a_bad_name(cast, name):
    """A37: it never reaches the disk, and the header has one line and one name."""
    key, address = with_file(cast, TEXT, name)
    assert all(re.fullmatch("[0-9a-f]{32}", path.name) for path in FILES.iterdir())
    answer = cast.sophie.get(address)
    said = answer.headers["Content-Disposition"]
    assert answer.status_code == 200 and said.startswith("attachment; filename=") and "\n" not in said
    assert "Set-Cookie" not in answer.headers and answer.headers.get_all("Content-Disposition") == [said]
    page = cast.sophie.get(f"/messages/{key}").text
    shown = re.search(r'class="file".*?<bdi>(.*?)</bdi>', page, re.DOTALL)[1]
    assert len(shown) <= 130 and not re.search("[\u202a-\u202e\u2066-\u2069\u200b\r\n/\\\\]", shown)


def test_a21_a37_a_name_with_markup_is_text(cast):
    """A21."""
    key, _ = with_file(cast, TEXT, "<img src=x onerror=alert(1)>&.txt")
    assert "<img" not in cast.sophie.get(f"/messages/{key}").text
    assert "_img src=x onerror=alert(1)_&amp;.txt" in cast.sophie.get(f"/messages/{key}").text


def test_a51_a_link_that_is_passed_on_opens_nothing(cast):
    """A51."""
    _, address = with_file(cast, png())
    begin(cast.sophie, "d2")
    put(cast.sophie, key="d2")
    drafted = f"/drafts/d2/files/{rows()[-1].key}"
    for one in (address, f"{address}?as=picture", drafted):
        assert cast.sophie.get(one).status_code == 200
        assert cast.jihae.get(one).status_code == 404 and cast.anonymous.get(one).status_code == 303
        assert cast.nina.get(one).status_code == 403  # the staff side has addresses of its own
    other = cast.send(cast.jihae)
    assert cast.jihae.get(f"/messages/{other}/files/{rows()[0].key}").status_code == 404
    cast.sophie.post("/logout")
    assert cast.sophie.get(address).status_code == 303


@pytest.mark.usefixtures("ten_seconds")
def test_an_answer_that_is_being_sent_has_no_file_yet(cast):
    key = cast.send(cast.sophie)
    cast.nina.post("/staff/drafts/n1", {"about": f"/staff/messages/{key}/reply", "draft_version": "0", "attach": "yes"})
    put(cast.nina, key="n1", side="/staff")
    seen = re.search(r'name="seen" value="(\d+)"', cast.nina.get(f"/staff/messages/{key}/reply?draft=n1").text)[1]
    sent = cast.nina.post(f"/staff/messages/{key}/replies", {"key": "n1", "seen": seen, "body": "Yes", "draft_version": "1"})
    assert sent.status_code == 303
    assert cast.sophie.get(f"/messages/{key}/files/{rows()[0].key}").status_code == 404
    assert cast.nina.get(f"/staff/messages/{key}/files/{rows()[0].key}").status_code == 200


@pytest.mark.usefixtures("ten_seconds")
def test_my_results_list_what_the_practice_has_sent_and_nothing_that_is_being_sent_or_ones_own(cast):
    key = cast.send(cast.sophie, "Result")
    begin(cast.sophie, "d7", about=f"/messages/{key}")
    put(cast.sophie, TEXT, "mine.txt", key="d7")
    assert cast.sophie.post(f"/messages/{key}/replies", {"key": "d7", "body": "Mine", "draft_version": "1"}).status_code == 303
    cast.max.post("/staff/drafts/n1", {"about": f"/staff/messages/{key}/reply", "draft_version": "0", "attach": "yes"})
    put(cast.max, key="n1", side="/staff")
    seen = re.search(r'name="seen" value="(\d+)"', cast.max.get(f"/staff/messages/{key}/reply?draft=n1").text)[1]
    cast.max.post(f"/staff/messages/{key}/replies", {"key": "n1", "seen": seen, "body": "Yes", "draft_version": "1"})
    assert "/files/" not in cast.sophie.get("/results").text
    with clock_at(now() + timedelta(seconds=11)):
        page = cast.sophie.get("/results").text
    assert page.count("/files/") >= 1 and "mine.txt" not in page


def test_a_file_after_the_send_is_refused_in_words(cast):
    begin(cast.sophie)
    send(cast.sophie, cast)
    for htmx in (False, True):
        answer = put(cast.sophie, htmx=htmx)
        assert answer.status_code == 409 and "came too late" in answer.text
    assert rows() == []


def test_a_full_disk_is_said_in_words(cast, monkeypatch):
    """F7."""
    begin(cast.sophie, body="Text")
    put(cast.sophie)

    def full(*_args, **_how):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("practice.files.os.fsync", full)
        answer = put(cast.sophie, pdf())
    assert answer.status_code == 503 and "no room" in answer.text and "a.txt" in answer.text
    with monkeypatch.context() as patched:  # where the server lays a file down while it comes in
        patched.setattr("werkzeug.wrappers.request.default_stream_factory", full)
        answer = put(cast.sophie, pdf())
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert len(rows()) == 1 and len(list(FILES.iterdir())) == 1
    assert put(cast.sophie, pdf()).status_code == 303


def test_the_end_of_the_session_takes_no_file(cast):
    begin(cast.sophie)
    token = cast.sophie.token()
    cast.sophie.post("/logout")
    assert put(cast.sophie, token=token).status_code in (400, 401)
    assert rows() == [] and list(FILES.iterdir()) == []


def test_looking_at_a_conversation_without_files_asks_for_none(cast, statements):
    key = cast.send(cast.sophie)
    cast.sophie.get(f"/messages/{key}")
    with statements() as found:
        cast.sophie.get(f"/messages/{key}")
    assert not [s for s in found if "FROM attachment" in s and "EXISTS" not in s]
