"""`make mutants`: takes each condition of routing, of who owns what and of the gate out alone; a test must fail.

A list as data: in which file, what it says (once in that file), what it says instead, and the tests of which one must fail.
`--only N M` runs some. The copy that is changed lives in a temporary folder. tests/test_mutants.py keeps the list complete.
"""

import argparse
import ast
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.prepare import answers, postgresql_url

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 2
LONGEST = 120  # seconds; whoever takes longer has noticed something


@dataclass(frozen=True)
class Mutant:
    """One change of the source, and the names of the tests that are to notice it."""

    file: str
    says: str
    instead: str
    tests: tuple[str, ...]
    database: str = "sqlite"

    @property
    def name(self) -> str:
        said, instead = (" ".join(text.split()) for text in (self.says, self.instead))
        return f"{self.file}: {said}  ->  {instead or '(nothing)'}"


def _of(file: str, *rows: tuple[str, ...]) -> list[Mutant]:
    """Rows of: says, instead, tests (names between blanks), and the database where it is not SQLite."""
    return [Mutant(file, says, instead, tuple(tests.split()), *more) for says, instead, tests, *more in rows]


# ---- The tests by what they ask ------------------------------------------------------------------

TRUTH = "test_who_receives"
ROLES = "test_s1_a58_role_against_declaration"
WAYS = (
    "test_a_patient_reaches_their_own_threads_each_by_its_key test_staff_reach_what_their_communicators_have_each_by_its_key"
    " test_staff_who_are_patients_reach_all_but_their_own_by_no_way"
)
TWIN = "test_nobody_sees_receives_or_is_told_of_their_own_thread_from_the_staff_side"
TWIN_WOKEN = "test_waking_tells_nobody_of_their_own_thread_as_a_patient_but_of_all_others"
WAKES = "test_what_waited_is_delivered_in_the_transaction_that_made_somebody_eligible"
BESIDE = "test_waking_moves_what_waits_and_nothing_that_stands_beside_it"
LAST = "test_the_last_message_a_waking_speaks_of_is_the_threads_own"
TWICE = "test_waking_tells_nobody_twice_of_the_same_message_and_everybody_of_a_newer_one"
STAYS = "test_a_reply_stays_with_whom_has_the_thread_while_one_of_them_can_receive"
NO_THREAD = "test_a_thread_whose_only_message_was_recalled_is_there_for_nobody"
BEGINS = "test_a_thread_begun_by_the_practice_is_the_patients_as_soon_as_it_has_arrived"
NO_PLACE = "test_a_message_that_is_being_sent_is_no_place_in_a_thread"
PICKED = "test_others_never_reaches_a_communicator_nobody_picked"
HAND = "test_hand_to_gives_the_thread_to_one_and_takes_it_from_the_rest"
TRANSFER = "test_it_goes_to_the_one_chosen_with_its_type_and_the_clock_goes_on"
TRANSFERRED_TOLD = "test_one_of_those_who_have_it_can_get_it_alone_and_that_is_told"
HAND_TYPE = "test_hand_to_takes_the_type_of_whom_it_gives_to_and_leaves_other_threads_alone"
HAND_AMENDMENT = "test_an_unrouted_amendment_is_handed_to_an_amendment_communicator_only"
OFFERED = "test_the_admin_is_offered_every_communicator_that_can_receive_and_no_other"
OTHERS_THREAD = "test_whom_another_thread_has_is_neither_told_nor_taken_for_one_who_can_receive"
TITLES = "test_a_thread_shows_the_titles_of_its_own_audience_and_is_answered_for_by_them_alone"
SHARED = "test_an_audience_of_two_is_shared_by_both_and_shows_both_titles"
BUTTONS = "test_a58_which_buttons_there_are"
UNDECIDED = "test_a_correction_is_not_deleted_before_it_is_decided_though_it_is_closed"
AGAIN = "test_what_was_received_closed_or_deleted_is_not_again"
OLD = "test_an_old_version_is_refused_by_each_verb_of_the_staff"
ADMINS = "test_only_an_admin_changes_who_is_in_charge test_an_admin_changes_who_is_in_charge"
TOLD_ADMINS = "test_only_active_admins_are_told_of_what_nobody_can_receive"
ACTIVE_ADMIN = "test_only_an_active_admin_hands_on"
LAST_ADMIN = "test_the_last_active_admin_is_not_disabled"
OTHER_ADMIN = "test_an_admin_who_is_no_admin_any_more_or_disabled_does_not_count_as_another_admin"
START = "test_staff_begin_a_thread_with_an_active_patient_who_is_not_themselves"
LISTS = "test_lists_leave_out_what_is_closed_deleted_or_was_never_written"
PLACE = "test_a_place_in_a_list_is_a_row_of_ones_own"
FILTERED = "test_every_filter_alone_and_every_two_together"
CLAIM_OVER = "test_a_claim_that_is_over_is_no_mark_and_not_mine"
DUE_NEXT = "test_due_first_goes_on_with_what_is_due_next"
OWN_UNREAD = "test_the_number_of_my_own_unread_threads_counts_mine_in_my_box_alone"
WAKES_OTHERS = "test_somebody_with_a_patient_account_wakes_what_others_wrote"
OWN_ALONE = "test_a_message_that_only_its_own_author_could_receive_waits_for_somebody_else"
STAYS_WITH = "test_a_reply_stays_with_whom_has_the_thread_while_one_of_them_can_receive"
COPIED = "test_a_form_that_could_not_be_opened_again_is_shown_to_copy_instead"
IN_THREAD = "test_a_message_is_found_in_its_own_thread_of_its_own_patient_alone"
OF_FILES = "test_a1_a2_what_is_recalled_is_nobodys_but_its_authors test_what_has_arrived_the_patient_may_open"
DECLARES = "test_a_view_declares_for_itself_before_its_blueprint_and_nothing_means_nobody"
SIDE = "test_each_side_is_for_its_own"
WHOLE_SIDE = "test_every_view_of_a_side_is_for_that_side_alone"
UNDECLARED = "test_s1_a_view_that_declares_nothing_is_answered_to_nobody"
ORIGIN = "test_a17_where_a_request_comes_from"
UNSAFE = "test_a17_s3_no_unsafe_method_passes_from_another_site_or_without_a_token"
FILES = "test_files_and_the_health_page_need_no_session_and_read_none"
IDLE = "test_a9_s5_idle_people_are_logged_off_and_active_ones_are_not"
KEPT = "test_what_was_written_is_kept_and_nothing_that_is_secret"
EXPIRY = "test_a_session_is_expired_from_its_end_on_and_leaves_nothing_after_a_day"
LOCKS = "test_a_change_of_who_is_eligible_waits_for_whoever_sends_and_the_other_way_round"

CASES = "test_who_is_eligible_and_whether_anybody_is_there"
WHAT_IF = "test_what_if_is_what_happens"
STANDS_IN = "test_who_would_stand_in_is_who_does"
SUPPOSED_AWAY = "test_a_deputy_supposed_away_does_not_stand_in"
FOR_WHOM = "test_a_deputy_sees_for_whom"
OWN_COLLEAGUE = "test_each_deputy_stands_in_for_their_own_colleague_alone"
STATEMENTS = "test_a_box_takes_one_statement_and_one_more_for_a_deputy"
ABSENT_COLLEAGUE = "test_a_message_for_an_absent_colleague_and_ones_own_account_reaches_nobody"
WAKES_NOBODY = "test_waking_reaches_nobody_while_the_only_one_there_is_the_patients_own_account"
REFUSED = "test_an_absence_that_cannot_be_is_refused_beside_its_field"
KEEPS = "test_the_person_or_an_admin_keeps_absences_and_nobody_else"
SIDE_BY_SIDE = "test_absences_side_by_side_are_none_that_overlap"
BEGAN = "test_what_has_begun_began_when_it_did_and_what_is_to_come_moves"
OVER = "test_an_old_version_and_one_that_is_over_are_not_changed"
TWO_AT_ONCE = "test_two_at_once_the_second_is_told"
DEPUTY_OVER = "test_a_deputy_whose_time_is_over_loses_the_claim"
IMPACT = "test_impact_says_who_gains_and_loses_what"
SEEN_OTHERWISE = "test_impact_counts_nothing_that_is_seen_otherwise"
HANDING = "test_handing_on_moves_what_is_open_there_and_nothing_that_stands_beside_it"
NOTHING_OPEN = "test_a_communicator_without_open_threads_hands_nothing_on"
HANDED_IN_USE = "test_threads_are_handed_to_another_of_the_type_that_is_in_use"
BY_ADMINS = "test_only_an_admin_replaces_hands_on_and_handles_everything"
REPLACED = "test_replaced_everywhere"
REPLACED_NOW = "test_only_who_is_in_charge_now_is_replaced_and_only_that_changes"
BY_WHOM = "test_nobody_is_replaced_by_who_cannot"
LOSES = "test_who_loses_a_thread_loses_the_claim"
KEEPS_CLAIM = "test_who_still_has_it_otherwise_keeps_the_claim"
OTHER_CLAIMS = "test_who_loses_one_claim_keeps_the_others_and_so_does_everybody_else"
CLAIM = "test_a52_one_claims_and_the_other_is_told"
MAY_CLAIM = "test_what_is_claimed_and_what_can_be"
PAST_CLAIM = "test_a_claim_past_its_time_is_not_released"
OPENS = "test_a_thread_of_a_tray_opens_for_an_hour_and_is_recorded"
IN_NO_TRAY = "test_a_thread_in_no_tray_does_not_open"
SAME_OPENING = "test_the_same_form_again_is_one_opening_and_other_words_are_not_taken_for_it"
OWN_OPENING = "test_ones_own_thread_never_opens_not_even_when_the_accounts_are_linked_later"
OTHER_OPENING = "test_a_thread_opened_with_a_reason_opens_no_other"
RESTORES = "test_only_an_active_admin_restores_or_opens"
RESTORED_ONCE = "test_restoring_twice_or_an_old_version_is_stale"
NOT_REMOVED = "test_what_nobody_removed_is_not_there_to_be_restored"
NEVER_REMOVED = "test_what_was_never_deleted_is_not_taken_for_what_was_restored"
ENVELOPE = "test_the_envelope_that_is_asked_for_is_shown_and_no_other"
ADDRESS = "test_a33_the_address_is_the_peers_or_what_the_proxy_and_nobody_else_says"
UPLOAD = "test_a_larger_file_is_taken_by_the_view_that_says_so_and_from_who_may_send_it"
SECRET = "test_no_secret_field_is_kept"
MANY = "test_a29_a_hundred_thousand_fields_and_ten_megabytes_are_refused"

AUTHOR_THERE = "test_waking_gives_nothing_to_one_where_the_patient_alone_is_there"
AUTHOR_HAS = "test_a_thread_that_only_its_author_could_read_goes_to_the_others_too_and_to_nobody_twice"
HAND_AUTHOR = "test_a_thread_is_not_handed_to_where_its_patient_alone_is_there"
HANDED_LOST = "test_what_nobody_can_receive_where_it_was_handed_stands_in_unrouted"
FORGETS = "test_deleting_a_communicator_forgets_its_audiences_and_no_others"
LONG_TITLES = "test_many_titles_are_cut_in_the_history"

# Of accounts, files and documents
SIXTH = "test_A10_the_sixth_failure_of_an_account_from_an_address_is_refused_for_a_quarter_of_an_hour"
IS_RIGHT = "test_A10_who_is_right_has_no_failures_left_and_the_address_keeps_its_own"
OWNER_ENTERS = "test_A10_an_account_is_closed_after_so_many_in_a_row_but_not_to_its_owner"
HALF_ENDS = "test_A6_what_was_begun_ends_with_time_and_with_every_change_of_the_account"
HALF_WITH_ONE = "test_A6_a_set_up_that_was_not_finished_shuts_nobody_out"
ONE_CODE = "test_A16_a_code_works_once_and_a_phone_may_be_wrong_by_one_period"
RECOVERY = "test_A16_a_recovery_code_works_once_however_it_is_typed_and_the_owner_is_told"
KEY_OF = "test_A15_a_key_is_set_up_by_whom_it_was_made_for_and_in_time"
STEP_CHANGES = "test_A15_every_change_asks_for_the_password_ends_other_sessions_and_tells_the_owner"
STEP_RESET = "test_A15_another_admin_resets_it_and_nobody_the_own_one"
REGISTER_FLOOD = "test_a43_one_address_gets_three_mails_an_hour_and_one_network_asks_thirty_times"
REGISTER_DEAD = "test_a14_whatever_does_not_work_is_the_same_page_and_changes_nothing"
NEW_EMAIL = "test_a15_it_holds_when_it_is_proven_and_the_address_before_is_told"
NEW_EMAIL_DEAD = "test_a15_a_link_that_does_not_work_changes_nothing"
CODE_GUESSED = "test_a10_a43_codes_are_guessed_five_times_an_hour_however_many_at_once"
CODE_DEAD = "test_s7_a_code_that_is_anothers_late_used_or_replaced_matches_nobody"
CORRECTS = "test_a2_who_did_not_register_or_is_matched_corrects_nothing"
DOUBTS = "test_a_document_that_may_be_of_somebody_else_needs_a_reason_by_staff"
BRINGERS = "test_what_is_not_saved_is_its_bringers_alone_and_does_not_stay"
GARBLED = "test_a47_what_can_be_read_in_two_ways_is_refused_and_the_connection_closed"

HOLD = "        routing.hold_routing_still(tx.session, to_change_it=True)\n"  # a line that stands under what is taken out

