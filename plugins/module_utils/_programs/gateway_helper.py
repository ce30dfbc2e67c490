# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-gateway-helper``: keeps the flows that part the host's traffic from the pods' on a NIC that both share.

The flows follow from ports, addresses and load balancers (desired/flows.py). Whatever may change one of them wakes the program: the
host's Open_vSwitch database, the kernel's addresses, the Southbound database's load balancers, and the bridge's own news of flows,
which end when ovs-vswitchd does. Then, and every few seconds without any news, the flows that are there are compared with those that
are wanted, and only a comparison that held lets systemd's watchdog wait on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys

from .._common import names
from .._common.errors import DatabaseError, FlowError, HostError
from .._netlink import events
from .._openflow.flows import Bridge
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.replica import Replica
from .._ovsdb.rows import Query
from .._topology.flows import flows
from .._topology.host import GATEWAY_FILE, NODE_FILE
from .._topology.shared_nic import LOCAL_TABLES, SOUTHBOUND_TABLES, NotThere, services, shared_nic
from . import daemon

LOG = logging.getLogger("ovn-k8s-gateway-helper")
CHECK = 5.0  # seconds without news until the flows are looked at again
SOUTHBOUND_PATIENCE = 5.0  # seconds in which the first copy of the load balancers should come
RETRY = 0.1
TURNS = 3  # changes at once after which the bridge must have what it was given
PATIENCE = 15.0  # seconds in which Open vSwitch may be away
EXAMPLES = """examples:
  ovn-k8s-gateway-helper --physical-bridge=breth0 --physical-interface=eth0 --pidfile --detach
  ovn-k8s-gateway-helper          in the foreground, for the gateway that this host's settings name
  ovn-k8s-gateway-helper --clear  take the flows away; stop the program before
"""


class Helper:
    """One shared NIC.

    :param inner: networks whose load balancers are for the inside alone; None: not known.
    """

    def __init__(self, bridge, nic, remote, inner=None):
        self.bridge, self.nic, self.inner = bridge, nic, inner
        self.flows = Bridge(bridge, names.FLOW_COOKIE)
        self.wake = asyncio.Event()
        self.ready = False
        self.alone = False  # whether no bridge that was shared before has flows of ours
        self.wanted = None  # the flows that were wanted last
        self.southbound = None  # its Replica
        self._following = None  # (remote, task)
        self.local = Replica(remote, names.LOCAL, LOCAL_TABLES, changed=self._changed, state=self.wake.set)

    def _changed(self, _table, _before, _after):
        self.wake.set()

    async def run(self):
        """Keep the flows until something is wrong that does not pass; :raises FlowError: :raises HostError: :raises NotThere: then."""
        news = events.subscribe()
        asyncio.get_running_loop().add_reader(news, self._news, news)
        tasks = [asyncio.create_task(self.local.run()), asyncio.create_task(self._listen())]
        try:
            await self._keep()
        finally:
            asyncio.get_running_loop().remove_reader(news)
            news.close()
            for task in (*tasks, *([self._following[1]] if self._following else [])):
                task.cancel()

    def _news(self, news):
        events.drain(news)
        self.wake.set()

    async def _listen(self):
        """Wake when flows change, and when the bridge can't be heard any more."""
        while True:
            with contextlib.suppress(FlowError):
                await self.flows.watch(self.wake.set)
            self.wake.set()
            await asyncio.sleep(RETRY)

    async def _keep(self):
        loop = asyncio.get_running_loop()
        failing, said, changed, before = None, None, 0, None
        while True:
            self.wake.clear()
            try:
                changes = await self.converge()
                # What is wanted may change at every turn, as while services come and go; the bridge is at fault when it does not.
                changed = 0 if not changes else changed + 1 if self.wanted == before else 1
                before = self.wanted
                if changed > TURNS:
                    raise FlowError(
                        f"bridge {self.bridge} took {len(changes)} changes of flows and still differs: {changes[0]}"
                    )
            except (FlowError, HostError, NotThere) as exc:
                now = loop.time()
                failing = failing or now
                if now - failing > PATIENCE or (isinstance(exc, NotThere) and not self.ready):
                    raise
                if str(exc) != said:
                    LOG.warning("%s; trying again", exc)
                    said = str(exc)
                await asyncio.sleep(RETRY)
                continue
            if changes:
                daemon.alive()
                continue  # and see that the bridge has them
            failing, said = None, None
            if not self.ready:
                self.ready = True
                daemon.ready()
            daemon.alive()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.wake.wait(), CHECK)
            await asyncio.sleep(0)  # what comes together is done together

    async def converge(self):
        """Give the bridge the wanted flows; :returns: the changes, none when it has them already."""
        try:
            await asyncio.wait_for(self.local.ready.wait(), PATIENCE)
        except asyncio.TimeoutError:
            raise FlowError(
                f"the host's Open_vSwitch database can't be read within {PATIENCE:.0f} s: start openvswitch-switch"
            ) from None
        if not self.alone:
            await self._leave_others()
            self.alone = True
        await self._follow_southbound()
        # In a thread: newer versions of the library behind it have an event loop of their own.
        addresses = await asyncio.to_thread(events.addresses_of, self.bridge)
        shared = shared_nic(self.local.rows, self.bridge, self.nic, addresses, self._services(addresses))
        self.wanted = wanted = flows(shared) if shared else ()
        changes = await self.flows.difference(wanted)
        if changes:
            await self.flows.change(changes)
            LOG.info(
                "%d changes: %d flows part the traffic of bridge %s%s",
                len(changes),
                len(wanted),
                self.bridge,
                "" if shared else ", which the gateway router does not use yet",
            )
        return changes

    async def _leave_others(self):
        """A NIC that was shared before may be in its bridge still; a bridge that leads outside for OVN is another helper's."""
        mappings = self._external_ids().get("ovn-bridge-mappings", "").split(",")
        outside = {mapping.partition(":")[2] for mapping in mappings} | {self.bridge}
        for row in self.local.rows["Bridge"].values():
            if row.name not in outside:
                with contextlib.suppress(FlowError):  # somebody else's bridge, which does not work
                    count = await take_away(row.name)
                    if count:
                        LOG.info(
                            "%d flows of a NIC that was shared before are taken away from bridge %s", count, row.name
                        )

    def _services(self, addresses):
        """What the gateway router balances; what was known last while the Southbound database is away."""
        if self.southbound is None:
            return ()
        rows = self.southbound.rows
        return services(
            rows["Load_Balancer"].values(),
            rows["Chassis_Template_Var"].values(),
            self._external_ids().get("system-id"),
            addresses,
            self.inner,
        )

    def _external_ids(self):
        row = next(iter(self.local.rows["Open_vSwitch"].values()), None)
        return row.columns["external_ids"] if row else {}

    async def _follow_southbound(self):
        """Keep the copy from where ovn-controller has its own, also when that changes; what an earlier run has made stays for a while, until there is one."""
        remote = self._external_ids().get("ovn-remote")
        if (self._following[0] if self._following else None) == remote:
            return
        if self._following:
            self._following[1].cancel()
            self._following = self.southbound = None
        if remote:
            self.southbound = Replica(remote, names.SOUTHBOUND, SOUTHBOUND_TABLES, changed=self._changed)
            self._following = (remote, asyncio.create_task(self.southbound.run()))
            if await self.flows.flows():  # a bare bridge can't wait: the database may be behind it
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.southbound.ready.wait(), SOUTHBOUND_PATIENCE)


