# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A new name, subnet or address in the inventory is one run, without leftovers."""

from __future__ import annotations

import pytest
from lab_hosts import network, northbound, play, subnet_of


@pytest.fixture(scope="module")
def moved(site, tmp_path_factory):
    """A function that runs the site play with other values for ovn-node1, instead of those before.

    At the end the lab is as it was at first.
    """
    before, subnet = (northbound(), network("ovn-node1")), subnet_of("ovn-node1")
    extra = tmp_path_factory.mktemp("inventory") / "moved.yml"

    def run(values):
        extra.write_text(
            "all:\n  hosts:\n    ovn-node1:\n" + "".join(f"      {key}: {value}\n" for key, value in values.items())
        )
        return play("site", inventory=[extra]), extra

    yield run
    run({"ovn_node_subnet": subnet})[0].ok()
    assert (northbound(), network("ovn-node1")) == before


@pytest.mark.parametrize(
    ("values", "gone", "there"),
    [
        pytest.param(
            {"ovn_node_subnet": "192.168.77.0/24", "ovn_gateway_ip": "10.55.0.99/24"},
            ["{subnet}", "10.55.0.11"],
            ["192.168.77.0/24", "192.168.77.1/24", "10.55.0.99"],
            id="subnet (W7), and address of the gateway",
        ),
        pytest.param(
            {"ovn_node_name": "edge"},
            ["ovn-node1", "10.55.0.99"],
            ["k8s-edge", "GR_edge", "rtos-edge", "10.55.0.11"],
            id="name, and back to the old address",
        ),
    ],
)
def test_one_run_moves_without_leftovers(moved, values, gone, there):
    """Protects: what moves is shown, moves whole, and leaves nothing behind (W7, W9)."""
    subnet = subnet_of("ovn-node1")
    values = {key: value.format(subnet=subnet) for key, value in values.items()}
    done, extra = moved(values)
    assert any(name in " ".join(done.ok().plans) for name in there)
    rows = " ".join(row for _table, row in northbound())
    for name in there:
        assert name.format(subnet=subnet) in rows
    for name in gone:
        assert name.format(subnet=subnet) not in rows
    # A second run would change nothing: verify compares rows, host and files as site does.
    play("verify", inventory=[extra]).ok()
