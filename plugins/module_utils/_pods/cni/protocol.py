# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests and errors of the CNI specification (versions 1.0.0 and 1.1.0), as the plugin passes them on.

Nothing is done here.

The specification: https://www.cni.dev/docs/spec/
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._common import names
from ..interface import Attachment

VERSIONS = ("1.0.0", "1.1.0")
UNVERSIONED = "0.1.0"  # what a configuration without cniVersion means
# command -> versions that have it
COMMANDS = {
    "ADD": VERSIONS,
    "DEL": VERSIONS,
    "CHECK": VERSIONS,
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
CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
LINK_NAME = re.compile(r"[^\s/:]{1,15}")
VALID_ATTACHMENTS = "cni.dev/valid-attachments"  # of GC: attachments that stay


class ErrorCode(enum.IntEnum):
    """Error codes: section 5, "Error". From 100 on they are the plugin's own."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_CONFIGURATION = 7
    TRY_AGAIN_LATER = 11
    NOT_AVAILABLE = 50  # of STATUS: ADD can't be served
    FAILED = 100
    DIFFERS = 101  # of CHECK: the interface is not as desired
    BAD_ANNOTATION = 102  # an annotation of the pod can't be used


class CniError(Exception):
    """The error that the runtime gets.

    :ivar msg: one sentence: what is wrong, where, what would be right.
    """

    def __init__(self, code: ErrorCode, msg: str, details: str = "") -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.details = details


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
    except (KeyError, TypeError, ValueError):
        return ""
    return version if isinstance(version, str) else ""


def parse(payload: bytes) -> Request:
    """Read a request. :raises CniError: for what is missing or wrong in it."""
    head, _end, body = payload.partition(b"\0\0")
    environment = dict(item.split("=", 1) for item in head.decode("utf-8", "replace").split("\0") if "=" in item)
    command = environment.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT, f"CNI_COMMAND is {command!r}: it must be one of {', '.join(COMMANDS)}"
        )
    config = _config(body)
    version = config.get("cniVersion") or UNVERSIONED
    if command == "VERSION":
        return Request(command, version)
    if version not in COMMANDS[command]:
        supported = " or ".join(COMMANDS[command])
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"{command} with cniVersion {version} is not supported: the configuration may say {supported}",
        )
    if not config.get("name"):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "the network configuration has no name")
    _check_variables(command, environment)
    request = Request(
        command,
        version,
        environment.get("CNI_CONTAINERID", ""),
        environment.get("CNI_IFNAME", ""),
        environment.get("CNI_NETNS", ""),
        _args(environment.get("CNI_ARGS", "")),
        config,
    )
    _check_request(request)
    return request


def _config(body: bytes) -> dict[str, Any]:
    """Return the network configuration."""
    try:
        config = json.loads(body.decode() or "{}")
    except ValueError as exc:
        raise CniError(
            ErrorCode.DECODING_FAILURE,
            "the network configuration on the plugin's standard input is not JSON",
            str(exc),
        ) from None
    if not isinstance(config, dict):
        raise CniError(
            ErrorCode.DECODING_FAILURE, "the network configuration on the plugin's standard input is not a JSON object"
        )
    return config


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
            raise CniError(ErrorCode.INVALID_ENVIRONMENT, f"{name} is {value!r}, which can't be {what}")


def _check_request(request: Request) -> None:
    """Check what the command needs beside the variables. :raises CniError: for the first fault."""
    if request.command in ("ADD", "CHECK"):
        missing = [name for name in ("K8S_POD_NAMESPACE", "K8S_POD_NAME") if not request.args.get(name)]
        if missing:
            raise CniError(
                ErrorCode.INVALID_ENVIRONMENT,
                f"CNI_ARGS lacks {', '.join(missing)}: this plugin is for a Kubernetes runtime",
            )
    if request.command == "CHECK" and not isinstance(request.config.get("prevResult"), dict):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, "CHECK needs the prevResult of ADD in its configuration")
    if request.command == "GC" and not isinstance(request.config.get(VALID_ATTACHMENTS), list):
        raise CniError(ErrorCode.INVALID_CONFIGURATION, f"GC needs {VALID_ATTACHMENTS} in its configuration")


def _args(text: str) -> dict[str, str]:
    """Return ``A=1;B=2`` as a dictionary."""
    pairs = [pair.partition("=") for pair in text.split(";") if pair]
    faults = [key + sign + value for key, sign, value in pairs if not sign or not key]
    if faults:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT, f"CNI_ARGS has {faults[0]!r}: it must be KEY=VALUE pairs with ; between them"
        )
    return {key: value for key, _sign, value in pairs}


def configuration(mtu: int) -> str:
    """Return the configuration list for the runtime.

    Its version is one that every runtime in use knows: containerd 1.7 knows none after it.
    """
    plugin = {"type": names.CNI_PLUGIN, "mtu": mtu}
    return json.dumps({"cniVersion": VERSIONS[0], "name": "ovn-kubernetes", "plugins": [plugin]}, indent=2) + "\n"
