# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects alerts: the days that are left of each certificate are told by every program, and a file that is damaged or
gone ends none of them."""

from __future__ import annotations

import asyncio

import authorities
import prometheus_client
import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import certificate_metrics, telemetry

CA = authorities.authority("ca", end=100)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files, in another folder."""
    paths = [tmp_path / name for name in ("chassis.pem", "central.pem", "central-ca.crt", "southbound-ca.crt")]
    monkeypatch.setattr(certificate_metrics, "FILES", tuple(map(str, paths)))
    return paths


def told():
    """File -> days, as Prometheus reads them."""
    registry = prometheus_client.CollectorRegistry()
    registry.register(certificate_metrics.CertificateMetrics())
    (family,) = list(registry.collect()) or [None]
    return {} if family is None else {one.labels["file"]: round(one.value, 2) for one in family.samples}


def test_the_days_that_are_left(files):
    """Protects the alert: of several certificates the first that ends counts, and one that has ended is negative."""
    assert told() == {}
    chassis, central, central_ca, southbound_ca = files
    chassis.write_text(authorities.issue(CA, "x", end=12).both)
    central.write_text(authorities.issue(CA, "x", begin=-9, end=-2).both)
    central_ca.write_text(CA.certificate)
    southbound_ca.write_text(CA.certificate + authorities.authority("other", end=50).certificate)
    assert told() == {str(chassis): 12, str(central): -2, str(central_ca): 100, str(southbound_ca): 50}


def test_files_that_tell_nothing(files):
    """Protects all other metrics from a file that is damaged, empty, or no file."""
    for path, text in zip(files, ("", "x", CA.certificate[:300] + CA.certificate[-26:])):
        path.write_text(text)
    files[3].mkdir()
    assert told() == {}


def test_every_program_has_it(files):
    """Protects the hosts that have one of the programs only: whoever tells metrics tells these."""
    files[0].write_text(authorities.issue(CA, "x", end=12).both)

    async def ask():
        for _again in range(2):
            (await telemetry.listen("127.0.0.1:0", lambda: None)).close()

    asyncio.run(ask())
    text = prometheus_client.generate_latest().decode()
    assert text.count(f'ovn_kubernetes_certificate_days_left{{file="{files[0]}"}} 1') == 1
