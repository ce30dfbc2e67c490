# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that the original commands took from elsewhere than their flags: keys of the Open_vSwitch table, and
/etc/openvswitch/ovn_k8s.conf."""

from __future__ import annotations

import configparser
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._common import address_rules, names
from .._common.errors import HostError, SettingsError
from .._host.desired import File
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CONFIGURATION = "/etc/openvswitch/ovn_k8s.conf"
# The original's keys. Only the first four are read: what the others said is fixed now, or found out.
READ_KEYS = ("mtu", "private_key", "certificate", "ca_cert")
KNOWN_KEYS = (
    *READ_KEYS,
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
DEFAULT_TLS_PATHS = {
    "private_key": "/etc/openvswitch/ovncontroller-privkey.pem",
    "certificate": "/etc/openvswitch/ovncontroller-cert.pem",
    "ca_cert": "/etc/openvswitch/ovnnb-ca.cert",
}


@dataclass(frozen=True)
class LegacySettings:
    """What the user has set on this host.

    :ivar keys: external_ids of the Open_vSwitch table. The token is among them.
    :ivar configuration: section ``default`` of the configuration file.
    """

    keys: dict[str, str] = field(repr=False)
    configuration: dict[str, str] = field(default_factory=dict)

    @property
    def northbound(self) -> str:
        """Return the remote of the Northbound database; :raises HostError: it is not set, and not on this host."""
        if "ovn-nb" not in self.keys and os.path.exists(names.CENTRAL_ACCESS):
            return access.northbound().remote
        return self._remote("ovn-nb", "Northbound", names.NORTHBOUND_SOCKET, names.NORTHBOUND_PORT)

    @property
    def southbound(self) -> str:
        """Return the remote of the Southbound database; :raises HostError: it is not set, and not on this host."""
        return self._remote("ovn-remote", "Southbound", names.SOUTHBOUND_SOCKET, names.SOUTHBOUND_PORT)

    def _remote(self, key: str, database: str, socket: str, port: int) -> str:
        if self.keys.get(key) is None and not os.path.exists(socket.partition(":")[2]):
            raise HostError(
                f"external_ids:{key} of the Open_vSwitch table does not say where the {database} database is: "
                f"ovs-vsctl set Open_vSwitch . external_ids:{key}=tcp:MASTER:{port} (or ssl:MASTER:{port})"
            )
        return self.keys.get(key) or socket

    @property
    def encap_type(self) -> str:
        """Return the kind of the tunnels; :raises HostError: this release does not make that kind."""
        kind = self.keys.get("ovn-encap-type") or "geneve"
        if kind != "geneve":
            raise HostError(f"external_ids:ovn-encap-type of the Open_vSwitch table is {kind}: only geneve is made")
        return kind

    @property
    def mtu(self) -> int | None:
        """Return the pods' MTU in bytes; None: the underlay's minus the encapsulation. :raises HostError: it can't be
        one."""
        text = self.configuration.get("mtu")
        if text is None:
            return None
        try:
            return address_rules.mtu(int(text) if text.isdigit() else -1)
        except SettingsError:
            raise HostError(f"mtu {text} in {CONFIGURATION} is not a number of bytes: write it like mtu=1400") from None

    def tls(self, flags: Mapping[str, str | None]) -> dict[str, str] | None:
        """Return the paths for an ssl remote: those of the flags, of the file, or the original's; None: another remote.

        :raises HostError: a file does not exist.
        """
        if not access.uses_tls(self.northbound):
            return None
        if not any(flags.values()) and not self.configuration.keys() & DEFAULT_TLS_PATHS.keys():
            # The original's paths are those of a host that the site play does not keep.
            found = access.northbound(self.northbound).tls or {}
            if all(os.path.exists(path) for path in found.values()):
                return dict(found)
        paths = {
            key: flags[key] or self.configuration.get(key) or default for key, default in DEFAULT_TLS_PATHS.items()
        }
        for key, path in paths.items():
            if not os.path.exists(path):
                raise HostError(
                    f"{key} {path} for {self.northbound} does not exist: "
                    "give its path (--nb-privkey, --nb-cert, --nb-cacert)"
                )
        return paths

    @property
    def api_server(self) -> str | None:
        """Return the API server's URL; None where it is not set. Without a scheme it is http, as the original had
        it."""
        server = self.keys.get("k8s-api-server")
        return server if server is None or "://" in server else f"http://{server}"


def read(remote: str) -> LegacySettings:
    """Read the settings of this host.

    :raises HostError: Open vSwitch does not run, or the configuration file can't be read.
    :raises DatabaseError: the database can't be read.
    """
    connection = Connection(remote, names.LOCAL)
    try:
        rows = read_rows(connection, [by_name(names.LOCAL, ".", ("external_ids",))])
    finally:
        connection.close()
    if not rows:
        raise HostError("the Open_vSwitch table is empty: start Open vSwitch (systemctl start openvswitch-switch)")
    return LegacySettings(dict(rows[0].columns["external_ids"]), read_configuration(CONFIGURATION))


def read_configuration(path: str) -> dict[str, str]:
    """Return the section ``default`` of the configuration file; {} where there is none.

    :raises HostError: the file can't be read, or has a key that the original did not have.
    """
    parser = configparser.RawConfigParser()
    try:
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error) as exc:
        raise HostError(f"{path} can't be read: {str(exc).splitlines()[0]}") from None
    items = parser.items("default") if parser.has_section("default") else []
    settings = {key: text.strip("\"'") for key, text in items}
    unknown = sorted(set(settings) - set(KNOWN_KEYS))
    if unknown:
        raise HostError(f"{path} has an unknown key {unknown[0]}: it may hold {', '.join(KNOWN_KEYS)}")
    return settings


def access_files(settings: LegacySettings, access: str, token_file: str, **more: Any) -> tuple[File, ...]:
    """Return the files from which the programs know how to reach the API server. What is not set now stays as it was.

    :param access: path of the programs' settings.
    :param token_file: path of the token, which only root can read.
    :param more: further settings; empty ones are left out.
    :raises HostError: the certificate is none, or the saved settings can't be read.
    """
    if settings.api_server is None:
        return ()
    certificate, token = settings.keys.get("k8s-ca-certificate"), settings.keys.get("k8s-api-token")
    if certificate is not None and "-----BEGIN CERTIFICATE-----" not in certificate:
        raise HostError(
            "external_ids:k8s-ca-certificate of the Open_vSwitch table is no certificate: "
            "give its PEM text, with \\n between the lines"
        )
    given = {key: value for key, value in more.items() if value}
    content: dict[str, Any] = dict(read_saved(access), server=settings.api_server, **given)
    files = []
    for key, text, path, mode in (
        ("ca_file", certificate, names.KUBERNETES_CA, 0o644),
        ("token_file", token, token_file, 0o600),
    ):
        if text is not None:
            files.append(File(path, text.replace("\\n", "\n").strip() + "\n", mode))
            content[key] = path
        content.setdefault(key, None)
    return (*files, File(access, json.dumps(content, indent=2, sort_keys=True) + "\n"))


def read_saved(path: str) -> dict[str, Any]:
    """Return the settings in a file, as an earlier command or the site play saved them; {} where there is none.

    :raises HostError: the file can't be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return dict(json.load(stream))
    except FileNotFoundError:
        return {}
    except (OSError, TypeError, ValueError) as exc:
        raise HostError(
            f"{path} can't be read: {exc}; remove it, and give this command all that the host had"
        ) from None
