# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-util policy explain``: whether a pod may reach another one, or an address, and which rule says so.

It runs on a master, where both databases are.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from .._common import names
from .._common.errors import OvnKubernetesError
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._policies import trace
from .._policies.explain import MAXIMUM_ENDPOINTS, Explainer, Question, snippet
from .._policies.verdict import ALLOWED, DENIED, EGRESS, UNCERTAIN
from .result import DONE, FAILED

if TYPE_CHECKING:
    import argparse

    from .._ovsdb.access import Access
    from .._policies.explain import Way

ABOUT = "Say whether a pod may reach a pod, or an address, and which rule of which policy decides, at both ends."
EXAMPLES = """examples:
  ovn-k8s-util policy explain shop/web db/mysql-0 3306    may pod web of shop reach pod mysql-0 of db by TCP
  ovn-k8s-util policy explain shop/web 10.96.0.10 53/udp  by a service's address: each of its endpoints is judged
  ovn-k8s-util policy explain shop/web 198.51.100.7 443   an address outside: only what the pod may send is judged

Exit status: 0 it passes; 1 failed, with one sentence; 2 wrong usage; 3 it is denied, in one IP version or at one
endpoint at least; 4 it can't be told, or ovn-trace says something else than the rows.
"""
UNDECIDED, REFUSED = 4, 3
TRACE_TIME = 60  # seconds for ovn-trace, which reads the whole Southbound database
WORDS = {ALLOWED: "passes", DENIED: "DENIED", UNCERTAIN: "UNCERTAIN"}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    command.add_argument("client", metavar="POD", help="the pod that begins, NAMESPACE/NAME")
    command.add_argument("server", metavar="POD|ADDRESS", help="whom it wants to reach")
    command.add_argument("port", metavar="PORT[/PROTOCOL]", help="of tcp (the default), udp or sctp")
    command.add_argument("--json", action="store_true", help="for programs")
    command.add_argument("--northbound", help="where the Northbound database is (default: as this master finds it)")
    command.add_argument("--southbound", help="where the Southbound database is (default: as this master finds it)")
    command.add_argument("--no-trace", action="store_true", help="don't ask ovn-trace")


def explain(options: argparse.Namespace) -> int:
    """Do it; return the exit status."""
    try:
        question = Question.parse(options.client, options.server, options.port)
        north = access.northbound(options.northbound)
        database = Connection(north.remote, names.NORTHBOUND, tls=north.tls)
        try:
            ways = Explainer(database).ways(question)
            macs = {way.client.switch: _router_mac(database, way) for way in ways}
        finally:
            database.close()
        south = None if options.no_trace else access.southbound(options.southbound)
        said = [_with_trace(way, macs[way.client.switch], south) for way in ways]
    except (OvnKubernetesError, OSError) as exc:
        sys.stderr.write(f"ovn-k8s-util policy explain: {exc}\n")
        return FAILED
    answer = _answer(question, said)
    sys.stdout.write(json.dumps(answer, indent=2) + "\n" if options.json else "\n".join(_lines(answer)) + "\n")
    if answer["verdict"] == UNCERTAIN or any(way["trace"].get("differs") for way in answer["ways"]):
        return UNDECIDED
    return REFUSED if answer["verdict"] == DENIED else DONE


def _router_mac(database: Connection, way: Way) -> str:
    """Return the MAC of the router at the client's switch; empty: there is none."""
    where = [["name", "==", trace.router_port(way)]]
    select = {"op": "select", "table": "Logical_Router_Port", "where": where, "columns": ["mac"]}
    (found,) = database.transact([select])
    return str(found["rows"][0]["mac"]) if found["rows"] else ""


