# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the inventory asks of the masters' databases, and what their facts say of them. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ..module_utils._central import listeners
from ..module_utils._central.asked import READDRESS, SET_ASIDE, Asked, Decision, Master, Step
from ..module_utils._central.cluster import has_ssl
from ..module_utils._central.database import CLUSTERED, FAILED, STANDALONE, Database
from ..module_utils._central.decide import decide
from ..module_utils._central.places import PLACES, RELAY, Place
from ..module_utils._common import names
from ..module_utils._common.remotes import with_port
from ._derived import required_tunnel_address, tunnel_address, tunnel_ip
from ._inventory import Inventory
from ._values import parse_address

RECOVER_FROM = "ovn_recover_from"
RELAYS = "ovn_southbound_relays"
KEYS = {
    "northbound": (names.CENTRAL_PEM, names.CENTRAL_PEM, names.CENTRAL_CA),
    "southbound": (names.CENTRAL_PEM, names.CENTRAL_PEM, names.SOUTHBOUND_CA),
}
FLAGS = {"private-key": "key", "certificate": "cert", "ca-cert": "ca-cert"}  # of ovsdb-server: of ovn-ctl(8)
COLUMNS = {"private-key": "private_key", "certificate": "certificate", "ca-cert": "ca_cert"}  # ovn-nb(5), SSL
CHASSIS_PORTS = (names.SOUTHBOUND_PORT, names.SOUTHBOUND_SWITCH_PORT)
SHORT = {"northbound": "nb", "southbound": "sb"}  # as ovn-ctl(8) calls them


