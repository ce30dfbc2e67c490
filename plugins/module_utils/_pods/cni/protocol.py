# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests and errors of the CNI specification (versions 0.3.0 to 1.1.0), as the plugin passes them on.

Nothing is done here.

The specification: https://www.cni.dev/docs/spec/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..interface import Attachment
from .errors import CniError, ErrorCode
from .texts import read_args, read_configuration, shown

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
USUAL = "1.0.0"  # of an answer where the request names none
UNVERSIONED = "0.1.0"  # what a configuration without cniVersion means
# command -> versions that have it
COMMANDS = {
    "ADD": VERSIONS,
    "DEL": VERSIONS,
    "CHECK": VERSIONS[2:],
    "VERSION": VERSIONS,
    "GC": ("1.1.0",),
    "STATUS": ("1.1.0",),
}
# command -> variables that the runtime must set (section 2, "Parameters" and "CNI operations")
REQUIRED_VARIABLES = {
    "ADD": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"),
    "CHECK": ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
}
# A container's ID and a link's name together, in hexadecimal, are the name of a file.
CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,99}")
LINK_NAME = re.compile(r"[^\s/:]{1,15}")
NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")  # section 1, "Configuration format"
POD_NAME = re.compile(r"[a-z0-9]([a-z0-9.\-]{0,251}[a-z0-9])?")  # and a namespace's, RFC 1123
LARGEST_REQUEST = 1 << 20  # bytes; the plugin knows it too
NAME_RULE = "a name begins with a letter or a digit, and letters, digits, '_', '.' and '-' follow"
VALID_ATTACHMENTS = "cni.dev/valid-attachments"  # of GC: attachments that stay


@dataclass(frozen=True)
class Request:
    """One call of the plugin.

    :ivar version: that the configuration names; the answer is in this version.
    :ivar container: ID of the sandbox.
    :ivar ifname: name of the link in the pod.
    :ivar netns: path of the pod's network namespace.
    :ivar args: what CNI_ARGS holds.
    :ivar config: the network configuration, with the runtime's additions.
    """

    command: str
    version: str
    container: str = ""
    ifname: str = ""
    netns: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """Name of the network configuration; empty where it was not read."""
        return str(self.config.get("name") or "")

    @property
    def attachment(self) -> Attachment:
        """What identifies the interface."""
        return Attachment(self.container, self.ifname)

    @property
    def namespace(self) -> str:
        """The pod's namespace in Kubernetes; empty where the runtime does not tell."""
        return self.args.get("K8S_POD_NAMESPACE", "")

    @property
    def pod_name(self) -> str:
        """The pod's name; empty where the runtime does not tell."""
        return self.args.get("K8S_POD_NAME", "")

    @property
    def pod(self) -> str:
        """The pod's key ``namespace/name``."""
        return f"{self.namespace}/{self.pod_name}"

    @property
    def uid(self) -> str:
        """The pod's UID; empty where the runtime does not tell."""
        return self.args.get("K8S_POD_UID", "")


def pack(environment: Mapping[str, str], stdin: bytes) -> bytes:
    """Return a request as the plugin sends it: length, variables, an empty variable, the configuration."""
    variables = b"\0".join(f"{key}={value}".encode() for key, value in environment.items())
    payload = variables + b"\0\0" + stdin
    return b"%d\n%s" % (len(payload), payload)


def version_of(payload: bytes) -> str:
    """Return the version that a request's configuration names, empty where it can't be read."""
    try:
        version = json.loads(payload.partition(b"\0\0")[2])["cniVersion"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return version if isinstance(version, str) else ""


def parse(payload: bytes) -> Request:
    """Read a request. :raises CniError: for what is missing or wrong in it."""
    environment, body = _split(payload)
    command = environment.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT, f"CNI_COMMAND is {shown(command)}: it must be one of {', '.join(COMMANDS)}"
        )
    config = read_configuration(body)
    version = config.get("cniVersion") or UNVERSIONED
    if command == "VERSION":
        return Request(command, version)
    if version not in COMMANDS[command]:
        supported = " or ".join(COMMANDS[command])
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"{command} with cniVersion {shown(version)} is not supported: the configuration may say {supported}",
        )
    if not config.get("name"):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "the network configuration has no name")
    if not isinstance(config["name"], str) or not NETWORK_NAME.fullmatch(config["name"]):
        name = shown(config["name"])
        raise CniError(ErrorCode.INVALID_CONFIGURATION, f"the network configuration has the name {name}: {NAME_RULE}")
    return _request(command, version, environment, config)


