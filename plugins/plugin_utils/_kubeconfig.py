# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what says how the API server is reached, on the controller: a kubeconfig, a certificate authority. Private to
the collection."""

from __future__ import annotations

import base64
import os
import re
import typing as t

import yaml

from ._errors import NOT_SHOWN, PATHS, show, show_path

CERTIFICATE = "-----BEGIN CERTIFICATE-----"
LINE = re.compile(rf"^{CERTIFICATE}\s*$", re.MULTILINE)  # in text that has lost its lines nothing reads it
# A relative path that is one to everybody: it has an ending, which no credential has.
FILE_NAME = re.compile(r"[\w+-][\w.+-]*(/[\w.+-]+)*\.[a-z]{2,10}")
# Bearer tokens have fewer characters (RFC 6750, 2.1), but API servers take more of those in a file.
TOKEN = re.compile(r"(?![\"'])[!-~]+")


class Unusable(Exception):
    """The file can't be used. The text follows the variable and its value in the message."""


def authority(value: str, folder: str = "") -> str:
    """Return the PEM text of ``ovn_kubernetes_ca``, which is that text, or a path.

    :param folder: in which a relative path begins.
    :raises Unusable: it is neither.
    """
    return _certificates(f"{value.rstrip()}\n" if CERTIFICATE in value else read_file(value, folder))


def _certificates(text: str, which: str = "") -> str:
    """Return PEM text that everybody may read.

    :param which: what has it, for the message.
    :raises Unusable: it is something else.
    """
    if not LINE.search(text):
        raise Unusable(f"{which}holds no certificate in PEM, with its lines")
    if "PRIVATE KEY-----" in text:
        raise Unusable(f"{which}holds a private key, and all users of a host may read it there: leave the key out")
    return text


def kubeconfig(value: str, beside: str = "") -> dict[str, str]:
    """Return the current context of a kubeconfig as options of our modules: server, and those of ca, token, certificate
    and key that it has.

    :param value: its path, or its text.
    :param beside: in which folder a relative path begins.
    :raises Unusable: it can't be used here.
    """
    is_text = "\n" in value or value.lstrip().startswith("{")
    # Files that a kubeconfig names are relative to its own folder (kubectl's rule); text has none.
    folder = None if is_text else os.path.dirname(os.path.join(beside, os.path.expanduser(value)))
    advice = ": give the path of one, or its whole text"
    config = _parsed(value if is_text else read_file(value, beside, advice))
    context = _entry(config, "context", config.get("current-context"))
    cluster, user = _entry(config, "cluster", context.get("cluster")), _entry(config, "user", context.get("user"))
    options = {"server": cluster.get("server") or ""}
    for option, entry, key in (
        ("ca", cluster, "certificate-authority"),
        ("certificate", user, "client-certificate"),
        ("key", user, "client-key"),
    ):
        if entry.get(f"{key}-data"):
            options[option] = _decoded(entry, f"{key}-data")
        elif entry.get(key):
            options[option] = read_file(entry[key], folder)
    if "ca" in options:
        options["ca"] = _certificates(options["ca"], "has a certificate-authority that ")
    if user.get("token") or user.get("tokenFile"):
        options["token"] = user.get("token") or read_file(user["tokenFile"], folder).strip()
        if not isinstance(options["token"], str) or not TOKEN.fullmatch(options["token"]):
            raise Unusable("has a token that is not one word of ASCII text")
    if "token" not in options and not ("certificate" in options and "key" in options):
        asks = user.get("exec") or user.get("auth-provider")
        reason = "asks a program for its credential" if asks else "has no credential"
        raise Unusable(f"{reason}: give a kubeconfig with a token, or with a client certificate and its key")
    return options


def _parsed(text: str) -> dict[str, t.Any]:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("clusters"), list):
        raise Unusable("is no kubeconfig: give the path of one, like /etc/kubernetes/admin.conf, or its whole text")
    return config


def read_file(given: t.Any, folder: str | None = "", advice: str = "") -> str:
    """Return a file's text.

    :param folder: in which a relative path begins, such as that of the file that names it; None: there is none.
    :param advice: what would be right, for the message.
    :raises Unusable: it can't be read.
    """
    if not isinstance(given, str):
        raise Unusable(f"names a file by {type(given).__name__}, not by text")
    path = os.path.expanduser(given)
    if folder is None and not os.path.isabs(path):
        raise Unusable(
            f"was given as text, and names the file {show(path)} without its folder: give one that holds all itself, "
            "as kubectl config view --raw --flatten writes it"
        )
    path = os.path.join(folder or "", path)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Unusable(
            f"can't be read on the controller{_named(given, path, folder)}: {error.strerror}{advice}"
        ) from None
    except ValueError:  # bytes that are no text, or a path that can't be one
        raise Unusable(f"is not text{_named(given, path, folder)}") from None


def _named(given: str, path: str, folder: str | None) -> str:
    """Return the path that was tried, for a message. A value that is no path may be a credential that lacks its lines:
    of that only the folder is shown."""
    if given.startswith(PATHS) or FILE_NAME.fullmatch(given):
        shown = show_path(path)
        return "" if shown == NOT_SHOWN else f" ({shown})"
    return f" (looked for in {show_path(folder)})" if folder else ""


def _entry(config: dict[str, t.Any], kind: str, name: t.Any) -> dict[str, t.Any]:
    """Return the cluster, user or context of this name."""
    entries = config.get(f"{kind}s")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind)
            if isinstance(found, dict):
                return found
    raise Unusable(f"is no complete kubeconfig: it has no {kind} {show(name)}")


def _decoded(entry: dict[str, t.Any], key: str) -> str:
    try:
        return base64.b64decode(entry[key], validate=True).decode()
    except (TypeError, ValueError):
        raise Unusable(f"has a {key} that is not base64") from None