def _with_trace(way: Way, router_mac: str, south: Access | None) -> tuple[Way, dict[str, Any]]:
    """Return a way with what ovn-trace says of it, for people and programs."""
    if south is None:
        return way, {"verdict": "", "why_not": "it was not asked for"}
    if not router_mac:
        return way, {"verdict": "", "why_not": "the switch has no router"}
    files = south.tls or {}
    keys = {"private_key": "--private-key", "certificate": "--certificate", "ca_cert": "--ca-cert"}
    tls = [f"{option}={files[key]}" for key, option in keys.items() if key in files]
    program = ["ovn-trace", f"--db={south.remote}", "--no-leader-only", *tls]
    outputs = []
    try:
        for arguments in trace.calls(way, router_mac):
            status, output, errors = asyncio.run(_run([*program, *arguments]))
            if status:
                reason = " ".join(errors.split())[:300]
                return way, {"verdict": "", "why_not": f"ovn-trace ends with {status}: {reason}"}
            outputs.append(output)
    except FileNotFoundError:
        return way, {"verdict": "", "why_not": "ovn-trace is not installed on this host"}
    except asyncio.TimeoutError:
        return way, {"verdict": "", "why_not": f"ovn-trace has not ended after {TRACE_TIME} s"}
    traced = trace.read(outputs, way)
    return way, {
        "verdict": traced.verdict,
        "end": traced.end,
        "stage": traced.stage,
        "differs": trace.differs(traced, way),
    }


async def _run(command: list[str]) -> tuple[int, str, str]:
    """Run a program without a shell; return its exit status, its output and its errors."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        output, errors = await asyncio.wait_for(process.communicate(), TRACE_TIME)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")


def _answer(question: Question, said: list[tuple[Way, dict[str, Any]]]) -> dict[str, Any]:
    """Return the whole answer as values of JSON."""
    verdicts = {way.verdict for way, _traced in said}
    whole = DENIED if DENIED in verdicts else UNCERTAIN if UNCERTAIN in verdicts else ALLOWED
    ways = []
    for way, traced in said:
        ends = {}
        for one in way.verdicts:
            where, rule = snippet(way, one)
            ends[one.direction] = {
                "verdict": one.verdict,
                "reason": str(one),
                "acls": [
                    {
                        "uuid": acl.uuid,
                        "kind": acl.kind,
                        "name": acl.name,
                        "rule": acl.rule,
                        **({} if acl.last_rule is None else {"last_rule": acl.last_rule}),
                        "action": acl.action,
                        "tier": acl.tier,
                        "priority": acl.priority,
                    }
                    for acl in one.by
                ],
                **({"would_pass_with": {"where": where, "yaml": rule}} if rule else {}),
            }
        ways.append(
            {
                "version": way.version,
                "service": way.service,
                "source": way.source,
                "destination": way.destination,
                "port": way.port,
                "server": way.server.key if way.server else None,
                "verdict": way.verdict,
                **ends,
                "trace": traced,
            }
        )
    asked = {"client": question.client, "server": question.server, "port": question.port}
    return {**asked, "protocol": question.protocol, "verdict": whole, "ways": ways}


def _lines(answer: dict[str, Any]) -> list[str]:
    """Return the answer for people."""
    protocol = answer["protocol"].upper()
    told = [f"{answer['client']} to {answer['server']}, {protocol} {answer['port']}: {WORDS[answer['verdict']]}"]
    for way in answer["ways"]:
        by = f", an endpoint of {way['service']}" if way["service"] else ""
        whom = f" ({way['server']})" if way["server"] else " (no pod: only what is sent is judged)"
        told.append(f"IPv{way['version']} {way['source']} to {way['destination']} port {way['port']}{whom}{by}")
        for direction in ("egress", "ingress"):
            end = way.get(direction)
            if end is not None:
                told.append(f"  {direction}: {WORDS[end['verdict']]}: {end['reason']}")
        told.append(f"  ovn-trace: {_of_trace(way['trace'])}")
        for direction in ("egress", "ingress"):
            missing = way.get(direction, {}).get("would_pass_with")
            if missing:
                told.append(f"  the {direction} passes with this in the {missing['where']}:")
                told += [f"      {line}" for line in missing["yaml"].split("\n")]
    if len(answer["ways"]) == MAXIMUM_ENDPOINTS:
        told.append(f"No more than {MAXIMUM_ENDPOINTS} endpoints are judged.")
    return told


def _of_trace(traced: dict[str, Any]) -> str:
    if not traced["verdict"]:
        return f"not confirmed: {traced['why_not']}"
    if traced["differs"]:
        return f"DISAGREES: {traced['differs']}; northd may not have all rows yet: ask again"
    if traced["verdict"] == ALLOWED:
        return "confirms it"
    rest = "; what comes after is not traced" if traced["end"] == EGRESS else ""
    return f"confirms it: dropped at {traced['end']}, in {traced['stage']}{rest}"
