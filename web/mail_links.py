"""The secrets in the links of mails, each made as its mail leaves: no request has one, and what waits to be sent holds none."""

from practice.accounts import invitation_link_for
from practice.outbox import Leased, Occasion
from practice.own_email import new_email_link_for
from practice.registration import registration_link_for
from practice.reset import link_for


def secret_for(leased: Leased, *, token: str = "") -> str:
    """Empty for a mail whose link needs none. `token`: the secret itself, where the page has to know it that shows mails.

    Raises Undeliverable when there is nothing to give a link for any more.
    """
    match leased.occasion:
        case Occasion.RESET:
            return link_for(leased.person or 0, token=token)
        case Occasion.INVITATION:
            return invitation_link_for(leased.person or 0, token=token)
        case Occasion.REGISTRATION:
            return registration_link_for(leased.proof or 0, token=token)
        case Occasion.NEW_EMAIL:
            return new_email_link_for(leased.proof or 0, token=token)
        case _:
            return ""
