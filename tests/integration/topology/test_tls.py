# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the way over ``ssl``: it works with the right keys, and with others one sentence says which are wrong."""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import ssl
import subprocess
import threading

import authorities
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from database_server import PROGRAMS, free_port
from northbound import Northbound, node_settings

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.channel import Channel
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica

REFUSED = (
    "no TLS connection: ca_cert must be of the authority that signed the server's certificate, "
    "and the server must know the authority of ours"
)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def authority(directory, name):
    """A certificate authority and what it has signed: the options of a module."""
    made = {key: directory / f"{name}-{key}.pem" for key in ("private_key", "certificate", "ca_cert", "ca_key")}
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        "req", "-x509", *new, "-subj", f"/CN={name}", "-days", 2, "-keyout", made["ca_key"], "-out", made["ca_cert"]
    )
    openssl(
        "req",
        "-x509",
        *new,
        "-subj",
        "/CN=one",
        "-days",
        2,
        "-keyout",
        made["private_key"],
        "-out",
        made["certificate"],
        "-CA",
        made["ca_cert"],
        "-CAkey",
        made.pop("ca_key"),
    )
    return {key: str(path) for key, path in made.items()}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Of the cluster's authority, and of another one."""
    directory = tmp_path_factory.mktemp("keys")
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", directory / "plain.pem")
    openssl(
        "ec", "-in", directory / "plain.pem", "-aes256", "-passout", "pass:secret", "-out", directory / "locked.pem"
    )
    return authority(directory, "ours"), authority(directory, "theirs"), directory


@pytest.fixture
def nb(keys):
    """A Northbound database that listens for TLS."""
    port, ours = free_port(), keys[0]
    server = Northbound(
        flags=(
            f"--private-key={ours['private_key']}",
            f"--certificate={ours['certificate']}",
            f"--ca-cert={ours['ca_cert']}",
            f"--remote=pssl:{port}:127.0.0.1",
        )
    )
    server.ssl = f"ssl:127.0.0.1:{port}"
    yield server
    server.remove()


