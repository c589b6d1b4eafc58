"""Words of an emergency: found whole, whatever the case, accents and signs."""

import time

import pytest

from practice import conversations
from practice.db import db, new_key
from practice.emergency import WORDS, WORDS_MAX, emergency_words_in
from practice.threads import Thread
from tests.portal.helpers import change_practice


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("I have CHEST PAIN since noon", ["chest pain"]),
        ("chest\n  pain", ["chest pain"]),
        ("I can’t breathe!", ["can't breathe"]),
        ("I canʼt breathe", ["can't breathe"]),
        ("I can´t breathe", ["can't breathe"]),
        ("i cant breathe", ["can't breathe"]),
        ("I CAN＇T ＢＲＥＡＴＨＥ", ["can't breathe"]),
        ("my stroke's after-effects", ["stroke"]),
        ("chest-pain, heart‑attack", ["chest pain", "heart attack"]),
        ("chest, pain", []),
        ("str\u200boke, sei\u00adzure", ["stroke", "seizure"]),
        ("_stroke_", ["stroke"]),
        ("他stroke了", ["stroke"]),
        ("Tengo un dolor de pecho", ["dolor de pecho"]),
        ("HEMORRÁGIA", ["hemorragia"]),
        ("(stroke)", ["stroke"]),
        ("chest\u200b pain", ["chest pain"]),
        ("two strokes of the brush", []),
        ("a backstroke", []),
        ("my chest is fine, no pain", []),
        ("", []),
    ],
)
def test_a_word_is_found_as_a_whole(said, found):
    assert emergency_words_in([said], WORDS) == found


def test_any_of_the_texts_counts_and_they_do_not_run_together():
    assert emergency_words_in(["Refill", "stroke"], WORDS) == ["stroke"]
    assert emergency_words_in(["my chest", "pain"], WORDS) == []


def test_scripts_without_blanks_are_looked_through():
    assert emergency_words_in(["我胸痛得厉害"], "胸痛") == ["胸痛"]
    assert emergency_words_in(["ฉันเจ็บหน้าอกมาก"], "เจ็บหน้าอก") == ["เจ็บหน้าอก"]


def test_the_list_is_words_and_no_pattern():
    assert emergency_words_in(["a.b"], "a.b\n\n  \n(") == ["a.b"]
    assert emergency_words_in(["axb"], "a.b") == [] and emergency_words_in(["anything"], "") == []
    signs = r"a.* [a-z]+ (?i) \b x|y ^ $ ' - {2} 🆘".replace(" ", "\n")
    assert emergency_words_in(["anything at all"], signs) == []
    assert emergency_words_in([r"say a.* or (?i), \b 🆘now"], signs) == ["a.*", "(?i)", r"\b", "🆘"]
    assert emergency_words_in(["a STROKE"], "stroke\nStroke\nSTRÓKE") == ["stroke"], "said once"


def test_a_long_list_and_a_long_text_take_no_time():
    listed = "\n".join(f"w{n:03}" for n in range(800))[:WORDS_MAX]
    said = ("nothing of it at all, and it can't be seen " * 500)[:20_000]
    emergency_words_in([said], listed)
    begun = time.perf_counter()
    assert emergency_words_in([said], listed) == []
    assert time.perf_counter() - begun < 0.1


def marked(key):
    db.session.close()
    return db.session.query(Thread).filter_by(key=key).one().has_emergency_words