# fmt: off
MUTANTS: list[Mutant] = [
    *_of(
        "practice/routing.py",
        # route
        ("    if not any(people.values()):\n        routable", "    if True:\n        routable", STAYS_WITH),
        ("    if not any(people.values()):\n        routable", "    if False:\n        routable", TRUTH),
        ("    if not any(people.values()):\n        routable", "    if not people:\n        routable",
         "test_a_reply_that_nobody_of_them_can_receive_adds_the_others_of_the_type"),
        ("routable = [] if picked else", "routable = [] if True else", TRUTH),
        ("if named := named_for(thread.type, thread.facility_id, routable, picked):", "if named := []:", TRUTH),
        ("            people = recipients(tx.session, thread)\n", "", TRUTH),
        ("    if any(people.values()):\n", "    if people:\n", ABSENT_COLLEAGUE),
        ("    if any(people.values()):\n", "    if True:\n", OWN_ALONE),
        ("    if any(people.values()):\n", "    if False:\n", TRUTH),
        ("thread.unrouted_since = thread.unrouted_since or thread.last_patient_message_at",
         "thread.unrouted_since = thread.last_patient_message_at",
         "test_a_thread_waits_for_a_recipient_since_the_first_message_that_nobody_could_receive"),
        ("thread.unrouted_since = thread.unrouted_since or thread.last_patient_message_at",
         "thread.unrouted_since = thread.unrouted_since", PICKED),
        # whom waking reaches
        ("[*group, _reaches_somebody(has)]", "group", OWN_ALONE),
        ("[*group, _reaches_somebody({c.id for c in named})]", "group", AUTHOR_THERE),
        ("in_use = Communicator.id == there.c.communicator_id, ", "in_use = sa.true(), ", BESIDE),
        ("there.c.communicator_id, Communicator.is_in_use", "there.c.communicator_id, sa.true()", BESIDE),
        ("where(*in_use, ", "where(", BESIDE),
        ("another = sa.or_(Staff.own_patient_id.is_(None), ", "another = sa.or_(", WAKES),
        (", Staff.own_patient_id != Thread.patient_id)\n    there", ")\n    there", WAKES_OTHERS),
        ("eligible(communicator=sorted(communicators)).subquery", "eligible().subquery", OWN_ALONE),
        ("there.c.is_present == 1, ", "", WAKES_NOBODY),
        ("Staff.id == there.c.staff_id, another)", "another)", OWN_ALONE),
        ("Staff.id == there.c.staff_id, another)", "Staff.id == there.c.staff_id)", OWN_ALONE),
        ("{*has, *(c.id for c in named)}, message", "{*(c.id for c in named)}, message",
         "test_a_reply_that_nobody_of_them_can_receive_adds_the_others_of_the_type"),
        # hand_to
        ("if thread.unrouted_since is None:\n        raise", "if False:\n        raise", HAND),
        ("kind = is_amendment if", "kind = sa.true() if", HAND_AMENDMENT),
        ("is_amendment = Communicator.type == RequestType.AMENDMENT", "is_amendment = sa.true()", HAND_AMENDMENT),
        ("else sa.not_(is_amendment)", "else sa.true()", "test_nothing_becomes_an_amendment_by_being_handed_on"),
        ("if thread.type == RequestType.AMENDMENT else", "if True else", HAND_TYPE),
        ("if thread.type == RequestType.AMENDMENT else", "if False else", HAND_AMENDMENT),
        ("Communicator.key == communicator_key, *can_be_handed(thread)", "*can_be_handed(thread)", HAND),
        ("Communicator.key == communicator_key, *can_be_handed(thread)", "Communicator.key == communicator_key", HAND_AMENDMENT),
        ("return kind, is_routable()", "return (is_routable(),)", HAND_AMENDMENT),
        ("return kind, is_routable()", "return (kind,)",
         "test_why_a_thread_cannot_be_handed_there_is_told_apart"),
        ("    if to is None:\n        raise", "    if False:\n        raise", HAND),
        ("gone = Delivery.thread_id == thread.id, ", "gone = sa.true(), ", HAND_TYPE),
        ("Delivery.ended_at.is_(None), Delivery.communicator_id", "sa.true(), Delivery.communicator_id",
         "test_a_delivery_that_ended_keeps_its_end_when_the_thread_is_handed_on_again"),
        (", Delivery.communicator_id != to.id", "",
         "test_whoever_has_the_thread_already_keeps_the_delivery_when_it_is_handed_to_them"),
        ("sa.update(Delivery).where(*gone)", "sa.update(Delivery)",
         "test_a_delivery_that_ended_keeps_its_end_when_the_thread_is_handed_on_again"),
        ("    if not any(people.values()):\n        raise", "    if False:\n        raise", HAND_AUTHOR),
        # every open thread of one
        (".where(AudienceCommunicator.communicator_id == communicator)\n    return sum", "\n    return sum", HANDING),
        ("group = [Thread.audience_id == audience, Thread", "group = [Thread", HANDING),
        (", Thread.state != ThreadState.CLOSED]", "]", HANDING),
        ("if not session.scalar(sa.select(Thread.id).where(*group).limit(1)):", "if False:", NOTHING_OPEN),
        ("if not session.scalar(sa.select(Thread.id).where(*group).limit(1)):", "if True:", HANDING),
        ("if not session.scalar(sa.select(Thread.id).where(*group)", "if not session.scalar(sa.select(Thread.id)", NOTHING_OPEN),
        ("ids = sa.select(Thread.id).where(*group)", "ids = sa.select(Thread.id)", HANDING),
        ("ended = Delivery.communicator_id == communicator, ", "ended = ",
         "test_who_has_the_thread_already_is_not_handed_it_again"),
        ("Delivery.ended_at.is_(None), Delivery.thread_id", "Delivery.thread_id",
         "test_an_end_that_a_delivery_had_stays_when_the_thread_comes_back_and_goes_again"),
        (", Delivery.thread_id.in_(ids)", "", HANDING),
        ("sa.update(Delivery).where(*ended)", "sa.update(Delivery)", HANDING),
        ("if to not in had:", "if True:", "test_who_has_the_thread_already_is_not_handed_it_again"),
        ("if to not in had:", "if False:", HANDING),
        ("moved = sa.update(Thread).where(*group)", "moved = sa.update(Thread)", HANDING),
        ("lost = [*group, Thread.state", "lost = [Thread.state", HANDED_LOST),
        ("lost = [*group, Thread.state == ThreadState.WAITING, ", "lost = [*group, ", HANDED_LOST),
        ("_tell_all(session, [*group, Thread.state == ThreadState.WAITING, ", "_tell_all(session, [*group, ", HANDED_LOST),
        ("_tell_all(session, [*group, ", "_tell_all(session, [", HANDED_LOST),
        ("Thread.unrouted_since.is_(None), sa.not_", "sa.not_", HANDED_LOST),
        (", sa.not_(_reaches_somebody(have))]", "]", HANDED_LOST),
        ("sa.update(Thread).where(*lost)", "sa.update(Thread)", HANDED_LOST),
        # named_for
        ("if kind == RequestType.OTHERS:", "if False:", TRUTH),
        ("if kind == RequestType.OTHERS:", "if True:", TRUTH),
        ("[picked] if picked else []", "[picked]", PICKED),
        ("[picked] if picked else []", "[]", TRUTH),
        (" if one.serves(facility)]", "]", TRUTH),
        ("[one for one in routable if one.serves(facility)] or routable", "routable", TRUTH),
        ("if one.serves(facility)] or routable", "if one.serves(facility)]", TRUTH),
        # picked_for_others
        ("if not routable:", "if False:", TRUTH),
        ("if not routable:", "if True:", "test_others_must_name_a_recipient_that_can_receive"),
        ("if communicator.key == key:", "if True:", TRUTH),
        ("    if key:", "    if True:", "test_a_picked_one_that_cannot_receive_and_none_picked_are_told_apart"),
        ("    if key:", "    if False:", "test_a_picked_one_that_cannot_receive_and_none_picked_are_told_apart"),
        # communicators_of
        (".where(AudienceCommunicator.audience_id == audience)\n    return list", "\n    return list", HANDING),
        # whom to tell
        (".where(AudienceCommunicator.audience_id == audience)\n    return eligible", "\n    return eligible", OTHERS_THREAD),
        (".join(Staff, Staff.id == _people.c.staff_id)", ".join(Staff, sa.true())", TWIN),
        (".join(Communicator, Communicator.id == _people.c.communicator_id)", ".join(Communicator, sa.true())", PICKED),
        ("sa.case((Communicator.is_in_use, _people.c.is_present), else_=0)", "_people.c.is_present", PICKED),
        ("    .where(sa.or_(Staff.own_patient_id.is_(None), Staff.own", "    .where(sa.or_(Staff.own", TRUTH),
        (", Staff.own_patient_id != sa.bindparam(\"patient\")", "", TWIN_WOKEN),
        ("    .where(sa.or_(Staff.own_patient_id.is_(None), Staff.own_patient_id != sa.bindparam(\"patient\")))\n", "", TWIN),
        # giving
        ('if session.get_bind().dialect.name == "postgresql":\n', "if False:\n", LOCKS, "postgresql"),
        ('if session.get_bind().dialect.name == "postgresql":\n', "if True:\n", STAYS),
        ("if to_change_it else", "if True else", "test_senders_do_not_wait_for_each_other", "postgresql"),
        ("if to_change_it else", "if False else", LOCKS, "postgresql"),
        ("if row.id in new:", "if True:",
         "test_a_reply_that_nobody_of_them_can_receive_adds_the_others_of_the_type"
         " test_whoever_has_the_thread_already_keeps_the_delivery_when_it_is_handed_to_them"),
        ("if row.id in new:", "if False:", HAND),
        (".where(Communicator.id.in_(named)).order_by(Communicator.id)\n", "\n", BESIDE),
        ("named = communicators if did == Event.TRANSFERRED else new", "named = new", TRANSFERRED_TOLD),
        ("named = communicators if did == Event.TRANSFERRED else new", "named = communicators",
         "test_whoever_has_the_thread_already_keeps_the_delivery_when_it_is_handed_to_them"),
        ('| ({"reason": reason} if reason else {})', '| {"reason": reason}', TRANSFER),
        ("    if thread.state == ThreadState.WAITING:\n        tell", "    if True:\n        tell",
         "test_what_was_answered_is_transferred_without_telling_anybody"),
        ("    if thread.state == ThreadState.WAITING:\n        tell", "    if False:\n        tell", TRANSFER),
        ("people.keys() - _told(tx.session, message)", "people.keys()", "test_who_was_told_before_is_not_told_again"),
        ("where(Notice.message_id == message, Notice.occasion == Occasion.WAITING)", "where(Notice.occasion == Occasion.WAITING)",
         "test_who_was_told_of_another_message_is_told_of_this_one"),
        ("where(Notice.message_id == message, Notice.occasion == Occasion.WAITING)", "where(Notice.message_id == message)",
         "test_who_was_told_that_nobody_had_it_is_told_that_it_waits"),
        ("found = session.scalar(sa.select(Audience.id).where(Audience.key == key))",
         "found = session.scalar(sa.select(Audience.id))", "test_an_audience_is_made_once"),
        ("if found is not None:", "if False:", "test_an_audience_is_made_once"),
        ("found = session.scalars(sa.select(Audience.id).where(Audience.key == key)).one()",
         "found = session.scalars(sa.select(Audience.id)).first()", "test_an_audience_is_made_once"),
        (".where(AudienceCommunicator.communicator_id == communicator)\n    audiences", "\n    audiences", FORGETS),
        (".where(AudienceCommunicator.audience_id.in_(audiences))", "", FORGETS),
        (".where(Audience.id.in_(audiences))", "", FORGETS),
        # wake
        (".where(Thread.unrouted_since.is_not(None))\n", "\n", "test_waking_asks_nothing_of_threads_that_do_not_wait"),
        (" if has else 0", " if False else 0", PICKED),
        (" if one.id not in has]", "]", AUTHOR_HAS),
        ("    if named:\n        woken", "    if False:\n        woken", WAKES),
        ("if not tx.session.scalar(sa.select(Thread.id).where(*group).limit(1)):", "if True:", WAKES),
        ("if not tx.session.scalar(sa.select(Thread.id).where(*group).limit(1)):", "if False:", AUTHOR_THERE),
        ("if not tx.session.scalar(sa.select(Thread.id).where(*group)", "if not tx.session.scalar(sa.select(Thread.id)",
         AUTHOR_THERE),
        ("title if len(title) < TITLES_MAX else", "title if True else", LONG_TITLES),
        ("title if len(title) < TITLES_MAX else", "title if False else", LONG_TITLES),
        ("        Thread.unrouted_since.is_not(None),\n        Thread.type", "        Thread.type", BESIDE),
        ("        Thread.type == kind,\n", "", BESIDE),
        ("        Thread.facility_id.is_not_distinct_from(facility),\n", "",
         "test_of_two_that_wait_each_goes_to_whoever_serves_its_facility"),
        ("        Thread.audience_id.is_not_distinct_from(audience),\n", "", BESIDE),
        ("for c in named)}) if named else audience", "for c in named)}) if False else audience", WAKES),
        ("audience_of(session, {*has, *(c.id for c in named)})", "audience_of(session, {*(c.id for c in named)})", BESIDE),
        ("sa.literal(title), sa.literal(at)).where(*group)", "sa.literal(title), sa.literal(at))", BESIDE),
        ("sa.select(*values).where(*group)", "sa.select(*values)", BESIDE),
        ("if after is not None and after != audience:", "if after is not None and False:", WAKES),
        (").where(*group)\n    ).one()", ")\n    ).one()", BESIDE),
        ("        if audience is not None:\n            counter", "        if True:\n            counter", WAKES),
        ("        if audience is not None:\n            counter", "        if False:\n            counter", BESIDE),
        ("        .where(*group)\n        .values(unrouted_since", "        .values(unrouted_since", BESIDE),
        # whom to tell of what was woken
        (".join(Staff, Staff.id == who.c.staff_id)", ".join(Staff, sa.true())", TWIN_WOKEN),
        (".distinct().subquery()", ".subquery()", "test_a_person_in_two_that_wake_at_once_is_told_once"),
        (".where(*group, sa.or_(people", ".where(sa.or_(people", BESIDE),
        ("        .where(is_told)\n", "", "test_staff_are_told_as_each_wishes"),
        ("people.c.own_patient_id.is_(None), people", "people", WAKES),
        (", people.c.own_patient_id != Thread.patient_id", "", TWIN_WOKEN),
        (", sa.or_(people.c.own_patient_id.is_(None), people.c.own_patient_id != Thread.patient_id))", ")", TWIN_WOKEN),
        ("            ~sa.exists().where(\n", "            sa.true() | ~sa.exists().where(\n", TWICE),
        ("Notice.message_id == last_of_thread, ", "", TWICE),
        ("Notice.person_id == people.c.staff_id, ", "", TWICE),
        ("people.c.staff_id, Notice.occasion == Occasion.WAITING", "people.c.staff_id",
         "test_an_admin_in_charge_is_told_of_what_waits_though_told_that_nobody_had_it"),
    ),
    *_of(
        "practice/people.py",
        ("Person.id == Staff.id).where(Staff.is_admin", "sa.true()).where(Staff.is_admin", TOLD_ADMINS),
        (".where(Staff.is_admin, Person.status", ".where(Person.status", HAND),
        ("Staff.is_admin, Person.status == AccountStatus.ACTIVE)", "Staff.is_admin)", TOLD_ADMINS),
        ("if tx.by.person is not None and tx", "if tx", LAST_ADMIN),
        ("is not None and tx.by.person not in active_admins(tx.session):", "is not None:", ADMINS),
        ("if tx.by.person is not None and tx.by.person not in active_admins(tx.session):", "if False:",
         f"{ADMINS} {ACTIVE_ADMIN}"),
    ),
    *_of(
        "practice/communicators.py",
        # who is eligible, what is routable
        (".join(Person, Person.id == Membership.staff_id)\n    .where(Membership.until",
         ".join(Person, sa.true())\n    .where(Membership.until", TRUTH),
        (".where(Membership.until.is_(None), _is_active(Person))\n", ".where(_is_active(Person))\n",
         "test_a_removed_member_loses_sight_at_once_and_a_new_one_sees_everything"),
        (".where(Membership.until.is_(None), _is_active(Person))\n", ".where(Membership.until.is_(None))\n", TRUTH),
        ("sa.case((_is_away(Membership.staff_id), 0), else_=1)", "sa.literal(1)", ABSENT_COLLEAGUE),
        ("person.status == _ACTIVE, person.id != _DISABLED", "person.id != _DISABLED", TRUTH),
        ("person.status == _ACTIVE, person.id != _DISABLED", "person.status == _ACTIVE", WHAT_IF),
        ("absence.starts_at <= _AT, absence.ends_at > _AT", "absence.ends_at > _AT", CASES),
        ("absence.starts_at <= _AT, absence.ends_at > _AT", "absence.starts_at <= _AT", CASES),
        ("staff == _ABSENT, ", "", WHAT_IF),
        (", sa.exists().where(_Away.staff_id == staff, _lasts(_Away))", "", CASES),
        ("_Away.staff_id == staff, ", "", CASES),
        (", _lasts(_Away))", ")", CASES),
        # deputies
        (".join(Absence, Absence.staff_id == Membership.staff_id)", ".join(Absence, sa.true())", FOR_WHOM),
        (".join(Person, Person.id == Membership.staff_id)\n    .join(_Deputy", ".join(Person, sa.true())\n    .join(_Deputy",
         CASES),
        ("    .join(_Deputy, _Deputy.id == Absence.deputy_id)\n    .where(Membership", "    .join(_Deputy, sa.true())\n"
         "    .where(Membership", CASES),
        (".where(Membership.until.is_(None), _is_active(Person), _lasts", ".where(_is_active(Person), _lasts",
         "test_a_deputy_stands_in_only_where_the_absent_one_is_still_in_charge"),
        ("_is_active(Person), _lasts(Absence))", "sa.true(), _lasts(Absence))", CASES),
        ("(Membership.until.is_(None), _is_active(Person), _lasts(Absence))", "(Membership.until.is_(None), _is_active(Person))",
         CASES),
        (".where(_is_active(_Deputy), sa.not_", ".where(sa.not_", CASES),
        ("(_is_active(_Deputy), sa.not_(_is_away(Absence.deputy_id)))", "(_is_active(_Deputy))", SUPPOSED_AWAY),
        ("if wanted is not None:", "if True:", TRUTH),
        ("if wanted is not None:", "if False:", TRUTH),
        ("isinstance(wanted, sa.SelectBase | list)", "isinstance(wanted, sa.SelectBase)", f"{WAKES} {IMPACT}"),
        ("if isinstance(wanted, sa.SelectBase | list) else", "if True else", CASES),
        ("else column == wanted)", "else sa.true())", CASES),
        # who is routable
        ("here = Membership.communicator_id == Communicator.id", "here = sa.true()", OFFERED),
        ("_MEMBERS.where(here, ", "_MEMBERS.where(", OFFERED),
        ("_MEMBERS.where(here, sa.not_(_is_away(Membership.staff_id)))", "_MEMBERS.where(here)", WHAT_IF),
        ("Communicator.is_in_use, sa.or_(*(", "sa.or_(*(", TRUTH),
        (", sa.or_(*(one.correlate(Communicator).scalar_subquery().is_not(None) for one in first))", "",
         "test_a_communicator_without_anybody_gets_no_delivery"),
        ("(members, _DEPUTIES.where(here))", "(_DEPUTIES.where(here),)", TRUTH),
        ("(members, _DEPUTIES.where(here))", "(members,)", CASES),
        ("_DEPUTIES.where(here)", "_DEPUTIES", "test_somebodys_deputy_makes_no_other_communicator_routable"),
        # whose box it is
        ("    _mine.add_columns(_no_audience),\n", "", "test_an_empty_box_says_that_everybody_has_an_answer"),
        ("AudienceCommunicator.audience_id.in_(_my_audiences)", "AudienceCommunicator.communicator_id.in_(_mine)",
         "test_an_audience_of_two_is_shared_by_both_and_shows_both_titles"),
        # before a save
        ("sa.case((_is_away(Person.id), 0), else_=1)", "sa.literal(1)", STANDS_IN),
        (".where(Person.id.in_(ids), _is_active(Person))", ".where(_is_active(Person))", STANDS_IN),
        (".where(Person.id.in_(ids), _is_active(Person))", ".where(Person.id.in_(ids))", STANDS_IN),
        (".join(Person, Person.id == Absence.staff_id)", ".join(Person, sa.true())", STANDS_IN),
        ("        .join(_Deputy, _Deputy.id == Absence.deputy_id)\n        .where(Absence", "        .join(_Deputy, sa.true())\n"
         "        .where(Absence", STANDS_IN),
        ("Absence.staff_id.in_(ids), ", "", STANDS_IN),
        ("(Absence.staff_id.in_(ids), _is_active(Person), ", "(Absence.staff_id.in_(ids), ", STANDS_IN),
        ("_lasts(Absence), _is_active(_Deputy))", "_is_active(_Deputy))", STANDS_IN),
        ("_lasts(Absence), _is_active(_Deputy))", "_lasts(Absence))", STANDS_IN),
        ("        .where(sa.not_(_is_away(Absence.deputy_id)))\n", "", SUPPOSED_AWAY),
        ("found.get(staff, False) or bool(is_present)", "found.get(staff, False)", STANDS_IN),
        ("_DEPUTIES.where(Absence.deputy_id == staff)", "_DEPUTIES", OWN_COLLEAGUE),
        ("@contextmanager\n", "", WHAT_IF),
        # the routable ones
        ("return facility is None or not", "return not", TRUTH),
        ("or not self.facilities or", "or", TRUTH),
        (" or facility in self.facilities", "", TRUTH),
        ('_ROUTABLE.where(Communicator.type == sa.bindparam("kind"))', "_ROUTABLE",
         "test_others_cannot_be_aimed_at_a_communicator_of_another_type"),
        ("if row.facility_id is not None:", "if True:", TRUTH),
        ("if row.facility_id is not None:", "if False:", TRUTH),
        (".outerjoin(CommunicatorFacility, CommunicatorFacility.communicator_id == Communicator.id)\n    .where(is",
         ".outerjoin(CommunicatorFacility, sa.true())\n    .where(is", TRUTH),
        ("    .where(is_routable())\n", "", OFFERED),
        # the box
        ("(a.titles for a in self.shared if a.id == audience)", "(a.titles for a in self.shared)", TITLES),
        ("(a.communicators for a in self.shared if a.id == audience)", "(a.communicators for a in self.shared)", TITLES),
        ("[m for m in self.mine if m.id in has]", "list(self.mine)", TITLES),
        ('eligible(staff=sa.bindparam("staff"))', "eligible()", TRUTH),
        ('where(Absence.deputy_id == sa.bindparam("staff"), _lasts(Absence))', "where(_lasts(Absence))", STATEMENTS),
        ('where(Absence.deputy_id == sa.bindparam("staff"), _lasts(Absence))',
         'where(Absence.deputy_id == sa.bindparam("staff"))', STATEMENTS),
        ("    if stands_in:\n", "    if True:\n", STATEMENTS),
        ("    if stands_in:\n", "    if False:\n", FOR_WHOM),
        (".where(AudienceCommunicator.communicator_id.in_(_mine))", "", TRUTH),
        ("AudienceCommunicator.audience_id.in_(_my_audiences)", "sa.true()", TRUTH),
        (".join(Communicator, Communicator.id == _shown.c.communicator_id)", ".join(Communicator, sa.true())", TITLES),
        (".outerjoin(Audience, Audience.id == _shown.c.audience_id)", ".outerjoin(Audience, sa.true())", TRUTH),
        ("        if audience is None:", "        if False:", TITLES),
        ("        elif audience in shared:", "        elif False:", SHARED),
        ("Box(staff, own_patient or 0, ", "Box(staff, own_patient, ", WAYS),
        ("Box(staff, own_patient or 0, ", "Box(staff, 0, ", TWIN),
    ),
    *_of(
        "practice/inbox.py",
        ('        f"{by} IS NOT NULL": True,\n', "", LISTS),
        ('        "patient_id != :own_patient": True,\n', "", WAYS),
        ('        f"is_unread{yes}": "unread" in given,\n', "", LISTS),
        ('        f"is_in_box{yes}": is_box,\n', "", LISTS),
        ('        "removed_at IS NULL": not is_box,\n', "", LISTS),
        ('        "due_at IS NULL": shape.stretch.is_rest,\n', "", FILTERED),
        ('        f"has_emergency_words{yes}": "urgent" in given,\n', "", FILTERED),
        ('        "due_at IS NOT NULL AND due_at < :now": "late" in given,\n', "", FILTERED),
        ("claimed_by_id = :claimed_by AND claimed_until > :now", "claimed_until > :now", FILTERED),
        ("claimed_by_id = :claimed_by AND claimed_until > :now", "claimed_by_id = :claimed_by", CLAIM_OVER),
        ('        f"{wrote} >= :since": "since" in given,\n', "", FILTERED),
        ('        f"{wrote} < :until": "until" in given,\n', "", FILTERED),
        ('f"SELECT id FROM thread WHERE audience_id IN :audiences AND {where} {first}"',
         'f"SELECT id FROM thread WHERE {where} {first}"', WAYS),
        ("FROM thread WHERE {branch} AND {where} {first}) AS b{i}", "FROM thread WHERE {where} {first}) AS b{i}", WAYS),
        ('        "patient_id IN :patients": "patients" in given,\n', "",
         "test_what_staff_of_two_communicators_wait_for_is_in_one_list"),
        ("if not audiences or wanted.patients == ():", "if wanted.patients == ():", WAYS),
        (".where(Thread.key == key, Thread.audience_id.in_(audiences), columns[-1].is_not(None))",
         ".where(Thread.audience_id.in_(audiences), columns[-1].is_not(None))", PLACE),
        ("Thread.audience_id.in_(audiences), columns[-1].is_not(None))", "columns[-1].is_not(None))", PLACE),
        ("Thread.audience_id.in_(audiences), columns[-1].is_not(None))", "Thread.audience_id.in_(audiences))", PLACE),
        ("    if row is None:\n        return None\n", "", PLACE),
        ("    if row is None:\n        return None\n", "    return None\n", PLACE),
        ("for number, value in enumerate(at) if value is not None)", "for number, value in enumerate(at))", DUE_NEXT),
        ("any(done and done > now() - JUST_NOW for", "any(done > now() - JUST_NOW for", DUE_NEXT),
        ("any(done and done > now() - JUST_NOW for", "any(done for", DUE_NEXT),
        ("if place.stretch and place.is_handled and not place.is_newer:", "if place.stretch and not place.is_newer:", DUE_NEXT),
        ("    if not patient:\n        return 0\n", "    return 0\n", OWN_UNREAD),
        (".where(Thread.patient_id == patient, Thread.is_unread, ", ".where(Thread.is_unread, ", OWN_UNREAD),
        (".where(Thread.patient_id == patient, Thread.is_unread, ", ".where(Thread.patient_id == patient, ", OWN_UNREAD),
        ("Thread.is_unread, Thread.audience_id.in_(audiences))", "Thread.is_unread)", OWN_UNREAD),
    ),
    *_of(
        "practice/threads.py",
        # what may be done
        ("return (state, verb) in TRANSITIONS", "return True", f"{BUTTONS} {AGAIN}"),
        ("return bool(thread.is_unread)", "return True", BUTTONS),
        ("return can(thread.state, Verb.CLOSE) and thread.removed_at is None", "return thread.removed_at is None", BUTTONS),
        ("return can(thread.state, Verb.CLOSE) and thread.removed_at is None", "return can(thread.state, Verb.CLOSE)",
         f"{BUTTONS} test_what_was_deleted_is_not_closed"),
        ("thread.claimed_until is not None and thread", "thread", MAY_CLAIM),
        ("thread.claimed_until is not None and thread.claimed_until > now()", "thread.claimed_until is not None", MAY_CLAIM),
        ("return not is_claimed(thread) and ", "return ", MAY_CLAIM),
        ("(thread) and thread.state != ThreadState.CLOSED and", "(thread) and", MAY_CLAIM),
        ("(thread) and thread.state != ThreadState.CLOSED and thread.removed_at is None", "(thread) and thread.state != "
         "ThreadState.CLOSED", MAY_CLAIM),
        ("not thread.is_unread and not waits", "not waits", BUTTONS),
        ("not thread.is_unread and not waits", "not thread.is_unread", BUTTONS),
        ("thread.state == ThreadState.WAITING or thread.due_at is not None", "thread.due_at is not None", BUTTONS),
        ("thread.state == ThreadState.WAITING or thread.due_at is not None", "thread.state == ThreadState.WAITING", UNDECIDED),
        ("not waits and thread.removed_at is None", "not waits", BUTTONS),
        ("if not can(thread.state, verb):", "if False:", "test_a_verb_that_the_table_of_states_does_not_name_is_refused"),
        ("if not can(thread.state, verb):", "if True:", AGAIN),
        # whose file it is
        (' Message.thread_id == sa.bindparam("thread"), STANDS)\n)  # fmt: skip\n_FILE', ' Message.thread_id == '
         'sa.bindparam("thread"))\n)  # fmt: skip\n_FILE', "test_a_recalled_message_shows_no_file_whatever_its_row_says"),
        (' Message.thread_id == sa.bindparam("thread"), STANDS)\n)  # fmt: skip\n_FILE', ' STANDS)\n)  # fmt: skip\n_FILE',
         "test_what_has_arrived_the_patient_may_open"),
        ("_FILE_OF_THREAD.where(Message.sent_at <= _present)", "_FILE_OF_THREAD",
         "test_a1_a2_what_is_recalled_is_nobodys_but_its_authors"),
        ("    if file is None:\n", "    if False:\n", "test_what_has_arrived_the_patient_may_open"),
        # whose it is
        ("sa.select(Thread).where(Thread.key == key, Thread.patient_id == patient), lock", "sa.select(Thread).where("
         "Thread.patient_id == patient), lock", WAYS),
        ("sa.select(Thread).where(Thread.key == key, Thread.patient_id == patient), lock", "sa.select(Thread).where("
         "Thread.key == key), lock", WAYS),
        ("mine = sa.select(Thread).where(Thread.key == key, ", "mine = sa.select(Thread).where(", WAYS),
        ("_newest_first.where(Message.thread_id == Thread.id)", "_newest_first", LAST),
        ("mine.where(_HAS_MESSAGES)", "mine", NO_THREAD),
        ("    if thread.last_patient_message_at is None and answered_for_patient(thread) is None:\n        raise NotVisible\n",
         "", NO_THREAD),
        ("if thread.last_patient_message_at is None and answered", "if answered",
         "test_closing_receives_and_a_reply_opens_again"),
        ("thread.last_patient_message_at is None and answered_for_patient(thread) is None",
         "thread.last_patient_message_at is None", BEGINS),
        ("Thread.audience_id.in_(audiences), Thread.patient_id != own_patient)", "Thread.patient_id != own_patient)", WAYS),
        ("Thread.audience_id.in_(audiences), Thread.patient_id != own_patient)", "Thread.audience_id.in_(audiences))", WAYS),
        ("statement.with_for_update() if lock else statement", "statement",
         "test_a_thread_that_is_written_in_is_locked_and_one_that_is_read_is_not", "postgresql"),
        ("statement.with_for_update() if lock else statement", "statement.with_for_update()",
         "test_a_thread_that_is_written_in_is_locked_and_one_that_is_read_is_not", "postgresql"),
        ("    if thread is None:\n        raise NotVisible\n    return thread", "    return thread", WAYS),
        ('_HEAD.where(Thread.key == sa.bindparam("key"), Thread', "_HEAD.where(Thread", WAYS),
        ('_HEAD.where(Thread.key == sa.bindparam("key"), Thread.patient_id == sa.bindparam("patient"))',
         '_HEAD.where(Thread.key == sa.bindparam("key"))', WAYS),
        ('        Thread.key == sa.bindparam("key"),\n', "", WAYS),
        ('        Thread.audience_id.in_(sa.bindparam("audiences", expanding=True)),\n', "", WAYS),
        ('        Thread.patient_id != sa.bindparam("own_patient"),\n', "", WAYS),
        ("    if head is None or (head.at is None and head.last_staff_message_at is None):\n        raise NotVisible\n", "",
         WAYS),
        (" or (head.at is None and head.last_staff_message_at is None):", ":", NO_THREAD),
        (" or (head.at is None and head.last_staff_message_at is None):", " or head.last_staff_message_at is None:", WAYS),
        (" or (head.at is None and head.last_staff_message_at is None):", " or head.at is None:", BEGINS),
        # lists of the patient
        ('where = [Thread.patient_id == sa.bindparam("patient"), ', 'where = [sa.bindparam("patient") > 0, ', WAYS),
        ('(Thread.patient_id == sa.bindparam("patient"), sa.or_(Thread.state',
         '(sa.bindparam("patient") > 0, sa.or_(Thread.state', WAYS),
        ('    if which == "inbox":\n        return _answered_at', "    if True:\n        return _answered_at", PLACE),
        ('    if which == "inbox":\n        return _answered_at', "    if False:\n        return _answered_at", PLACE),
        ("_order_of(which, True)).where(Thread.key == key, Thread.patient_id == patient)",
         "_order_of(which, True)).where(Thread.patient_id == patient)", PLACE),
        ("_order_of(which, True)).where(Thread.key == key, Thread.patient_id == patient)",
         "_order_of(which, True)).where(Thread.key == key)", PLACE),
        ("if row is None or row[1] is None:", "if row[1] is None:", PLACE),
        ("if row is None or row[1] is None:", "if row is None:", PLACE),
        # messages
        (".where(Message.key == key, Thread.key == thread_key)\n", ".where(Thread.key == thread_key)\n", IN_THREAD),
        (".where(Message.key == key, Thread.key == thread_key)\n", ".where(Message.key == key)\n", IN_THREAD),
        (".where(Message.key == key, Thread.key == thread_key, Thread.p", ".where(Thread.key == thread_key, Thread.p", IN_THREAD),
        ("Thread.key == thread_key, Thread.p", "sa.true(), Thread.p", IN_THREAD),
        ("Thread.key == thread_key, Thread.patient_id == patient, *_has_arrived)", "Thread.key == thread_key, *_has_arrived)",
         IN_THREAD),
        ("Thread.patient_id == patient, *_has_arrived)", "Thread.patient_id == patient)", NO_PLACE),
        ("    if found is None:\n        raise NotVisible\n", "", IN_THREAD),
        # files
        ("    if file is None:\n        raise NotVisible\n", "", OF_FILES),
        ("_FILE_FOR_PATIENT if is_for_patient else _FILE_OF_THREAD", "_FILE_OF_THREAD", OF_FILES),
        ("_FILE_OF_THREAD.where(Message.sent_at <= _present)", "_FILE_OF_THREAD", OF_FILES),
        ('Message.thread_id == sa.bindparam("thread"), STANDS)', 'sa.bindparam("thread") > 0, STANDS)', OF_FILES),
        ('Message.thread_id == sa.bindparam("thread"), STANDS)', 'Message.thread_id == sa.bindparam("thread"))', OF_FILES),
    ),
    *_of(
        "practice/conversations.py",
        ("if kind == RequestType.OTHERS else None", "if False else None", TRUTH),
        ("if kind == RequestType.OTHERS else None", "if True else None", STAYS),
        # answer, start
        ("if newest != seen:", "if False:", "test_an_answer_over_a_newer_one_is_stopped"),
        ("if m.key == communicator), None if", "), None if",
         "test_an_answer_is_from_the_chosen_one_of_mine_else_from_my_first"),
        ("None if communicator else mine[0]", "mine[0]",
         "test_a55_an_answer_is_from_a_communicator_of_ones_own_that_has_the_thread"),
        ("None if communicator else mine[0]", "None", "test_an_answer_is_from_the_chosen_one_of_mine_else_from_my_first"),
        ("if on_behalf is None:", "if False:", "test_a55_an_answer_is_from_a_communicator_of_ones_own_that_has_the_thread"),
        ('.where(Person.key == patient_key, Person.kind == "patient")', '.where(Person.kind == "patient")', START),
        ('.where(Person.key == patient_key, Person.kind == "patient")', ".where(Person.key == patient_key)", START),
        ("if patient is None or patient.id == box.own_patient:", "if patient.id == box.own_patient:", START),
        ("if patient is None or patient.id == box.own_patient:", "if patient is None:", TWIN),
        ("if patient.status != AccountStatus.ACTIVE:", "if False:", START),
        ("if m.key == communicator and m.is_in_use)", "if m.is_in_use)", START),
        ("if m.key == communicator and m.is_in_use)", "if m.key == communicator)",
         "test_staff_begin_threads_only_from_their_own_communicators_that_are_in_use"),
        ("        if mine is None:\n", "        if False:\n", START),
        # receive, close, remove, restore
        ("if not can_receive(thread):", "if False:", AGAIN),
        ("if not can_close(thread):", "if False:", f"{AGAIN} test_what_was_deleted_is_not_closed"),
        ("if thread.removed_at is not None:\n            raise", "if False:\n            raise", AGAIN),
        ("if not can_remove(thread):", "if False:", "test_why_it_is_not_deleted_is_told_apart"),
        ('"unread" if thread.is_unread else waits', "waits", "test_why_it_is_not_deleted_is_told_apart"),
        ('"unread" if thread.is_unread else waits', '"unread"', "test_why_it_is_not_deleted_is_told_apart"),
        ('"waiting" if thread.state == ThreadState.WAITING else "undecided"', '"waiting"', UNDECIDED),
        ('"waiting" if thread.state == ThreadState.WAITING else "undecided"', '"undecided"',
         "test_why_it_is_not_deleted_is_told_apart"),
        # claim, release
        ("if not can_claim(thread):", "if False:", CLAIM),
        ("if not is_claimed(thread) or thread", "if thread", PAST_CLAIM),
        (" or thread.claimed_by_id != by.person:", ":", CLAIM),
        (".where(\n        AudienceCommunicator.communicator_id.in_(sa.select(mine.c.communicator_id))\n    )", "", LOSES),
        ("lost = [Thread.claimed_by_id == person, ", "lost = [", OTHER_CLAIMS),
        (", Thread.audience_id.not_in(audiences)]", "]", KEEPS_CLAIM),
        ('sa.literal("")).where(*lost)', 'sa.literal(""))', OTHER_CLAIMS),
        ("free = sa.update(Thread).where(*lost)", "free = sa.update(Thread)", OTHER_CLAIMS),
        # hand_to
        ("        must_be_admin(tx)\n        routing.hold", "        routing.hold", HAND),
        ("sa.select(Thread).where(Thread.key == thread_key).with_for_update()", "sa.select(Thread).with_for_update()", HAND_TYPE),
        ("        if thread is None:\n            raise NotVisible\n        if thread.version", "        if thread.version",
         "test_a2_what_is_not_yours_does_not_exist_for_any_verb"),
        ("if thread.version != version:\n            raise", "if False:\n            raise", HAND),
        # shared by the verbs
        ("(Staff.own_patient_id).where(Staff.id == sa.bindparam(\"staff\"))", "(Staff.own_patient_id)", TWIN),
        ("if thread.version != version:\n        raise", "if False:\n        raise", OLD),
        ('.where(Message.author_id == sa.bindparam("author"), Message.form_key', ".where(Message.form_key",
         "test_the_same_key_with_other_words_is_told_and_stores_nothing"),
        ("if before.digest != digest:", "if False:", "test_the_same_key_with_other_words_is_told_and_stores_nothing"),
    ),
    *_of(
        "practice/coverage.py",
        *((f"        must_be_admin(tx)\n{HOLD}        {first}", f"{HOLD}        {first}", tests) for first, tests in (
            ("communicator = _load(tx.session, key) if", ADMINS),
            ("communicator = _load(tx.session, key)\n        if has", ADMINS),
            ("communicator = _load(tx.session, key)\n        same", BY_ADMINS),
            ("person", ADMINS),
            ("people", BY_ADMINS),
            ("if tx.session.scalar(sa.select(Communicator.id)", BY_ADMINS),
        )),
        # absences
        ("select(Absence).where(Absence.key == form_key)", "select(Absence)", KEEPS),
        ("        if made:\n            if made.staff_id", "        if False:\n            if made.staff_id",
         "test_the_same_form_is_one_absence"),
        ("if made.staff_id != staff.id:", "if False:", "test_somebody_elses_form_is_not_there"),
        ("        if by.person is not None:\n", "        if False:\n", "test_an_absence_that_is_saved_is_no_draft_any_more"),
        ("if began < now() and absence", "if absence",
         "test_a_deputy_changed_before_the_absence_began_leaves_nothing_behind"),
        ("if began < now() and absence.deputy_id != had:", "if began < now():", BEGAN),
        ("if began < now() and absence.deputy_id != had:", "if False:",
         "test_who_stood_in_before_the_deputy_changed_stays_known"),
        ("{had} if had else set()", "set()", DEPUTY_OVER),
        ("{absence.deputy_id} if absence.deputy_id else set()", "set()", DEPUTY_OVER),
        ("where(Person.key == key, IS_STAFF)", "where(IS_STAFF)", KEEPS),
        ("where(Person.key == key, IS_STAFF)", "where(Person.key == key)", KEEPS),
        ("    if staff is None:\n        raise NotVisible\n", "", KEEPS),
        ("if staff.id != tx.by.person:\n        must_be_admin(tx)\n    return", "if True:\n        must_be_admin(tx)\n    return",
         KEEPS),
        ("if staff.id != tx.by.person:\n        must_be_admin(tx)\n    return",
         "if False:\n        must_be_admin(tx)\n"
         "    return", KEEPS),
        ("select(Absence).where(Absence.key == key).with", "select(Absence).with", TWO_AT_ONCE),
        ("    if absence is None:\n        raise NotVisible\n", "", TWO_AT_ONCE),
        ("if staff.id != tx.by.person:\n        must_be_admin(tx)\n    if", "if True:\n        must_be_admin(tx)\n    if",
         "test_one_ends_ones_own_absence"),
        ("if staff.id != tx.by.person:\n        must_be_admin(tx)\n    if", "if False:\n        must_be_admin(tx)\n    if",
         KEEPS),
        ("if absence.version != version or absence", "if absence", OVER),
        ("absence.version != version or absence.ends_at <= max(absence.starts_at, now())", "absence.version != version", OVER),
        ("absence.ends_at <= max(absence.starts_at, now())", "absence.ends_at <= now()", OVER),
        ("if last_day < first_day:", "if False:", REFUSED),
        ("if ends_at <= now():", "if False:", REFUSED),
        ("if last_day - first_day > ABSENCE_MAX:", "if False:", REFUSED),
        ("if absence.starts_at is None or absence", "if absence", CASES),
        ("if absence.starts_at is None or absence.starts_at > now():", "if absence.starts_at is None:", BEGAN),
        ("if absence.starts_at is None or absence.starts_at > now():", "if True:", BEGAN),
        ("where(Person.key == deputy, IS_STAFF)", "where(IS_STAFF)", CASES),
        ("where(Person.key == deputy, IS_STAFF)", "where(Person.key == deputy)", REFUSED),
        (" if deputy else None\n    if", " if False else None\n    if", CASES),
        ("if deputy and person is None:", "if person is None:", CASES),
        ("if deputy and person is None:", "if deputy:", CASES),
        ("if deputy and person is None:", "if False:", REFUSED),
        ("if person and person.id == staff.id:", "if person.id == staff.id:", CASES),
        ("if person and person.id == staff.id:", "if person:", CASES),
        ("if person and person.id == staff.id:", "if False:", REFUSED),
        ("if person and person.status != AccountStatus.ACTIVE:", "if person.status != AccountStatus.ACTIVE:", CASES),
        ("if person and person.status != AccountStatus.ACTIVE:", "if person:", CASES),
        ("if person and person.status != AccountStatus.ACTIVE:", "if False:", REFUSED),
        ("person.id if person else None", "None", CASES),
        ("person.id if person else None", "person.id", CASES),
        ("Absence.starts_at < absence.ends_at, Absence.ends_at > be", "Absence.ends_at > be",
         "test_an_absence_before_another_is_none_that_overlaps"),
        ("Absence.starts_at < absence.ends_at, Absence.ends_at > begins, ", "Absence.starts_at < absence.ends_at, ",
         SIDE_BY_SIDE),
        (", Absence.ends_at > Absence.starts_at", "", "test_one_that_was_called_off_is_in_nobodys_way"),
        ("where(*meanwhile, Absence.id", "where(Absence.id", SIDE_BY_SIDE),
        (", Absence.id != (absence.id or 0))", ")", DEPUTY_OVER),
        ("(absence.id or 0)", "(0)", DEPUTY_OVER),
        ("others.where(Absence.staff_id == staff.id)", "others", KEEPS),
        ("if tx.session.scalar(others.where(Absence.staff_id == staff.id)):", "if False:", REFUSED),
        ("if deputy and tx.session", "if tx.session", CASES),
        ("others.where(Absence.staff_id == deputy.id)", "others", "test_the_absence_of_a_third_is_in_no_deputys_way"),
        ("if deputy and tx.session.scalar(others.where(Absence.staff_id == deputy.id)):", "if False:", REFUSED),
        ("others.where(Absence.deputy_id == staff.id)", "others", KEEPS),
        ("    if stands_in:\n", "    if False:\n", REFUSED),
        # what a save would do
        ("(Communicator.id).where(Communicator.key == key))\n    if communicator is None", "(Communicator.id))\n"
         "    if communicator is None", IMPACT),
        ('.where(\n    AudienceCommunicator.communicator_id == sa.bindparam("communicator")\n)', "", IMPACT),
        ("mine.c.communicator_id == AudienceCommunicator.communicator_id", "sa.true()", IMPACT),
        ("        .where(mine.c.communicator_id != (without or 0))\n", "", IMPACT),
        ("(without or 0)", "(0)", IMPACT),
        (" if audiences - others}", "}", SEEN_OTHERWISE),
        # handing on, replacing
        ("same = Communicator.type == communicator.type, ", "same = ", HANDED_IN_USE),
        ("Communicator.id != communicator.id, ", "", HANDED_IN_USE),
        (", is_routable()\n        other", "\n        other", HANDED_IN_USE),
        ("where(Communicator.key == to, *same)", "where(*same)", HANDED_IN_USE),
        ("where(Communicator.key == to, *same)", "where(Communicator.key == to)", HANDED_IN_USE),
        ("if other is None:", "if False:", HANDED_IN_USE),
        ("[staff_key, with_key]), IS_STAFF)", "[staff_key, with_key]))", BY_WHOM),
        ("if staff_key not in people:", "if False:", REPLACED_NOW),
        ("if with_key not in people or with_key ==", "if with_key ==", BY_WHOM),
        (" or with_key == staff_key or", " or", BY_WHOM),
        (" or people[with_key].status != AccountStatus.ACTIVE:", ":", BY_WHOM),
        ("where(Membership.staff_id == old, ", "where(", REPLACED),
        ("where(Membership.staff_id == old, Membership.until.is_(None))", "where(Membership.staff_id == old)", REPLACED_NOW),
        ("where(Membership.staff_id == new, ", "where(", REPLACED),
        ("where(Membership.staff_id == new, Membership.until.is_(None))", "where(Membership.staff_id == new)", REPLACED_NOW),
        ("if one.communicator_id not in theirs:", "if True:", REPLACED),
        ("if one.communicator_id not in theirs:", "if False:", REPLACED),
        (".where(Communicator.id.in_(changed_ones))", "", REPLACED_NOW),
        # the last admin
        ("if status != AccountStatus.ACTIVE:", "if False:", LAST_ADMIN),
        ("if status != AccountStatus.ACTIVE:", "if True:", "test_enabling_the_only_admin_again_is_no_disabling"),
        (".where(Staff.is_admin, Person.status == AccountStatus.ACTIVE, Person", ".where(Person.status == AccountStatus.ACTIVE, "
         "Person", LAST_ADMIN),
        (".where(Staff.is_admin, Person.status == AccountStatus.ACTIVE, Person", ".where(Staff.is_admin, Person", OTHER_ADMIN),
        (", Person.id != person.id)", ")", LAST_ADMIN),
        ("if tx.session.get_one(Staff, person.id).is_admin and not", "if not",
         "test_where_there_is_no_admin_at_all_others_can_still_be_disabled"),
        (" and not tx.session.scalar(others.limit(1)):", ":", LAST_ADMIN),
        ("            end_sessions_of(tx.session, person.id)\n", "",
         "test_a_disabled_account_stays_out_when_it_is_enabled_again"),
        # what changes who is eligible, and has routing deliver
        ("        routing.wake(tx)\n        return communicator.key", "        return communicator.key", WAKES),
        ("stands_in})\n        routing.wake(tx)\n", "stands_in})\n", WAKES),
        ("        routing.wake(tx)\n        return absence.key", "        return absence.key",
         "test_a_deputy_planned_from_now_receives_what_waited"),
        ("{had} if had else set())\n        routing.wake(tx)\n", "{had} if had else set())\n",
         "test_a_deputy_who_begins_by_the_clock_receives_what_waited"),
        ("else set())\n        routing.wake(tx)\n\n\ndef _staff_with", "else set())\n\n\ndef _staff_with",
         "test_ending_now_delivers_what_waited"),
        ("Membership.communicator_id == communicator.id, Membership.until.is_(None)", "Membership.until.is_(None)",
         "test_a_change_of_one_communicators_users_leaves_those_of_the_others"),
        ("if has_threads(tx.session, communicator.id):\n            raise HasThreads", "if False:\n            raise HasThreads",
         "test_a_communicator_with_threads_is_not_deleted"),
        ("if key and communicator.type != kind and has_threads(tx.session, communicator.id):",
         "if key and communicator.type != kind and False:", "test_its_type_does_not_change_once_it_has_threads"),
        ("if key and communicator.version != version:", "if False:", "test_a_later_save_of_an_old_version_is_refused"),
        (".where(Delivery.communicator_id == communicator).limit(1)", ".limit(1)",
         "test_a_communicator_with_threads_is_not_deleted"),
    ),
    *_of(
        "practice/trays.py",
        # restoring
        ("        must_be_admin(tx)\n        thread = _locked(tx.session, thread_key)\n        if", "        thread = "
         "_locked(tx.session, thread_key)\n        if", RESTORES),
        ("if thread.removed_at is None and not _was", "if not _was",
         "test_what_was_deleted_without_a_line_in_its_history_can_be_restored"),
        (" and not _was_removed(tx.session, thread.id):", ":", RESTORED_ONCE),
        ("if thread.removed_at is None or thread.version", "if thread.version", RESTORED_ONCE),
        (" or thread.version != version:", ":", RESTORED_ONCE),
        ("sa.select(Thread).where(Thread.key == key)", "sa.select(Thread)", SAME_OPENING),
        ("    if thread is None:\n        raise NotVisible\n", "", NOT_REMOVED),
        ("where(History.thread_id == thread, ", "where(", NEVER_REMOVED),
        (", History.did == Event.REMOVED).limit", ").limit", NOT_REMOVED),
        ("return session.scalar(once) is not None", "return True", NOT_REMOVED),
        # what may be opened
        (", Thread.due_at < sa.bindparam(\"now\", type_=sa.DateTime)),\n    Tray", "),\n    Tray", IN_NO_TRAY),
        ("_ENVELOPE.where(Thread.key == key, ", "_ENVELOPE.where(", ENVELOPE),
        ("Thread.patient_id.is_distinct_from(own_patient), ", "", OWN_OPENING),
        (", lies_somewhere)", ")", IN_NO_TRAY),
        ("sa.or_(*_LIES_IN.values())", "sa.true()", IN_NO_TRAY),
        ("    if row is None:\n        raise NotVisible\n", "", IN_NO_TRAY),
        # opening
        ("@again_if_doubled\ndef open", "def open", "test_equal_forms_open_once_all_at_once"),
        ("        must_be_admin(tx)\n        thread = _locked(tx.session, thread_key)\n        before", "        thread = "
         "_locked(tx.session, thread_key)\n        before", RESTORES),
        (".where(BreakGlass.key == form_key)", "", "test_openings_are_shown_newest_first_in_pages"),
        ("if before is not None:", "if False:", SAME_OPENING),
        ("if (before.thread_id, before.staff_id) != (thread.id, by.person):", "if False:", SAME_OPENING),
        ("if before.reason != reason:", "if False:", SAME_OPENING),
        ("tx.session.get(Staff, by.person) if by.person else None", "None", OPENS),
        ("is_late = thread.due_at is not None and thread", "is_late = thread", OPENS),
        ("is_late = thread.due_at is not None and thread.due_at < at", "is_late = thread.due_at is not None", IN_NO_TRAY),
        ("if staff is None or staff.", "if staff.", "test_no_command_opens_a_thread_with_a_reason"),
        ("if staff is None or staff.own_patient_id == thread.patient_id:", "if staff is None:", OWN_OPENING),
        ("if thread.unrouted_since is None and ", "if ", OPENS),
        (" and thread.removed_at is None and", " and", OPENS),
        (" and not is_late:", ":", OPENS),
        # reading
        ("    .join(Thread, Thread.id == BreakGlass.thread_id)\n    .join(Staff", "    .join(Thread, sa.true())\n    .join(Staff",
         OTHER_OPENING),
        (".join(Staff, Staff.id == BreakGlass.staff_id)", ".join(Staff, sa.true())", OWN_OPENING),
        ('        Thread.key == sa.bindparam("key"),\n', "", OTHER_OPENING),
        ('        BreakGlass.staff_id == sa.bindparam("staff"),\n', "", OPENS),
        ('        BreakGlass.ends_at > sa.bindparam("now", type_=sa.DateTime),\n', "", OPENS),
        ("        Thread.patient_id.is_distinct_from(Staff.own_patient_id),\n", "", OWN_OPENING),
        ("    if opening is None:\n        raise NotVisible\n", "", OPENS),
    ),
    *_of(
        "practice/records.py",
        ("sa.select(RecordValue).where(RecordValue.key == key, RecordValue.patient_id == patient)",
         "sa.select(RecordValue).where(RecordValue.patient_id == patient)", "test_a_value_of_the_record_is_its_patients_alone"),
        ("RecordValue.key == key, RecordValue.patient_id == patient)", "RecordValue.key == key)",
         "test_a_value_of_the_record_is_its_patients_alone"),
        ("    if value is None:\n        raise NotVisible\n", "", "test_a_value_of_the_record_is_its_patients_alone"),
        ('.where(RecordValue.patient_id == sa.bindparam("patient"), RecordValue.superseded_at.is_(None))',
         ".where(RecordValue.superseded_at.is_(None))", "test_a_value_of_the_record_is_its_patients_alone"),
    ),
    *_of(
        "practice/drafts.py",
        ("select(column).where(_OWN, ", "select(column).where(", "test_a2_a_draft_is_its_authors_alone"),
        ('select(column).where(_OWN, Draft.key == sa.bindparam("key"))', "select(column).where(_OWN)",
         "test_a2_a_draft_is_its_authors_alone"),
        ("update(Draft).where(Draft.waits, Draft.author_id == author)", "update(Draft).where(Draft.waits)",
         "test_of_several_that_waited_one_opens_and_none_at_a_later_log_in"),
        ("        tx.session.execute(sa.update(Draft).where(Draft.waits,", "        (sa.update(Draft).where(Draft.waits,",
         "test_of_several_that_waited_one_opens_and_none_at_a_later_log_in"),
        (".where(Draft.author_id == author, Draft.waits)", ".where(Draft.waits)",
         "test_a18_a_form_after_the_idle_end_waits_as_that_persons_draft_and_opens_after_log_in"),
        (', Draft.key == sa.bindparam("named"))', ")",
         "test_a2_a_draft_is_its_authors_alone"),
    ),
    *_of(
        "practice/sessions.py",
        ('.where(LoginSession.key_hash == sa.bindparam("key_hash"), ', ".where(", EXPIRY),
        (', LoginSession.ended_at.is_(None))\n)', ")\n)", "test_a_form_after_the_log_out_is_not_kept"),
        (".join(Person, sa.and_(Person.id == LoginSession.person_id, Person.id == _whose))", ".join(Person, sa.true())",
         "test_each_role_lands_on_its_own_side"),
        (".outerjoin(Staff, Staff.id == Person.id)", ".outerjoin(Staff, sa.true())", "test_each_role_lands_on_its_own_side"),
        ("if row is None or row.status", "if row.status", EXPIRY),
        ("if row is None or row.status != AccountStatus.ACTIVE:", "if row is None:",
         "test_an_account_that_is_not_active_is_nobody_even_with_a_living_session"),
        ("    if at > ends_at + EXPIRED_KEPT:\n        return None\n", "", EXPIRY),
        ("is_expired=at >= ends_at,", "is_expired=False,", f"{EXPIRY} {IDLE}"),
        ("is_expired=at >= ends_at,", "is_expired=True,", EXPIRY),
        ("(BoxFilter.key == sa.bindparam(\"key\"), BoxFilter.session_id == sa.bindparam(\"session\"))",
         "(BoxFilter.key == sa.bindparam(\"key\"))",
         "test_filters_narrow_the_list_and_personal_values_stay_out_of_the_address"),
    ),
    *_of(
        "web/gate.py",
        # declarations
        ("        view.allowed = who  # type: ignore[attr-defined]\n", "", DECLARES),
        ("    blueprint.allowed = who  # type: ignore[attr-defined]\n", "    pass\n", DECLARES),
        ("        view.form_page = endpoint  # type: ignore[attr-defined]\n", "", "test_with_htmx_too_and_for_a_reply"),
        ('if declared is None and "." in endpoint:', 'if "." in endpoint:', DECLARES),
        ('if declared is None and "." in endpoint:', "if declared is None:", DECLARES),
        ('if declared is None and "." in endpoint:', "if False:", DECLARES),
        # roles
        ("if who == ANYONE:", "if False:", ROLES),
        ("if who == ANYONE:", "if True:", ROLES),
        ("if visitor is None or who is None:", "if who is None:", ROLES),
        ("if visitor is None or who is None:", "if visitor is None:", ROLES),
        ("if visitor is None or who is None:\n        return False", "if visitor is None or who is None:\n        return True",
         f"{ROLES} {UNDECLARED}"),
        ("LOGGED_IN: True,", "LOGGED_IN: False,", ROLES),
        ("PATIENT: visitor.kind == Kind.PATIENT,", "PATIENT: True,", ROLES),
        ("PATIENT: visitor.kind == Kind.PATIENT,", "PATIENT: False,", ROLES),
        ("STAFF: visitor.kind == Kind.STAFF,", "STAFF: True,", ROLES),
        ("STAFF: visitor.kind == Kind.STAFF,", "STAFF: False,", ROLES),
        ("ADMIN: visitor.kind == Kind.STAFF and visitor.is_admin,", "ADMIN: visitor.is_admin,", ROLES),
        ("ADMIN: visitor.kind == Kind.STAFF and visitor.is_admin,", "ADMIN: visitor.kind == Kind.STAFF,", ROLES),
        # for Flask-Login
        ("@login_manager.request_loader\n", "", "test_an_expired_visitor_is_nobody_for_flask_login"),
        ("return found if found and not found.is_expired else None", "return found if not found.is_expired else None",
         "test_an_expired_visitor_is_nobody_for_flask_login"),
        ("return found if found and not found.is_expired else None", "return found if found else None",
         "test_an_expired_visitor_is_nobody_for_flask_login"),
        ("    app.before_request(pass_gate)\n", "", "test_next_leads_where_the_visitor_wanted_to_go"),
        # the way through the gate
        ('if endpoint in ("static", "bootstrap.static", "web.healthz", "metrics.metrics"):', "if False:", FILES),
        ('if endpoint in ("static", "bootstrap.static", "web.healthz", "metrics.metrics"):', "if True:", UNSAFE),
        ('("static", "bootstrap.static", "web.healthz"', '("bootstrap.static", "web.healthz"', FILES),
        ('("static", "bootstrap.static", "web.healthz"', '("static", "web.healthz"', FILES),
        ('"bootstrap.static", "web.healthz", "metrics.metrics"', '"bootstrap.static", "metrics.metrics"', FILES),
        ('"web.healthz", "metrics.metrics")', '"web.healthz")', FILES),
        *((f'"{method}"', f'"{method}S"', f"{UNSAFE}[{method}]") for method in ("POST", "PUT", "PATCH", "DELETE")),
        ("is_unsafe = request.method in UNSAFE", "is_unsafe = False", UNSAFE),
        ("is_unsafe = request.method in UNSAFE", "is_unsafe = True", "test_looking_needs_neither"),
        ("if is_unsafe and not is_same_origin():", "if not is_same_origin():", "test_looking_needs_neither"),
        ("if is_unsafe and not is_same_origin():", "if is_unsafe and False:", UNSAFE),
        ("if isinstance(key, str) and (", "if (", "test_next_leads_where_the_visitor_wanted_to_go"),
        ("(found := sessions.visitor_with(key, address=client_address()))", "(found := None)",
         "test_whoever_may_not_is_refused_and_leaves_a_row"),
        ("    if endpoint is None:\n        return  # no view will run: 404 or 405\n", "",
         "test_a_page_that_is_not_here_says_so_and_tells_nothing"),
        ("    csrf.protect()  # of unsafe methods only\n", "", UNSAFE),
        ("known if known and not known.is_expired else None", "known if not known.is_expired else None",
         "test_next_leads_where_the_visitor_wanted_to_go"),
        ("known if known and not known.is_expired else None", "known if known else None", IDLE),
        ("if not is_allowed(who, present):", "if False:", UNDECLARED),
        ("        if present:\n            audit", "        if True:\n            audit", UNDECLARED),
        ("        if present:\n            audit", "        if False:\n            audit", UNDECLARED),
        ('            audit.note(by=present.actor, did="denied", about=endpoint[:80])\n', "",
         "test_whoever_may_not_is_refused_and_leaves_a_row"),
        ("            abort(403)\n", "", UNDECLARED),
        ("if is_unsafe and known:", "if known:", "test_a_get_with_a_form_keeps_nothing"),
        ("if is_unsafe and known:", "if is_unsafe:", "test_the_form_of_nobody_is_answered_with_the_log_in"),
        ("if is_unsafe and known:", "if False:", KEPT),
        ("is_kept=not is_sent and keep_form(known)", "is_kept=keep_form(known)",
         "test_a_form_that_was_sent_is_no_draft_after_the_sessions_end"),
        ("is_kept=not is_sent and keep_form(known)", "is_kept=not is_sent", "test_a_search_is_no_draft"),
        ("is_kept=not is_sent and keep_form(known)", "is_kept=False", KEPT),
        (" or not is_form_key(key):", ":", COPIED),
        (" or not is_page(unquote(about)):", ":", "test_a_search_is_no_draft"),
        ("or not is_page(unquote(about)):", "or True:", KEPT),
        ('return re.fullmatch(r"[A-Za-z0-9_-]{1,22}", key) is not None', "return False", KEPT),
        ('if any("\\0" in str(value) for', 'if any(False for', "test_a_nul_in_an_address_is_not_there"),
        ('if any("\\0" in str(value) for', 'if any(True for', "test_a_nul_in_an_address_is_not_there"),
        ("*(request.view_args or {}).values(), *request.args", "*{}.values(), *request.args",
         "test_a_nul_in_an_address_is_not_there", "postgresql"),
        (".values(), *request.args.values())", ".values(),)", "test_a_nul_in_an_address_is_not_there"),
        ("if present and not is_poll():", "if not is_poll():", "test_next_leads_where_the_visitor_wanted_to_go"),
        ("if present and not is_poll():", "if present:", "test_a9_polling_keeps_nobody_logged_in"),
        ("if present and not is_poll():", "if False:", IDLE),
        # where it comes from
        ("if site is not None:", "if False:", ORIGIN),
        ('return site in ("same-origin", "none")', "return True", ORIGIN),
        ('("same-origin", "none")', '("none",)', ORIGIN),
        ('("same-origin", "none")', '("same-origin",)', ORIGIN),
        ("if origin is not None:", "if False:", ORIGIN),
        ("if origin is not None:", "if True:", ORIGIN),
        ('return urlsplit(origin)[:2] == urlsplit(current_app.config["PORTAL_URL"])[:2]', "return True", ORIGIN),
        ('urlsplit(origin)[:2] == urlsplit(current_app.config["PORTAL_URL"])[:2]',
         'urlsplit(origin)[1] == urlsplit(current_app.config["PORTAL_URL"])[1]', ORIGIN),
        ('urlsplit(origin)[:2] == urlsplit(current_app.config["PORTAL_URL"])[:2]',
         'urlsplit(origin)[0] == urlsplit(current_app.config["PORTAL_URL"])[0]', ORIGIN),
        ('return request.headers.get("X-Poll") == "1"', "return True", IDLE),
        ('return request.headers.get("X-Poll") == "1"', "return False", "test_a9_polling_keeps_nobody_logged_in"),
        ("if peer and peer ==", "if peer ==", ADDRESS),
        ('if peer and peer == current_app.config.get("PROXY_ADDRESS"):', "if peer:", ADDRESS),
        ("if peer and re", "if re", ADDRESS),
        (' if peer and re.fullmatch(r"[0-9a-fA-F:.]+", peer) else', " if peer else", ADDRESS),
        # too many fields
        ('request.mimetype == "application/x-www-form-urlencoded" and request.get_data', "request.get_data",
         "test_a_file_full_of_what_parts_the_fields_of_a_form_is_a_file"),
        (' and request.get_data().count(b"&") > FIELDS:', " and False:", MANY),
        ('.count(b"&") > FIELDS:', '.count(b"&") > 0:', "test_a_file_full_of_what_parts_the_fields_of_a_form_is_a_file"),
        # larger files
        ("        view.upload_max = most  # type: ignore[attr-defined]\n", "", UPLOAD),
        ('(most := getattr(current_app.view_functions[endpoint], "upload_max", 0)) and', "(most := 0) and", UPLOAD),
        ('"upload_max", 0)) and is_allowed(who, present):', '"upload_max", 0)):', UPLOAD),
        # the form that is kept
        ('if getattr(view, "says_form_page", False):', "if False:", "test_a_late_autosave_is_kept_under_the_forms_own_page"),
        ("if len(about) > ABOUT_MAX or", "if", "test_a_page_that_is_none_of_ours_is_not_kept"),
        (' or "\\0" in about', "", "test_a_page_that_is_none_of_ours_is_not_kept"),
        (' if "draft_version" in request.form else None', "",
         "test_what_was_written_is_kept_and_nothing_that_is_secret"),
        ("save_draft(expired.person_id, key=new_key(), **draft)", "pass", 
         "test_an_older_window_does_not_overwrite_the_newer_one_after_the_end"),
        ('("csrf_token", "present", ', '("present", ', SECRET),
        ('"present", "password", ', '"present", ', SECRET),
        ('"password", "password_again", "code"', '"password", "code"', SECRET),
        ('"password_again", "code", "sealed")', '"password_again", "sealed")', SECRET),
        ('"code", "sealed")', '"code")', SECRET),
        ("    if not is_allowed(who_may(current_app, request.endpoint), expired):\n        return False\n", "",
         "test_a_form_that_was_never_this_persons_is_not_kept"),
        (" if name not in NEVER_KEPT}", "}", KEPT),
        ("if not any(v.strip() for name, vs in values.items() if name != \"key\" for v in vs) or not is_form_key(key):",
         "if not is_form_key(key):",
         "test_a_form_in_which_nothing_is_written_is_not_kept"),
        (' if name != "key" for v', " for v", "test_a_form_in_which_nothing_is_written_is_not_kept"),
        ("v.strip() for name", "True for name", "test_a_form_in_which_nothing_is_written_is_not_kept"),
        ("{1,22}", "{0,22}", "test_a_form_without_a_key_is_shown_to_copy"),
        ("{1,22}", "+", COPIED),
        ("{1,22}", "{2,21}", "test_the_shortest_and_the_longest_key_are_kept"),
        ("save_draft(expired.person_id, key=key, seen=seen, **draft)", "pass", KEPT),
        ("except (DraftSent, TooMany):", "except DraftSent:", "test_the_five_hundred_and_first_is_shown_to_copy"),
        (', "waits": True}', "}",
         "test_a18_a_form_after_the_idle_end_waits_as_that_persons_draft_and_opens_after_log_in"),
    ),
    # who is declared
    *_of("portal/__init__.py", ("guard(blueprint, PATIENT)", "", SIDE),
         ("(blueprint, PATIENT)", '(blueprint, "anyone")', WHOLE_SIDE)),
    *_of("staff/__init__.py", ("guard(blueprint, STAFF)", "", SIDE),
         ("(blueprint, STAFF)", '(blueprint, "logged in")', WHOLE_SIDE)),
    *_of("admin/__init__.py", ("guard(blueprint, ADMIN)", "", SIDE),
         ("(blueprint, ADMIN)", '(blueprint, "staff")', WHOLE_SIDE)),
    *_of(
        "web/login.py",
        ("@allow(ANYONE)\ndef log_in(", "def log_in(", SIDE),
        ("@allow(ANYONE)\ndef check_log_in(", "def check_log_in(", SIDE),
        ("@allow(LOGGED_IN)\ndef log_out(", "def log_out(", SIDE),
        ("@allow(LOGGED_IN)\ndef stay(", "def stay(", SIDE),
    ),
    *_of("wsgi.py", ("    @gate.allow(gate.ANYONE)\n", "", SIDE)),
    *_of("web/demo_mails.py", ("@allow(ANYONE)\n", "", "test_the_demos_mails_are_for_whoever_tries_the_demo")),
    *_of("portal/messages.py", ('@drafts_to("portal.message")\n', "", "test_with_htmx_too_and_for_a_reply")),
    *_of("staff/replies.py", ('@drafts_to("staff.respond")\n', "", "test_a_staff_reply_after_the_idle_end_waits_too")),
    # guessing is counted
    *_of(
        "practice/throttle.py",
        (">= limit.most and not", "> limit.most and not", SIXTH),
        (" and not (limit is ACCOUNT and self.known in failures)", "", OWNER_ENTERS),
        ("limit is ACCOUNT and self.known in failures", "self.known in failures", OWNER_ENTERS),
        ("        if address:  # without", "        if False:  # without",
         "test_A10_an_address_fails_twenty_times_a_minute_whatever_the_accounts"),
        ("            self._refuse_if_over(self._found(tx.session) | failures)\n", "",
         "test_A10_A52_a_burst_from_several_processes_counts_exactly"),
        ("    if found is not None:\n        counted", "    if False:\n        counted", SIXTH),
        ("    if found is not None:\n        counted", "    if True:\n        counted", SIXTH),
        ("failures[key] if limit is ADDRESS else []", "failures[key]", IS_RIGHT),
        ("failures[key] if limit is ADDRESS else []", "[]", IS_RIGHT),
    ),
    # the second step
    *_of(
        "practice/second_step.py",
        (", HalfLogIn.ends_at > now())).first()", ")).first()", HALF_ENDS),
        ("row[0].status != AccountStatus.ACTIVE or not hmac", "not hmac", HALF_ENDS),
        (" or not hmac.compare_digest(row.credential, _credential(row[0]))", "", HALF_ENDS),
        ("    if ask is None:", "    if False:", "test_a_half_of_somebody_locked_or_asked_no_more_is_over"),
        ("    if half.ask != Ask.SET_UP:", "    if False:", HALF_WITH_ONE),
        (", SecondStep.last_used < used)", ")", ONE_CODE),
        ("EITHER_WAY = 1", "EITHER_WAY = 2", ONE_CODE),
        ("its = RecoveryCode.person_id == person, RecoveryCode.code_hash", "its = sa.true(), RecoveryCode.code_hash", RECOVERY),
        ("    if not changed(tx.session, sa.delete(RecoveryCode).where(*its)):", "    if False:", RECOVERY),
        ("    if owner != person:", "    if False:", KEY_OF),
        ("_opened(sealed, person, within=OFFERED), ", "_opened(sealed, person), ", KEY_OF),
        ("    if used < 0:", "    if False:", "test_A6_a_set_up_that_was_not_finished_shuts_nobody_out"),
        ('    must_know_password(visitor, present)\n    with transaction(by=visitor.actor, did="set_up', 
         '    with transaction(by=visitor.actor, did="set_up', STEP_CHANGES),
        ('    must_know_password(visitor, present)\n    with transaction(by=visitor.actor, did="renew', 
         '    with transaction(by=visitor.actor, did="renew', STEP_CHANGES),
        ('    must_know_password(visitor, present)\n    with transaction(by=visitor.actor, did="turn', 
         '    with transaction(by=visitor.actor, did="turn', STEP_CHANGES),
        ('    must_know_password(visitor, present)\n    with transaction(by=visitor.actor, did="reset', 
         '    with transaction(by=visitor.actor, did="reset', STEP_RESET),
        ("        end_other_log_ins(visitor, by=visitor.actor)\n        return codes", "        return codes", STEP_CHANGES),
        ("            raise NotVisible\n        end_other_log_ins(visitor, by=visitor.actor)\n",
         "            raise NotVisible\n", STEP_CHANGES),
        ("    if state_of(visitor.person_id).is_required:", "    if False:", "test_who_has_to_have_one_does_not_turn_it_off"),
        ("    if person.id == visitor.person_id:", "    if False:", STEP_RESET),
        ("    end_sessions_of(tx.session, person)\n\n\ndef person_with", "\n\ndef person_with", STEP_RESET),
    ),
    # links and proofs that work once
    *_of(
        "practice/links.py",
        ("    end_links(tx.session, person, purpose)\n    if token:", "    if token:", "test_a_newer_mail_ends_the_older_link"),
        ("return known, OneTimeLink.purpose == purpose, ", "return known, ",
         "test_a14_s7_a_link_of_another_purpose_opens_nothing"),
        (" OneTimeLink.used_at.is_(None), OneTimeLink.ends_at > now()\n\n", " OneTimeLink.ends_at > now()\n\n",
         "test_a13_a_reset_link_works_once_and_logs_nobody_in"),
        ("OneTimeLink.used_at.is_(None), OneTimeLink.ends_at > now()\n\n", "OneTimeLink.used_at.is_(None)\n\n",
         "test_a13_whatever_does_not_work_is_the_same_page_and_changes_nothing"),
        ("    end_links(session, person, Purpose.RESET)\n", "", "test_a13_a_change_of_the_password_ends_the_link"),
        ("    end_proofs(session, person)\n", "", "test_s7_a15_another_password_or_status_ends_the_link"),
    ),
    *_of(
        "practice/proofs.py",
        (">= MOST_OF_ONE:", ">= MOST_OF_ONE + 1:", REGISTER_FLOOD),
        (">= MOST\n", ">= MOST + 1\n", REGISTER_FLOOD),
        ("        tx.session.execute(_ended(older))\n", "        pass\n",
         "test_a_registration_that_was_replaced_gets_no_link"),
        (", EmailProof.ended_at.is_(None), EmailProof.ends_at", ", EmailProof.ends_at", REGISTER_DEAD),
        (", EmailProof.ends_at > now()\n    whose", "\n    whose", REGISTER_DEAD),
        ("where(*works, whose)", "where(*works)", REGISTER_DEAD),
        ("    if held.ended_at:", "    if False:", "test_a_registration_that_was_replaced_gets_no_link"),
    ),
    # a new password, another address
    *_of(
        "practice/reset.py",
        (", Person.status == AccountStatus.ACTIVE)", ")", "test_a11_the_answer_is_the_same_for_every_address"),
        ("        if found.status != AccountStatus.ACTIVE:", "        if False:",
         "test_who_is_closed_between_lease_and_mail_gets_no_link"),
        (".scalar_subquery() < MOST)", ".scalar_subquery() < MOST + 1)",
         "test_a43_one_address_gets_three_mails_an_hour_and_is_told_of_no_limit"),
        ("        end_sessions_of(tx.session, held.id)\n", "", "test_a13_a_reset_link_works_once_and_logs_nobody_in"),
    ),
    *_of(
        "practice/own_email.py",
        ("    must_know_password(visitor, present)\n", "", "test_a15_without_the_present_password_nothing_is_asked"),
        ("        if tx.session.scalar(sa.select(Person.id).where(Person.email_key == proof.email_key)):", "        if False:",
         NEW_EMAIL_DEAD),
        ("        tell_address(tx, Occasion.EMAIL_CHANGED, person.id, email=person.email)\n", "", NEW_EMAIL),
        ("            tell(tx, Occasion.EMAIL_ASKED, [held.id])\n", "", NEW_EMAIL),
        ("        end_ways_in(tx.session, person.id)\n", "", "test_s7_a15_a_reset_link_from_before_ends_with_the_address"),
        ("        end_sessions_of(tx.session, person.id)\n", "", NEW_EMAIL),
    ),
    # registering, and being matched
    *_of(
        "practice/registration.py",
        ("        if not the_practice(tx.session).can_register:", "        if False:",
         "test_it_is_there_only_where_the_practice_has_it"),
        ("    if proof is None or not may_register():", "    if proof is None:",
         "test_it_is_there_only_where_the_practice_has_it"),
        ("    must_be_hard_to_guess(password, Person(", "    bool(Person(",
         "test_a12_the_password_is_as_hard_to_guess_as_everywhere"),
        ("        if proof is None or tx.session.scalar(sa.select(Person.id).where(Person.email_key == proof.email_key)):",
         "        if proof is None:", "test_a14_a56_an_address_that_has_an_account_by_now_gets_no_second_one"),
        (" = proof.ended_at = now()", " = now()", "test_a6_a14_the_link_makes_one_account_and_before_it_there_is_none"),
        (">= TRIES:", ">= TRIES + 1:", CODE_GUESSED),
        ("        must_be_admin(tx)\n", "", "test_a_code_of_the_practice_matches_at_once_and_is_kept_hashed"),
        (", Patient.record_number.is_(None))).first()", ")).first()",
         "test_who_registers_stands_in_the_tray_until_matched_and_then_is_like_any_patient"),
        ("    if row.record_number is not None or person.status", "    if person.status", CORRECTS),
        ("        lock(patient_key, seen=seen, by=by)\n", "",
         "test_a5_s5_who_is_refused_is_out_at_once_and_unlock_takes_it_back"),
    ),
    *_of(
        "practice/matching.py",
        (", MatchCode.dob == dob, *_works()", ", *_works()", CODE_DEAD),
        ("return MatchCode.used_at.is_(None), MatchCode.ends_at > now()", "return (MatchCode.ends_at > now(),)", CODE_DEAD),
        ("return MatchCode.used_at.is_(None), MatchCode.ends_at > now()", "return (MatchCode.used_at.is_(None),)", CODE_DEAD),
        (" or state not in TRANSITIONS[row.state]:", ":", "test_the_states_are_a_table_and_of_two_admins_one_wins"),
    ),
    # files
    *_of(
        "practice/attachments.py",
        (" or (content.type == FileType.DICOM and not may_be_dicom):", ":", "test_dicom_is_not_the_patients"),
        ("        if content is None or", "        if False or", "test_what_is_not_taken_leaves_nothing_behind"),
        ("    if len(here) >= FILES_MAX:", "    if False:", "test_five_files_and_no_sixth"),
        ("    if sum(here) + size > TOTAL_MAX:", "    if False:", "test_twenty_five_megabytes_together"),
        ("    if sum(row.size for row in rows) + size > DRAFTS_TOTAL_MAX:", "    if False:",
         "test_what_lies_in_drafts_has_an_end"),
        ("where(Draft.author_id == author, Draft.key == draft)", "where(Draft.key == draft)",
         "test_only_into_a_draft_of_ones_own"),
        ("mine = Attachment.key == key, Attachment.author_id == author, Attachment.draft_key == draft\n        found",
         "mine = Attachment.key == key, Attachment.draft_key == draft\n        found",
         "test_a_file_is_taken_out_by_its_author_alone"),
        ("mine = Attachment.key == key[:22], Attachment.author_id == author, ", "mine = Attachment.key == key[:22], ",
         "test_a_file_is_taken_out_by_its_author_alone"),
        ("            raise Invalid(\"file\", \"The virus scanner has", "            print(\"The virus scanner has",
         "test_a_virus_is_not_taken"),
    ),
    *_of("practice/files.py", ("    return file.state == FileState.CLEAN\n", "    return True\n",
                               "test_what_waits_for_the_scanner_is_said_and_opened_by_nobody")),
    # documents into the record
    *_of(
        "practice/record_imports.py",
        ("    if not (is_on(practice, MenuItem.MY_INFO) if by.person == patient else practice.meaningful_use):", "    if False:",
         "test_only_in_meaningful_use_mode"),
        ("        if found.saved_at is not None:", "        if False:", "test_a_document_brought_twice_is_saved_once"),
        ("        if plan.seen != seen:", "        if False:", "test_a_record_that_changed_meanwhile_is_looked_at_once_more"),
        ("    if not plan.doubts:", "    if True:", DOUBTS),
        ("    if is_by_patient:", "    if False:", DOUBTS),
        ("    if not reason:", "    if False:", DOUBTS),
        ("    if hashlib.sha256(content).hexdigest() != document.sha256:", "    if False:",
         "test_a_file_that_is_not_what_was_stored_is_not_imported"),
        ("mine = RecordDocument.key == key, RecordDocument.patient_id == patient, RecordDocument.by_id == by.person",
         "mine = RecordDocument.key == key, RecordDocument.patient_id == patient", BRINGERS),
        ("sa.select(RecordDocument).where(*of_patient, there))", "sa.select(RecordDocument).where(*of_patient))", BRINGERS),
        ("of_patient = RecordDocument.key == key, RecordDocument.patient_id == patient",
         "of_patient = (RecordDocument.key == key,)",
         BRINGERS),
        ("RecordDocument.patient_id == patient, there).limit(limit)", "RecordDocument.patient_id == patient).limit(limit)",
         BRINGERS),
        ("    if found.count(None) >= NOT_SAVED_MAX:", "    if False:", "test_there_is_an_end_to_what_is_brought"),
    ),
    *_of("practice/documents.py",
         ("    if sum(map(len, found)) > ENTRIES_MAX:", "    if False:", "test_there_is_an_end_to_what_is_brought")),
    # the errors of a garbled body
    *_of("web/errors.py",
         ("        (ParseException, lambda _e: shown(400)),", "        ", GARBLED),
         ("    except (HTTPException, OSError, ParseException):", "    except (HTTPException, OSError):", GARBLED)),
]
# fmt: on

