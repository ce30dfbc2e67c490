# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of the CNI specification (1.0.0 and 1.1.0): requests, results and errors. Pure, nothing is done here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

VERSIONS = ("1.0.0", "1.1.0")
COMMANDS = {
    "ADD": VERSIONS,
    "DEL": VERSIONS,
    "CHECK": VERSIONS,
    "VERSION": VERSIONS,
    "GC": ("1.1.0",),
    "STATUS": ("1.1.0",),
}
NEEDS = {
    "ADD": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"),
    "CHECK": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
}
# Error codes of the specification, section "Error"; from 100 on they are a plugin's own.
INCOMPATIBLE, UNKNOWN_CONTAINER, ENVIRONMENT, INPUT_OUTPUT, DECODING, CONFIGURATION, TRY_AGAIN, NOT_AVAILABLE = (
    1,
    3,
    4,
    5,
    6,
    7,
    11,
    50,
)
FAILED, DIFFERS, MALFORMED = 100, 101, 102
CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
LINK = re.compile(r"[^\s/:]{1,15}")


class CniError(Exception):
    """What the runtime is told.

    :ivar code: of the specification, or from 100 on.
    :ivar msg: one sentence: what, where, what would be right.
    """

    def __init__(self, code, msg, details=""):
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.details = details


@dataclass(frozen=True)
class Request:
    """One call of the plugin.

    :ivar version: the one that the configuration names, and in which it is answered.
    :ivar args: what CNI_ARGS holds.
    :ivar config: the network configuration, with the runtime's additions.
    """

    command: str
    version: str
    container: str = ""
    ifname: str = ""
    netns: str = ""
    args: dict = field(default_factory=dict)
    config: dict = field(default_factory=dict)

    @property
    def attachment(self):
        """What the specification calls an attachment."""
        return self.container, self.ifname

    @property
    def pod(self):
        """namespace/name, as Kubernetes' tools write it."""
        return "{}/{}".format(self.args.get("K8S_POD_NAMESPACE", ""), self.args.get("K8S_POD_NAME", ""))

    @property
    def uid(self):
        """The pod's; empty where the runtime does not tell."""
        return self.args.get("K8S_POD_UID", "")


def pack(environment, stdin):
    """The plugin's request as it goes over the socket: the variables, an empty one, and the configuration."""
    variables = b"\0".join(b"%s=%s" % (key.encode(), value.encode()) for key, value in environment.items())
    payload = variables + b"\0\0" + stdin
    return b"%d\n%s" % (len(payload), payload)


def version_of(payload):
    """The version that a request's configuration names, empty where it can't be read."""
    try:
        version = json.loads(payload.partition(b"\0\0")[2])["cniVersion"]
    except (KeyError, TypeError, ValueError):
        return ""
    return version if isinstance(version, str) else ""


def parse(payload):
    """A request off the socket; :raises CniError: for what is missing or wrong in it."""
    head, _end, body = payload.partition(b"\0\0")
    environment = dict(item.split("=", 1) for item in head.decode("utf-8", "replace").split("\0") if "=" in item)
    command = environment.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise CniError(ENVIRONMENT, "CNI_COMMAND is {!r}: it must be one of {}".format(command, ", ".join(COMMANDS)))
    config = _config(body)
    version = config.get("cniVersion") or "0.1.0"
    if command == "VERSION":
        return Request(command, version)
    if version not in COMMANDS[command]:
        raise CniError(
            INCOMPATIBLE,
            "{} with cniVersion {} is not supported: the configuration may say {}".format(
                command, version, " or ".join(COMMANDS[command])
            ),
        )
    if not config.get("name"):
        raise CniError(CONFIGURATION, "the network configuration has no name")
    _environment(command, environment)
    args = _args(environment.get("CNI_ARGS", ""))
    if command in ("ADD", "CHECK"):
        missing = [name for name in ("K8S_POD_NAMESPACE", "K8S_POD_NAME") if not args.get(name)]
        if missing:
            raise CniError(
                ENVIRONMENT, "CNI_ARGS lacks {}: this plugin is for a Kubernetes runtime".format(", ".join(missing))
            )
    if command == "CHECK" and not isinstance(config.get("prevResult"), dict):
        raise CniError(CONFIGURATION, "CHECK needs the prevResult of ADD in its configuration")
    if command == "GC" and not isinstance(config.get("cni.dev/valid-attachments"), list):
        raise CniError(CONFIGURATION, "GC needs cni.dev/valid-attachments in its configuration")
    return Request(
        command,
        version,
        environment.get("CNI_CONTAINERID", ""),
        environment.get("CNI_IFNAME", ""),
        environment.get("CNI_NETNS", ""),
        args,
        config,
    )