def test_the_mark_lasts_until_there_is_an_answer(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians", body="I have chest pain")
    assert marked(key)
    cast.answer(cast.nina, key)
    assert not marked(key)
    assert not marked(cast.send(cast.sophie, "Others", to="Clinicians", body="A refill, please"))


def write_on(cast, key, words):
    sent = cast.sophie.post(f"/messages/{key}/replies", {"body": words, "key": new_key(), "warned": "yes"})
    assert sent.status_code == 303


def version(key):
    db.session.close()
    return db.session.query(Thread).filter_by(key=key).one().version


def test_the_mark_outlasts_what_is_no_answer(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians", body="I have chest pain")
    conversations.receive(key, version=version(key), by=cast.nina.actor)
    assert marked(key), "taken note of is not answered"
    write_on(cast, key, "It is better now")
    assert marked(key), "the patient's next words take nothing back"


def test_a_reply_marks_too_and_close_ends_it(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    cast.answer(cast.nina, key)
    write_on(cast, key, "Now a stroke")
    assert marked(key)
    conversations.close(key, version=version(key), by=cast.nina.actor)
    assert not marked(key)


def test_the_list_is_the_practices(cast):
    change_practice(emergency_words="burning")
    assert marked(cast.send(cast.sophie, "Others", to="Clinicians", body="It is burning"))
    assert not marked(cast.send(cast.sophie, "Others", to="Clinicians", body="I have chest pain"))


# ---- The patient is warned, the staff see it -----------------------------------------------------


def letter(cast, **more):
    return {"to": cast.communicator("Clinicians"), "title": "Since noon", "body": "I have chest pain", "key": "k1"} | more


@pytest.mark.parametrize("htmx", [False, True])
def test_the_author_is_warned_before_it_is_sent_and_sends_it_then(cast, htmx):
    warned = cast.sophie.post("/messages/new", letter(cast), htmx=htmx)
    assert warned.status_code == 422 and "Is this an emergency?" in warned.text and 'href="tel:911"' in warned.text
    assert "I have chest pain</textarea>" in warned.text and 'name="warned" value="yes"' in warned.text
    assert db.session.query(Thread).count() == 0
    sent = cast.sophie.post("/messages/new", letter(cast, warned="yes"), htmx=htmx)
    assert sent.status_code in (200, 303) and db.session.query(Thread).count() == 1
    again = cast.sophie.post("/messages/new", letter(cast), htmx=htmx)
    assert again.status_code in (200, 303), "a repeat is answered as the first time"


def test_an_answer_and_an_amendment_warn_too(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    assert "Is this an emergency?" in cast.sophie.post(f"/messages/{key}/replies", {"body": "a stroke", "key": "k2"}).text
    value = f"/my-info/{cast.value_of(cast.sophie)}/amendment"
    assert "Is this an emergency?" in cast.sophie.post(value, {"to": "165", "memo": "overdose", "key": "k3"}).text


def test_a_review_warns_in_its_one_step(cast):
    form = {"media": "Report", "hand_over": "Mail", "all_studies": "Yes", "comments": "since my heart attack", "key": "k1"}
    assert "Is this an emergency?" in cast.sophie.post("/results/new", form).text
    assert cast.sophie.post("/results/new", form | {"reviewed": "yes"}).status_code == 303


def test_staff_see_the_mark_in_row_strip_and_filter(cast):
    cast.send(cast.jihae, "Others", to="Clinicians", body="A refill, please")
    key = cast.send(cast.sophie, "Others", to="Clinicians", body="I have chest pain")
    page = cast.nina.get("/staff/").text
    assert "Urgent words:" in page and "Urgent words (1)" in page and "Overdue (0)" in page
    only = cast.nina.get("/staff/?only=urgent").text
    assert key in only and only.count("item-title") == 1
    assert cast.nina.post("/staff/searches", {"urgent": "y"}, htmx=True).text.count("item-title") == 1
    assert "words of an emergency" in cast.nina.get(f"/staff/messages/{key}").text
    assert "Urgent words (0)" in cast.ivan.get("/staff/").text
    cast.answer(cast.nina, key)
    assert "Urgent words (0)" in cast.nina.get("/staff/").text


def test_overdue_is_what_is_past_its_promise(cast):
    key = cast.send(cast.sophie, "Others", to="Clinicians")
    with db.engines["write"].begin() as connection:
        connection.execute(db.text("UPDATE thread SET due_at = '2020-01-01 00:00:00'"))
    page = cast.nina.get("/staff/?only=late").text
    assert "Overdue (1)" in page and key in page
    for address in ("/", f"/messages/{key}"):
        shown = cast.sophie.get(address).text
        late = shown[shown.index("Later than promised. Please call us if it cannot wait.") :]
        assert 'href="tel:5550100199"' in late.split("</p>")[0]
        assert "2020" not in shown and "answer by" not in shown and "We answer by" not in shown
    assert "Our answer is later than promised." in shown
    assert "Overdue (0)" in cast.ivan.get("/staff/").text
