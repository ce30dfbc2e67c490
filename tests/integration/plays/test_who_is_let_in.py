# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects both databases: what the play has made, at a real ovsdb-server."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess

import authorities
import pytest
from certified_master import openssl
from database_server import PROGRAMS, Server, wait_for


class Listener:
    """A real ovsdb-server that has what the play has made, and the port on which it speaks TLS.

    :param trusted: the file of whom it trusts.
    """

    def __init__(self, master, schema, database, trusted):
        pair = f"{master.tls}/central.pem"
        files = (f"--private-key={pair}", f"--certificate={pair}", f"--ca-cert={master.tls}/{trusted}")
        self.server = Server(schema, database, flags=(*files, "--remote=pssl:0:127.0.0.1"))
        for port in re.findall(r"listening on port (\d+)", self.server.log.read_text()):
            self.port = int(port)
            if self.plain():
                break
        self._seen = len(self.server.log.read_text())

    def answer(self, pair, trusted):
        """Ask for the databases; the error that the client sees, or nothing. Trusted: whom the client trusts."""
        context = ssl.create_default_context(cafile=trusted)
        context.check_hostname = False
        if pair:
            context.load_cert_chain(pair)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain, context.wrap_socket(plain) as client:
                return self._ask(client)
        except OSError as error:
            return str(error)

    def plain(self):
        """Ask without TLS."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            return self._ask(client)

    @staticmethod
    def _ask(client):
        client.sendall(b'{"method":"list_dbs","params":[],"id":1}')
        return "" if client.recv(1000).startswith(b'{"id":1,"result":["OVN_') else "the connection was closed"

    def says(self, word):
        """Wait until the server has said a word of a connection that it refused, after those before."""
        found = wait_for(lambda: self._said(word), f"{word!r} in {self.server.log.read_text()}")
        self._seen = found.end()
        return True

    def _said(self, word):
        return re.compile(rf"\|WARN\|.*({word}).*").search(self.server.log.read_text(), self._seen)


@pytest.fixture
def listeners(master):
    """The Northbound and the Southbound server of a master that the play has given certificates."""
    code, said, _changed = master.run()
    assert code == 0, said
    both = []
    try:
        for one in (("ovn-nb", "OVN_Northbound", "central-ca.crt"), ("ovn-sb", "OVN_Southbound", "southbound-ca.crt")):
            both.append(Listener(master, *one))
        yield both
    finally:
        for one in both:
            one.server.remove()


def test_who_is_let_in(master, listeners):
    """Protects both databases: masters get into both, a chassis into the Southbound one alone, and nobody else into
    any."""
    northbound, southbound = listeners
    trusted = master.tls / "central-ca.crt"
    authority = authorities.Pair(*((master.authorities / f"central-ca.{end}").read_text() for end in ("crt", "key")))
    others = {
        "expired": authorities.issue(authority, "ovn-master", begin=-9, end=-1),
        "early": authorities.issue(authority, "ovn-master", begin=1, end=9),
        "stranger": authorities.issue(authorities.authority("stranger"), "ovn-master"),
        # A CA that calls itself like ours.
        "forger": authorities.issue(authorities.authority(issuer(master.tls / "central.pem")), "ovn-master"),
    }
    for name, pair in others.items():
        (master.folder / f"{name}.pem").write_text(pair.both)
    assert [one.answer(master.tls / "central.pem", trusted) for one in listeners] == ["", ""]
    assert southbound.answer(master.tls / "chassis.pem", trusted) == ""
    assert northbound.answer(master.tls / "chassis.pem", trusted)  # the server's alert, or the end alone
    assert northbound.says("SSL_accept.*certificate verify failed")
    for server in listeners:
        for name in others:
            assert server.answer(master.folder / f"{name}.pem", trusted), name
            assert server.says("SSL_accept.*certificate verify failed"), name
        assert server.answer(None, trusted) and server.says("SSL_accept.*peer did not return a certificate")
        assert server.plain() and server.says("SSL_accept")
    # And clients do not take a chassis for a server.
    assert "certificate verify failed" in northbound.answer(
        master.tls / "central.pem", master.folder / "ca/chassis-ca.crt"
    )


def issuer(path):
    return openssl("x509", "-in", path, "-noout", "-issuer", "-nameopt", "multiline").partition("= ")[2].strip()


def test_an_old_authority_without_a_restart(master, listeners):
    """Protects the end of a CA: servers read the file at the next connection and refuse the CA that has left it; who is
    connected stays until the server ends the connections, as the play does. A session can't be resumed."""
    _northbound, southbound = listeners
    trusted = str(master.tls / "central-ca.crt")
    bundle, before = master.tls / "southbound-ca.crt", (master.tls / "chassis.pem").read_text()
    old = master.folder / "old.pem"
    old.write_text(before)
    context = ssl.create_default_context(cafile=trusted)
    context.check_hostname = False
    context.load_cert_chain(old)
    with socket.create_connection(("127.0.0.1", southbound.port), 10) as plain, context.wrap_socket(plain) as client:
        assert southbound._ask(client) == ""
        modified = bundle.stat().st_mtime
        bundle.write_text((master.tls / "central-ca.crt").read_text() + authorities.authority("chassis").certificate)
        os.utime(bundle, (modified + 10, modified + 10))  # the server looks at its time
        assert southbound.answer(old, trusted) and southbound.says("SSL_accept.*certificate verify failed")
        with socket.create_connection(("127.0.0.1", southbound.port), 10) as again, pytest.raises(ssl.SSLError):
            context.wrap_socket(again, session=client.session)
        assert southbound._ask(client) == ""
        program = f"{PROGRAMS}/bin/ovs-appctl"
        subprocess.run([program, "-t", southbound.server.directory / "ctl", "ovsdb-server/reconnect"], check=True)
        assert client.recv(1000) == b""
