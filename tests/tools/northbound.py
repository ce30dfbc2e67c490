# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A Northbound database of its own for a test or a measurement, and the modules' calls about it."""

from __future__ import annotations

import re
import subprocess

from database_server import PROGRAMS, Server, references
from module_calls import call

CLUSTER = ["192.168.0.0/16"]
DUAL = ["192.168.0.0/16", "fd10:128::/48"]


def node_settings(number, dual=False, **more):
    """Settings of node number so and so."""
    subnets = [f"192.168.{number}.0/24"] + ([f"fd10:128:0:{number:x}::/64"] if dual else [])
    return dict({"node_name": f"node{number}", "minion_switch_subnet": subnets, "chassis": f"id-{number}"}, **more)


def gateway_settings(number, dual=False, **more):
    """Settings of a gateway on node number so and so."""
    return dict(
        {
            "node_name": f"node{number}",
            "physical_interface": "eth1",
            "chassis": f"id-{number}",
            "physical_mac": f"52:54:00:00:00:{number:02x}",
            "physical_ip": [f"10.55.0.{number}/24"] + ([f"fd55::{number:x}/64"] if dual else []),
            "default_gw": ["10.55.0.254"] + (["fd55::fe"] if dual else []),
        },
        **more,
    )


class Northbound(Server):
    """The database, and calls of modules about it."""

    def arguments(self, dual=False, **options):
        """A call's arguments; what is None is not given."""
        whole = dict(
            {"part": "northbound", "northbound": self.remote, "cluster_ip_subnet": DUAL if dual else CLUSTER}, **options
        )
        return {key: value for key, value in whole.items() if value is not None}

    def call(self, module, **options):
        """A call that must succeed."""
        check, diff = options.pop("check", False), options.pop("diff", False)
        result = call(module, check, diff, **self.arguments(**options))
        assert not result.get("failed"), result["msg"]
        assert result["changed"] == bool(result["plan"])
        return result

    def master(self, **options):
        """``ovn_master_init``."""
        return self.call("ovn_master_init", **options)

    def node(self, number, dual=False, **options):
        """``ovn_minion_init``."""
        return self.call("ovn_minion_init", dual=dual, **node_settings(number, dual, **options))

    def gateway(self, number, dual=False, **options):
        """``ovn_gateway``."""
        return self.call("ovn_gateway", dual=dual, **gateway_settings(number, dual, **options))

    def remove_node(self, name, **options):
        """``ovn_minion_init`` with state absent."""
        return self.call("ovn_minion_init", node_name=name, state="absent", **options)

    def remove_gateway(self, name, **options):
        """``ovn_gateway`` with state absent."""
        return self.call("ovn_gateway", node_name=name, state="absent", **options)

    def refused(self, module, **options):
        """The sentence of a call that must fail and change nothing at all."""
        before = self.everything()
        result = call(module, options.pop("check", False), **self.arguments(**options))
        assert result.get("failed"), f"it should have failed: {result}"
        assert result.get("changed") in (False, None)
        assert "\n" not in result["msg"] and "Traceback" not in str(result)
        assert self.everything() == before
        return result["msg"]

    def build(self, nodes=(1, 2), gateways=(1, 2), dual=False, **options):
        """A whole cluster in one call."""
        return self.master(
            dual=dual,
            **options,
            nodes=[node_settings(number, dual) for number in nodes],
            gateways=[gateway_settings(number, dual) for number in gateways],
        )

    def routes(self, router="ovn_cluster_router"):
        """(prefix, next hop) of a router's static routes."""
        content = self.everything()  # at one moment
        (row,) = (row for row in content["Logical_Router"].values() if row["name"] == router)
        routes = content["Logical_Router_Static_Route"]
        return sorted((routes[uuid]["ip_prefix"], routes[uuid]["nexthop"]) for uuid in references(row["static_routes"]))

    def egress(self):
        """The cluster's default routes, as :meth:`routes`."""
        return [route for route in self.routes() if route[0] in ("0.0.0.0/0", "::/0")]

    def transactions(self):
        """Who asked for each transaction that was ever written, as the database's log has it."""
        log = subprocess.run(
            [str(PROGRAMS / "bin" / "ovsdb-tool"), "show-log", str(self.file)],
            check=True,
            timeout=60,
            capture_output=True,
            text=True,
        ).stdout
        return re.findall(r'^record \d+: \S+ \S+(?: "(.*)")?$', log, re.MULTILINE)

    def join_addresses(self):
        """Every address on the join switch, with repetitions."""
        ports = [row for row in self.rows("Logical_Router_Port") if row["name"].startswith("rtoj-")]
        return sorted(
            cidr
            for row in ports
            for cidr in (row["networks"][1] if isinstance(row["networks"], list) else [row["networks"]])
        )
