"""Message Communicator: the list, and beside it the editor. One form whose buttons all post to the same address, so that what
is typed, ticked and chosen survives Select User, its search and its pages, without anything being saved before *Save*."""

from dataclasses import dataclass
from typing import Any

from flask import Response as FlaskResponse
from flask import make_response, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from admin import blueprint, select_user
from admin.communicator_list import Place, listed, orders, place_here, still_refused
from practice import coverage
from practice.communicators import (
    SORTS,
    InCharge,
    Overview,
    communicator_with,
    facilities_to_choose,
    last_save,
    near_twins,
    staff_with_keys,
)
from practice.coverage import HELP_MAX, TITLE_MAX, Impact, gaps_without, impact_of, threads_count
from practice.db import COUNTED, db, new_key
from practice.errors import Invalid, NotVisible, Stale
from practice.people import title_key
from practice.sessions import keep_filter
from practice.settings import RequestType
from web.answers import Answer, is_htmx, notice, page, to
from web.asked import version_in
from web.formats import WORD_OF, number, yes_or_no
from web.formats import gettext as _
from web.formats import lazy_gettext as _l
from web.forms import AtMost, Filled, Form, KeysField, is_key, keys_in, opened, tidy
from web.gate import visitor

NOBODY = "nobody"  # the gap of a communicator that has nobody active in charge; the others are named by their type


class CommunicatorForm(Form):
    type = SelectField(
        _l("Type of Request"),
        [Filled(_l("Choose a type."))],
        choices=[SelectChoice(kind.value, word) for kind, word in WORD_OF.items()],
    )
    title = StringField(
        _l("The title of communicator"),
        [Filled(_l("Write a title.")), AtMost(TITLE_MAX, _l("Use at most 80 characters."))],
        filters=[tidy],
        render_kw={"autocomplete": "off"},
    )
    staff = KeysField(_l("The users in charge"), gone=_l("One of the users is not there any more."))
    is_in_use = BooleanField(_l("In Use"))
    facilities = KeysField(_l("Facilities"), gone=_l("One of the facilities is not there any more."))
    help = StringField(
        _l("Help for patients"),
        [AtMost(HELP_MAX, _l("Use at most 200 characters."))],
        filters=[tidy],
        render_kw={"autocomplete": "off"},
    )
    version = HiddenField()
    confirmed = HiddenField()

    @property
    def seen_version(self) -> int:
        return version_in(self.version.data)


# ---- Pages ---------------------------------------------------------------------------------------


@blueprint.get("/")
def home() -> Response:
    return to("admin.communicators")


@blueprint.get("/communicators")
def communicators() -> Answer:
    if "new" not in request.args and "draft" not in request.args:
        return shown(None, None, results=still_refused())
    like = one(request.args.get("like", ""))
    staff = [member.key for member in like.staff] if like else []
    wanted = request.args.get("type", "")  # the list is filtered by it, or a gap of this type is to be mended
    kind = like.type if like else wanted if wanted in list(RequestType) else RequestType.APPOINTMENT
    return shown(opened(CommunicatorForm, is_in_use=True, staff=staff, type=str(kind)), None)


@blueprint.get("/communicators/<key>")
def communicator(key: str) -> Answer:
    found = one(key)
    if found is None:
        raise NotVisible
    return shown(opened(CommunicatorForm, **values_of(found)), found)


@blueprint.post("/communicators/searches")
def search_communicators() -> Answer:
    """The words may be a name, so they are kept with the session and the address only has their key."""
    words = request.form.get("words", "").replace("\0", "").strip()[:100]
    sort, _sep, order = request.form.get("sort", "").partition(":")
    kind, found = request.form.get("type", ""), one(request.form.get("open", ""))
    place = Place(
        type=kind if kind in set(RequestType) else "",
        sort=sort if sort in SORTS else "title",
        order="desc" if order == "desc" else "asc",
        filter=keep_filter(visitor(), {"words": words}) if words else "",
    )
    endpoint = "admin.communicator" if found else "admin.communicators"
    values = place.args() | ({"key": found.key} if found else {})
    if not is_htmx():
        return to(endpoint, **values)
    form = opened(CommunicatorForm, **values_of(found)) if found else None
    answer: FlaskResponse = make_response(shown(form, found, place=place))
    answer.headers["HX-Push-Url"] = url_for(endpoint, **values)
    return answer


