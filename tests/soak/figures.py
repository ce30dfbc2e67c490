# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What is there now: rows, flows, rules, links, memory, open files and logs."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
from typing import NamedTuple

from database_server import PROGRAMS

# Tables whose rows depend on more than what exists: how northd groups what it writes, and what routers have learned.
NOT_COUNTED = ("Logical_DP_Group", "MAC_Binding")
CHANGING = ("cookie=", "duration=", "n_packets=", "n_bytes=", "idle_age=")
IN_PYTHON = ("watcher", "node server")
# Transactions that are kept for who reads late, megaflows in use, and messages under way: bounded, and never the same.
PASSING = ("txn-history", "udpif keys", "ofctrl_rconn", "oflow_update", "backlog", "raft", "queued")


class Figures(NamedTuple):
    """All figures at one moment.

    :ivar counts: what has to be as before, to the last one: name -> number.
    :ivar neighbours: how many neighbours routers have learned (ovn-sb(5), MAC_Binding). They are forgotten by age.
    :ivar zones: keys of br-int, where ovn-controller keeps ports' conntrack zones, and takes some away late.
    :ivar memory: process -> MiB of resident memory.
    :ivar files: process -> open files.
    :ivar processor: process -> seconds of processor time so far.
    :ivar logs: process -> bytes of its log.
    :ivar objects: the Python programs -> what soak_programs writes; empty: nobody asked.
    :ivar holds: Open vSwitch's and OVN's daemons -> what each says that it holds: name -> number.
    """

    counts: dict[str, int]
    neighbours: int
    zones: int
    memory: dict[str, float]
    files: dict[str, int]
    processor: dict[str, float]
    logs: dict[str, int]
    objects: dict[str, dict]
    holds: dict[str, dict[str, int]]


def counts(overlay):
    """What has to be as before when all that came has gone."""
    host = overlay.host
    found = {}
    for short, server in (("NB", overlay.northbound), ("SB", overlay.southbound), ("OVS", host.database)):
        for table, rows in server.everything().items():
            if rows and table not in NOT_COUNTED:
                found[f"{short} {table}"] = len(rows)
    found["OpenFlow flows"], found["OpenFlow groups"] = len(flows(overlay)), len(_openflow(overlay, "groups"))
    ruleset = json.loads(_output("nft", "-j", "list", "ruleset"))["nftables"]
    found["nftables rules"] = sum("rule" in one for one in ruleset)
    found["nftables elements"] = sum(
        len(next(iter(one.values())).get("elem", ())) for one in ruleset if "map" in one or "set" in one
    )
    found["links"] = len(json.loads(_output("ip", "-j", "link")))
    found["files of attachments"] = sum(len(files) for _path, _folders, files in os.walk(host.run))
    return found


def flows(overlay):
    """The flows of br-int without numbers that change, and without those of neighbours that routers have learned."""
    # A flow's cookie is the beginning of its row's uuid.
    learned = {f"cookie={int(row['_uuid'][1][:8], 16):#x}," for row in overlay.southbound.rows("MAC_Binding")}
    lines = (line.split() for line in _openflow(overlay, "flows"))
    return sorted(
        " ".join(word for word in words if not word.startswith(CHANGING)) for words in lines if words[0] not in learned
    )


def _openflow(overlay, what):
    bridge = f"unix:{overlay.host.database.directory}/br-int.mgmt"
    text = _output(str(PROGRAMS / "bin" / "ovs-ofctl"), "-O", "OpenFlow15", f"dump-{what}", bridge)
    return [line for line in text.splitlines() if line.startswith(" ")]  # the others are heads of messages


def _output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def read(overlay, objects=True):
    """All figures. :param objects: also those of the Python programs, which stop for a moment to count."""
    memory, files = {}, {}
    counted = {name: overlay.objects(name) for name in IN_PYTHON} if objects else {}
    for name, pid in overlay.processes().items():
        folder = pathlib.Path(f"/proc/{pid}")
        memory[name] = int((folder / "status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
        files[name] = len(os.listdir(folder / "fd"))
    logs = {name: file.stat().st_size for name, file in overlay.logs().items()}
    neighbours = len(overlay.southbound.rows("MAC_Binding"))
    zones = sum(len(row["external_ids"][1]) for row in overlay.host.database.rows("Bridge"))
    holds = {name: _held(socket) for name, socket in overlay.control_sockets().items()}
    return Figures(counts(overlay), neighbours, zones, memory, files, processor(overlay), logs, counted, holds)


def _held(socket):
    """What a daemon says that it holds (ovs-appctl(8), memory/show), without buffers that always change."""
    text = _output(str(PROGRAMS / "bin" / "ovs-appctl"), "-t", str(socket), "memory/show")
    found = (part.rpartition(":") for part in re.findall(r"\S.*?:\d+", text))
    return {name: int(number) for name, _colon, number in found if not name.startswith(PASSING)}


def processor(overlay):
    """Process -> seconds of processor time so far."""
    used = {}
    for name, pid in overlay.processes().items():
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[name] = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return used


def differences(before, now):
    """What is not as before: one text each."""
    return [
        f"{name}: {before.get(name, 0)} before, {now.get(name, 0)} now"
        for name in sorted({*before, *now})
        if before.get(name, 0) != now.get(name, 0)
    ]