# ---- Which conditions there are ------------------------------------------------------------------

WHOLE = ("practice/routing.py", "web/gate.py")
PARTS = {
    "practice/communicators.py": (
        "supposing _is_active _lasts _is_away _MEMBERS _DEPUTIES eligible is_routable standing_for instead_of Routable"
        " routable_of all_routable _routable _ROUTABLE Box _mine _my_audiences _shown _BOX box_of"
    ),
    "practice/threads.py": (
        "can can_receive is_claimed can_claim can_close can_remove move thread_of_patient thread_of_box _one _HEAD_OF_PATIENT"
        " _head_of_box place_of_patient message_of_patient"
    ),
    "practice/inbox.py": "place_in_box",
    "practice/conversations.py": "receive close remove claim release _release_lost_claims hand_to _of_staff_seen",
    "practice/coverage.py": (
        "add_absence change_absence end_absence _staff_with _absence_with _set_absence _refuse_overlap impact_of _AUDIENCES_OF"
        " _audiences_by hand_open_threads replace_everywhere"
    ),
    "practice/people.py": "active_admins must_be_admin",
    "practice/trays.py": ("_LIES_IN restore_removed _locked _was_removed envelope open_with_reason _IN_FORCE opened_with_reason"),
    "practice/records.py": "value_of",
    "practice/drafts.py": "draft_values",
}
"""The files, and of other files the definitions, in which every condition, `where` and decorator has its mutant."""