def parse_deletion(payload: bytes) -> Request:
    """Read a DEL request by its variables alone, which say enough. :raises CniError: they don't."""
    return _request("DEL", USUAL, _split(payload)[0], {})


def _split(payload: bytes) -> tuple[dict[str, str], bytes]:
    """Return the variables of a request, and its configuration."""
    head, _end, body = payload.partition(b"\0\0")
    return dict(item.split("=", 1) for item in head.decode("utf-8", "replace").split("\0") if "=" in item), body


def _request(command: str, version: str, environment: Mapping[str, str], config: Mapping[str, Any]) -> Request:
    _check_variables(command, environment)
    request = Request(
        command,
        version,
        environment.get("CNI_CONTAINERID", ""),
        environment.get("CNI_IFNAME", ""),
        environment.get("CNI_NETNS", ""),
        read_args(environment.get("CNI_ARGS", "")),
        config,
    )
    _check_request(request)
    return request


def _check_variables(command: str, environment: Mapping[str, str]) -> None:
    """Check the variables that the runtime has set. :raises CniError: for the first fault."""
    missing = [name for name in REQUIRED_VARIABLES.get(command, ()) if not environment.get(name)]
    if missing:
        raise CniError(ErrorCode.INVALID_ENVIRONMENT, f"{command} needs {', '.join(missing)} in its environment")
    for name, pattern, what in (
        ("CNI_CONTAINERID", CONTAINER_ID, "a container's ID"),
        ("CNI_IFNAME", LINK_NAME, "a link's name"),
    ):
        value = environment.get(name)
        if value and (not pattern.fullmatch(value) or value in (".", "..")):
            raise CniError(ErrorCode.INVALID_ENVIRONMENT, f"{name} is {shown(value)}, which can't be {what}")


def _check_request(request: Request) -> None:
    """Check what the command needs beside the variables. :raises CniError: for the first fault."""
    if request.command in ("ADD", "CHECK"):
        missing = [name for name in ("K8S_POD_NAMESPACE", "K8S_POD_NAME") if not request.args.get(name)]
        if missing:
            raise CniError(
                ErrorCode.INVALID_ENVIRONMENT,
                f"CNI_ARGS lacks {', '.join(missing)}: this plugin is for a Kubernetes runtime",
            )
    for name in ("K8S_POD_NAMESPACE", "K8S_POD_NAME"):
        value = request.args.get(name)
        if value and not POD_NAME.fullmatch(value):
            raise CniError(ErrorCode.INVALID_ENVIRONMENT, f"CNI_ARGS has {name} {shown(value)}, which can't be one")
    _check_previous(request)
    if request.command == "CHECK" and not isinstance(request.config.get("prevResult"), dict):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "CHECK needs the prevResult of ADD in its configuration")
    if request.command == "GC" and not isinstance(request.config.get(VALID_ATTACHMENTS), list):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, f"GC needs {VALID_ATTACHMENTS} in its configuration")


def _check_previous(request: Request) -> None:
    """Check the types in prevResult, whose parts are passed on. :raises CniError: for the first that is wrong."""
    previous = request.config.get("prevResult")
    if request.command not in ("ADD", "CHECK") or previous is None:
        return
    if not isinstance(previous, dict):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "prevResult must be an object")
    for part, kind, what in (
        ("interfaces", list, "a list"),
        ("ips", list, "a list"),
        ("routes", list, "a list"),
        ("dns", dict, "an object"),
    ):
        if previous.get(part) is not None and not isinstance(previous[part], kind):
            raise CniError(ErrorCode.INVALID_CONFIGURATION, f"{part} of prevResult must be {what}")
