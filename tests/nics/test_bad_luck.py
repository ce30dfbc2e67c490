# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a real host whose disk is full, or whose Open vSwitch dies, while its NIC moves: it answers at its old
address, with all it had. So does one that no task reaches over the network, and that the move cuts off.
"""

from __future__ import annotations

import json
import shlex

import pytest
from lab_hosts import lab

from .conftest import (
    ADDRESSES,
    HOST,
    WAITS,
    constant,
    hold,
    hold_worker,
    inside,
    let_go,
    nics,
    on,
    snapshot,
    state,
    worker_is_held,
)
from .managed import DATABASE
from .on_host import Changes, every_other
from .test_taken_back import FAILS

pytestmark = pytest.mark.timeout(900)
FOLDERS = "/var/lib/ovn-kubernetes /etc/ovn-kubernetes/uplinks"
SMALL = f"""
set -e
mkdir -p {FOLDERS}
for folder in {FOLDERS}; do
    mountpoint -q $folder && continue
    cp -a $folder /run/before
    mount -t tmpfs -o size=400k tmpfs $folder
    cp -a /run/before/. $folder
    rm -r /run/before
done
"""
# More than there is room for, and not all of this machine's disk should the file system be another one.
FILL = f"for folder in {FOLDERS}; do mountpoint $folder && dd if=/dev/zero of=$folder/.filler bs=4k count=200; done"
EMPTY = "rm -f /var/lib/ovn-kubernetes/.filler /etc/ovn-kubernetes/uplinks/.filler"
# Without link-local networks: those of a link that has just come up are there a moment later.
LOOK = (
    """for f in 4 6; do for nic in eth0 eth1; do ip -$f -o address show dev $nic scope global; done
    printf 'rule\nroute show table all\n' | ip -$f -batch -; done | grep -v fe80::
    ip -o address show dev breth0 scope global 2>/dev/null; find /etc/ovn-kubernetes -type f; resolvectl dns eth0
    """
    + DATABASE
)
FULL = f"({FILL}) >/dev/null 2>&1; [ $(df --output=avail {FOLDERS} | tail -n +2 | tr -d ' \\n') = 00 ]"
# systemd has noticed the death, and has started again all that it starts then; each death counts anew.
STARTED = """
is_up() {
    for one in ovsdb-server ovs-vswitchd; do
        grep -qs '^State:.[^ZX]' /proc/$(cat /run/openvswitch/$one.pid)/status && systemctl is-active --quiet $one ||
            return 1
    done 2>/dev/null
    systemctl is-active --quiet openvswitch-switch && ! systemctl list-jobs --no-legend | grep -q service
}
for one in $(seq 300); do is_up && break; sleep .2; done
is_up || systemctl list-jobs
systemctl reset-failed ovsdb-server ovs-vswitchd openvswitch-switch
"""
# What the userspace datapath does to a NIC is undone too.
FLAGS = "; ip -o link show dev eth0 | grep -o '<.*>'; ip neighbour show nud permanent; nft list ruleset"


def rolled_back_at(changes, place, present, command, then, before):
    """A change of eth0 with bad luck at a place, after which a step fails; the host has what it had before.

    :param command, then: shell commands for the bad luck, and for looking once all was rolled back.
    :returns: the kinds of the change's own steps.
    """
    kinds, reason, after = changes.rolled_back(
        "eth0",
        present=present,
        at=place,
        acts=[WAITS, FAILS],
        timeout=60,
        die_at=place,
        victims=[],
        command=command,
        then=then,
    )
    assert "203.0.113.99/32" in reason, reason
    assert constant(after) == before, f"step {place} of {len(kinds) - 2}"
    return kinds[:place] + kinds[place + 2 :]


@pytest.mark.parametrize("present", [True, False], ids=["there", "back"])
def test_the_disk_is_full_in_the_middle(host, present):
    """Protects each kind of step, both ways. What else can break is in tests/integration/nic/test_way_back.py."""
    inside(SMALL)
    if not present:
        assert nics("eth0").good
    before = constant(on(HOST, LOOK))
    hold()
    with Changes(HOST, ADDRESSES) as changes:
        places, place, acts = [], 0, 1
        while place <= acts:
            acts = len(rolled_back_at(changes, place, present, FULL, f"{EMPTY}; {LOOK}", before))
            places.append(place)
            place += max(1, acts // 6)
    assert len(places) > 5


@pytest.mark.parametrize("victims", ["ovsdb-server", "ovs-vswitchd", "ovs-vswitchd ovsdb-server"])
@pytest.mark.parametrize("present", [True, False], ids=["there", "back"])
def test_open_vswitch_dies_in_the_middle(host, present, victims):
    """Protects against systemd, which starts both servers anew whichever of them dies: the bridge vanishes for a moment
    while the way back is at work. The first and the last step, the rows', and those between."""
    if not present:
        assert nics("eth0").good
    look = LOOK + FLAGS
    before = constant(on(HOST, look))
    killed = "".join(f"pkill -9 -x {victim}; " for victim in victims.split()) + "true"
    hold()
    with Changes(HOST, ADDRESSES) as changes:
        kinds = rolled_back_at(changes, 0, present, killed, STARTED + look, before)
        rows = kinds.index("rows")
        places = sorted({rows, rows + 1, len(kinds) // 2, len(kinds)} - {0})
        # The two ways, and the victims, share the places.
        for place in every_other(places, second=present == ("ovsdb-server" in victims)):
            rolled_back_at(changes, place, present, killed, STARTED + look, before)
    assert len(places) > 2


ALONE = """
import json, os, sys, time
sys.path.insert(0, "/usr/local/lib/ovn_kubernetes.pyz")
from ovn_kubernetes._nic import checkpoint
from ovn_kubernetes._topology.host import Host
if not os.fork():
    plan = lambda: Host().plan_uplinks(["eth0"], True, "request")
    checkpoint.begin(plan, ["eth0"], "alone", 15, asked_by=os.getpid())
    os._exit(0)
os.wait()
seen, until = [], time.monotonic() + 60
while time.monotonic() < until and not checkpoint.look("alone").is_final:
    outcome = checkpoint.confirm_if_proven("alone", 30)
    seen.append(outcome.unproven)
    time.sleep(.2)
last = checkpoint.look("alone")
print(json.dumps([last.state, last.reason, [one for one in seen if one][-1:]]))
"""


def alone():
    """Move the NIC as a task with the connection local does; return the state, the reason, what was not proven."""
    return json.loads(inside(f"python3 -c {shlex.quote(ALONE)}"))


def test_a_task_without_a_network(host):
    """Protects a host that configures itself: the routers that answer again confirm the move."""
    assert alone() == ["confirmed", None, []]
    assert nics("eth0", state="absent").good


def test_a_task_without_a_network_that_cuts_the_host_off(host):
    """Protects against a move that nobody could reach the host with, and that confirms itself."""
    before = snapshot()
    hold_worker()
    lab("podman", "exec", "--detach", HOST, "sh", "-c", f"python3 -c {shlex.quote(ALONE)} >/run/alone 2>&1")
    worker_is_held()
    lab("unplug", HOST, "eth0")
    let_go()
    inside("until grep -q undone /run/alone; do sleep .2; done")
    lab("plug", HOST, "eth0")
    ended, reason, unproven = json.loads(inside("cat /run/alone"))
    assert (ended, state()) == ("undone", "undone") and "within 15 s" in reason
    assert unproven and unproven[0].endswith("answered before and did not any more")
    assert snapshot() == before