NOTHING_CHANGES = {
    "practice/routing.py": {
        "audience is None": "no audience has no communicators anyway; saves a statement",
        "thread.audience_id is None": "no audience has nobody anyway; saves a statement",
        'session.get_bind().dialect.name == "postgresql"': "",
        "after is not None": "for the types: whoever comes here has an audience",
        "after != audience": "takes off and adds the same; saves a statement",
    },
    "web/gate.py": {
        "request.endpoint is None": "pass_gate has returned before; for the types",
        "request.view_args": "a default for the types",
        "{}": "a default for the types",
    },
    "practice/threads.py": {
        "lru_cache(maxsize=1)": "saves time only",
        "Thread.id == Message.thread_id": "",
    },
    "practice/communicators.py": {
        "dataclass(frozen=True)": "a form, not a condition",
        "property": "a form, not a condition",
        "found.get(staff, False)": "all rows of one person say the same of their presence",
    },
    "practice/coverage.py": {
        "0": "an id that is not None at all is the same question",
        "communicator is None": "nothing is anybody's of no communicator; saves statements",
        "before == after": "nobody gains or loses anything anyway; saves statements",
        "people": "nobody is IN an empty list; saves a statement",
        "audiences": "nothing is taken from nothing; saves a statement",
        "Person.key.in_([staff_key, with_key])": "only these two are looked up; saves rows",
    },
    "practice/trays.py": {
        "Thread.due_at.is_not(None)": "for the index: no time is not earlier than now anyway",
    },
    "practice/drafts.py": {"values": "a default"},
}


