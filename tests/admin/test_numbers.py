"""The page of the practice's numbers: what it shows, its plots and tables, CSV, and that it asks as often whatever there is."""

import csv
import io
import re
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from practice import conversations
from practice.db import COMMAND, Audit, clock_at, db, transaction
from practice.numbers import Tally
from practice.settings import RequestType
from tests.admin.helpers import text
from tests.admin.test_audit import seek
from tests.conftest import Cast
from web import plots

URL = "/admin/numbers"
TABLES = ["waits", "in-time", "received", "load", "communicators", "types", "requests"]
MONDAY = datetime(2026, 3, 16, 14, 5)  # 10:05 in New York
RTL = "מזכירות"
LONG = "An office with a name of eighty characters, which is as long as it can be here.."


@pytest.fixture
def week(cast: Cast):
    """On Monday Sophie writes to the Clinicians and has an answer after two hours, and asks for an appointment; on Tuesday it is
    looked at."""
    with clock_at(MONDAY):
        key = cast.send(cast.sophie)
        cast.send(cast.sophie, "Appointment")
    with clock_at(MONDAY + timedelta(hours=2)):
        cast.answer(cast.nina, key)
    with clock_at(MONDAY + timedelta(days=1)):
        for player in (cast.ada, cast.sam):
            player.log_in()
        yield cast


def table(page: str, name: str) -> str:
    """The figure with this heading."""
    return re.findall(rf'<figure class="sheet" aria-labelledby="{name}">.*?</figure>', page, re.DOTALL)[0]


