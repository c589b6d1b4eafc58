"""What a form or an address says, read with care."""


def version_in(text: str | None) -> int:
    """The version a page showed; nonsense is -1, a version nothing has."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1
