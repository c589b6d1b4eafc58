"""Patients who write and read, staff who receive and answer: processes with some of them each, over HTTP."""

import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPException

from practice.demo import PASSWORD
from tests.faults.senders import LETTERS, Answer, Browser, ask

AFTER = 60  # seconds in which a form that got no answer is sent again when the day is over
LOG_INS = 0.01  # of all that people do: they log in anew
THREAD = re.compile(r"/messages/([\w-]{22})[\"?/]")


@dataclass
class Told:
    """What people were answered. `messages`, `answers`: the thread of each acknowledged form, by the form's key."""

    messages: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    others: Counter[str] = field(default_factory=Counter)  # answers that are neither as hoped nor 5xx, with what was asked
    failed: list[tuple[float, int, str]] = field(default_factory=list)  # when, 5xx or 0 for no answer at all, what was asked
    logged_in: int = 0
    thrown_out: int = 0  # led to the log-in, though logged in
    seconds: list[float] = field(default_factory=list)

    def __add__(self, other: "Told") -> "Told":
        return Told(
            self.messages | other.messages,
            self.answers | other.answers,
            self.asked + other.asked,
            self.others + other.others,
            self.failed + other.failed,
            self.logged_in + other.logged_in,
            self.thrown_out + other.thrown_out,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class One:
    """A person with a log-in; `to`: whom a patient writes to."""

    browser: Browser
    email: str
    to: str = ""


@dataclass(frozen=True)
class People:
    """One process's part of them. What they do next falls by chance, until a time."""

    name: str  # begins what they write
    port: int
    people: Sequence[One]
    seed: int
    until: float
    pause: float

    def run(self) -> Told:
        chance, told, people = random.Random(self.seed), Told(), list(self.people)
        n = chance.randrange(len(people))
        while time.time() < self.until:
            n = (n + 1) % len(people)
            if chance.random() < LOG_INS:
                people[n] = self.log_in(told, people[n])
            self.act(told, chance, people[n])
            time.sleep(self.pause)
        return told

    def act(self, told: Told, chance: random.Random, one: One) -> None:
        raise NotImplementedError

    def ask(
        self, told: Told, path: str, one: One | None, form: dict[str, str] | None = None, *, what: str, **more: str
    ) -> Answer | None:
        """None: no answer came."""
        told.asked += 1
        try:
            answer = ask(self.port, path, one.browser if one else None, form, more=more)
        except (OSError, HTTPException):
            told.failed.append((time.time(), 0, what))
            return None
        told.seconds.append(answer.seconds)
        if answer.status < 500 and answer.status not in (200, 303, 304):
            told.others[f"{answer.status} {what}"] += 1
        if answer.status >= 500:
            told.failed.append((time.time(), answer.status, what))
        if one and (answer.status == 401 or answer.headers.get("location", "").startswith("/login")):
            told.thrown_out += 1
        return answer

    def read(self, told: Told, path: str, one: One, *, what: str) -> str:
        answer = self.ask(told, path, one, what=what)
        return answer.body if answer and answer.status == 200 else ""

    def sent(self, told: Told, path: str, one: One, form: dict[str, str], *, what: str) -> Answer | None:
        """The answer to a form; who hears nothing, or is asked to come again, sends the very same form once more."""
        while time.time() < self.until + AFTER:
            answer = self.ask(told, path, one, form, what=what)
            if answer and answer.status < 500:
                return answer
            time.sleep(0.3)
        return None

    def log_in(self, told: Told, one: One) -> One:
        """As at home: by the page, with e-mail and password. The old log-in stays where it does not succeed."""
        page = self.ask(told, "/login", None, what="log-in")
        if page is None or page.status != 200:
            return one
        form = {"email": one.email, "password": PASSWORD, "csrf_token": token_in(page.body)}
        before = replace(one, browser=Browser(one.browser.person, cookie_of(page), form["csrf_token"]))
        answer = self.ask(told, "/login", before, form, what="log-in")
        if answer is None or answer.status != 303:
            return one
        inside = replace(one, browser=replace(before.browser, cookie=cookie_of(answer)))
        home = self.ask(told, answer.headers["location"], inside, what="log-in")
        if home is None or home.status != 200:
            return one
        told.logged_in += 1
        cookie = cookie_of(home) or inside.browser.cookie  # the first page with a form puts the seed of its token in
        return replace(inside, browser=replace(inside.browser, cookie=cookie, token=token_in(home.body)))


def cookie_of(answer: Answer) -> str:
    return answer.headers.get("set-cookie", "").partition(";")[0]


def token_in(page: str) -> str:
    return value_in(page, "csrf_token")


def value_in(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)
    return found[1] if found else ""


def new_form_key(chance: random.Random) -> str:
    return "".join(chance.choices(LETTERS, k=22))


class Patients(People):
    def act(self, told: Told, chance: random.Random, one: One) -> None:
        page = self.read(told, "/messages", one, what="list")
        threads = THREAD.findall(page)
        if threads and chance.random() < 0.5:
            self.read(told, f"/messages/{threads[0]}", one, what="conversation")
        if chance.random() < 0.5:
            return
        key = new_form_key(chance)
        form = {"key": key, "body": f"{self.name} {key}: may I come on Monday?"}
        path = f"/messages/{threads[0]}/replies" if threads and chance.random() < 0.3 else "/messages/new"
        if path == "/messages/new":
            form |= {"to": one.to, "title": "A question"}
        answer = self.sent(told, path, one, form, what="send")
        if answer and answer.status == 303:
            told.messages[key] = THREAD.findall(answer.headers["location"] + "/")[0]


class Staff(People):
    def act(self, told: Told, chance: random.Random, one: One) -> None:
        page = self.read(told, "/staff/", one, what="In Box")
        if not page:
            return
        tag = (re.search(r'data-tag="([^"]+)"', page) or ["", ""])[1]
        news = {"X-Poll": "1", "If-None-Match": f'"{tag}"'}
        self.ask(told, "/staff/news", one, what="news", **news)
        threads = list(dict.fromkeys(THREAD.findall(page)))
        if not threads:
            return
        thread = chance.choice(threads)
        opened = self.read(told, f"/staff/messages/{thread}", one, what="message")
        self.ask(told, f"/staff/messages/{thread}/presence", one, {"version": "1", "note": "0"}, what="presence", **news)
        if f"/staff/messages/{thread}/receipts" in opened and chance.random() < 0.5:
            form = {"version": value_in(opened, "version")}
            self.sent(told, f"/staff/messages/{thread}/receipts", one, form, what="receive")
        writing = self.read(told, f"/staff/messages/{thread}/reply", one, what="Respond")
        key = new_form_key(chance)
        form = {"key": key, "seen": value_in(writing, "seen"), "body": f"{self.name} {key}: yes, at nine."}
        answer = self.sent(told, f"/staff/messages/{thread}/replies", one, form, what="answer") if form["seen"] else None
        if answer and answer.status == 303:
            told.answers[key] = thread
        self.ask(told, "/staff/news", one, what="news", **news)
