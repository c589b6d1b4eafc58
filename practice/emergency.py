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
WORDS_MAX = 4000  # characters of the whole list


def emergency_words_in(texts: list[str], listed: str) -> list[str]:
    """Those words of the practice's list (one a line) that stand in one of the texts, whatever the case and accents.

    A word is found as a whole: "stroke" is not in "strokes". In scripts that put no blanks between words, anywhere.
    """
    looked_through = "\n".join(_plain(text) for text in texts)
    return [word for word, pattern in _patterns(listed) if pattern.search(looked_through)]


def _plain(text: str) -> str:
    return title_key(text.replace("’", "'"))


@lru_cache(maxsize=16)
def _patterns(listed: str) -> list[tuple[str, re.Pattern[str]]]:
    words = [word.strip() for word in listed.splitlines() if _plain(word)]
    return [(word, re.compile(_bounded(_plain(word)))) for word in words]


def _bounded(word: str) -> str:
    """Latin, Greek and Cyrillic words end at a blank or a sign; others (Chinese, Thai) are looked for anywhere."""
    is_spaced = all(ord(c) < 0x0590 for c in word)
    return rf"(?<!\w){re.escape(word)}(?!\w)" if is_spaced else re.escape(word)
