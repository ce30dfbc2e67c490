# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The units of the programs: what their logs are called, and where they get their log level from."""

from __future__ import annotations

import configparser
import pathlib
import re

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names

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


@pytest.mark.parametrize("name", UNITS)
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