Place = tuple[int, int]  # of characters in the file, from and to


def conditions(file: str) -> Iterator[tuple[str, Place, list[Place]]]:
    """Every condition of a file that has to have a mutant: its text, its place, the places of those beside it."""
    source = (ROOT / file).read_text()
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line.encode()))
    in_bytes = source.encode()

    def place(node: ast.expr) -> Place:
        start = lines[node.lineno - 1] + node.col_offset
        end = lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        return len(in_bytes[:start].decode()), len(in_bytes[:end].decode())

    wanted = None if file in WHOLE else PARTS[file].split()
    for definition in ast.parse(source).body:
        if wanted is None or _name(definition) in wanted:
            for group in _groups(definition):
                places = [place(node) for node in group]
                for here in places:
                    yield source[slice(*here)], here, [p for p in places if p != here]


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return str(getattr(node, "name", ""))


def _groups(definition: ast.AST) -> Iterator[list[ast.expr]]:
    """Conditions that stand beside each other: of an `if`, a `where`, an `and`; comparisons and decorators alone."""
    for node in ast.walk(definition):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                yield _parts(test)
            case ast.comprehension(ifs=ifs):
                yield [part for test in ifs for part in _parts(test)]
            case ast.Call(func=ast.Attribute(attr="where" | "and_" | "or_"), args=args):
                yield [part for test in args for part in _parts(test)]
            case ast.BoolOp() as test:
                yield _parts(test)
            case ast.Compare():
                yield [node]
            case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
                yield from ([decorator] for decorator in decorators)


