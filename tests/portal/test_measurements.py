"""What was measured, over time: a plot with the normal range, and the same numbers in its table."""

import re
from datetime import date

import pytest

from practice.documents import Section
from practice.records import series_of
from tests.practice.test_record_imports import correct, saved
from tests.samples import fhir, measured
from web.plots import HEIGHT, WIDTH, grid_between, over_time

NORMAL = {"referenceRange": [{"low": {"value": 60}, "high": {"value": 100}}]}


def amount(number):
    return {"value": number, "unit": "mmHg"}


def pressure(upper, lower, on):
    parts = [
        {"code": {"text": name, "coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": amount(number)}
        for name, code, number in (("Upper", "8480-6", upper), ("Lower", "8462-4", lower))
    ]
    return {k: v for k, v in measured("Blood pressure", on=on, component=parts).items() if k != "valueQuantity"}


def figure(page, title):
    return re.search(rf"<figure(?:(?!</figure>).)*<bdi>{title}</bdi></h3>.*?</figure>", page, re.DOTALL)[0]


def cells(part):
    return [re.findall(r"<t[hd][^>]*>(?:<bdi>)?([^<]*)", row) for row in re.findall(r"<tr>.*?</tr>", part, re.DOTALL)]


def test_vital_signs_are_plotted_with_their_normal_range_and_their_table(cast):
    days = ("2025-01-05", "2025-03-05", "2026-06-05")
    pulses = [measured("Heart rate", n, "/min", on, **NORMAL) for n, on in zip((71, 59.5, 104), days, strict=True)]
    saved(cast, fhir(*pulses, *(pressure(140 - n, 90 - n, on) for n, on in enumerate(days)), measured("Weight", 68, "kg")))
    page = cast.sophie.get("/my-info/sections/vitals").text
    pulse = figure(page, "Heart rate, /min")
    assert cells(pulse)[1:] == [["June 5, 2026", "104"], ["March 5, 2025", "59.5"], ["January 5, 2025", "71"]]
    assert "Normal range: 60 to 100 /min" in pulse and '<rect class="band"' in pulse and pulse.count("m-4.5 0") == 3
    assert "From January 5, 2025 to June 5, 2026." in pulse and 'role="img"' in pulse and "style=" not in page
    both = figure(page, "Blood pressure, mmHg")
    numbers = [["June 5, 2026", "138", "88"], ["March 5, 2025", "139", "89"], ["January 5, 2025", "140", "90"]]
    assert cells(both) == [["Date", "Upper", "Lower"], *numbers]
    assert (
        both.count("<polyline") == 2
        and re.findall(r'class="newest"[^>]*>([^<]*)', both) == ["138", "88"]
        and 'class="band"' not in both
    )
    assert page.count("<figure") == 2, "of one weight there is no plot"
    page = cast.sophie.get("/my-info").text
    assert "Vital Signs over time" in page and page.count("<figure") == 2
    assert figure(page, "Heart rate, /min").count("m-4.5 0") == 3
    assert "<figure" not in cast.sophie.get("/my-info/sections/medication").text


def test_a_corrected_number_is_plotted_as_corrected_and_units_are_not_mixed(cast):
    correct(cast, "Height", "167 cm")
    weights = [measured("Weight", 70, "kg", "2024-03-04"), measured("Weight", 71, "kg", "2025-03-04")]
    saved(cast, fhir(measured(value=164, on="2024-03-04"), measured(value=65, unit="[in_i]", on="2024-05-04"), *weights))
    series = series_of(cast.sophie.id, Section.VITALS)
    assert [(one.name, one.unit, [point.number for point in one.points]) for one in series] == [
        ("Height", "cm", [164, 167]),
        ("Weight", "kg", [70, 71]),
    ]
    assert series_of(cast.jihae.id, Section.VITALS) == []


SPANS = [(0, 0), (5, 5), (-3, 8), (59.5, 104), (0.001, 0.0034), (36.5, 36.9), (1e6, 9e9), (-7, -7)]


@pytest.mark.parametrize(("least", "most"), SPANS)
def test_the_lines_of_the_grid_are_few_and_hold_what_was_measured(least, most):
    lines = grid_between(least, most)
    assert 2 <= len(lines) <= 7 and lines[0] <= least and lines[-1] >= most and lines == sorted(set(lines))
    drawn = over_time([[(date(2020, 1, 1), least), (date(2025, 1, 1), most)]], (None, most), str, str)
    points = [point for stretch in drawn.lines[0] for point in stretch] + [(0, y) for y, _ in drawn.up]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert drawn.band and drawn.band[1] >= 0
