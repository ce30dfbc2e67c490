# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A host's Open vSwitch in the userspace datapath: its database and ovs-vswitchd, in the thread's network namespace."""

from __future__ import annotations

import os
import pathlib
import subprocess

from database_server import PROGRAMS, Server, wait_for

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import host, user_settings


class Vswitch(Server):
    """The two servers; settings and files that a host keeps are below :attr:`directory`, by :meth:`keep_here`."""

    def __init__(self):
        self.daemon = None
        super().__init__("vswitch", "Open_vSwitch")
        try:
            self.transact(
                {"op": "insert", "table": "Open_vSwitch", "row": {"external_ids": ["map", [["system-id", "id-1"]]]}}
            )
            self.serve()
        except BaseException:
            self.remove()
            raise

    def serve(self):
        """Start ovs-vswitchd (again)."""
        with (self.directory / "vswitchd.log").open("w") as log:
            self.daemon = subprocess.Popen(
                [
                    str(PROGRAMS / "bin" / "ovs-vswitchd"),
                    f"unix:{self.socket}",
                    "--disable-system",
                    "--no-chdir",
                    f"--unixctl={self.directory / 'vswitchd.ctl'}",
                ],
                stdout=log,
                stderr=log,
                env=dict(os.environ, OVS_RUNDIR=str(self.directory)),
            )
        wait_for(self._serves, "ovs-vswitchd to serve")

    def _serves(self):
        if self.daemon.poll() is not None:
            raise AssertionError("ovs-vswitchd ended: " + (self.directory / "vswitchd.log").read_text())
        return self.rows("Open_vSwitch")[0]["datapath_types"] != ["set", []]

    def keep_here(self, replace):
        """Make this process keep a host's settings and files in :attr:`kept`.

        ``replace(object, name, value)`` sets an attribute.
        """
        replace(names, "NODE_SETTINGS", str(self.kept / "node.json"))
        replace(names, "GATEWAY_SETTINGS", str(self.kept / "gateway.json"))
        replace(user_settings, "FILE", str(self.kept / "openvswitch.json"))
        replace(names, "CNI_CONFIGURATION", str(self.kept / "cni.conflist"))
        replace(names, "UPLINKS_DIRECTORY", str(self.directory / "uplinks"))
        replace(names, "JOURNAL_DIRECTORY", str(self.directory / "journal"))

    @property
    def kept(self) -> pathlib.Path:
        """Where settings and files are."""
        return self.directory / "kept"

    def be_found(self):
        """Have the pid file and the control socket that daemons of a host are found by, in :attr:`directory`."""
        (self.directory / "ovs-vswitchd.pid").write_text(f"{self.daemon.pid}\n")
        (self.directory / f"ovs-vswitchd.{self.daemon.pid}.ctl").symlink_to("vswitchd.ctl")

    def host(self):
        """The host as the modules see it."""
        return host.Host(self.remote)

    def remove(self):
        """End both."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(10)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait(10)
        super().remove()
