# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the play that issues certificates does: the decision of :mod:`._certificates` for the hosts of an inventory.
Private to the collection."""

from __future__ import annotations

import os
import secrets
import time
import typing as t
from collections.abc import Collection, Mapping

from ..module_utils._central.places import RELAY
from . import _certificates as policy
from . import _identities
from ._authorities import (
    CENTRAL,
    CHASSIS,
    DAYS,
    FOLDER,
    ROLES,
    Authority,
    Wrong,
    authorities,
    folder,
    new_key,
    number,
    old_key,
    rotations,
    sentence,
)
from ._central import Central
from ._certificate_problems import kept, no_key, problems
from ._derived import tunnel_address
from ._errors import InventoryError, show_path
from ._inventory import Inventory
from ._new_authorities import refusal
from ._report import names_of
from ._x509 import readable_all

Plan = dict[str, t.Any]
WAITING = (
    "no certificate of a chassis is issued, since no master's Northbound database could be read, which has on record "
    "whose a system-id is; run the site play again when they run"
)
NOT_HERE = (
    "ovn_tls_rotate is given to ovn.kubernetes.authority, which only makes CAs that are missing, and asks no host whom "
    "it trusts: leave it out, or give it to ovn.kubernetes.site, which replaces keys and CAs"
)
CUT_OFF = (
    "without a certificate they would lose the Southbound database when the masters change to ssl, and none can be "
    "issued, since no master's Northbound database could be read, which has on record whose a system-id is: start its "
    "server, or wait until it answers, and run the site play again; where only the play can start it, run that once "
    "with ovn_tls: false before"
)


def cluster(
    inventory: Inventory, identities: Mapping[str, str], written: Collection[str], rotated: Collection[str]
) -> policy.Cluster:
    """Return the hosts of an inventory, and the authorities.

    :param identities: host to its system-id, where it got one since its facts were gathered.
    :raises Wrong: an authority can't be used.
    :raises InventoryError: a variable can't be read.
    """
    hosts = tuple(_host(inventory, host, identities.get(host, "")) for host in inventory.hosts)
    return policy.Cluster(
        hosts, authorities(inventory), time.time(), number(inventory, DAYS), frozenset(written), frozenset(rotated)
    )


def _host(inventory: Inventory, host: str, identity: str) -> policy.Host:
    own = inventory.facts(host).own
    node = inventory.node_name(host) if host in inventory.named else ""
    alternative = frozenset(filter(None, [tunnel_address(inventory, host), node]))
    return policy.Host(
        host,
        host in inventory.masters,
        identity or own.system_id,
        node,
        alternative,
        own.certificates if node else None,
    )


def plan(
    inventory: Inventory,
    written: Collection[str] = (),
    identities: Mapping[str, str] | None = None,
    only_authorities: bool = False,
) -> Plan:
    """Return what is to be done: ``problems``, sentences; ``make``, authorities; ``files``, host to those that differ;
    ``issue``, host to certificates; ``kept``, sentences; ``stops``, sentences that end the play when these are issued;
    ``leaving``, files without older authorities; ``dropped``, host to its databases, and relay, whose connections are
    ended; and ``needed``, whether there is anything.

    :param written: hosts that trust all that they are to trust since this run has written it.
    :param identities: hosts that got a system-id since their facts were gathered: nothing is done but for them.
    :param only_authorities: no host has to be asked.
    :raises InventoryError: a variable can't be read.
    """
    if not inventory.hosts or not (only_authorities or inventory.tls):
        return _done({})
    if only_authorities and rotations(inventory):
        return _done({"problems": [NOT_HERE]})
    late = identities is not None
    rotated = frozenset[str]() if late else rotations(inventory)
    try:
        found = cluster(inventory, identities or {}, written, rotated)
    except Wrong as wrong:
        return _done({"problems": [sentence(inventory, wrong)]})
    where = folder(inventory)
    if only_authorities:
        stops = _without_keys(found, where)
    else:
        stops = [*_not_theirs(inventory, identities), *problems(found, where), *_closed(found, where)]
    make = [] if late else _to_make(found, where)
    if make and not stops:
        stops = _refusals(inventory, found, make, where, only_authorities)
    if stops or only_authorities:
        return _done({"problems": stops, "make": [] if stops else make})
    if make:
        return _done({"make": make})  # everything else follows from them
    chosen = [host for host in found.hosts if host.name in identities] if identities is not None else found.hosts
    issue: dict[str, list[Plan]] = {}
    waiting: list[policy.Host] = []
    unknown = _identities.record(inventory) is None
    for one in policy.wanted(found, chosen):
        if unknown and one.role == CHASSIS:
            waiting.append(one.host)
        else:
            issue.setdefault(one.host.name, []).append(policy.order(found, one))
    cut_off = [] if late else _cut_off(inventory, found, waiting)
    unsure = [f"{names_of(host.name for host in waiting)}: {WAITING}"] if waiting and not cut_off else []
    if late:
        return _done({"issue": issue, "kept": unsure}, waits=bool(waiting))
    files = {host.name: policy.changed_files(found, host) for host in found.hosts if host.found is not None}
    return _done(
        {
            "files": {host: some for host, some in files.items() if some and host not in found.written},
            "issue": issue,
            "kept": [*unsure, *kept(found)],
            "stops": cut_off,
            "leaving": _to_write(found, where),
            "dropped": {
                host.name: [*some, *_relay(inventory, host.name)]
                for host in found.hosts
                if (some := policy.dropping(found, host))
            },
        },
        waits=bool(waiting),
    )


def _cut_off(inventory: Inventory, found: policy.Cluster, waiting: Collection[policy.Host]) -> list[str]:
    """Return why the masters must not change to ssl now: hosts that use a Southbound database, and may do so by tcp,
    would have no certificate for it."""
    own = {host.name: inventory.facts(host.name).own for host in waiting if policy.fault(found, host, CHASSIS)}
    hosts = [name for name, said in own.items() if said.node or said.southbound_before]
    return [f"{names_of(hosts)}: {CUT_OFF}"] if hosts and not Central(inventory).has_switched() else []


def _relay(inventory: Inventory, host: str) -> list[str]:
    """Return the relay of the Southbound database, where one runs: it knows chassis by the same files."""
    state = (inventory.facts(host).central_databases or {}).get(RELAY.key) or {}
    return [RELAY.key] if state.get("running") else []


def _not_theirs(inventory: Inventory, identities: Mapping[str, str] | None) -> list[str]:
    """Return sentences about hosts with a system-id that is another host's."""
    claimed = _identities.claims(inventory, identities)
    found = _identities.problems(inventory, claimed, _identities.record(inventory) or {})
    return [f"{host}: {text}" for host, text in found]


