# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The units of the programs: what their logs are called, where they get their log level from, and what they may do."""

from __future__ import annotations

import configparser
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import drop_watch

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = {path.name: path for path in sorted(ROOT.glob("roles/*/files/*.service"))}


def service(path):
    """Return the section [Service] of a unit: option -> its last value."""
    unit = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes="#", delimiters="=")
    unit.optionxform = str
    unit.read_string(path.read_text(encoding="utf-8"))
    return dict(unit["Service"])


@pytest.mark.parametrize("name", UNITS)
def test_its_log_has_its_name(name):
    """Protects `journalctl -t NAME`, and whoever reads the journal of a host: the lines had the interpreter's name."""
    assert f"{service(UNITS[name])['SyslogIdentifier']}.service" == name


# Its program is Open vSwitch's, which has levels of its own: ovs-appctl(8), vlog/set.
OVSDB_SERVER = "ovn-k8s-southbound-relay.service"


@pytest.mark.parametrize("name", sorted(set(UNITS) - {OVSDB_SERVER}))
def test_its_level_is_that_of_the_inventory(name):
    """Protects ovn_log_level: the file that the roles write is the unit's environment. A host without the file, which
    Ansible does not reach, has the default."""
    assert service(UNITS[name])["EnvironmentFile"] == f"-{names.LOG_SETTINGS}"
    variables = (ROOT / "roles" / "common" / "vars" / "main.yml").read_text(encoding="utf-8")
    assert re.search(
        rf'path: {names.LOG_SETTINGS}\n +content: "{names.LOG_LEVEL}={{{{ common_settings.log_level }}}}"', variables
    )


def test_what_a_node_says_after_its_server_s_end_is_in_the_same_log():
    """Protects the reason for a node's condition: a transient unit of another name writes it."""
    assert "--property=SyslogIdentifier=ovn-k8s-node" in service(UNITS["ovn-k8s-node.service"])["ExecStopPost"]


PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
# What `systemd-analyze security` says at most, of 10: the table of docs/hosts.md.
EXPOSURES = {
    f"{unit}.service": float(figure)
    for unit, figure in re.findall(r"^\| `(ovn-k8s-[a-z-]+)` \| (\d\.\d) \|", PAGE, re.MULTILINE)
}
# Each figure is below the limit of its unit. The watcher needs no rights of the network's: it has a lower one.
LIMITS = {**dict.fromkeys(UNITS, 5.0), "ovn-k8s-watcher.service": 3.0}
CAPABILITIES = {1: "CAP_DAC_OVERRIDE", 12: "CAP_NET_ADMIN"}  # capabilities(7), linux/capability.h
# Each gives a unit a mount namespace of its own (systemd.exec(5)).
OF_MOUNTS = re.compile(
    r"(Protect(System|Home|KernelTunables|KernelModules|KernelLogs|ControlGroups|Proc)|ProcSubset|PrivateTmp|PrivateDevices|"
    r"PrivateMounts|PrivateIPC|MountFlags|RootDirectory|RootImage|(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec)Paths|"
    r"Bind(ReadOnly)?Paths|TemporaryFileSystem|MountImages|DynamicUser|LoadCredential)"
)


def test_each_unit_has_a_figure():
    """Protects who reads the table: no unit is missing there, and none is shown above its limit."""
    assert set(EXPOSURES) == set(UNITS)
    assert [name for name, figure in EXPOSURES.items() if figure >= LIMITS[name]] == []


def exposure(path):
    """Return what systemd says of a unit's file."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "Unknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze before 250 does not read files")
    # A directive that systemd does not know would be ignored on the host, too.
    assert "Unknown key" not in done.stderr and "Failed to parse" not in done.stderr
    return float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])


needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="this machine has no systemd, whose figures these are"
)


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_what_a_unit_may_do_is_bounded(name, record_property):
    """Protects least privilege: no unit gets more rights than its program needs without somebody seeing it here."""
    figure = exposure(UNITS[name])
    record_property("exposure", figure)
    sys.stdout.write(f"{name}: {figure}, below {LIMITS[name]}\n")
    assert figure <= EXPOSURES[name] and figure < LIMITS[name]


def as_directive(name, kind, value):
    """Return a property of a unit as a file has it: systemd.exec(5), org.freedesktop.systemd1(5)."""
    if name == "CapabilityBoundingSet":
        value = " ".join(word for bit, word in CAPABILITIES.items() if value >> bit & 1)
    elif name == "RestrictNamespaces":  # the namespaces that are left
        assert value == 0
        value = "yes"
    elif kind == "(bas)":  # whether the words are those that are allowed
        assert value[0]
        value = " ".join(value[1])
    elif kind == "as":
        value = " ".join(value)
    elif kind == "b":
        value = "yes" if value else "no"
    elif name == "UMask":
        value = f"{value:04o}"
    return f"{name}={value}\n"


@needs_systemd
def test_what_units_without_a_file_may_do_is_bounded(tmp_path):
    """Protects the same of ovn-k8s-drops and ovn-k8s-central-ports, whose properties whoever starts them gives."""
    path = tmp_path / names.DROPS_UNIT
    text = "".join(as_directive(name, *given) for name, given in drop_watch.CONFINED)
    path.write_text(f"[Service]\nExecStart=/usr/bin/python3\n{text}")
    figure = exposure(path)
    sys.stdout.write(f"{path.name}: {figure}\n")
    shown = re.search(r"no files below `/usr`, `/boot` and `/etc`: (\d\.\d)\.", PAGE)
    assert figure <= float(shown[1])


@pytest.mark.parametrize("name", UNITS)
def test_each_unit_is_confined(name):
    """Protects hosts from a program of ours that was taken over: it starts nothing with more rights, loads no module,
    and a call that is not allowed is an error, not the end of the program."""
    unit = service(UNITS[name])
    assert unit["NoNewPrivileges"] == "yes" and unit["SystemCallErrorNumber"] == "EPERM"
    assert "CAP_SYS_MODULE" not in unit["CapabilityBoundingSet"].split()
    assert "SystemCallFilter=@system-service\n" in UNITS[name].read_text(encoding="utf-8")


def test_the_unit_without_a_file_is_confined():
    """Protects hosts in the userspace datapath from ovn-k8s-drops, which is started with properties."""
    given = dict(drop_watch.CONFINED)
    assert len(given) == len(drop_watch.CONFINED)
    assert given["NoNewPrivileges"] == ("b", True) and given["SystemCallErrorNumber"] == ("i", 1)
    assert given["CapabilityBoundingSet"] == ("t", sum(1 << bit for bit in CAPABILITIES))
    assert given["SystemCallFilter"] == ("(bas)", (True, ["@system-service"]))


def test_a_node_s_server_sends_no_frames_of_its_own():
    """Protects the overlay's networks from a node's server that was taken over: with a packet socket it could speak for
    any pod, and hear all of the host.
    """
    unit = service(UNITS["ovn-k8s-node.service"])
    assert "AF_PACKET" not in unit["RestrictAddressFamilies"] and "CAP_NET_RAW" not in unit["CapabilityBoundingSet"]


def test_a_node_s_server_sees_all_mounts():
    """Protects new pods: their network namespaces are mounts below /run/netns, made after the server has started.

    A unit with a mount namespace does not see them where / is private, as in a container.
    """
    assert [directive for directive in service(UNITS["ovn-k8s-node.service"]) if OF_MOUNTS.fullmatch(directive)] == []