KINDS = {
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "Ed448": ed448.Ed448PrivateKey.generate(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_ca_that_is_accepted(tmp_path, kind):
    """Protects who gives a CA: what the validation takes, Open vSwitch takes too, as server and as client."""
    ca = authorities.authority("central", key=KINDS[kind])
    (tmp_path / "own.pem").write_text(authorities.issue(ca, "one").both)
    (tmp_path / "ca.crt").write_text(ca.certificate)
    own = f"{tmp_path}/own.pem"
    options = (f"--private-key={own}", f"--certificate={own}", f"--ca-cert={tmp_path}/ca.crt")
    port = free_port()
    server = Northbound(flags=(*options, f"--remote=pssl:{port}:127.0.0.1"))
    try:
        client = [str(PROGRAMS / "bin" / "ovsdb-client"), "--timeout=20", *options, "list-dbs", f"ssl:127.0.0.1:{port}"]
        said = subprocess.run(client, check=True, capture_output=True, text=True, timeout=30).stdout
        assert "OVN_Northbound" in said
    finally:
        server.remove()


def test_the_right_keys(nb, keys):
    """Protects the plain case: rows are written, and a second call finds them."""
    assert nb.master(northbound=nb.ssl, **keys[0])["changed"]
    assert not nb.master(northbound=nb.ssl, **keys[0])["changed"]


def test_keys_that_do_not_fit(nb, keys):
    """Protects users against a traceback, and against "run as root" or "no such socket" where a file is wrong.

    Nothing was written.
    """
    ours, theirs, directory = keys
    wrong = [
        (
            {},
            "private_key /etc/ovn-kubernetes/tls/central.pem can't be read (No such file or directory): "
            "give the path of a PEM file on this host",
        ),
        (ours | {"ca_cert": theirs["ca_cert"]}, REFUSED),
        (theirs | {"ca_cert": ours["ca_cert"]}, REFUSED),
        (
            ours | {"private_key": "/nonexistent/key.pem"},
            (
                "private_key /nonexistent/key.pem can't be read (No such file or directory): "
                "give the path of a PEM file on this host"
            ),
        ),
        (
            ours | {"private_key": theirs["private_key"]},
            "can't be used (KEY_VALUES_MISMATCH): they must be PEM files, the key without a password",
        ),
        (
            ours | {"private_key": str(directory / "locked.pem")},
            "they must be PEM files, the key without a password and that of the certificate",
        ),
        (
            ours | {"ca_cert": "/dev/null"},
            (
                f"private_key {ours['private_key']}, certificate {ours['certificate']} and ca_cert "
                "/dev/null can't be used ("
            ),
        ),
    ]
    for options, words in wrong:
        said = nb.refused("ovn_minion_init", **node_settings(1, northbound=nb.ssl, **options))
        assert said.startswith(f"can't use database OVN_Northbound at {nb.ssl}: ") and words in said
    plain = f"ssl:{nb.tcp.partition(':')[2]}"
    assert REFUSED in nb.refused("ovn_minion_init", **node_settings(1, northbound=plain, **ours))
    nowhere = f"ssl:127.0.0.1:{free_port()}"
    assert "nobody listens there" in nb.refused("ovn_minion_init", **node_settings(1, northbound=nowhere, **ours))


def test_programs_that_stay_say_the_same(nb, keys):
    """Protects against two sets of error texts: the other kind of connection takes and refuses the same keys."""
    ours, theirs, _directory = keys

    async def ask(tls):
        channel = await Channel.open(nb.ssl, lambda *_notification: None, tls=tls)
        try:
            return await channel.request("list_dbs", [], timeout=5)
        finally:
            channel.close()

    assert "OVN_Northbound" in asyncio.run(ask(ours))
    for tls, words in (
        (None, "an ssl remote needs"),
        (ours | {"ca_cert": theirs["ca_cert"]}, REFUSED),
        (ours | {"certificate": "/none"}, "certificate /none can't be read"),
    ):
        with pytest.raises(DatabaseError, match=re.escape(words)):
            asyncio.run(ask(tls))


def test_files_that_are_replaced_while_a_program_runs(nb, keys, tmp_path, caplog):
    """Protects a rotation: a connection that is there outlives files that do not fit, and half a file; a new one waits
    for the right ones, says why, and nothing is left of the attempts.
    """
    ours, theirs, _directory = keys
    files = {key: tmp_path / key for key in ours}

    def put(given, share=1.0):
        for key, path in files.items():
            text = pathlib.Path(given[key]).read_text()
            path.write_text(text[: int(len(text) * share)])

    async def said(words):
        caplog.clear()
        while not any(words in record.getMessage() for record in list(caplog.records)):
            await asyncio.sleep(0.01)

    async def main():
        tls = {key: str(path) for key, path in files.items()}
        replica = Replica(nb.ssl, "OVN_Northbound", {"NB_Global": ("name",)}, tls=tls)
        task = asyncio.ensure_future(replica.run())
        try:
            await replica.ready.wait()
            before = len(os.listdir("/proc/self/fd")), threading.active_count()
            for wrong, words in (
                ({**ours, "certificate": theirs["certificate"]}, "KEY_VALUES_MISMATCH"),
                ({**ours, "ca_cert": theirs["ca_cert"]}, REFUSED),
            ):
                put(wrong)
                await replica.transact([{"op": "comment", "comment": "the connection is there"}])
                replica.reconnect()
                await said(words)
                put(ours, 0.5)
                await said("can't be used")
                put(ours)
                await replica.ready.wait()
                assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
        finally:
            await end([task])

    put(ours)
    asyncio.run(asyncio.wait_for(main(), 60))


def test_certificates_without_key_identifiers(tmp_path, monkeypatch):
    """Protects certificates of the user's own, as openssl and ovs-pki make them: Python 3.13 wants more of them than
    the servers do.
    """
    made = ssl.create_default_context

    def strict(**options):
        context = made(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 makes it
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    paths = {key: tmp_path / f"{key}.pem" for key in ("private_key", "certificate", "ca_cert")}
    openssl("req", "-x509", *new, "-subj", "/CN=ca", "-days", 2, "-keyout", tmp_path / "key", "-out", paths["ca_cert"])
    openssl("req", *new, "-subj", "/CN=one", "-keyout", paths["private_key"], "-out", tmp_path / "request")
    (tmp_path / "extensions").write_text("basicConstraints=CA:false\nauthorityKeyIdentifier=none\n")
    signer = ("-CA", paths["ca_cert"], "-CAkey", tmp_path / "key", "-CAcreateserial", "-days", 2)
    more = ("-extfile", tmp_path / "extensions", "-out", paths["certificate"])
    openssl("x509", "-req", "-in", tmp_path / "request", *signer, *more)
    tls = {key: str(path) for key, path in paths.items()}
    port = free_port()
    flags = [f"--{key.replace('_', '-')}={path}" for key, path in tls.items()]
    server = Northbound(flags=(*flags, f"--remote=pssl:{port}:127.0.0.1"))

    async def ask():
        channel = await Channel.open(f"ssl:127.0.0.1:{port}", lambda *_notification: None, tls=tls)
        try:
            return await channel.request("list_dbs", [], timeout=5)
        finally:
            channel.close()

    try:
        assert "OVN_Northbound" in asyncio.run(ask())
    finally:
        server.remove()
