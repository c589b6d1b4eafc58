"""Words of an emergency: a list that the practice edits, looked for in what a patient is about to send."""

import re
from functools import lru_cache

from practice.people import title_key

WORDS = """chest pain
heart attack
can't breathe
cannot breathe
trouble breathing
not breathing
unconscious
stroke
seizure
heavy bleeding
bleeding heavily
won't stop bleeding
overdose
poisoned
suicide
kill myself
end my life
dolor de pecho
infarto
no puedo respirar
dificultad para respirar
no respira
inconsciente
derrame cerebral
convulsiones
hemorragia
sobredosis
envenenado
suicidio
suicidarme
matarme
quitarme la vida"""
"""What a practice begins with, in English and in Spanish; one a line."""
WORDS_MAX, WORD_MAX = 4000, 80  # characters of the whole list, and of a line
_SIGNS = str.maketrans(dict.fromkeys("‘’ʼ′´`＇", "'") | dict.fromkeys("-‐‑‒–—", " "))  # as phones and word processors write them
_LETTER = "[0-9a-z\u00df-\u058f]"  # of a folded text: Latin, Greek, Cyrillic, Armenian


def emergency_words_in(texts: list[str], listed: str) -> list[str]:
    """Those words of the practice's list (one a line) that stand in one of the texts, whatever the case and accents.

    A word is found as a whole: "stroke" is not in "strokes". In scripts that put no blanks between words, anywhere.
    Apostrophes may be missing ("cant breathe"), and a hyphen is as good as a blank.
    """
    looked_through = "\n".join(_plain(text) for text in texts)
    bare = looked_through.replace("'", "")  # to look for a text is a hundred times quicker than to match a pattern
    return [word for word, letters, pattern in _patterns(listed) if letters in bare and pattern.search(looked_through)]


def _plain(text: str) -> str:
    return title_key(text.translate(_SIGNS))


@lru_cache(maxsize=16)
def _patterns(listed: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """Each word as the practice writes it, without apostrophes, and how it is found."""
    found: dict[str, tuple[str, str, re.Pattern[str]]] = {}
    for word in map(str.strip, listed.splitlines()):
        plain = _plain(word)
        if letters := plain.replace("'", "").strip():
            found.setdefault(plain, (word, letters, re.compile(_bounded(plain, letters))))
    return list(found.values())


def _bounded(word: str, letters: str) -> str:
    """Latin, Greek and Cyrillic words end where their letters do; others (Chinese, Thai, signs) are looked for anywhere."""
    before = f"(?<!{_LETTER})" if re.match(_LETTER, letters[0]) else ""
    after = f"(?!{_LETTER})" if re.match(_LETTER, letters[-1]) else ""
    return before + re.escape(word).replace("'", "'?") + after