def kept(path):
    """Settings that the modules keep on this host; nothing where there are none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        return {}


def inner_networks(node):
    """The overlay's own networks, from the node's settings; None where there are none."""
    return (*node.get("cluster_subnets", ()), *(node.get("routes") or ())) if node else None


async def run(bridge, options):
    """Keep the flows of a bridge; what waits for events is made in the loop that brings them."""
    await Helper(bridge, options.physical_interface, options.open_vswitch, inner_networks(kept(NODE_FILE))).run()


async def take_away(bridge):
    """Take our flows from a bridge, and say how many there were; what the bridge does of itself stays."""
    ours = Bridge(bridge, names.FLOW_COOKIE)
    changes = await ours.difference(())
    if changes:
        await ours.change(changes)
    return len(changes)


async def clear(remote):
    """Take our flows from every bridge."""
    connection = Connection(remote, names.LOCAL)
    try:
        bridges = [row.name for row in read_rows(connection, [Query("Bridge", (), ("name",))])]
    finally:
        connection.close()
    for name in bridges:
        count = await take_away(name)
        if count:
            sys.stdout.write(f"{name}: {count} flows taken away\n")


def main(arguments=None):
    """The program; exits with 1 and a sentence when it can't do its work, and systemd starts it again."""
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-gateway-helper",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Part the host's traffic from the pods' on a NIC that both share.",
    )
    parser.add_argument(
        "--physical-bridge",
        metavar="BRIDGE",
        help="the bridge that leads to the physical network; by default the gateway's",
    )
    parser.add_argument(
        "--physical-interface", metavar="NIC", help="the NIC in it; by default the one that the bridge was made for"
    )
    parser.add_argument("--clear", action="store_true", help="take the flows away from all bridges, and end")
    parser.add_argument(
        "--open-vswitch",
        default=names.LOCAL_SOCKET,
        metavar="REMOTE",
        help="the host's Open_vSwitch database (default: %(default)s)",
    )
    try:
        daemon.add_options(parser)
        options = parser.parse_args(arguments)
        if options.clear:
            asyncio.run(clear(options.open_vswitch))
            return 0
        bridge = options.physical_bridge or kept(GATEWAY_FILE).get("bridge")
        if not bridge:
            raise NotThere(
                f"no gateway of this host shares a NIC ({GATEWAY_FILE}): give --physical-bridge and --physical-interface"
            )
        daemon.start(options)
        asyncio.run(run(bridge, options))
    except (DatabaseError, FlowError, HostError, NotThere, OSError, ValueError) as exc:
        (LOG.error if logging.getLogger().handlers else _say)("%s", exc)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(form, *values):
    os.write(2, (form % values + "\n").encode())