def rows(page: str, name: str) -> list[list[str]]:
    found = re.findall(r"<tr role=\"row\">(.*?)</tr>", table(page, name), re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in found]
    return [[" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in row] for row in cells]


def export(cast: Cast, name: str, by: str = "week") -> list[list[str]]:
    answer = cast.ada.post(f"{URL}/exports", {"table": name, "by": by})
    assert answer.status_code == 200, name
    assert answer.headers["Content-Disposition"] == f'attachment; filename="numbers-{name}.csv"'
    return list(csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig"))))


def test_the_page_shows_what_happened(week: Cast) -> None:
    page = text(week.ada.get(URL))
    assert rows(page, "waits")[0] == ["Week from", "Answers", "Half within", "Nine in ten within"]
    assert rows(page, "waits")[-1] == ["Mar 16", "1", "2 h", "2 h"] and rows(page, "waits")[-2] == ["Mar 9", "0", "–", "–"]
    assert rows(page, "in-time")[-1] == ["Mar 16", "1", "1", "100%"]
    assert rows(page, "received")[-1] == ["Mar 16", "2", "1", "0", "1", "0"]
    assert rows(page, "load")[1:] == [["10:00", "2", *["0"] * 6]]
    assert rows(page, "communicators")[1:] == [
        ["Scheduler", "Appointment", "1", "0", "–", "–", "–", "1"],
        ["Clinicians", "Others", "1", "1", "2 h", "2 h", "100%", "0"],
    ]
    assert rows(page, "types")[3] == ["Others", "1", "1", "2 h", "2 h", "100%"]
    assert rows(page, "requests")[1:] == [["Appointment", "Requested", "1"]]
    assert "Counted since March 16, 2026" in page and len(rows(page, "waits")) == 14
    assert re.search(r"<dt>Waiting now</dt><dd>1</dd>", page) and re.search(r"<dt>Overdue now</dt><dd>0</dd>", page)


def test_by_month(week: Cast) -> None:
    page = text(week.ada.get(f"{URL}?by=month"))
    assert len(rows(page, "waits")) == 13 and rows(page, "waits")[-1][0] == "Mar 2026"
    assert 'value="month" selected' in page
    assert 'value="week" selected' in text(week.ada.get(f"{URL}?by=years"))


def test_what_is_overdue_leads_to_its_list(cast: Cast) -> None:
    with clock_at(MONDAY):
        cast.send(cast.sophie)
    with clock_at(MONDAY + timedelta(days=20)):
        cast.ada.log_in()
        assert f'<a href="{URL.replace("numbers", "overdue")}">1</a>' in text(cast.ada.get(URL))


def test_an_empty_practice_says_so(cast: Cast) -> None:
    page = text(cast.ada.get(URL))
    assert "Nothing to count yet" in page and "<figure" not in page and "Waiting now" in page


def test_each_plot_has_a_name_a_sentence_and_its_table_and_no_style(week: Cast) -> None:
    page = week.ada.get(URL).text
    for name in TABLES[:4]:
        figure = table(page, name)
        assert re.search(
            rf'<svg class="plot"[^>]* role="img" aria-labelledby="{name}-plot" aria-describedby="{name}-about">', figure
        )
        assert f'<title id="{name}-plot">Plot: ' in figure and f'<desc id="{name}-about">' in figure and "<table" in figure
    for name in TABLES[4:]:
        assert 'class="plot-bar"' in table(page, name) and 'aria-hidden="true"' in table(page, name)
    assert "style=" not in page


def test_titles_of_any_script_and_length_are_shown_as_text(week: Cast) -> None:
    evil = "<b>Desk</b>"
    with clock_at(MONDAY + timedelta(hours=3)):
        for n, title in enumerate((RTL, LONG, evil)):
            week.communicate(RequestType.OTHERS, title, week.nina)
            week.send(week.patient(f"p{n}", "NEW", number=70 + n), to=title)
    page = week.ada.get(URL).text
    assert f"<bdi>{RTL}</bdi>" in page and f"<bdi>{LONG}</bdi>" in page
    assert evil not in page and "<bdi>&lt;b&gt;Desk&lt;/b&gt;</bdi>" in page


def test_a_message_that_nobody_had_has_its_line(week: Cast) -> None:
    week.change("Media Manager", staff=[])
    week.send(week.jihae, "Result")
    assert rows(text(week.ada.get(URL)), "communicators")[-1] == ["Nobody at that moment", "–", "1", "0", "–", "–", "–", "0"]


# ---- CSV -----------------------------------------------------------------------------------------


def test_each_table_is_exported_bare_and_the_audit_says_so(week: Cast) -> None:
    found = {name: export(week, name) for name in TABLES}
    assert found["waits"][0] == ["Week from", "Answers", "Half within (minutes)", "Nine in ten within (minutes)"]
    assert found["waits"][-1] == ["2026-03-16", "1", "120", "120"] and len(found["waits"]) == 14
    assert found["in-time"][-1] == ["2026-03-16", "1", "1", "100"]
    assert found["load"][1] == ["10", "2", *["0"] * 6]
    assert found["types"][1][:2] == ["Appointment", "1"]
    assert export(week, "waits", "month")[-1][0] == "2026-03-01"
    db.session.close()
    details = list(db.session.scalars(sa.select(Audit.details).where(Audit.did == "export_numbers").order_by(Audit.id)))
    assert len(details) == len(TABLES) + 1 and details[0] == '{"by": "week", "table": "waits"}'
    page = seek(week, did="export_numbers")
    assert page.count("exported numbers</td>") == 8 and "<dt>Table</dt>" in page


def test_a50_no_title_is_a_formula(week: Cast) -> None:
    with clock_at(MONDAY + timedelta(hours=3)):
        week.communicate(RequestType.OTHERS, "=1+1", week.nina)
        week.send(week.jihae, to="=1+1")
    assert "'=1+1" in {row[0] for row in export(week, "communicators")}


@pytest.mark.parametrize("name", ["", "nothing", "\0", "waits\n"])
def test_a_table_that_is_not_there_is_not_found(week: Cast, name: str) -> None:
    assert week.ada.post(f"{URL}/exports", {"table": name}).status_code == 404
    db.session.close()
    assert not db.session.scalar(sa.select(Audit.id).where(Audit.did == "export_numbers"))


def test_only_admins(week: Cast) -> None:
    assert week.sam.get(URL).status_code == 403
    assert week.sam.post(f"{URL}/exports", {"table": "waits"}).status_code == 403
    assert week.ada.get(f"{URL}/exports").status_code == 405


def test_the_page_asks_as_often_whatever_there_is(week: Cast, statements) -> None:
    week.ada.get(URL)
    counts = []
    for _ in range(2):
        with statements() as found:
            week.ada.get(URL)
        counts.append(len(found))
        for n in range(3):
            week.answer(week.nina, week.send(week.jihae))
            week.communicate(RequestType.OTHERS, f"Desk {n} {len(counts)}", week.nina)
            week.send(week.sophie, "Result")
    assert counts[0] == counts[1], found


# ---- Where things stand --------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 19, 20, 21, 99, 100, 101, 4999, 10**6, 123_456_789])
def test_a_grid_holds_the_highest_in_few_round_lines(most: int) -> None:
    lines = plots.grid(most)
    assert lines[0] == 0 and lines[-1] >= max(most, 1) and len(lines) <= 7
    assert len({b - a for a, b in zip(lines, lines[1:], strict=False)}) == 1


@pytest.mark.parametrize("most", [0, 5, 60, 61, 720, 1440, 10_000, 500_000, 5_000_000])
def test_a_grid_of_time_too(most: int) -> None:
    lines = plots.grid_of_time(most)
    assert lines[0] == 0 and lines[-1] >= max(most, 1) and len(lines) <= 7


def test_all_parts_stand_inside_the_drawing() -> None:
    drawn = plots.curves(["a"] * 13, [[5] * 13, [None, *[60] * 5, None, *[10] * 6]], plots.grid_of_time(60), str)
    points = [point for line in drawn.lines for stretch in line for point in stretch]
    barred = plots.bars(["a"] * 12, [0, None, *range(10)], plots.grid(9), str)
    points += [(x + width, y + height) for x, y, width, height in barred.bars] + [(x, y) for x, y, *_ in barred.bars]
    points += [(x + r, y + r) for x, y, r in plots.card(["d"] * 7, [1] * 168).dots]
    assert all(0 <= x <= plots.WIDTH and 0 <= y <= plots.HEIGHT for x, y in points)
    assert len(barred.bars) == 9 and len(drawn.lines[1]) == 2, "no bar for nothing, and a gap where there was no answer"


def test_a_recalled_answer_leaves_the_page(week: Cast, ten_seconds: None) -> None:
    key = week.send(week.jihae)
    week.answer(week.nina, key)
    newest = sa.select(conversations.Message.key).where(~conversations.Message.is_from_patient)
    message = db.session.scalars(newest.order_by(conversations.Message.id.desc()).limit(1)).one()
    assert rows(text(week.ada.get(URL)), "waits")[-1][1] == "2"
    conversations.recall(key, message=message, pages=("/reply", "/new"), by=week.nina.actor)
    assert rows(text(week.ada.get(URL)), "waits")[-1][1] == "1"


def test_the_present_day_is_read_beside_the_sums(week: Cast) -> None:
    with transaction(by=COMMAND, did="set_up_tests") as tx:
        tx.session.add(
            Tally(what="late", day=date(2026, 3, 10), type="Others", communicator_id=None, slot=4320, number=3, message_id=None)
        )
    assert rows(text(week.ada.get(URL)), "waits")[-2:] == [["Mar 9", "3", "3 d", "3 d"], ["Mar 16", "1", "2 h", "2 h"]]
