# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the variables of certificates, and with the authorities on the controller. Private to the
collection."""

from __future__ import annotations

from ..module_utils._common.names import OVN_SYSCONFIG
from ._authorities import CA_DAYS, DAYS, ROLES, ROTATE, Wrong, authorities, folder, sentence, variable
from ._certificates import LONGEST_NAME
from ._errors import InventoryError, show
from ._inventory import Inventory
from ._new_authorities import refusal
from ._report import Report
from ._variables import VARIABLES

USER, ROOT = "openvswitch", ("root", "0")  # of OVN's packages for EL, which write it into OVN_SYSCONFIG
MOST = 36500  # days; a century


def add_certificate_problems(inventory: Inventory, report: Report, make_authorities: bool) -> None:
    """Add what is wrong with certificates; without TLS only a rotation, which nothing would do.

    :param make_authorities: missing authorities are about to be made, and where they can't be, that is wrong.
    """
    if not inventory.tls:
        if inventory.valid_value(inventory.hosts[0], ROTATE):
            report.add(
                (),
                f"{ROTATE} has no effect while ovn_tls is false, since no host has certificates: leave it out, or set "
                "ovn_tls to true",
            )
        return
    _add_days(inventory, report)
    _add_names(inventory, report)
    _add_users(inventory, report)
    _add_rotation(inventory, report)
    try:
        found = authorities(inventory)
        missing = [role for role in ROLES if not found[role].certificates]
        text = refusal(inventory, missing, folder(inventory)) if missing and make_authorities else ""
        if text:
            report.add((), text)
    except Wrong as wrong:
        report.add(inventory.hosts_with(wrong.variable), sentence(inventory, wrong))
    except InventoryError as error:
        report.add_unreadable((), error)


def _add_days(inventory: Inventory, report: Report) -> None:
    values = {}
    for name in (DAYS, CA_DAYS):
        value = inventory.valid_cluster_value(name)
        values[name] = VARIABLES[name].default if value is None else value
        if not 1 <= values[name] <= MOST:
            report.add(inventory.hosts_with(name), f"{name} {values[name]} must be a number of days from 1 to {MOST}")
            return
    if values[DAYS] > values[CA_DAYS]:
        report.add(
            inventory.hosts_with(DAYS),
            f"{DAYS} {values[DAYS]} is more than {CA_DAYS} {values[CA_DAYS]}, and no certificate outlives its CA: give "
            "fewer",
        )


def _add_names(inventory: Inventory, report: Report) -> None:
    """Add masters whose names don't fit into a certificate, and hosts whose system-id does not."""
    for host in inventory.named:
        try:
            node = inventory.node_name(host) if host in inventory.masters else ""
        except InventoryError:
            continue  # said elsewhere
        for what, text in (("ovn_node_name", node), ("the system-id", inventory.facts(host).own.system_id)):
            if len(text) > LONGEST_NAME:
                report.add(
                    host,
                    f"{what} {show(text)} has {len(text)} characters, and the name in a certificate has at most "
                    f"{LONGEST_NAME} (RFC 5280): give the host a shorter one, or set ovn_tls to false",
                )


def _add_users(inventory: Inventory, report: Report) -> None:
    """Add hosts whose daemons could not read their keys: OVN's packages for EL run them as another user than root."""
    for host in inventory.hosts:
        facts = inventory.facts(host)
        user = facts.own.ovn_user or USER
        if facts.os_family == "RedHat" and user not in ROOT:
            report.add(
                host,
                f"OVN's daemons run as the user {show(user)} there, who can't read keys, which are root's: write "
                f'OVN_USER_ID="root:root" into {OVN_SYSCONFIG} and restart what runs of OVN, or set ovn_tls to false '
                "(EL9 is not tested)",
            )


def _add_rotation(inventory: Inventory, report: Report) -> None:
    given = inventory.valid_value(inventory.hosts[0], ROTATE) or ()
    for role in ROLES:
        name = variable(role, "certificate")
        if f"{role}_ca" in given and inventory.is_set(inventory.hosts[0], name):
            report.add(
                (),
                f"{ROTATE} names {role}_ca, which {name} gives: put the new CA's certificate before the old one there, "
                f"and its key into {variable(role, 'key')}",
            )