class Central:
    """The masters' databases, as the inventory asks for them and as facts have them.

    :ivar limited: hosts that the play leaves out.
    """

    def __init__(self, inventory: Inventory, limited: Iterable[str] = ()) -> None:
        self._inventory = inventory
        self.masters = list(inventory.masters)
        self.tls, self.relays = inventory.tls, inventory.relays
        self.limited = frozenset(limited)
        self._facts = {host: inventory.facts(host).central_databases for host in inventory.hosts}

    @property
    def former(self) -> list[str]:
        """Other hosts that have databases of ours, or of which nobody knows it since the play leaves them out.

        Files that a removal has left, or another OVN, are none of ours: nobody runs them, and our drop-in is not there.
        """
        others = [host for host in self._inventory.hosts if host not in self.masters]
        return [host for host in others if host in self.limited or (self._has_databases(host) and self._is_used(host))]

    @property
    def _away(self) -> list[str]:
        """Other hosts that were not asked: not reached, or left out by the play."""
        others = [host for host in self._inventory.hosts if host not in self.masters]
        return [host for host in others if host in self.limited or self._facts[host] is None]

    def _elsewhere(self) -> list[str]:
        """Return addresses at which hosts look for the databases, and that no host has that was asked."""
        away = set(self._away)
        if not away:
            return []
        asked = [host for host in self._inventory.hosts if host not in away]
        found = {text for host in asked for text in self._inventory.facts(host).own.databases}
        known = {tunnel_ip(self._inventory, host) for host in asked}
        known |= {address for host in asked for address in self._inventory.facts(host).addresses}
        return sorted(text for text in found if parse_address(text) not in known)

    def _is_used(self, host: str) -> bool:
        found = self._facts[host] or {}
        runs = any((found.get(place.key) or {}).get("running") for place in PLACES)
        return runs or self._inventory.facts(host).own.central

    def _has_databases(self, host: str) -> bool:
        found = self._facts[host] or {}
        return any((found.get(place.key) or {}).get("model", "none") != "none" for place in PLACES)

    def retired(self) -> list[str]:
        """Return hosts that were masters, and have no database any more: what else they have of a master can go."""
        own = {host: self._inventory.facts(host).own for host in self._inventory.hosts if host not in self.masters}
        return [host for host, said in own.items() if said.central and not self._has_databases(host)]

    def bare(self) -> list[str]:
        """Return masters without the package for the databases: new ones, those where an earlier run has ended before
        it was installed, and those that have files of databases alone."""
        known = [host for host in self.masters if host not in self.limited and self._facts[host] is not None]
        return [host for host in known if not self._has_package(host)]

    def without_relay(self) -> list[str]:
        """Return masters whose relay is asked for, and has never been brought there: its schema comes with its unit.
        One that is merely down is started."""
        known = [host for host in self.masters if host not in self.limited and self._facts[host] is not None]
        states = {host: (self._facts[host] or {}).get(RELAY.key) or {} for host in known}
        is_there = {host: state.get("running") or state.get("package_schema") for host, state in states.items()}
        return [host for host in known if self.relays and not is_there[host]]

    def _has_package(self, host: str) -> bool:
        found = self._facts[host] or {}
        states = [found.get(place.key) or {} for place in PLACES]
        return any(state.get("package_schema") or state.get("running") for state in states)

    def _states(self, place: Place) -> Iterator[Database]:
        for found in map(self._facts.get, (*self.masters, *self.former)):
            if found:
                yield Database.from_dict(found.get(place.key) or {})

    def switching(self, finish: bool = False) -> bool:
        """Return whether chassis are on their way from tcp to ssl, or back: the Southbound servers still listen for the
        other protocol.

        :param finish: who was to go has gone: only those who still use it count.
        """
        return self._listens(self._other, names.SOUTHBOUND_PORT) and (not finish or bool(self.users()))

    def _no_switch(self) -> str:
        """Return why the protocol can't be changed; empty: it can, or is not: a port of relays has no spare one."""
        runs = any(state.running for state in self._states(RELAY))
        if not (self.relays or runs):
            return ""
        if not (self.switching() or self._listens(self._other, names.SOUTHBOUND_CENTRAL_PORT)):
            return ""
        before = f" and ovn_tls: {str(not self.tls).lower()}" if runs else ""
        return (
            f"ovn_tls can't change while there are relays: set {RELAYS}: false{before}, run ovn.kubernetes.site"
            f"{', change ovn_tls, run it again' if runs else ''}, and then set {RELAYS}: true"
        )

    def chassis_remotes(self, foreseen: bool = False) -> tuple[str, list[int]]:
        """Return by which protocol, tcp or ssl, and at which ports chassis find the Southbound servers, or relays.

        What the inventory asks for; but while these listen for the other protocol alone, that one: a play may
        leave out the steps of the masters, and chassis must not wait for them without the database.

        :param foreseen: the steps of the masters count as done, as check mode needs it.
        """
        if self.awaits_masters() and not foreseen:
            return self._other, self._ports(self._other)
        return self._protocol, list(CHASSIS_PORTS if self.switching() else CHASSIS_PORTS[:1])

    def awaits_masters(self) -> bool:
        """Return whether the Southbound servers listen for chassis by the protocol of before alone."""
        return bool(self._ports(self._other)) and not self._ports(self._protocol)

    def has_switched(self) -> bool:
        """Return whether it is known that chassis have the protocol that the inventory asks for: the Southbound servers
        listen for them by that one alone."""
        return bool(self._ports(self._protocol)) and not self._ports(self._other)

    @property
    def _protocol(self) -> str:
        return "ssl" if self.tls else "tcp"

    @property
    def _other(self) -> str:
        return "tcp" if self.tls else "ssl"

    def _ports(self, protocol: str) -> list[int]:
        """Return at which of the chassis' ports somebody listens by a protocol."""
        return [port for port in CHASSIS_PORTS if self._listens(protocol, port)]

    def _listens(self, protocol: str, port: int) -> bool:
        """Return whether a Southbound server that runs, or a relay, listens at a port by a protocol."""
        states = [state for place in (PLACES[1], RELAY) for state in self._states(place) if state.running]
        found = {one.target for state in states for one in state.listeners or ()}
        found |= {one.partition("=")[2] for state in states for one in state.arguments if one.startswith("--remote=")}
        return [f"p{protocol}", str(port)] in [target.split(":")[:2] for target in found]

    def cut_off(self) -> list[str]:
        """Return hosts whose daemons are not connected to the databases, although these have a leader: they may have
        been left with what they know of a cluster that was made anew."""
        if not any(state.has_leader for state in self._states(PLACES[1])):
            return []
        return [host for host in self._inventory.hosts if self._inventory.facts(host).own.cut_off]

    def users(self) -> list[str]:
        """Return who is connected to the port that chassis use, by their tunnel addresses: hosts, else addresses."""
        found = {
            address
            for state in self._states(PLACES[1])
            for address in state.users.get(str(names.SOUTHBOUND_PORT), ())
            if not address.startswith("127.")
        }
        hosts = {tunnel_address(self._inventory, host): host for host in self._inventory.hosts}
        return sorted(hosts.get(address, address) for address in found)

    def asked(self, finish: bool = False) -> Asked:
        """Return what is asked of the masters."""
        versions = {tunnel.version for tunnel in (tunnel_ip(self._inventory, one) for one in self.masters) if tunnel}
        with_keys = {place.key: _arguments(place, True) for place in PLACES}
        return Asked(
            tuple(self._master(host) for host in self.masters),
            tuple(self._master(host) for host in self.former),
            self._protocol,
            arguments=with_keys if self.tls else {place.key: _arguments(place, False) for place in PLACES},
            ssl_arguments=with_keys,
            listeners=listeners.wanted(
                len(self.masters),
                len(self._inventory.hosts),
                self.tls,
                6 if 6 in versions else 4,
                self.switching(finish),
                self.relays,
            ),
            limited=tuple(sorted(self.limited)),
            away=tuple(self._away),
            elsewhere=tuple(self._elsewhere()),
        )

    def _master(self, host: str) -> Master:
        return Master(host, tunnel_address(self._inventory, host))

    def decide(self, finish: bool = False) -> Decision:
        """Return the next steps, or why there are none.

        :param finish: what hosts were to leave may be closed, see :meth:`switching`.
        """
        if self.limited.issuperset(self.masters):
            return Decision()  # a run for other hosts alone
        refusal = self._no_switch()
        if refusal:
            return Decision((), (refusal,))
        asked = self.asked(finish)
        hosts = [one.host for one in (*asked.masters, *asked.former)]
        return decide(asked, {host: self._facts[host] for host in hosts})

    def recovery(self, host: str) -> Decision:
        """Return the steps that make new clusters from the last state of a master, where the majority is lost."""
        refusal = self._no_recovery(host)
        if refusal:
            return Decision((), (refusal,))
        asked = self.asked()
        steps: list[Step] = []
        refusals = []
        for place in PLACES:
            states = {
                one: Database.from_dict(found.get(place.key) or {}) for one, found in self._facts.items() if found
            }
            if any(state.has_leader for state in states.values()):
                continue
            own = states.get(host, Database())
            later = [one for one, state in states.items() if own.is_behind(state)]
            if own.model != CLUSTERED:
                refusals.append(
                    f"{host} has no clustered {place.database}, whose last state it is to give: name another master"
                )
            elif own.status == FAILED and not own.running:
                refusals.append(
                    f"the file of {place.database} on {host} has a gap, since its disk was full for a while, and it"
                    " lacks changes: name another master, or put the file of one in its place"
                )
            elif later:
                text = _later(states[later[0]], own)
                refusals.append(
                    f"{later[0]} has a later state of {place.database} than {host} ({text}): give -e "
                    f"{RECOVER_FROM}={later[0]}"
                )
            others = [one for one, state in states.items() if one != host and state.model != "none"]
            steps += [Step(one, place.key, SET_ASIDE) for one in others]
            address = asked.raft_address(asked.master(host), place)
            steps.append(Step(host, place.key, READDRESS, address, timer=asked.timer))
        if not steps and not refusals:
            refusals = ["both databases have a leader, and there is nothing to recover: run ovn.kubernetes.site"]
        return Decision((), tuple(refusals)) if refusals else Decision(tuple(steps))

    def _no_recovery(self, host: str) -> str:
        """Return why nothing can be recovered; empty: it can."""
        if not host:
            return f"say from whose last state the databases are made anew: -e {RECOVER_FROM}=MASTER"
        if host not in self.masters:
            return f"{RECOVER_FROM} names {host}, which is not in ovn_masters: name one of {', '.join(self.masters)}"
        if self.limited:
            return (
                f"--limit leaves out {', '.join(sorted(self.limited))}: new clusters need all hosts; leave --limit out"
            )
        return "" if self._facts[host] else f"{RECOVER_FROM} names {host}, which was not reached: name another master"

    def _is_standalone(self, host: str, place: Place) -> bool:
        return ((self._facts[host] or {}).get(place.key) or {}).get("model") == STANDALONE

    def options(self, host: str, database: str = "") -> str:
        """Return the options of ovn-ctl(8) for a master, with a space before each.

        With a RAFT address and, in the place of the member that is joined, the same one, ovn-ctl never makes a
        database: where there is no file ovsdb-tool refuses to join a member to itself, and the server does not start.
        So a master whose disk was wiped waits for the next run, and makes no second cluster.

        But ovn-ctl removes a standalone database where it has the options of a cluster (``join_cluster`` of ovs-lib),
        and both databases have one file of options. So one that is standalone still has those of before, until it is
        made a cluster.

        :param database: key of the database whose server is about to be started with the options: of a cluster from now
            on, whatever the facts say.
        """
        said: list[str] = []
        protocol = self._protocol
        address = self._address(host)
        local = f"[{address}]" if ":" in address else address
        for place in PLACES:
            key = SHORT[place.key]
            if place.key != database and self._is_standalone(host, place):
                if place.database == names.SOUTHBOUND:
                    said += ["--db-sb-create-insecure-remote=yes", *(["--db-sb-addr=[::]"] if ":" in address else [])]
                continue
            for end in ("local", "remote"):
                said += [f"--db-{key}-cluster-{end}-addr={local}", f"--db-{key}-cluster-{end}-proto={protocol}"]
            if self.tls or any(map(has_ssl, self._states(place))):
                said += _files(f"ovn-{key}-db", KEYS[place.key])
        if len(self.masters) > 1:
            said += [
                f"--ovn-northd-nb-db={self._remotes(protocol, names.NORTHBOUND_PORT)}",
                f"--ovn-northd-sb-db={self._remotes(protocol, names.SOUTHBOUND_CENTRAL_PORT)}",
            ]
            if self.tls:
                said += _files("ovn-northd", KEYS["northbound"])
        return "".join(f" {option}" for option in said)

    def relay_options(self) -> str:
        """Return the arguments of a relay's ovsdb-server that the inventory decides; empty: there are no relays.

        All members are its sources, by the port that has no role: with TLS it knows itself as a master.
        """
        if not self.relays:
            return ""
        paths = zip(FLAGS, KEYS["southbound"]) if self.tls else ()
        said = [f"--{flag}={path}" for flag, path in paths]
        source = self._remotes("ssl" if self.tls else "tcp", names.SOUTHBOUND_CENTRAL_PORT)
        return " ".join([*said, f"relay:{names.SOUTHBOUND}:{source}"])

    def _remotes(self, protocol: str, port: int) -> str:
        return ",".join(f"{protocol}:{with_port(self._address(master), port)}" for master in self.masters)

    def _address(self, master: str) -> str:
        """Return a master's tunnel address; :raises InventoryError: it is not known."""
        return required_tunnel_address(self._inventory, master, "it is where the masters find each other")