def _parts(test: ast.expr) -> list[ast.expr]:
    match test:
        case ast.BoolOp(values=tests) | ast.Call(func=ast.Attribute(attr="and_" | "or_"), args=tests):
            return [part for t in tests for part in _parts(t)]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _parts(operand)
    return [test]


def changes(mutant: Mutant) -> list[Place]:
    """Where it changes the file, what stays the same at both ends left away: two places where it matters which end is first."""
    start = (ROOT / mutant.file).read_text().find(mutant.says)
    if start < 0:
        return []
    found = []
    for is_end_first in (False, True):
        says, instead, left = mutant.says, mutant.instead, 0
        for is_end in (is_end_first, not is_end_first):
            if is_end:
                same = len(os.path.commonprefix([says[::-1], instead[::-1]]))
                says, instead = says[: len(says) - same], instead[: len(instead) - same]
            else:
                same = len(os.path.commonprefix([says, instead]))
                says, instead, left = says[same:], instead[same:], left + same
        found.append((start + left, start + left + len(says)))
    return found


def without_mutant() -> list[str]:
    """The conditions that no mutant changes alone, the named exceptions left out."""
    missing = []
    for file in (*WHOLE, *PARTS):
        places = [place for mutant in MUTANTS if mutant.file == file for place in changes(mutant)]
        for text, here, beside in conditions(file):
            if " ".join(text.split()) in NOTHING_CHANGES.get(file, {}):
                continue
            if not any(_meet(place, here) and not any(_meet(place, other) for other in beside) for place in places):
                missing.append(f"{file}: {' '.join(text.split())}")
    return missing


