# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A bare host for the commands: links in a network namespace of its own, a router, and a real Open vSwitch.

There is a Northbound database to write to.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
import types

import pytest
from network_namespace import ip, ip_batch, load_nftables, namespace, router
from northbound import Northbound
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import checkpoint
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import (
    legacy_settings as given,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import (
    overlay,
    uplinks,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import (
    result as answer,
)

ROUTER = "10.44.0.254"


def pytest_configure(config):
    load_nftables()


class BareHost(Vswitch):
    """The host, and what its user does: sets keys, and calls commands.

    :ivar before_moves: called just before a change of NICs begins.
    """

    def __init__(self, nb, router, replace):
        super().__init__()
        self.nb = nb
        self._router = router
        self.before_moves = lambda: None
        replace(checkpoint, "names", types.SimpleNamespace(**{**vars(names), "ARCHIVE": __file__}))
        replace(checkpoint, "start_unit", self._start)
        self.keep_here(replace)
        for name in ("WATCHER_ACCESS", "NODE_ACCESS", "WATCHER_TOKEN", "NODE_TOKEN", "KUBERNETES_CA"):
            replace(names, name, str(self.kept / getattr(names, name).rpartition("/")[2]))
        replace(answer, "ENABLED", str(self.directory))
        replace(given, "CONFIGURATION", str(self.directory / "ovn_k8s.conf"))
        self.set(
            **{
                "ovn-nb": nb.remote,
                "ovn-remote": "tcp:10.44.0.11:6642",
                "ovn-encap-type": "geneve",
                "ovn-encap-ip": "10.44.0.12",
            }
        )

    def set(self, **keys):
        """``ovs-vsctl set Open_vSwitch . external_ids:KEY=VALUE``."""
        self.transact(
            {
                "op": "mutate",
                "table": "Open_vSwitch",
                "where": [],
                "mutations": [
                    ["external_ids", "delete", ["set", list(keys)]],
                    ["external_ids", "insert", ["map", [[key, value] for key, value in keys.items()]]],
                ],
            }
        )

    def _start(self, _unit, _description, command, _afterwards, _limit):
        """A thread in the place of systemd's unit: there is no systemd in here."""
        self.before_moves()
        threading.Thread(target=uplinks.main, args=(command[3:],), daemon=True).start()

    def router(self, arguments):
        """ip-route(8)'s tool on the router."""
        return ip(arguments, f"/proc/{self._router}/ns/net")

    def run(self, command, *more):
        """A command line of ovn-k8s-overlay: (exit status, what it said, what it complained)."""
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            try:
                status = overlay.main([*command.split(), *more, f"--db={self.remote}"])
            except SystemExit as exc:
                status = exc.code
        return status, said.getvalue(), complained.getvalue()

    def seen(self):
        """All that commands change: both databases to the letter, links, addresses, routes and kept files."""
        files = {
            path.name: (path.read_text(), path.stat().st_mode & 0o777, path.stat().st_mtime_ns)
            for path in sorted(self.kept.glob("*"))
        }
        links = [
            (
                link["ifindex"],
                link["ifname"],
                link["mtu"],
                link["address"],
                [(one["local"], one["prefixlen"]) for one in link["addr_info"]],
            )
            for link in json.loads(ip("-j address"))
        ]
        routes = sorted(
            (route["dst"], route.get("gateway"), route.get("dev")) for route in json.loads(ip("-j -4 route"))
        )
        return self.wishes(), self.nb.everything(), links, routes, files

    def wishes(self):
        """The local database without what ovs-vswitchd reports of its own accord."""
        columns = {
            "Open_vSwitch": ("external_ids",),
            "Bridge": ("name", "ports", "external_ids", "other_config", "fail_mode", "datapath_type"),
            "Port": ("name", "interfaces", "external_ids"),
            "Interface": ("name", "type", "mac", "mtu_request", "external_ids"),
        }
        found = self.everything()
        return {
            table: {uuid: {key: row.get(key) for key in columns[table]} for uuid, row in found.get(table, {}).items()}
            for table in columns
        }


@pytest.fixture
def bare(monkeypatch):
    """A host with an underlay, and a NIC for the outside."""
    with namespace():
        for nic, address in (("eth0", "10.44.0.12/24"), ("eth1", "10.55.0.12/24")):
            ip_batch(
                [
                    f"link add {nic} type veth peer name {nic}p",
                    f"link set {nic} addrgenmode none",
                    f"link set {nic}p addrgenmode none up",
                    f"link set {nic} up",
                    f"address add {address} dev {nic}",
                ]
            )
        with router("eth0p") as process, contextlib.ExitStack() as after:
            nb = Northbound()
            after.callback(nb.remove)
            host = BareHost(nb, process, monkeypatch.setattr)
            after.callback(host.remove)
            host.router(f"address add {ROUTER}/24 dev eth0p")
            ip(f"route add default via {ROUTER}")
            yield host