def _later(state: Database, than: Database) -> str:
    """Return what makes a state later than another one."""
    if state.last_term and than.last_term:
        return (
            f"the last entry of its log is {state.last} of term {state.last_term}, and not {than.last} of term "
            f"{than.last_term}"
        )
    return (
        f"entry {state.last} of its log, not {than.last}; of which terms they are is not known, and an entry of a "
        "later term counts more: look at the logs with ovsdb-tool show-log"
    )


def _files(program: str, paths: tuple[str, str, str]) -> list[str]:
    return [f"--{program}-ssl-{name}={path}" for name, path in zip(FLAGS.values(), paths)]


def _arguments(place: Place, keys: bool) -> tuple[str, ...]:
    """Return those arguments that ovn-ctl(8) starts a clustered server with, and that matter to us."""
    paths: Mapping[str, str] = dict(zip(FLAGS, KEYS[place.key]))
    if not keys:
        paths = {flag: f"db:{place.database},SSL,{COLUMNS[flag]}" for flag in FLAGS}
    return tuple(sorted(f"--{flag}={path}" for flag, path in paths.items()))


def as_facts(central: Central, decision: Decision, finish: bool = False) -> dict[str, t.Any]:
    """Return a decision for the play."""
    return {
        "steps": [step.as_dict() for step in decision.steps],
        "refusals": list(decision.refusals),
        "retired": central.retired(),
        "bare": central.bare(),
        "without_relay": central.without_relay(),
        "former": [host for host in central.former if host not in central.limited],
        "switching": central.switching(finish),
        "awaits_masters": central.awaits_masters(),
        "users": central.users() if central.switching() else [],
        "cut_off": central.cut_off(),
        "relay": central.relay_options(),
    }