def _meet(one: Place, other: Place) -> bool:
    return one[0] < other[1] and other[0] < one[1]


# ---- Running -------------------------------------------------------------------------------------


@cache
def files_of_tests() -> dict[str, str]:
    """The file of every test."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE):
            found[name] = path.relative_to(ROOT).as_posix()
    return found


def address(test: str) -> str:
    """What pytest calls it; `test_name[row]` is one row of a table."""
    return f"{files_of_tests()[test.partition('[')[0]]}::{test}"


HEAVY = (
    "alembic argon2 babel flask flask_babel flask_bootstrap flask_login flask_migrate flask_sqlalchemy flask_wtf.csrf holidays"
)
ASK = "import practice.routing as r, web.gate as g, wsgi as w; print(r.__file__, g.__file__, w.__file__)"


class Copy:
    """All that is or could be committed, in a folder, and a process there that has imported everything but our own modules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for name in names:
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        (folder / "var").mkdir()
        # By content, not by time: a changed file is read anew, and so is the old one afterwards.
        self.python("-m", "compileall", "-q", "--invalidation-mode", "checked-hash", ".")
        found = self.python("-c", ASK).split()
        if not all(Path(path).is_relative_to(folder) for path in found):
            raise SystemExit(f"Not the copy would be tested but {' '.join(found)}")
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants", "--serve"],
            **self.at_home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def at_home(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}}

    def python(self, *arguments: str) -> str:
        return subprocess.run([sys.executable, *arguments], **self.at_home, check=True, stdout=subprocess.PIPE, text=True).stdout

    def run_tests(self, tests: list[str], database: str, *options: str) -> tuple[int, str]:
        """pytest's own exit code (below zero: it was ended) and all it said."""
        command = ["-q", "--tb=line", "-p", "no:randomly", "-p", "no:cacheprovider", f"--database={database}"]
        command += [f"--basetemp={self.folder / 'var' / 'pytest'}", *options, *tests]
        assert self.server.stdin and self.server.stdout
        print(json.dumps(command), file=self.server.stdin, flush=True)
        code = int(self.server.stdout.readline())
        return code, (self.folder / SAID).read_text(errors="replace")

    def notices(self, mutant: Mutant) -> tuple[bool, str]:
        """Whether a test fails once the copy says something else, and which. Afterwards it says the same as before."""
        path = self.folder / mutant.file
        source = path.read_text()
        path.write_text(source.replace(mutant.says, mutant.instead))
        try:
            compile(path.read_text(), mutant.file, "exec")
            code, said = self.run_tests([address(test) for test in mutant.tests], mutant.database, "-x")
        except SyntaxError as error:
            return False, f"this is no Python: {error}"
        finally:
            path.write_text(source)
        failed = re.search(r"^(?:FAILED|ERROR) \S+::(.*)$", said, re.MULTILINE)
        if code == 1 and failed:
            return True, failed[1]
        if code == -signal.SIGALRM:
            return True, f"no end within {LONGEST} seconds"
        return False, "nothing fails" if code == 0 else f"pytest ended with {code}: {said.strip()[-300:]}"


