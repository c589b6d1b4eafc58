"""Files of a draft and of its message: attached, sent along, given back, thrown away, swept; never one without a row for long."""

import errno
import io
import os
import threading
import time

import pytest
import sqlalchemy as sa

from practice import attachments, conversations, drafts, files, jobs
from practice.attachments import attach, detach, every_file, file_of_draft, sweep
from practice.db import COMMAND, Audit, db, now, transaction
from practice.errors import Invalid, NotVisible, Stale, TooLarge
from practice.files import FILE_MAX, Attachment, FileState, files_of, files_of_draft, path_of
from practice.threads import Message, Recall, Thread, file_of_thread, opened_by_patient
from tests.conftest import FILES
from tests.samples import TEXT, dicom, docx, jpeg, part, pdf, png


def draft(player, key="d1", about="/messages/new"):
    drafts.save_draft(player.id, key=key, about=about, values={"body": [""]}, by=player.actor)
    return key


def put(player, content=TEXT, key="d1", name="a.txt", **more):
    attach(player.id, draft=key, name=name, stream=io.BytesIO(content), by=player.actor, **{"may_be_dicom": False} | more)
    db.session.close()


def rows():
    db.session.close()
    return list(db.session.scalars(sa.select(Attachment).order_by(Attachment.id)))


def on_disk():
    return sorted(path.name for path in FILES.iterdir())


def swept():
    with transaction(by=COMMAND, did="test") as tx:
        return sweep(tx)


def is_whole():
    """Every row has its bytes, and nothing else is there."""
    db.session.close()
    return sorted(name for name, _, _ in every_file(db.session())) == on_disk()


def send(player, cast, key="d1"):
    return cast.send(player, form_key=key)


def test_a_file_is_kept_under_a_random_name_with_its_hash(cast):
    draft(cast.sophie)
    put(cast.sophie, png(), name="../me.png")
    (row,) = rows()
    assert (row.name, row.type, row.width, row.state, row.draft_key) == ("me.png", "png", 3, FileState.CLEAN, "d1")
    assert path_of(row.stored_as).read_bytes() == png() and on_disk() == [row.stored_as] and "me" not in row.stored_as
    assert path_of(row.stored_as).stat().st_mode & 0o777 == 0o600
    ((name, sha256, size),) = every_file(db.session())
    assert (name, size) == (row.stored_as, len(png())) and len(sha256) == 64


def test_it_goes_with_its_message_and_only_with_it(cast):
    for player in (cast.sophie, cast.jihae):
        draft(player)
        put(player, name=f"{player.login}.txt")
    key = send(cast.sophie, cast)
    message = db.session.scalar(sa.select(Message.id))
    assert [(row.name, row.message_id) for row in rows()] == [("sophie.txt", message), ("jihae.txt", None)]
    assert files_of_draft(cast.sophie.id, "d1") == [] and is_whole()
    opened = opened_by_patient(key, cast.sophie.id)
    assert [one.name for one in opened.files[message]] == ["sophie.txt"]
    assert files_of([]) == {}


def test_a_file_that_comes_after_the_send_is_refused(cast):
    draft(cast.sophie)
    send(cast.sophie, cast)
    with pytest.raises(Stale):
        put(cast.sophie)
    assert rows() == [] and on_disk() == []


def test_only_into_a_draft_of_ones_own(cast):
    draft(cast.jihae)
    with pytest.raises(NotVisible):
        put(cast.sophie)
    assert rows() == [] and on_disk() == []


@pytest.mark.parametrize("content", [b"", b"<html>", b"\0", dicom(), docx(**{"word/vbaProject.bin": "x"})])
def test_what_is_not_taken_leaves_nothing_behind(cast, content):
    draft(cast.sophie)
    put(cast.sophie, TEXT)
    with pytest.raises(Invalid):
        put(cast.sophie, content)
    assert len(rows()) == 1 and is_whole()


def test_dicom_is_for_staff(cast):
    draft(cast.sam)
    put(cast.sam, dicom(), name="scan", may_be_dicom=True)
    assert rows()[0].name == "scan.dcm"


def test_a_file_may_have_ten_megabytes_and_not_one_byte_more(cast):
    draft(cast.sophie)
    put(cast.sophie, b"a" * FILE_MAX)
    with pytest.raises(TooLarge):
        put(cast.sophie, b"a" * (FILE_MAX + 1))
    assert len(rows()) == 1 and is_whole()


def test_five_files_and_no_sixth(cast):
    draft(cast.sophie)
    for n in range(5):
        put(cast.sophie, f"File {n}".encode())
    with pytest.raises(Invalid, match="At most 5"):
        put(cast.sophie)
    detach(cast.sophie.id, draft="d1", key=rows()[0].key, by=cast.sophie.actor)
    put(cast.sophie)
    assert len(rows()) == 5 and is_whole()