def _config(body):
    try:
        config = json.loads(body.decode() or "{}")
    except ValueError as exc:
        raise CniError(
            DECODING, "the network configuration on the plugin's standard input is not JSON", str(exc)
        ) from None
    if not isinstance(config, dict):
        raise CniError(DECODING, "the network configuration on the plugin's standard input is not a JSON object")
    return config


def _environment(command, environment):
    missing = [name for name in NEEDS.get(command, ()) if not environment.get(name)]
    if missing:
        raise CniError(ENVIRONMENT, "{} needs {} in its environment".format(command, ", ".join(missing)))
    for name, right in (("CNI_CONTAINERID", CONTAINER), ("CNI_IFNAME", LINK)):
        value = environment.get(name)
        if value and (not right.fullmatch(value) or value in (".", "..")):
            raise CniError(
                ENVIRONMENT,
                "{} is {!r}, which can't be {}".format(
                    name, value, "a container's ID" if right is CONTAINER else "a link's name"
                ),
            )


def _args(text):
    """``A=1;B=2`` as a dictionary."""
    pairs = [pair.partition("=") for pair in text.split(";") if pair]
    bad = [key + sign + value for key, sign, value in pairs if not sign or not key]
    if bad:
        raise CniError(ENVIRONMENT, "CNI_ARGS has {!r}: it must be KEY=VALUE pairs with ; between them".format(bad[0]))
    return {key: value for key, _sign, value in pairs}


def result(request, outer, outer_mac, network, mtu):
    """The answer to ADD, behind what a plugin before this one has made.

    :param outer: name of the host's end of the pair.
    :param network: a :class:`._pods.interface.PodNetwork`.
    """
    before = request.config.get("prevResult") or {}
    interfaces = [
        *before.get("interfaces", ()),
        {"name": outer, "mac": outer_mac},
        {"name": request.ifname, "mac": network.mac, "sandbox": request.netns},
    ]
    if request.version != "1.0.0":
        for interface in interfaces[-2:]:
            interface["mtu"] = mtu
    ips = [*before.get("ips", ())]
    for cidr in network.addresses:
        gateway = network.gateway(cidr)
        ips.append({"address": cidr, "interface": len(interfaces) - 1, **({"gateway": gateway} if gateway else {})})
    routes = [
        *before.get("routes", ()),
        *({"dst": destination, "gw": via} for destination, via in network.all_routes()),
    ]
    return {
        "cniVersion": request.version,
        "interfaces": interfaces,
        "ips": ips,
        "routes": routes,
        "dns": before.get("dns", {}),
    }


def versions(request):
    """The answer to VERSION."""
    return {
        "cniVersion": request.version if request.version in VERSIONS else VERSIONS[-1],
        "supportedVersions": list(VERSIONS),
    }


def error(exc, version):
    """An error's object."""
    words = {"cniVersion": version if version in VERSIONS else VERSIONS[0], "code": exc.code, "msg": exc.msg}
    if exc.details:
        words["details"] = exc.details
    return words


def contradiction(request, network):
    """Where a prevResult says something else than the network: a sentence, or None."""
    before = request.config["prevResult"]
    names = [
        (item.get("name"), item.get("sandbox", "")) for item in before.get("interfaces", ()) if isinstance(item, dict)
    ]
    if (request.ifname, request.netns) not in names:
        return f"prevResult has no interface {request.ifname} in {request.netns}"
    said = [item.get("address") for item in before.get("ips", ()) if isinstance(item, dict)]
    missing = [cidr for cidr in network.addresses if cidr not in said]
    if missing:
        return "the pod has {}, and prevResult says {}".format(
            ", ".join(missing), ", ".join(map(str, said)) or "no address"
        )
    return None
