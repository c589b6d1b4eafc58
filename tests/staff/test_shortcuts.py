"""The switch of the single keys, and the page that says what each does."""

from staff.keyboard import keys


def test_the_keys_are_on_until_one_switches_them_off_for_oneself(cast):
    assert "data-shortcuts" in cast.sam.get("/staff/").text
    assert cast.sam.post("/staff/keyboard", {}).location == "/staff/keyboard?done=saved"
    assert "data-shortcuts" not in cast.sam.get("/staff/").text and "Saved." in cast.sam.get("/staff/keyboard?done=saved").text
    assert "data-shortcuts" in cast.fay.get("/staff/").text
    cast.sam.post("/staff/keyboard", {"uses_shortcuts": "y"})
    assert "data-shortcuts" in cast.sam.get("/staff/").text


def test_the_page_lists_every_key_with_what_does_the_same(cast, app):
    page = cast.sam.get("/staff/keyboard")
    with app.test_request_context():
        listed = keys()
    assert [key for key, _, _ in listed if f"<kbd>{key}</kbd>" not in page.text] == [] and all(all(row) for row in listed)