def test_twenty_five_megabytes_together(cast, monkeypatch):
    monkeypatch.setattr(attachments, "TOTAL_MAX", 100)
    draft(cast.sophie)
    put(cast.sophie, b"a" * 60)
    with pytest.raises(Invalid, match="25 MB"):
        put(cast.sophie, b"b" * 41)
    put(cast.sophie, b"b" * 40)
    assert len(rows()) == 2 and is_whole()


def test_what_lies_in_drafts_has_an_end(cast, monkeypatch):
    monkeypatch.setattr(attachments, "DRAFTS_TOTAL_MAX", 100)
    for n in range(3):
        draft(cast.sophie, f"d{n}")
    put(cast.sophie, b"a" * 60, "d0")
    put(cast.sophie, b"b" * 40, "d1")
    with pytest.raises(Invalid, match="Your drafts"):
        put(cast.sophie, b"c", "d2")
    send(cast.sophie, cast, "d0")
    put(cast.sophie, b"c", "d2")


def test_the_same_bytes_again_are_one_file(cast):
    """A retry after an answer that got lost."""
    draft(cast.sophie)
    draft(cast.sophie, "d2")
    put(cast.sophie)
    put(cast.sophie, name="other.txt")
    put(cast.sophie, key="d2")
    assert [row.draft_key for row in rows()] == ["d1", "d2"] and is_whole()


def test_a_file_is_taken_out_by_its_author_alone(cast):
    draft(cast.sophie)
    put(cast.sophie)
    key = rows()[0].key
    db.session.close()
    for player in (cast.jihae, cast.sam):
        with pytest.raises(NotVisible):
            detach(player.id, draft="d1", key=key, by=player.actor)
        with pytest.raises(NotVisible):
            file_of_draft(player.id, draft="d1", key=key)
    assert file_of_draft(cast.sophie.id, draft="d1", key=key).name == "a.txt"
    db.session.close()
    detach(cast.sophie.id, draft="d1", key=key, by=cast.sophie.actor)
    assert rows() == [] and on_disk() == []
    db.session.close()
    with pytest.raises(NotVisible):
        detach(cast.sophie.id, draft="d1", key=key, by=cast.sophie.actor)


def test_what_was_sent_cannot_be_taken_out(cast):
    draft(cast.sophie)
    put(cast.sophie)
    key = rows()[0].key
    send(cast.sophie, cast)
    with pytest.raises(NotVisible):
        detach(cast.sophie.id, draft="d1", key=key, by=cast.sophie.actor)
    assert len(rows()) == 1 and is_whole()


def test_a_draft_that_is_thrown_away_takes_its_files_along(cast):
    draft(cast.sophie)
    draft(cast.sophie, "d2")
    put(cast.sophie)
    put(cast.sophie, key="d2")
    drafts.discard_draft(cast.sophie.id, key="d1", by=cast.sophie.actor)
    assert [row.draft_key for row in rows()] == ["d2"] and is_whole()


# ---- Taken back ------------------------------------------------------------------------------------------


def answered(cast):
    key = cast.send(cast.sophie, "Appointment")
    seen = db.session.scalar(sa.select(Message.id))
    draft(cast.sam, about=f"/staff/messages/{key}/reply")
    put(cast.sam, pdf(), name="plan.pdf")
    conversations.answer(key, body="B", form_key="d1", seen=seen, by=cast.sam.actor)
    return key, db.session.scalars(sa.select(Message.key).order_by(Message.id.desc()).limit(1)).one()


@pytest.mark.usefixtures("ten_seconds")
def test_a1_a2_what_is_recalled_is_nobodys_but_its_authors(cast):
    key, message = answered(cast)
    thread, file = db.session.scalar(sa.select(Thread.id).where(Thread.key == key)), rows()[0].key
    with pytest.raises(NotVisible):  # it is being sent
        file_of_thread(thread, file, is_for_patient=True)
    assert file_of_thread(thread, file).name == "plan.pdf"
    db.session.close()
    _, again = conversations.recall(key, message=message, pages=("/reply", "/new"), by=cast.sam.actor)
    for is_for_patient in (True, False):
        with pytest.raises(NotVisible):
            file_of_thread(thread, file, is_for_patient=is_for_patient)
    assert [one.key for one in files_of_draft(cast.sam.id, again)] == [file] and is_whole()


def test_what_has_arrived_the_patient_may_open(cast):
    key, _ = answered(cast)
    thread, file = db.session.scalar(sa.select(Thread.id).where(Thread.key == key)), rows()[0].key
    assert file_of_thread(thread, file, is_for_patient=True).name == "plan.pdf"
    with pytest.raises(NotVisible):  # another thread's address does not lead to it
        file_of_thread(thread + 1, file, is_for_patient=True)


def test_a_recalled_message_shows_no_file_whatever_its_row_says(cast):
    key, _ = answered(cast)
    message = rows()[0].message_id
    with transaction(by=COMMAND, did="test") as tx:
        tx.session.add(Recall(message_id=message, by_id=cast.sam.id, at=now()))
    for is_for_patient in (True, False):
        with pytest.raises(NotVisible):
            file_of_thread(cast.thread(key).id, rows()[0].key, is_for_patient=is_for_patient)


