# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects requests of the CNI specification, and their errors."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import protocol, result
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.protocol import CniError, ErrorCode


def test_what_a_runtime_says(make_request):
    """Protects the pod's identity, which runtimes put into CNI_ARGS in any order."""
    made = make_request()
    assert (made.command, made.attachment, made.netns, made.pod, made.uid) == (
        "ADD",
        ("c1", "eth0"),
        "/run/netns/x",
        "ns/web",
        "uid-1",
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0",
        b"CNI_COMMAND=ADD",
        b"\xff\xfe\0\0\xff",
        b"CNI_COMMAND=ADD\0\0[1]",
        b'CNI_COMMAND=ADD\0\0{"cniVersion": 1}',
        b'CNI_COMMAND=ADD\0\0{"cniVersion": "1.0.0", "name": {}}',
        b'CNI_COMMAND=ADD\0\0{"cniVersion": "\\ud800", "name": "n"}',
        b"CNI_COMMAND=ADD\0\0" + b"[" * 200_000,
        b"CNI_COMMAND=DEL\0\0" + b'{"a":' * 90_000 + b"1" + b"}" * 90_000,
    ],
)
def test_no_request_breaks_the_server(payload):
    """Protects the server: whatever comes over the socket is answered with an error of the specification."""
    with pytest.raises(CniError):
        protocol.parse(payload)
    assert (
        result.error(CniError(ErrorCode.INVALID_ENVIRONMENT, "x"), protocol.version_of(payload))["cniVersion"]
        == "1.0.0"
    )


OPERATIONS = {"ADD": "0.3.0", "DEL": "0.3.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}


@pytest.mark.parametrize(("command", "first"), OPERATIONS.items())
def test_operations_since_their_version(make_request, command, first):
    """Protects meta plugins and configurations of an older version: each version has its operations, and no more."""
    more = {"prevResult": {}, protocol.VALID_ATTACHMENTS: []}
    for version in ("0.2.0", *protocol.VERSIONS, "1.2.0"):
        if first <= version <= protocol.VERSIONS[-1]:
            assert make_request(command, version, **more).version == version
        else:
            with pytest.raises(CniError, match=f"{command} with cniVersion '{version}'") as caught:
                make_request(command, version, **more)
            assert caught.value.code == ErrorCode.INCOMPATIBLE_VERSION