@blueprint.post("/communicators")
def add_communicator() -> Answer:
    return pressed(CommunicatorForm(), None)


@blueprint.post("/communicators/<key>")
def save_communicator(key: str) -> Answer:
    found = one(key)
    form = CommunicatorForm()
    if found is None:
        # Deleted by a colleague meanwhile: what was entered stays, and may become a new one.
        form.version.data, form.key.data = "", new_key()
        return shown(form, None, 404, is_gone=True)
    return pressed(form, found)


# ---- The editor ----------------------------------------------------------------------------------


def pressed(form: CommunicatorForm, found: Overview | None) -> Answer:
    """What the pressed button of the editor or of Select User does; a form without a button saves."""
    action, _sep, value = request.form.get("action", "save").partition(":")
    if action in select_user.ACTIONS:
        return select_user.show(form, found, action, value, address=address_of(found, place_here()))
    if action == "excel":
        return select_user.sheet()
    if action == "save":
        return save(form, found)
    if action == "remove":
        form.staff.data = [key for key in form.staff.data if key != value]
    elif action == "pick":
        form.staff.data = list(dict.fromkeys([*form.staff.data, *keys_in("pick")]))
    return shown(form, found)


def save(form: CommunicatorForm, found: Overview | None) -> Answer:
    if not form.validate_on_submit():
        return shown(form, found, 422)
    doubts = Doubts() if is_outdated(form, found) else doubts_of(form, found)
    if not set(doubts.codes) <= set((form.confirmed.data or "").split(",")):
        form.confirmed.data = ",".join(doubts.codes)
        return shown(form, found, 422, doubts=doubts)
    try:
        key = coverage.save_communicator(found.key if found else None, **values_in(form))
    except Invalid as error:
        form.put(error)
        return shown(form, found, 422)
    except Stale:
        return outdated(form, found)
    return to("admin.communicator", key=key, done="saved", **place_here().args())


def is_outdated(form: CommunicatorForm, found: Overview | None) -> bool:
    return found is not None and found.version != form.seen_version


def outdated(form: CommunicatorForm, found: Overview | None) -> Answer:
    """Saved by somebody else meanwhile: both states side by side; what was typed stays, and a second *Save* takes it."""
    db.session.close()
    saved = one(found.key) if found else None
    if saved is None:
        raise NotVisible
    form.version.data = str(saved.version)
    return shown(form, saved, 409, changes=changes(form, saved), saved_by=last_save(db.session(), saved.key))


def changes(form: CommunicatorForm, saved: Overview) -> list[tuple[str, str, str]]:
    """The fields that differ: name, what was typed, what is saved now."""
    yours = staff_with_keys(db.session(), form.staff.data)
    chosen = [one for one in facilities_to_choose(db.session(), form.facilities.data) if one.key in form.facilities.data]
    rows = [
        (form.type.label.text, WORD_OF.get(form.type.data, ""), WORD_OF[saved.type]),
        (form.title.label.text, form.title.data or "", saved.title),
        (form.staff.label.text, names(yours), names(saved.staff)),
        (form.is_in_use.label.text, yes_or_no(form.is_in_use.data), yes_or_no(saved.is_in_use)),
        (form.facilities.label.text, places(chosen), places(saved.facilities)),
        (form.help.label.text, form.help.data or "", saved.help),
    ]
    return [(str(field), str(mine), str(theirs)) for field, mine, theirs in rows if str(mine) != str(theirs)]


def names(staff: list[InCharge]) -> str:
    return " / ".join(sorted(member.name for member in staff))


def places(facilities: list[Any]) -> str:
    return " / ".join(one.name for one in facilities) or _("all")


# ---- What is asked before a save -----------------------------------------------------------------


@dataclass(frozen=True)
class Doubts:
    """What a save would bring that the admin may not want. Each has a code, which says that it was seen."""

    gaps: tuple[str, ...] = ()  # types of request that nobody would receive, and NOBODY
    twins: tuple[Any, ...] = ()
    impact: Impact = Impact()
    delivered: int = 0  # threads that wait unrouted and would be delivered

    @property
    def codes(self) -> list[str]:
        i = self.impact
        numbers = f"impact:{i.gaining}:{i.losing}:{i.claims}"  # not of threads: new ones come all the time
        return [*self.gaps, *(f"twin:{twin.key}" for twin in self.twins), *([numbers] if self.lines else [])]

    @property
    def lines(self) -> list[str]:
        """Who would see more, and who less; none when nobody does."""
        i, said = self.impact, []
        if i.gained:
            text = ngettext(
                "%(num)s person gains %(threads)s", "%(num)s people gain %(threads)s", i.gaining, threads=some(i.gained)
            )
            said.append(text)
        if i.lost:
            text = ngettext("%(num)s person loses %(threads)s", "%(num)s people lose %(threads)s", i.losing, threads=some(i.lost))
            said.append(text)
        if i.claims:
            said.append(ngettext("%(num)s claim is released", "%(num)s claims are released", i.claims))
        if self.delivered:
            said.append(_("%(threads)s that nobody could receive would be delivered", threads=some(self.delivered)))
        return said