def _done(values: Plan, waits: bool = False) -> Plan:
    lists: Plan = {name: [] for name in ("problems", "make", "kept", "stops", "leaving")}
    empty: Plan = {**lists, "files": {}, "issue": {}, "dropped": {}}
    needed = waits or any(values.get(name) for name in empty if name not in ("kept", "dropped"))
    return {**empty, **values, "needed": needed}


def _without_keys(found: policy.Cluster, where: str) -> list[str]:
    """Return sentences about authorities of the folder whose keys are not in it."""
    halves = [role for role, one in found.authorities.items() if one.of_folder and one.certificates and not one.signers]
    return [no_key(role, where) for role in halves]


def _closed(found: policy.Cluster, where: str) -> list[str]:
    """Return why older authorities can't leave the folder; nothing where none is to leave it."""
    files = _to_write(found, where)
    if not files or os.access(where, os.W_OK | os.X_OK):
        return []
    roles = [role for role in ROLES if role in policy.leaving(found)]
    return [
        f"{FOLDER} {show_path(where)} can't be written by the user of this run, and the older {' and '.join(roles)} CA "
        f"is to leave it, since no host needs it any more ({', '.join(one['path'] for one in files)} has it, and the "
        "key beside it that ends in .old): run it as the owner of that folder, or make it writable"
    ]


def _to_make(found: policy.Cluster, where: str) -> list[Plan]:
    return [
        _made(found, role, authority, where)
        for role, authority in ((role, found.authorities[role]) for role in ROLES)
        if not authority.certificates or found.is_replaced(role)
    ]


def _made(found: policy.Cluster, role: str, authority: Authority, where: str) -> Plan:
    path = os.path.join(where, f"{role}-ca.key")
    return {
        "role": role,
        "name": f"ovn.kubernetes {role} CA {secrets.token_hex(4)}",  # no two alike: hosts may trust both
        "certificate": os.path.join(where, f"{role}-ca.crt"),
        "key": path,
        "new_key": new_key(path),
        "first": not authority.certificates,
        "old_key": old_key(path) if authority.signers else "",
        "older": authority.pem or "".join(trusted(found, role)),
    }


def trusted(found: policy.Cluster, role: str) -> list[str]:
    """Return the authorities of a role that masters trust, where the controller has lost them. What another host says
    that it trusts does not count: a CA of its own would be everybody's."""
    bundles: dict[str, dict[str, str]] = {"central_ca": {}, "southbound_ca": {}}
    for host in found.hosts:
        for name, some in bundles.items() if host.master else ():
            ours = readable_all(str((host.found or {}).get(name) or ""))
            some.update({one.fingerprint: one.pem for one in ours})
    central = bundles["central_ca"]
    if role == CENTRAL:
        return list(central.values())
    return [pem for fingerprint, pem in bundles["southbound_ca"].items() if fingerprint not in central]


def _refusals(
    inventory: Inventory, found: policy.Cluster, make: list[Plan], where: str, only_authorities: bool
) -> list[str]:
    """Return why no authority is made now."""
    roles = [one["role"] for one in make]
    replaced = [role for role in roles if found.authorities[role].certificates]
    text = refusal(inventory, roles, where, replaced)
    if text:
        return [text]
    unknown = [host.name for host in found.hosts if host.master and host.found is None]
    if unknown and not only_authorities:
        missing = [role for role in roles if role not in replaced]
        text = (
            f"there is no {' and '.join(missing)} CA in {where}, and {names_of(unknown)} can't be asked whether there "
            "is one already"
            if missing
            else f"the {' and '.join(roles)} CA can't be replaced while {names_of(unknown)} can't be asked"
        )
        return [f"{text}: run the site play when all masters can be reached"]
    return []


def _to_write(found: policy.Cluster, where: str) -> list[Plan]:
    """Return the files of the folder that lose older authorities."""
    return [
        {
            "path": os.path.join(where, f"{role}-ca.crt"),
            "content": text,
            "old_key": old_key(os.path.join(where, f"{role}-ca.key")),
        }
        for role, text in policy.leaving(found).items()
        if found.authorities[role].of_folder
    ]


def authority_keys(inventory: Inventory) -> dict[str, str]:
    """Return the certificate of each authority whose key is text to that text.

    :raises InventoryError: one can't be used.
    """
    try:
        found = authorities(inventory)
    except Wrong as wrong:
        raise InventoryError(sentence(inventory, wrong)) from None
    return {one.certificate.pem: one.key for role in ROLES for one in found[role].signers if one.key}
