# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""May one pod reach another, or an address? What the rows of the Northbound database say, at both ends.

Only rows are read: ports, groups, address sets, load balancers and ACLs, as they are enforced. So nothing has to be
known of Kubernetes' objects, and what an earlier or another program has left there counts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._common import addressing, names
from .._common.errors import DatabaseError, SettingsError
from .._ovsdb.rows import includes, is_uuid
from .._ovsdb.values import as_set, decode
from .match import Names, Packet
from .shared import GROUP_KIND
from .tiers import FROM_POD, TO_POD
from .verdict import ALLOWED, DENIED, UNCERTAIN, AclRow, Verdict, judge

if TYPE_CHECKING:
    from typing import Protocol

    class Database(Protocol):
        """A connection."""

        def transact(self, operations: Iterable[dict[str, Any]]) -> list[Any]:
            """Run one transaction."""


# RFC 1123: a namespace is a label, a pod's name a subdomain.
POD = re.compile(r"(?P<namespace>[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)/(?P<name>[a-z0-9][a-z0-9.-]{0,252})")
PORT = re.compile(r"(?P<port>[0-9]{1,5})(/(?P<protocol>tcp|udp|sctp))?", re.IGNORECASE)
MAXIMUM_ENDPOINTS = 10  # of a service that are explained
AT_ONCE = 200  # rows that one transaction reads
PORT_TABLE = "Logical_Switch_Port"


class Question(NamedTuple):
    """Who asks for whom.

    :ivar client: the pod that begins, ``namespace/name``.
    :ivar server: a pod, or an address.
    :ivar protocol: lower case.
    """

    client: str
    server: str
    port: int
    protocol: str

    @classmethod
    def parse(cls, client: str, server: str, port: str) -> Question:
        """Read it. :raises SettingsError: a part is not as it should be."""
        if not POD.fullmatch(client):
            raise SettingsError("the first pod is none: write it as NAMESPACE/NAME")
        address = None if POD.fullmatch(server) else addressing.unicast(server)
        if address is None and not POD.fullmatch(server):
            raise SettingsError("the second one is neither a pod, NAMESPACE/NAME, nor an address")
        found = PORT.fullmatch(port)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise SettingsError("the port is none: write a number from 1 to 65535, and after / tcp, udp or sctp")
        return cls(client, address or server, int(found["port"]), (found["protocol"] or "tcp").lower())


class Place(NamedTuple):
    """A pod's port, and its switch.

    :ivar groups: names of its groups.
    :ivar acls: UUIDs of the ACLs of its switch. Those of a group are of each switch that has one of the group's ports.
    """

    key: str
    port: str
    switch: str
    mac: str
    addresses: Mapping[int, str]
    groups: frozenset[str]
    acls: tuple[str, ...]


