# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A master that is this machine, with an /etc of its own, to which the real play gives real certificates."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess

SYSTEM_ID = "6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e"
TLS = "etc/ovn-kubernetes/tls"
ROLES = ("central", "chassis")


class Master:
    """A master that is this machine."""

    def __init__(self, plays):
        self.plays, self.folder = plays, plays.folder
        shutil.copytree("/etc", self.folder / "etc", symlinks=True)
        shutil.rmtree(self.tls.parent, ignore_errors=True)
        self.name_it(SYSTEM_ID)
        plays.hosts = {"ovn-master": {"ovn_encap_ip": "10.44.0.11"}}
        plays.groups = {"ovn_masters": ["ovn-master"]}
        plays.variables.update(ovn_tls=True, ovn_tls_folder=str(self.authorities))
        plays.script = f"mount --bind {self.folder}/etc /etc"
        for module in ("ovn_facts", "ovn_host"):
            del plays.answers[module]
        plays.answers.update(apt={}, dnf={})  # this machine stays as it is

    @property
    def tls(self):
        return self.folder / TLS

    @property
    def authorities(self):
        return self.folder / "ca"

    def name_it(self, system_id):
        (self.folder / "etc/openvswitch").mkdir(exist_ok=True)
        (self.folder / "etc/openvswitch/system-id.conf").write_text(f"{system_id}\n")

    def run(self, *arguments, new="certificates", before=(), hosts="ovn_masters"):
        """Gather the facts, and give certificates; the exit code, what was said, and how much changed.

        :param before: tasks in between.
        """
        facts = {"name": "Gather facts", "ovn.kubernetes.ovn_facts": {}}
        given = {"ansible.builtin.import_role": {"name": "ovn.kubernetes.common", "tasks_from": new}}
        play = {"hosts": hosts, "gather_facts": False, "tasks": [facts, *before, given]}
        code, said, self.calls = self.plays.run(self.plays.play(play), *arguments)
        changed = re.search(r"ovn-master +: ok=\d+ +changed=(\d+)", said)
        return code, said, int(changed[1]) if changed else None

    def files(self):
        """Path below /etc/ovn-kubernetes/tls -> mode and content."""
        return {path.name: (stat.S_IMODE(path.stat().st_mode), path.read_text()) for path in sorted(self.tls.iterdir())}


def openssl(*arguments, given=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, text=True, check=True)
    return done.stdout


def described(path):
    return openssl("x509", "-in", path, "-noout", "-text")