SAID = "var/said.txt"


def serve() -> None:
    """Runs pytest in a fork for each line of arguments (JSON), and answers its exit code."""
    for name in HEAVY.split():
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.alarm(LONGEST * (1 if "-x" in line else 8))
            with open(SAID, "w") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            code = pytest.main(json.loads(line))
            sys.stdout.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="run these alone")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.serve:
        serve()
        return 0
    chosen = [(n, mutant) for n, mutant in enumerate(MUTANTS, 1) if not asked.only or n in asked.only]
    if not answers(postgresql_url()):
        seen = [one for one in chosen if one[1].database == "sqlite"]
        print(f"No PostgreSQL answers: {len(chosen) - len(seen)} mutants that only it can notice are left out.")
        chosen = seen
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        copies: Queue[Copy] = Queue()
        for n in range(AT_ONCE):
            folder = Path(temporary).resolve() / str(n)
            folder.mkdir()
            copies.put(Copy(folder))
        try:
            return judge(chosen, copies, began)
        finally:
            while not copies.empty():
                copies.get().server.communicate()  # ends its input, and so the process


def judge(chosen: list[tuple[int, Mutant]], copies: "Queue[Copy]", began: float) -> int:
    """First all named tests on what the source says now, then each mutant."""

    def passes(database: str) -> bool:
        copy = copies.get()
        named = {address(test) for _, mutant in chosen if mutant.database == database for test in mutant.tests}
        code, said = copy.run_tests(sorted(named), database) if named else (0, "")
        copies.put(copy)
        if code:
            print(f"{said}\nA named test fails on {database} before anything is changed.")
        return code == 0

    def is_killed(one: tuple[int, Mutant]) -> bool:
        n, mutant = one
        copy, start = copies.get(), time.monotonic()
        try:
            is_noticed, how = copy.notices(mutant)
        finally:
            copies.put(copy)
        word = "killed  " if is_noticed else "SURVIVED"
        print(f"{n:4} {word} {time.monotonic() - start:5.1f} s  {mutant.name}  [{how}]", flush=True)
        return is_noticed

    with ThreadPoolExecutor(AT_ONCE) as pool:
        if not all(list(pool.map(passes, ("sqlite", "postgresql")))):
            return 1
        survived = [one for one, killed in zip(chosen, pool.map(is_killed, chosen), strict=True) if not killed]
    print(f"{len(chosen)} mutants, {len(survived)} survived, {time.monotonic() - began:.0f} seconds.")
    for n, mutant in survived:
        print(f"  --only {n}: {mutant.name}; named: {' '.join(mutant.tests)}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