class Way(NamedTuple):
    """One packet from the client to one server, and what both ends say.

    :ivar server: None: it is no pod, and only the client's end is ours.
    :ivar service: the load balancer that has chosen this server; empty: none.
    :ivar sent_to: address and port that the client sends to.
    """

    version: int
    client: Place
    server: Place | None
    service: str
    sent_to: tuple[str, int]
    source: str
    destination: str
    port: int
    protocol: str
    egress: Verdict
    ingress: Verdict | None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the ends say."""
        return (self.egress,) if self.ingress is None else (self.egress, self.ingress)

    @property
    def verdict(self) -> str:
        """ALLOWED where no end denies it."""
        said = {one.verdict for one in self.verdicts}
        return DENIED if DENIED in said else UNCERTAIN if UNCERTAIN in said else ALLOWED


class Explainer:
    """Reads what a question needs.

    :param database: OVN_Northbound.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sets: dict[str, list[str] | None] = {}

    def ways(self, question: Question) -> list[Way]:
        """Return the ways from the client to the server, of each IP version that both have, or each endpoint.

        :raises DatabaseError: a pod has no port, or nothing is there to go to.
        """
        client = self._pod(question.client)
        if POD.fullmatch(question.server):
            server = self._pod(question.server)
            versions = [one for one in (4, 6) if one in client.addresses and one in server.addresses]
            if not versions:
                raise DatabaseError(f"pods {client.key} and {server.key} have no addresses of one IP version")
            return [self._way(question, client, server, server.addresses[one], question.port, "") for one in versions]
        version = addressing.family(question.server)
        if version not in client.addresses:
            raise DatabaseError(f"pod {client.key} has no IPv{version} address")
        pods = self._pods_by_address()
        service, endpoints = self._service(question)
        if service and not endpoints:
            raise DatabaseError(f"{service} has no endpoint for port {question.port}: connections are refused")
        targets = endpoints[:MAXIMUM_ENDPOINTS] if service else [(question.server, question.port)]
        found = []
        for address, port in targets:
            key = pods.get(address)
            place = self._pod(key) if key else None
            found.append(self._way(question, client, place, address, port, service))
        return found

    def _way(
        self, question: Question, client: Place, server: Place | None, address: str, port: int, service: str
    ) -> Way:
        version = addressing.family(address)
        source = client.addresses[version]
        sent_to = (question.server, question.port) if service else (address, port)
        sent = Packet(client.port, None, version, source, sent_to[0], question.protocol, sent_to[1])
        balanced = sent._replace(destination=address, port=port)
        acls = self._acls(client.acls)
        # What both ends' groups say of both ports, since a rule of one switch may name the other's.
        ports = {one.port: one.groups for one in (client, server) if one is not None}
        known = Names(lambda group, name: group in ports.get(name, ()), self._members)
        egress = judge(acls, [(False, sent), (True, balanced)], FROM_POD, known)
        ingress = None
        if server is not None:
            is_near = server.switch == client.switch
            inport = client.port if is_near else names.switch_to_router(server.switch)
            packet = balanced._replace(inport=inport, outport=server.port)
            ingress = judge(self._acls(server.acls), [(True, packet)], TO_POD, known)
        protocol = question.protocol
        return Way(version, client, server, service, sent_to, source, address, port, protocol, egress, ingress)

    # Reads.

    def _select(self, table: str, *wheres: Sequence[Any], columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """Yield the rows for each of several conditions, with all columns unless some are named."""
        more = {"columns": ["_uuid", *columns]} if columns else {}
        for first in range(0, len(wheres), AT_ONCE):
            some = wheres[first : first + AT_ONCE]
            sent = [{"op": "select", "table": table, "where": [list(one)] if one else [], **more} for one in some]
            for result in self._database.transact(sent):
                for row in result["rows"]:
                    yield {column: decode(value) for column, value in row.items()}

    def _pod(self, key: str) -> Place:
        port = names.pod_port(*key.split("/"))
        row = next(self._select(PORT_TABLE, ("name", "==", port), columns=("addresses", "external_ids")), None)
        if row is None:
            raise DatabaseError(
                f"pod {key} has no port: there is no such pod, it has ended, or it is on its host's network"
            )
        mine = _has_port(row["_uuid"])
        switches = list(self._select("Logical_Switch", mine, columns=("name", "acls", "ports")))
        groups = list(self._select("Port_Group", mine, columns=("name", "acls")))
        others = self._groups_of_others(switches, {one["name"] for one in groups})
        words = " ".join(as_set(row["addresses"])).split()
        if not switches or not words:
            raise DatabaseError(f"the port of pod {key} has no switch or no address yet")
        acls = dict.fromkeys(uuid for one in (*switches, *groups, *others) for uuid in as_set(one["acls"]))
        addresses = {addressing.family(one): one for one in words[1:]}
        in_groups = frozenset(one["name"] for one in groups)
        return Place(key, port, switches[0]["name"], words[0], addresses, in_groups, tuple(acls))

    def _groups_of_others(self, switches: Iterable[dict[str, Any]], known: set[str]) -> list[dict[str, Any]]:
        """Return the groups of other ports of a switch, but those of policies: their ACLs name their own ports."""
        ports = [_has_port(uuid) for switch in switches for uuid in as_set(switch["ports"])]
        found = {}
        for row in self._select("Port_Group", *ports, columns=("name", "acls", "external_ids")) if ports else ():
            if row["name"] not in known and row["external_ids"].get(names.OWNER_TYPE) != GROUP_KIND:
                found[row["name"]] = row
        return list(found.values())

    def _acls(self, uuids: Sequence[str]) -> list[AclRow]:
        rows = self._select("ACL", *(is_uuid(one) for one in uuids))
        return [AclRow.from_columns(row["_uuid"], row) for row in rows]

    def _members(self, name: str) -> list[str] | None:
        if name not in self._sets:
            row = next(self._select("Address_Set", ("name", "==", name), columns=("addresses",)), None)
            self._sets[name] = None if row is None else list(as_set(row["addresses"]))
        return self._sets[name]

    def _pods_by_address(self) -> dict[str, str]:
        """Return the pods of all addresses: the database has no index of them."""
        found = {}
        where = includes("external_ids", {names.POD_MARK: "true"})
        for row in self._select(PORT_TABLE, where, columns=("name", "addresses")):
            key = row["name"].replace("_", "/", 1)
            if POD.fullmatch(key):
                found.update(dict.fromkeys(" ".join(as_set(row["addresses"])).split()[1:], key))
        return found

    def _service(self, question: Question) -> tuple[str, list[tuple[str, int]]]:
        """Return the load balancer of an address and port, and its endpoints; an empty name: there is none."""
        host = f"[{question.server}]" if ":" in question.server else question.server
        vip = f"{host}:{question.port}"
        columns = ("name", "protocol", "vips", "external_ids")
        for row in self._select("Load_Balancer", (), columns=columns):
            protocol = as_set(row["protocol"]) or ("tcp",)
            if vip in row["vips"] and protocol[0] == question.protocol:
                owner = row["external_ids"].get(names.OWNER_NAME)
                endpoints = [_endpoint(one) for one in row["vips"][vip].split(",") if one and one[0] != "^"]
                return f"Service {owner}" if owner else f"load balancer {row['name']}", endpoints
        return "", []


def _has_port(uuid: str) -> tuple[str, str, Any]:
    """Return the condition that a switch or a group has a port."""
    return "ports", "includes", ["set", [["uuid", uuid]]]


def _endpoint(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def snippet(way: Way, verdict: Verdict) -> tuple[str, str]:
    """Return where a rule has to be added so that an end lets a packet through, and the rule as YAML.

    :returns: two empty texts where more rules of NetworkPolicies do not help.
    """
    if not verdict.is_isolation:
        return "", ""
    is_egress = verdict.direction == "egress"
    place, other = (way.client, way.server) if is_egress else (way.server, way.client)
    field = "to" if is_egress else "from"
    namespace, name = (place or way.client).key.split("/")
    policy = verdict.by[0].name
    if other is None:
        width = 32 if way.version == 4 else 128
        peer = [f"    - ipBlock: {{cidr: {way.destination}/{width}}}"]
    else:
        other_namespace, other_name = other.key.split("/")
        peer = [
            f"    - namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {other_namespace}}}}}",
            f"      podSelector: {{}}  # all pods there; the labels of {other_name} select fewer",
        ]
    lines = [
        f"{verdict.direction}:",
        f"  - {field}:",
        *peer,
        "    ports:",
        f"    - {{protocol: {way.protocol.upper()}, port: {way.port}}}",
    ]
    return f"spec of NetworkPolicy {policy}, or another one of namespace {namespace} that selects {name}", "\n".join(
        lines
    )
