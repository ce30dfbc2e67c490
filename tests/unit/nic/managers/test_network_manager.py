# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the bridge's profile of NetworkManager: all that the NIC's says of addresses, and nothing that is for a NIC
alone."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.boot import managers_to_restore
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import network_manager, network_manager_dbus
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.base import Profile
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.network_manager_profile import (
    AUTOMATIC,
    bridge_profile,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.steps import Handover, HandoverStep

NETWORK_MANAGER = "NetworkManager"
LASTING = {"may-fail": ("b", True), "dhcp-timeout": ("i", 0x7FFFFFFF)}
TAP = {"tun": {"mode": ("u", 2)}}
ORIGINAL = {
    "connection": {
        "id": ("s", "office"),
        "uuid": ("s", "4d3c"),
        "type": ("s", "802-3-ethernet"),
        "zone": ("s", "home"),
        "permissions": ("as", ["user:me:"]),
    },
    "802-3-ethernet": {"mac-address": ("ay", b"\x02")},
    "ipv4": {"method": ("s", "auto"), "dhcp-client-id": ("s", "stable"), "dns": ("au", [1])},
    "ipv6": {"method": ("s", "auto"), "route-metric": ("x", 7)},
}


def test_a_profile_is_bridge_profile():
    """Protects methods, name servers, zone and metrics; identity is pinned; the copy has no type, name or permissions
    of the NIC's.

    It waits for ever for servers and routers, since nobody would activate it again, whatever the NIC's says.
    """
    assert bridge_profile(ORIGINAL, Profile("4d3c", True, "01:02", "::1", 101), "breth0", TAP) == {
        "connection": {
            "id": ("s", "breth0"),
            "type": ("s", "tun"),
            "interface-name": ("s", "breth0"),
            "autoconnect": ("b", False),
            "stable-id": ("s", "4d3c"),
            "zone": ("s", "home"),
        },
        "tun": {"mode": ("u", 2)},
        "ipv4": {
            "method": ("s", "auto"),
            "dhcp-client-id": ("s", "01:02"),
            "dns": ("au", [1]),
            "route-metric": ("x", 101),
            **LASTING,
        },
        "ipv6": {
            "method": ("s", "auto"),
            "route-metric": ("x", 7),
            "addr-gen-mode": ("i", 0),
            "token": ("s", "::1"),
            **LASTING,
            "ra-timeout": ("i", 0x7FFFFFFF),
        },
    }


def test_without_a_profile_it_is_as_network_manager_does_it_by_itself():
    """Protects hosts where NetworkManager made a profile for the NIC by itself, which went with the NIC."""
    made = bridge_profile(AUTOMATIC, Profile("4d3c", True), "breth0", {"generic": {}})
    automatic = {"method": ("s", "auto"), "route-metric": ("x", -1), **LASTING}
    assert (made["ipv4"], made["ipv6"]) == (automatic, dict(automatic, **{"ra-timeout": ("i", 0x7FFFFFFF)}))


class Bus:
    """Answers as NetworkManager does: a profile's settings, and properties."""

    def __init__(self, monkeypatch, settings=None, **properties):
        self.methods, self._settings, self._properties = [], settings or {}, properties
        monkeypatch.setattr(network_manager_dbus, "call", self._call)
        monkeypatch.setattr(
            network_manager_dbus, "read_property", lambda _service, _path, _interface, name: self._properties[name]
        )
        for module in (network_manager, network_manager_dbus):
            monkeypatch.setattr(module, "link_exists", lambda _link: True)

    def _call(self, _service, _path, _interface, method, *_more):
        self.methods.append(method)
        return (
            {"GetSettings": self._settings, "GetConnectionByUuid": "/profile", "GetDeviceByIpIface": "/device"}.get(
                method
            ),
        )


@pytest.mark.parametrize(
    ("profile", "datapath", "settings", "reason"),
    [
        (Profile("4d3c", True), "system", ORIGINAL, "takes no bridge of the kernel's datapath"),
        (Profile("4d3c", True), "netdev", ORIGINAL, None),
        (Profile("4d3c"), "system", ORIGINAL, None),
        (Profile("4d3c"), "netdev", {"802-1x": {}}, "eth0 is authenticated by 802.1X"),
    ],
)
def test_what_network_manager_refuses_is_refused_before(monkeypatch, profile, datapath, settings, reason):
    """Protects against a change that would always be rolled back, and against a NIC that an 802.1X switch blocks."""
    Bus(monkeypatch, settings, Capabilities=[1, 2])
    with pytest.raises(HostError, match=reason) if reason else contextlib.nullcontext():
        network_manager_dbus.refuse("eth0", profile, datapath)


def test_without_its_plugin_a_bridge_of_the_kernel_may_be_leased(monkeypatch):
    """Protects hosts whose NetworkManager takes the bridge for a device like any other."""
    Bus(monkeypatch, ORIGINAL, Capabilities=[1])
    network_manager_dbus.refuse("eth0", Profile("4d3c", True), "system")


@pytest.mark.parametrize(("state", "configured"), [(30, False), (40, True), (70, True), (100, True), (120, False)])
def test_a_bridge_that_waits_for_its_lease_is_configured(monkeypatch, state, configured):
    """Protects the bridge of a boot without a DHCP server: it is not taken down again and again while it waits, nor
    given to NetworkManager twice."""
    bus = Bus(monkeypatch, State=state, ActiveConnection="/active", StateFlags=0, Uuid="c0py")
    assert network_manager_dbus.configures("breth0") is configured
    assert network_manager_dbus.configures("breth0", completely=True) is (state == 100)
    handovers = (Handover(NETWORK_MANAGER, "eth0", "breth0", (), profile=Profile("4d3c", True)),)
    steps = managers_to_restore(handovers, True)
    assert [step.waits for step in steps] == ([] if configured else [False])
    if 40 <= state <= 100:
        monkeypatch.setattr(network_manager_dbus, "set_managed", lambda *_arguments: None)
        network_manager.NetworkManager().notify(
            HandoverStep(NETWORK_MANAGER, "eth0", "breth0", profile=Profile("4d3c", True), waits=False)
        )
        assert "AddAndActivateConnection2" not in bus.methods


@pytest.mark.parametrize(
    ("effective", "profile", "reapplied"),
    [
        ("102", {"ipv4": {"method": ("s", "manual")}, "ipv6": {"route-metric": ("x", 7)}}, {"ipv4": 100, "ipv6": 7}),
        ("102", {"ipv4": {"route-metric": ("x", -1)}}, {"ipv4": 100, "ipv6": 100}),
        ("102", {"ipv4": {"route-metric": ("x", 7)}, "ipv6": {"route-metric": ("x", 7)}}, None),
        ("100", {}, None),
    ],
)
def test_a_nic_that_comes_back_has_the_metric_that_it_had(monkeypatch, effective, profile, reapplied):
    """Protects the default route of a host with two NICs: NetworkManager puts a device that it takes again behind all
    others."""
    calls = []

    def call(_service, _path, _interface, method, _signature="", arguments=()):
        calls.append((method, arguments))
        return {"GetAppliedConnection": (profile, 5)}.get(method, ("/profile",))

    monkeypatch.setattr(network_manager_dbus, "call", call)
    monkeypatch.setattr(
        network_manager_dbus,
        "read_property",
        lambda _service, _path, _interface, name: {"State": 100, "StateFlags": 0, "Uuid": "4d3c"}.get(name),
    )
    monkeypatch.setattr(
        network_manager_dbus, "device_state", lambda _index: {"route-metric-default-effective": effective}
    )
    network_manager_dbus.activate_nic("eth0", Profile("4d3c", metric=100))
    (reapply,) = [arguments for method, arguments in calls if method == "Reapply"] or [None]
    assert (reapply and {part: reapply[0][part]["route-metric"][1] for part in ("ipv4", "ipv6")}) == reapplied
    assert reapply is None or reapply[1:] == (5, 0)