def test_a_send_waits_for_a_file_that_is_being_committed_and_takes_it_along(cast, monkeypatch):
    """Else the file would be answered as taken, and lie in a draft that is gone."""
    draft(cast.sophie)
    keep, sending = files.Stored.keep, []

    def send_meanwhile(stored):
        keep(stored)
        sending.append(threading.Thread(target=in_app, args=(cast.app, lambda: send(cast.sophie, cast))))
        sending[0].start()
        time.sleep(0.7)

    monkeypatch.setattr(files.Stored, "keep", send_meanwhile)
    put(cast.sophie)
    sending[0].join()
    assert [row.message_id is not None for row in rows()] == [True]


def in_app(app, act):
    with app.app_context():
        act()
        db.session.remove()


# ---- No orphans ------------------------------------------------------------------------------------------


def make_old(*names):
    for name in names or on_disk():
        os.utime(FILES / name, (time.time() - 3700,) * 2)


def test_the_sweep_takes_what_nothing_speaks_of_and_nothing_else(cast):
    draft(cast.sophie)
    put(cast.sophie)
    draft(cast.sophie, "d2")
    put(cast.sophie, key="d2")
    send(cast.sophie, cast, "d2")
    known = on_disk()
    for name in ("orphan", "unfinished.part", "young"):
        (FILES / name).write_bytes(b"x")
    make_old(*known, "orphan", "unfinished.part")
    assert swept() == 2 and on_disk() == sorted([*known, "young"])
    assert swept() == 0


def test_more_orphans_than_are_asked_for_at_once(cast):
    for n in range(1003):
        (FILES / f"{n}").write_bytes(b"")
    make_old()
    assert swept() == 1003 and on_disk() == []


def test_rows_whose_draft_is_gone_go_with_their_bytes(cast):
    draft(cast.sophie)
    put(cast.sophie)
    with transaction(by=COMMAND, did="test") as tx:
        tx.session.execute(sa.delete(drafts.Draft))
    make_old()
    assert swept() == 1 and rows() == []
    assert swept() == 1 and on_disk() == []


def test_the_worker_sweeps_once_an_hour(cast):
    (FILES / "orphan").write_bytes(b"x")
    make_old()
    assert jobs.run_due_jobs()["sweep stored files"] == 1 and on_disk() == []
    assert "sweep stored files" not in jobs.run_due_jobs()


def test_without_a_folder_there_is_nothing_to_sweep(cast, monkeypatch, tmp_path):
    monkeypatch.setitem(cast.app.config, "FILES_DIR", str(tmp_path / "none"))
    assert swept() == 0


@pytest.mark.parametrize("where", ["write", "fsync", "rename", "flush"])
def test_whatever_fails_on_the_way_leaves_neither_file_nor_row(cast, monkeypatch, where):
    """F7, F8: a disk that fills, and one that fails."""
    draft(cast.sophie)
    put(cast.sophie)

    def full(*_args, **_how):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if where == "write":
            patched.setattr(files, "_copy", full)
        else:
            patched.setattr(files.os if where != "flush" else sa.orm.Session, where, full)
        with pytest.raises(OSError, match="space"):
            put(cast.sophie, pdf())
    assert len(rows()) == 1 and is_whole()


def test_a_row_that_is_not_committed_has_no_file(cast, monkeypatch):
    draft(cast.sophie)

    def fails(_session):
        raise sa.exc.OperationalError("", {}, Exception("disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr(sa.orm.Session, "commit", fails)
        with pytest.raises(sa.exc.OperationalError):
            put(cast.sophie)
    assert rows() == [] and on_disk() == []


def test_a_commit_of_which_nobody_knows_leaves_the_file_to_the_sweep(cast, monkeypatch):
    draft(cast.sophie)
    monkeypatch.setattr(files, "_is_known", lambda name: True)
    monkeypatch.setattr(sa.orm.Session, "commit", lambda session: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        put(cast.sophie)
    assert len(on_disk()) == 1


def test_pictures_that_would_fill_a_browser_are_not_shown_small(cast):
    draft(cast.sophie)
    for content in (png(), jpeg(60_000, 60_000), png(more=part(b"tEXt", b"x"))[:-1] + b"\x82", pdf()):
        put(cast.sophie, content)
    assert [files.is_picture(row) for row in rows()] == [True, False, True, False]


def test_what_happened_stands_in_the_audit_without_the_files_name(cast):
    draft(cast.sophie)
    put(cast.sophie, name="hiv-test.txt")
    row = rows()[0]
    detach(cast.sophie.id, draft="d1", key=row.key, by=cast.sophie.actor)
    db.session.close()
    found = db.session.scalars(sa.select(Audit).where(Audit.did.in_(("attach_file", "remove_file"))).order_by(Audit.id)).all()
    assert [one.did for one in found] == ["attach_file", "remove_file"]
    assert all(row.sha256 in one.details and "hiv" not in one.details for one in found)