def some(threads: int) -> str:
    if threads > COUNTED:
        return _("more than %(n)s threads", n=number(COUNTED))
    return ngettext("%(num)s thread", "%(num)s threads", threads)


def doubts_of(form: CommunicatorForm, found: Overview | None) -> Doubts:
    kind, staff, key = RequestType(form.type.data), form.staff.data, found.key if found else None
    is_new_title = found is None or title_key(form.title.data) != title_key(found.title)
    return Doubts(
        gaps=tuple(gaps_of(form, found)),
        twins=tuple(near_twins(db.session(), form.title.data, kind, key=key) if is_new_title else ()),
        impact=impact_of(db.session(), key, staff=staff) if key else Impact(),
        delivered=coverage.would_deliver(key, **values_in(form)),
    )


def gaps_of(form: CommunicatorForm, found: Overview | None) -> list[str]:
    """What saving this would leave without anybody: types of request, and the communicator itself."""
    kind, staff, key = RequestType(form.type.data), form.staff.data, found.key if found else None
    types = [kind] if gaps_without(db.session(), key, kind=kind, staff=staff, is_in_use=bool(form.is_in_use.data)) else []
    if found and found.type != kind and gaps_without(db.session(), key, kind=found.type, staff=[], is_in_use=False):
        types.append(found.type)
    nobody = [] if any(member.is_active for member in staff_with_keys(db.session(), staff)) else [NOBODY]
    return [gap.value for gap in types] + nobody


# ---- Shared --------------------------------------------------------------------------------------


def one(key: str) -> Overview | None:
    return communicator_with(db.session(), key) if is_key(key) else None


def values_in(form: CommunicatorForm) -> dict[str, Any]:
    """What the form says, as the verb takes it."""
    return {
        "kind": RequestType(form.type.data),
        "title": form.title.data,
        "staff": form.staff.data,
        "is_in_use": bool(form.is_in_use.data),
        "help": form.help.data,
        "facilities": form.facilities.data,
        "version": form.seen_version,
        "form_key": form.key.data,
        "by": visitor().actor,
    }


def values_of(found: Overview) -> dict[str, Any]:
    return {
        "type": found.type.value,
        "title": found.title,
        "staff": [member.key for member in found.staff],
        "is_in_use": found.is_in_use,
        "facilities": [facility.key for facility in found.facilities],
        "help": found.help,
        "version": str(found.version),
    }


def address_of(found: Overview | None, place: Place) -> str:
    """Where the editor's form is sent; it carries the place in the list."""
    if found:
        return url_for("admin.save_communicator", key=found.key, **place.args())
    return url_for("admin.add_communicator", **place.args())


def shown(form: Any, found: Overview | None, status: int = 200, *, place: Place | None = None, **context: Any) -> Answer:
    """The list, with the editor beside it where there is a form."""
    values: dict[str, Any] = listed(place or place_here(), found)
    kept = values["place"].args()
    values |= {
        "form": form,
        "open": found,
        "kept": kept,
        "orders": orders(),
        "words_of_types": WORD_OF,
        "members": staff_with_keys(db.session(), form.staff.data) if form else [],
        "facilities": facilities_of(form, found) if form else [],
        "count": threads_count(db.session(), found.id) if found else 0,
        "action": address_of(found, values["place"]),
        "notice": notice(),
        "doubts": None,
        "changes": [],
    }
    return page("admin/communicators.html", "admin/_communicators.html", status, **values | context)


def facilities_of(form: CommunicatorForm, found: Overview | None) -> list[Any]:
    """The choices: those in use, and those it has or is to have."""
    saved = [facility.key for facility in found.facilities] if found else []
    return facilities_to_choose(db.session(), [*form.facilities.data, *saved])
