# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the host's keys: nobody is told one, a certificate that does not fit is not put in its place, and a reader
never sees half of a pair."""

from __future__ import annotations

import stat

import authorities
import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import certificates as pem
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import certificates
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.certificates import Issued

CA = authorities.authority("ca")
ONE, OTHER = authorities.issue(CA, "one"), authorities.issue(CA, "other")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A folder in place of the host's."""
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o700)
    for table, names in (
        (certificates.PAIRS, ("chassis.pem", "central.pem")),
        (certificates.BUNDLES, ("a.crt", "b.crt")),
    ):
        for key, name in zip(list(table), names):
            monkeypatch.setitem(table, key, str(folder / name))
    return folder


def put(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)


def test_what_a_host_tells(host):
    """Protects the keys: of a file with key and certificate the certificate alone is told."""
    assert set(certificates.read_certificates()) == {"now"}
    put(host / "chassis.pem", ONE.both)
    put(host / "a.crt", CA.certificate, 0o644)
    found = certificates.read_certificates()
    assert found["chassis"] == {"certificate": ONE.certificate, "fits": True, "exposed": False}
    assert found["central_ca"] == CA.certificate and "central" not in found and "southbound_ca" not in found
    assert "PRIVATE" not in str(found)


def test_a_key_in_a_bundle_is_not_told(host):
    """Protects the key of a CA that somebody has put beside its certificate: facts are kept and shown by many."""
    put(host / "a.crt", CA.key + CA.certificate, 0o644)
    assert certificates.read_certificates()["central_ca"] == CA.certificate


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_an_exposed_key(host, mode):
    """Protects a key that a group or others may read or replace."""
    put(host / "chassis.pem", ONE.both, mode)
    assert certificates.read_certificates()["chassis"]["exposed"] is True


def test_an_exposed_folder(host):
    """Protects keys that are about to be made: others may not look into the folder."""
    put(host / "chassis.pem", ONE.both)
    host.chmod(0o755)
    assert certificates.read_certificates()["chassis"]["exposed"] is True


@pytest.mark.parametrize("text", ["", "x", ONE.certificate, ONE.key, OTHER.key + ONE.certificate, "\0" * 300000])
def test_what_can_not_be_used(host, text):
    """Protects against a file that is damaged, has a half, or a key of something else."""
    put(host / "chassis.pem", text)
    assert certificates.read_certificates()["chassis"]["fits"] is False


def test_a_file_that_is_none(host):
    """Protects the facts of all hosts: what can't be read is no certificate, and stops nothing."""
    (host / "chassis.pem").mkdir(mode=0o700)
    assert certificates.read_certificates()["chassis"]["certificate"] == ""


def join(host, pair, key=None):
    put(host / "chassis.key.new", (key or pair).key)
    steps = list(
        certificates.join_steps([Issued(str(host / "chassis.pem"), str(host / "chassis.key.new"), pair.certificate)])
    )
    said = str([(step.describe(), step.as_dict(), step.before(), step.after()) for step in steps])
    assert "PRIVATE" not in said
    apply_steps(steps)


def test_key_and_certificate_come_together(host):
    """Protects readers: the pair is replaced by one rename, is root's alone, and the new key's file is gone."""
    put(host / "chassis.pem", OTHER.both)
    before = (host / "chassis.pem").stat().st_ino
    join(host, ONE)
    assert (host / "chassis.pem").read_text() == ONE.both
    assert (host / "chassis.pem").stat().st_ino != before
    assert stat.S_IMODE((host / "chassis.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in host.iterdir()) == ["chassis.pem"]


def test_a_certificate_of_another_key(host):
    """Protects what works: a certificate that is not that of the new key changes nothing."""
    put(host / "chassis.pem", OTHER.both)
    with pytest.raises(HostError, match=r"is not that of the key in .*chassis.key.new$"):
        join(host, ONE, key=OTHER)
    assert (host / "chassis.pem").read_text() == OTHER.both


def test_a_run_that_was_interrupted_at_the_end(host):
    """Protects a second call: the pair is in its place, and there is nothing left to do."""
    join(host, ONE)
    issued = [Issued(str(host / "chassis.pem"), str(host / "chassis.key.new"), ONE.certificate)]
    assert list(certificates.join_steps(issued)) == []
    issued = [Issued(str(host / "chassis.pem"), str(host / "chassis.key.new"), OTHER.certificate)]
    with pytest.raises(HostError, match="is gone"):
        list(certificates.join_steps(issued))


@pytest.mark.parametrize(("begin", "end"), [(-1, 730), (-10000, 9000), (-1, 20000)])
def test_validity(begin, end):
    """Protects the metric and verify: dates before and after 2050, which have two forms (RFC 5280, 4.1.2.5), and the
    libraries agree."""
    from cryptography import x509

    pair = authorities.issue(CA, "x", begin=begin, end=end)
    found = pem.validity(pair.both)
    parsed = x509.load_pem_x509_certificate(pair.certificate.encode())
    assert found.begin == parsed.not_valid_before_utc.timestamp()
    assert found.end == parsed.not_valid_after_utc.timestamp()
    assert found.days_left(found.end - 86400) == 1


@pytest.mark.parametrize("cut", range(30, 400, 7))
def test_a_damaged_certificate(cut):
    """Protects programs against a file that is cut off or overwritten: it is an error of one kind, never another."""
    text = ONE.certificate
    for damaged in (text[:cut] + text[-26:], text[:cut] + "AAAA" + text[cut + 4 :], text[:cut]):
        try:
            pem.validity(damaged)
        except ValueError as error:
            assert str(error) in ("no certificate", "a damaged certificate")
