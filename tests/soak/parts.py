# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""One host with everything that a node and a master run, in the thread's network namespace.

All parts are real: API server and etcd, both databases with ovn-northd, Open vSwitch (userspace datapath) with
ovn-controller, the watcher, the node's server with the CNI plugin, and the kernel's nftables. There is no kubelet and
no container runtime: the churn does what they do.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess

from database_server import PROGRAMS, Server, wait_for
from kubernetes_server import Kubernetes
from module_calls import call
from network_namespace import ip_batch
from node_server import PLUGIN, Node
from northbound import DUAL, Northbound, node_settings
from ovn_daemon import Daemon
from preloaded import start_anew
from soak_programs import OBJECTS
from vswitch import Vswitch
from watcher_process import Watcher

ENCAP_IP, ROUTER = "10.44.0.12", "10.44.0.254"
SERVICE_SUBNETS = ("10.96.0.0/16", "fd96::/108")


class Host(Node):
    """The node, with the real API server and the real ovn-controller in the places of their stand-ins."""

    def __init__(self, folder, kubernetes, southbound):
        self.folder, self.server = pathlib.Path(folder), None
        self.folder.mkdir()
        self._start_program = lambda _program, arguments, log: start_anew(
            "soak_programs:node", [str(self.folder), *arguments], log
        )
        self.run = self.folder / "run"
        self.plugin = self.folder / PLUGIN.name
        self.plugin.touch(0o755)
        self.plugin.write_text(PLUGIN.read_text().replace('"/run/ovn-kubernetes"', repr(str(self.run))))
        self.configuration = self.folder / "10-ovn-kubernetes.conflist"
        self.controller = None
        self.database = Vswitch()
        try:
            self._prepare(kubernetes, southbound)
        except BaseException:
            self.remove()
            raise

    def _prepare(self, kubernetes, southbound):
        self.daemons_folder = self.database.directory
        vswitchd = self.database.daemon.pid
        (self.daemons_folder / "ovs-vswitchd.pid").write_text(f"{vswitchd}\n")
        (self.daemons_folder / f"ovs-vswitchd.{vswitchd}.ctl").symlink_to("vswitchd.ctl")
        token = self.folder / "token"
        token.write_text(kubernetes.admin)
        self.set_api_server(server=kubernetes.url, ca_file=str(kubernetes.ca_file), token_file=str(token))
        self._converge(southbound)
        self.controller = Daemon("ovn-controller", self.daemons_folder, f"unix:{self.database.socket}")

    def _converge(self, southbound):
        """Make the host a node of the overlay, as the role does."""
        self.database.transact(
            {
                "op": "mutate",
                "table": "Open_vSwitch",
                "where": [],
                "mutations": [["external_ids", "insert", ["map", [["ovn-encap-ip", ENCAP_IP]]]]],
            }
        )
        self.database.keep_here(setattr)
        result = call(
            "ovn_minion_init",
            part="host",
            open_vswitch=self.database.remote,
            southbound=southbound,
            cluster_ip_subnet=DUAL,
            routes=list(SERVICE_SUBNETS),
            datapath_type="netdev",
            **{key: value for key, value in node_settings(1, dual=True).items() if key != "chassis"},
        )
        assert not result.get("failed"), result["msg"]

    def _serves(self):
        try:
            return self.http_get("/readyz")[0] == 200 and self.configuration.exists()
        except OSError:
            return False

    def remove(self):
        """Stop everything."""
        self.stop()
        if self.controller is not None:
            self.controller.remove()
        self.database.remove()


class Overlay:
    """All parts.

    :param folder: for files.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._after = contextlib.ExitStack()
        try:
            self._start()
        except BaseException:
            self._after.close()
            raise

    def _start(self):
        ip_batch(
            [
                "link add eth0 type veth peer name eth0p",
                f"address add {ENCAP_IP}/24 dev eth0",
                "link set eth0 up",
                "link set eth0p up",
                f"route add default via {ROUTER}",  # kube-apiserver wants one
            ]
        )
        self.kubernetes = self._keep(Kubernetes())
        self.northbound = self._keep(Northbound())
        self.southbound = self._keep(Server("ovn-sb", "OVN_Southbound"))
        self.northd = self._keep(
            Daemon(
                "ovn-northd",
                self.northbound.directory,
                f"--ovnnb-db={self.northbound.remote}",
                f"--ovnsb-db={self.southbound.remote}",
            )
        )
        self.northbound.build(nodes=(1, 2), gateways=(1,), dual=True)
        self.watcher = self._keep(
            Watcher(
                self.northbound.remote,
                self.kubernetes,
                start=lambda program, arguments, log, **more: start_anew(
                    program, [str(self.watcher.directory), *arguments], log, **more
                ),
                program="soak_programs:watcher",
            )
        )
        self.watcher.start()
        self.host = self._keep(Host(self.folder / "node", self.kubernetes, self.southbound.remote))
        self.host.start(patience=100)  # as on a host

    def _keep(self, part):
        self._after.callback(part.remove)
        return part

    def processes(self):
        """Name -> number of each process."""
        return {
            "watcher": self.watcher.process.pid,
            "node server": self.host.server.pid,
            "ovn-northd": self.northd.pid,
            "ovn-controller": self.host.controller.pid,
            "ovs-vswitchd": self.host.database.daemon.pid,
            "Northbound": self.northbound.process.pid,
            "Southbound": self.southbound.process.pid,
            "Open_vSwitch": self.host.database.process.pid,
            "kube-apiserver": self.kubernetes.process.pid,
            "etcd": self.kubernetes._etcd.pid,
        }

    def logs(self):
        """Name -> file."""
        return {
            "watcher": self.watcher.log,
            "node server": self.host.folder / "node.log",
            "ovn-northd": self.northd.log,
            "ovn-controller": self.host.controller.log,
            "ovs-vswitchd": self.host.database.directory / "vswitchd.log",
        }

    def control_sockets(self):
        """Daemon -> its control socket."""
        return {
            "ovn-northd": self.northbound.directory / f"ovn-northd.{self.northd.pid}.ctl",
            "ovn-controller": self.host.daemons_folder / f"ovn-controller.{self.host.controller.pid}.ctl",
            "ovs-vswitchd": self.host.database.directory / "vswitchd.ctl",
            "Northbound": self.northbound.directory / "ctl",
            "Southbound": self.southbound.directory / "ctl",
            "Open_vSwitch": self.host.database.directory / "ctl",
        }

    def recompute(self):
        """Let ovn-controller make all its flows anew."""
        socket = self.control_sockets()["ovn-controller"]
        command = [str(PROGRAMS / "bin" / "ovs-appctl"), "-t", str(socket), "inc-engine/recompute"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def objects(self, name):
        """What the watcher or the node's server holds in memory, as soak_programs writes it."""
        process, folder = {
            "watcher": (self.watcher.process, self.watcher.directory),
            "node server": (self.host.server, self.host.folder),
        }[name]
        file = folder / OBJECTS
        file.unlink(missing_ok=True)
        process.send_signal(10)
        wait_for(lambda: process.poll() is None and file.exists(), f"the objects of the {name}", 60)
        return json.loads(file.read_text())

    def remove(self):
        """End everything."""
        self._after.close()
