# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the commands read beside their flags, and how they answer wrong usage."""

from __future__ import annotations

import shlex

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import legacy_settings as given
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import overlay, overlay_arguments, util

INIT = ["minion-init", "--cluster-ip-subnet=192.168.0.0/16", "--minion-switch-subnet=192.168.2.0/24", "--node-name=n1"]
GATEWAY = ["gateway-init", "--cluster-ip-subnet=192.168.0.0/16", "--physical-ip=10.0.0.2/24", "--node-name=n1"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-init"],
        INIT[:-1],
        [*INIT, "--master-switch-subnet=192.168.1.0/24"],
        [*INIT, "--dry"],
        GATEWAY,
        [*GATEWAY, "--physical-interface=eth1", "--bridge-interface=breth0"],
    ],
    ids=[
        "no command",
        "unknown command",
        "missing flag",
        "another command's flag",
        "abbreviated flag",
        "no NIC",
        "both kinds",
    ],
)
def test_wrong_usage_is_2(capsys, arguments):
    """Protects scripts: exit status 2, before anything is read."""
    with pytest.raises(SystemExit) as left:
        overlay.main(arguments)
    assert left.value.code == 2 and "usage: ovn-k8s-overlay" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["master-init"], ["minion-init"], ["gateway-init"]])
def test_help_has_examples(capsys, command):
    """Protects whoever asks a command itself: flags and a line to copy."""
    with pytest.raises(SystemExit) as left:
        overlay.main([*command, "--help"])
    said = capsys.readouterr().out
    assert (
        left.value.code == 0
        and "ovn-k8s-overlay gateway-init --cluster-ip-subnet=192.168.0.0/16 --physical-interface eth1" in said
    )


def test_examples_can_be_copied():
    """Protects whoever pastes an example into a shell: each command is whole, also where it takes two lines."""
    lines = overlay_arguments.EXAMPLES.replace("\\\n", "").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("    ovn-k8s-overlay ")]
    names = [overlay.parser().parse_args(command).node_name for command in commands]
    assert names == ["kube-master", "kube-minion1", "kube-minion2"]


def test_flags_with_a_blank_or_an_equals_sign(capsys):
    """Protects both spellings of the original's documentation, and lists for dual stack."""
    options = overlay.parser().parse_args(
        [
            "gateway-init",
            "--cluster-ip-subnet=192.168.0.0/16,fd10::/48",
            "--physical-interface",
            "eth1",
            "--physical-ip",
            "10.33.74.138/24",
            "--node-name=kube-minion2",
            "--default-gw",
            "10.33.74.253",
        ]
    )
    assert (options.cluster_ip_subnet, options.physical_interface, options.physical_ip, options.default_gw) == (
        ["192.168.0.0/16", "fd10::/48"],
        "eth1",
        ["10.33.74.138/24"],
        ["10.33.74.253"],
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {}),
        ("", {}),
        ("[default]\nmtu=1400\n", {"mtu": "1400"}),
        ("[default]\nca_cert = '/etc/ca.pem'\n", {"ca_cert": "/etc/ca.pem"}),
        ("[logging]\nlevel=4\n", {}),
    ],
)
def test_the_configuration_file(tmp_path, text, found):
    """Protects the original's file, quoted values among them; other sections are another program's."""
    if text is not None:
        (tmp_path / "conf").write_text(text)
    assert given.read_configuration(str(tmp_path / "conf")) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[default]\ncluster-subnet=10.0.0.0/8\n", "has an unknown key cluster-subnet: it may hold mtu,"),
        ("mtu=1400\n", "can't be read: File contains no section headers."),
        ("[default]\nmtu=1400\nmtu=1500\n", "can't be read: "),
    ],
)
def test_w27_a_configuration_that_nobody_would_heed_is_refused(tmp_path, text, sentence):
    """Protects against a file that is silently ignored (W27)."""
    (tmp_path / "conf").write_text(text)
    with pytest.raises(HostError) as refused:
        given.read_configuration(str(tmp_path / "conf"))
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("mtu", ["big", "-1", "12", "70000", "1400.5"])
def test_an_mtu_that_is_none(mtu):
    """Protects against a number that no link takes."""
    with pytest.raises(HostError, match="is not a number of bytes"):
        str(given.LegacySettings({}, {"mtu": mtu}).mtu)


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (None, None),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
    ],
)
def test_the_api_server(server, url):
    """Protects: no scheme means http, as in the original."""
    assert given.LegacySettings({} if server is None else {"k8s-api-server": server}).api_server == url


def test_the_token_is_in_no_text_of_what_is_given():
    """Protects the token against logs."""
    assert "s3cret" not in repr(given.LegacySettings({"k8s-api-token": "s3cret"}))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nics-to-bridge"],
        ["bridge-to-nics", "eth0"],
        ["nics-to-bridge", "eth0", "--timeout=soon"],
        ["confirm", "eth0"],
    ],
    ids=["no command", "no NIC", "unknown command", "no number", "too much"],
)
def test_wrong_usage_of_util_is_2(capsys, arguments):
    """Protects scripts: the original said nothing, and 0."""
    with pytest.raises(SystemExit) as left:
        util.main(arguments)
    assert left.value.code == 2 and "usage: ovn-k8s-util" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["1", "-10", "4000"])
def test_a_time_in_which_nobody_can_confirm_is_refused(capsys, seconds):
    """Protects against a move that can only be rolled back, or never is: refused before anything is looked at."""
    assert util.main(["nics-to-bridge", "eth0", "--timeout", seconds]) == 1
    assert f"--timeout {seconds} does not fit: give 5 to 3600 seconds" in capsys.readouterr().err
