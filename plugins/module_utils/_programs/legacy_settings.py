# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the original commands took from elsewhere than their flags: keys of the Open_vSwitch table, and /etc/openvswitch/ovn_k8s.conf."""

from __future__ import annotations

import configparser
import json
import os
from dataclasses import dataclass, field

from .._common import names
from .._common.errors import HostError
from .._host.desired import File
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name

CONFIGURATION = "/etc/openvswitch/ovn_k8s.conf"
# The original's keys. The first are read; what the others said is fixed or learnt now.
READ = ("mtu", "private_key", "certificate", "ca_cert")
KNOWN = (
    *READ,
    "conntrack_zone",
    "ovn_mode",
    "log_path",
    "unix_socket",
    "cni_conf_path",
    "cni_link_path",
    "cni_plugin",
    "k8s_ca_certificate",
    "rundir",
    "logdir",
)
TLS = {
    "private_key": "/etc/openvswitch/ovncontroller-privkey.pem",
    "certificate": "/etc/openvswitch/ovncontroller-cert.pem",
    "ca_cert": "/etc/openvswitch/ovnnb-ca.cert",
}


@dataclass(frozen=True)
class Given:
    """What the user has set on this host.

    :ivar keys: external_ids of the Open_vSwitch table.
    :ivar configuration: section ``default`` of the configuration file.
    """

    keys: dict = field(repr=False)  # the token is among them
    configuration: dict = field(default_factory=dict)

    @property
    def northbound(self):
        """Where the Northbound database is; :raises HostError: when nobody has said it and it isn't on this host."""
        return self._remote("ovn-nb", "Northbound", names.NORTHBOUND_SOCKET, 6641)

    @property
    def southbound(self):
        """Where the Southbound database is; :raises HostError: as above."""
        return self._remote("ovn-remote", "Southbound", names.SOUTHBOUND_SOCKET, 6642)

    def _remote(self, key, database, socket, port):
        if self.keys.get(key) is None and not os.path.exists(socket.partition(":")[2]):
            raise HostError(
                f"external_ids:{key} of the Open_vSwitch table does not say where the {database} database is: "
                f"ovs-vsctl set Open_vSwitch . external_ids:{key}=tcp:MASTER:{port} (or ssl:MASTER:{port})"
            )
        return self.keys.get(key) or socket

    @property
    def encap_type(self):
        """The kind of the tunnels; :raises HostError: for one that this release does not make."""
        kind = self.keys.get("ovn-encap-type") or "geneve"
        if kind != "geneve":
            raise HostError(f"external_ids:ovn-encap-type of the Open_vSwitch table is {kind}: only geneve is made")
        return kind

    @property
    def mtu(self):
        """The pods' MTU, None: the underlay's minus the encapsulation. :raises HostError: when it is no number."""
        text = self.configuration.get("mtu")
        if text is not None and not (text.isdigit() and 576 <= int(text) <= 65535):
            raise HostError(f"mtu {text} in {CONFIGURATION} is not a number of bytes: write it like mtu=1400")
        return int(text) if text is not None else None

    def tls(self, flags):
        """Paths for an ssl remote, of the flags, the file, or where the original had them; :raises HostError: for one that is not there."""
        paths = (
            {key: flags[key] or self.configuration.get(key) or TLS[key] for key in TLS}
            if self.northbound.startswith("ssl:")
            else {}
        )
        for key, path in paths.items():
            if not os.path.exists(path):
                raise HostError(
                    f"{key} {path} for {self.northbound} does not exist: give its path (--nb-privkey, --nb-cert, --nb-cacert)"
                )
        return paths or None

    @property
    def api_server(self):
        """The API server's URL, None where none is given: without a scheme it is http, as ever."""
        server = self.keys.get("k8s-api-server")
        return server if server is None or "://" in server else "http://" + server


def read(remote):
    """What is given on this host; :raises HostError: :raises DatabaseError: in one sentence."""
    connection = Connection(remote, names.LOCAL)
    try:
        (switch,) = read_rows(connection, [by_name(names.LOCAL, ".", ("external_ids",))]) or [None]
    finally:
        connection.close()
    if switch is None:
        raise HostError("the Open_vSwitch table is empty: start Open vSwitch (systemctl start openvswitch-switch)")
    return Given(dict(switch.columns["external_ids"]), configuration(CONFIGURATION))


def configuration(path):
    """The section ``default`` of the configuration file, {} where there is none; :raises HostError: for keys that the original didn't have."""
    parser = configparser.RawConfigParser()
    try:
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error) as exc:
        raise HostError(f"{path} can't be read: {str(exc).splitlines()[0]}") from None
    found = {key: text.strip("\"'") for key, text in (parser.items("default") if parser.has_section("default") else ())}
    unknown = sorted(set(found) - set(KNOWN))
    if unknown:
        raise HostError(f"{path} has an unknown key {unknown[0]}: it may hold {', '.join(KNOWN)}")
    return found


def access_files(given, access, token_file, **more):
    """The files through which the programs reach the API server; what is not given now and was before, stays.

    :param access: path of the settings.
    :param token_file: path of the token, which only root reads.
    :param more: further settings; what is empty is not given.
    :raises HostError: for a certificate that is none.
    """
    if given.api_server is None:
        return ()
    certificate, token = given.keys.get("k8s-ca-certificate"), given.keys.get("k8s-api-token")
    if certificate is not None and "-----BEGIN CERTIFICATE-----" not in certificate:
        raise HostError(
            "external_ids:k8s-ca-certificate of the Open_vSwitch table is no certificate: give its PEM text, with \\n between the lines"
        )
    files = []
    settings = dict(kept(access), server=given.api_server, **{key: value for key, value in more.items() if value})
    for key, text, path, mode in (
        ("ca_file", certificate, names.KUBERNETES_CA, 0o644),
        ("token_file", token, token_file, 0o600),
    ):
        if text is not None:
            files.append(File(path, text.replace("\\n", "\n").strip() + "\n", mode))
            settings[key] = path
        settings.setdefault(key, None)
    return (*files, File(access, json.dumps(settings, indent=2, sort_keys=True) + "\n"))


def kept(path):
    """The settings that a file has, as an earlier run or the site play has left them, {} where there is none: what a command does not say stays."""
    try:
        with open(path, encoding="utf-8") as stream:
            return dict(json.load(stream))
    except FileNotFoundError:
        return {}
    except (OSError, TypeError, ValueError) as exc:
        raise HostError(
            f"{path} can't be read: {exc}; remove it, and give this command all that the host had"
        ) from None
