# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the archive of the programs: one file that runs by itself, and has all that it needs.

It is the same for the same library.
"""

from __future__ import annotations

import pathlib
import subprocess

import pytest
from ansible.errors import AnsibleLookupError

from ansible_collections.ovn.kubernetes.plugins.lookup.runtime import archive, role_file
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.commands import command_files
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import start

PROGRAMS = pathlib.Path(start.__file__).parent


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The archive, laid as the role lays it."""
    path = tmp_path_factory.mktemp("archive") / "ovn_kubernetes.pyz"
    path.write_bytes(archive())
    path.chmod(0o755)
    return path


def run(*arguments):
    return subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=30)


def test_the_same_library_gives_the_same_archive():
    """Protects the site run's second time, which compares bytes."""
    assert archive() == archive()


def test_a_role_s_file_is_found_wherever_it_is_asked_for():
    """Protects units that site writes and verify compares: both read the same file, and a wrong name is an error. A
    container runtime can start the CNI plugin: it has its interpreter's line."""
    assert "[Unit]" in role_file("ovn-k8s-host.service")
    assert role_file("ovn-k8s-cni-overlay").startswith("#!/usr/bin/perl -w\n# SPDX")
    with pytest.raises(AnsibleLookupError, match=r"no role has a file .*no-such-file"):
        role_file("../../no-such-file")


@pytest.mark.parametrize("name", ["", "no-such-program"])
def test_an_unknown_program_is_a_usage_error(program, name):
    """Protects whoever mistypes: the programs there are, no traceback."""
    done = run(program, name)
    assert done.returncode == 2 and "install" in done.stderr and "Traceback" not in done.stderr


def test_every_command_starts_a_program_that_is_there():
    """Protects against a command in the PATH that starts nothing."""
    assert set(names.COMMANDS.values()) <= set(start.PROGRAMS)
    assert [name for name in start.PROGRAMS if not (PROGRAMS / (name + ".py")).is_file()] == []


def test_what_install_would_lay_on_a_bare_host(program):
    """Protects hosts that Ansible does not reach: the archive installs itself, its commands, units and plugins.

    Units and plugins are all those of the roles; it can list them before.
    """
    done = run(program, "install", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    roles = pathlib.Path(__file__).resolve().parents[2] / "roles"
    packed = sorted(path.name for path in roles.glob("*/files/ovn-k8s-*"))
    assert "ovn-k8s-host.service" in packed and "ovn-k8s-cni-overlay" in packed
    places = [("/etc/systemd/system/" if name.endswith(".service") else "/opt/cni/bin/") + name for name in packed]
    assert [line.split()[1].rstrip(":") for line in done.stdout.splitlines()] == [
        names.ARCHIVE,
        *places,
        *(file.path for file in command_files(True)),
    ]
