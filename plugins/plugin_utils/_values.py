# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read single values of the inventory. Private to the collection.

A reader takes what Ansible has and returns numbers, booleans, text, and addresses and networks of :mod:`ipaddress`.
What addresses and networks can be used for is decided by the library (``_common/address_rules.py``), which modules and
commands ask too.

Networks and addresses come as lists with at most one of each family. Text may hold several, separated by commas, since
surveys only give text.
"""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t
from collections.abc import Callable
from urllib.parse import urlsplit

import yaml
from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._common import address_rules, addressing
from ..module_utils._common.addressing import normalized
from ..module_utils._common.errors import SettingsError
from ..module_utils._topology import user_settings
from ._errors import NOT_SHOWN, PATHS, InvalidValue, may_be_secret, show
from ._kubeconfig import TOKEN
from ._variables import Variable

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPAddress, IPNetwork

    Item = t.TypeVar("Item", bound="HasVersion")
    Reader = Callable[[Variable, t.Any], t.Any]

# One label or several, as Kubernetes reads names of nodes (RFC 1123, 2.1).
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LONGEST_NAME, LONGEST_LABEL = 253, 63
# What Linux accepts as a link's name (dev_valid_name in net/core/dev.c), without quotes.
LINK_NAME = re.compile(r"[^\s/:\"']{1,15}")

# Where one value may be several: commas, lines, spaces. None of them can be in an address or in a host's name.
SEPARATORS = re.compile(r"[,\s]+")
LISTS = ("[", "- ")  # how lists in JSON or YAML begin
# What surveys, files and copies of a page leave around a value: spaces, the ends of lines, marks that nobody sees.
AROUND = re.compile(r"^[\s\ufeff\u200b]+|[\s\ufeff\u200b]+$")
QUOTED = re.compile(r"""(["'])([^"']*)\1""")

# Types of tunnels that are known elsewhere, and why OVN's features or Linux don't work with them.
UNUSABLE_TUNNELS = {
    "vxlan": "is too small for OVN's metadata (24 bits: few switches and ports, and no gateways as this collection "
    "makes them)",
    "stt": "is not in Linux' own openvswitch module, and OVN has dropped it",
    "gre": "can't carry OVN's metadata",
}


class HasVersion(t.Protocol):
    """An address or a network."""

    @property
    def version(self) -> int:
        """4 or 6."""


def read(variable: Variable, value: t.Any) -> t.Any:
    """Return the value that the collection works with.

    :raises InvalidValue: the variable can't have this value.
    """
    value = _trimmed(value)
    if is_empty(value):
        raise InvalidValue(value, f"is empty: remove the line, or write it like {show(variable.example)}")
    try:
        return READERS[variable.kind](variable, value)
    except InvalidValue as error:
        # A part of a secret may not look like one.
        raise InvalidValue(value if may_be_secret(value) else error.value, error.text) from None


def is_empty(value: t.Any) -> bool:
    """Return whether the variable is set to nothing, also as a list of nothing, which a form may give."""
    if isinstance(value, (list, tuple)):
        return all(map(is_empty, value))
    return value is None or (isinstance(value, (str, dict)) and _trimmed(value) in ("", "[]", {}))


def _trimmed(value: t.Any) -> t.Any:
    """Return text without what is around it by mistake, and everything else as it is."""
    if not isinstance(value, str):
        return value
    text = AROUND.sub("", value)
    quoted = QUOTED.fullmatch(text)
    return AROUND.sub("", quoted[2]) if quoted else text


def parse_address(value: t.Any) -> IPAddress | None:
    """Return the address; None when it is none."""
    text = normalized(value)
    return None if text is None else ipaddress.ip_address(text)


def _items(value: t.Any) -> list[t.Any]:
    """Return the entries of a list, or of text with several values: those of a list in JSON or YAML too."""
    if isinstance(value, str) and value.startswith(LISTS):
        try:
            value = yaml.load(value, Loader=yaml.BaseLoader)  # all values as text: 1:2 is no number of YAML 1.1
        except yaml.YAMLError:
            raise InvalidValue(value, "is not a list in JSON or YAML: write the values with commas") from None
    elif isinstance(value, str):
        value = [part for part in SEPARATORS.split(value) if part]
    items = value if isinstance(value, (list, tuple)) else [value]
    return list(map(_trimmed, items))


def _one_of_each_family(rule: Callable[[str, str], Item]) -> Reader:
    """Return a reader of lists with one entry of IPv4, one of IPv6, or one of each.

    :param rule: the check of one entry; it raises :class:`SettingsError`.
    """

    def reader(_variable: Variable, value: t.Any) -> list[Item]:
        items = [_checked(rule, item) for item in _items(value)]
        versions = [item.version for item in items]
        advice = "give one of IPv4, one of IPv6, or one of each"
        if not items:
            raise InvalidValue(value, "names nothing: remove it, or give a value")
        if len(items) > 2:
            raise InvalidValue(value, f"has {len(items)} entries: {advice}")
        if len(set(versions)) < len(versions):
            raise InvalidValue(value, f"has two entries of IPv{versions[0]}: {advice}")
        return items

    return reader


def _networks(_variable: Variable, value: t.Any) -> list[IPNetwork]:
    items = [_checked(addressing.network, item) for item in _items(value)]
    if not items:
        raise InvalidValue(value, "names nothing: remove it, or give a network")
    return items


def _checked(rule: Callable[[str, str], Item], value: t.Any) -> Item:
    try:
        return rule(value, "")
    except SettingsError as error:
        raise InvalidValue(value, sentence(error)) from None


def sentence(error: SettingsError) -> str:
    """Return what the error says behind the variable and its value."""
    return f"{error.problem}: {error.advice}" if error.advice else error.problem


def _host_address(_variable: Variable, value: t.Any) -> IPAddress:
    return _checked(address_rules.host_address, value)


def _host_addresses(_variable: Variable, value: t.Any) -> list[IPAddress]:
    items = [_checked(address_rules.host_address, item) for item in _items(value)]
    if not items:
        raise InvalidValue(value, "names nothing: remove it, or give an address")
    return items


def _whole_number(variable: Variable, value: t.Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(value, f"is not a whole number: write it like {variable.example}")
    return int(value)


def _prefixes(variable: Variable, value: t.Any) -> list[int]:
    numbers = [_whole_number(variable, item) for item in _items(value)]
    if len(numbers) not in (1, 2):
        raise InvalidValue(value, f"has {len(numbers)} entries: give one number, or one for IPv4 and one for IPv6")
    return numbers


def _boolean(_variable: Variable, value: t.Any) -> bool:
    try:
        return bool(boolean(value, strict=True))
    except TypeError:
        raise InvalidValue(value, "is neither true nor false: write true or false") from None


def _text(variable: Variable, value: t.Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue(value, f"is not text: write it like {show(variable.example)}")
    return value


def _kubeconfig(variable: Variable, value: t.Any) -> str:
    """Return a path, or the text. Before ansible-core 2.19 a template's text in JSON becomes a dictionary."""
    return json.dumps(value) if isinstance(value, dict) else _text(variable, value)


def _token(_variable: Variable, value: t.Any) -> str:
    """Return a bearer token: one word (RFC 6750, 2.1)."""
    advice = "write the token itself, best in a vault, or read the file with lookup('ansible.builtin.file', PATH)"
    if not isinstance(value, str):
        raise InvalidValue(value, f"is not text: {advice}")
    if value.startswith(PATHS):
        raise InvalidValue(value, f"looks like a path: {advice}")
    if not TOKEN.fullmatch(value):
        raise InvalidValue(
            value, f"has spaces, several lines, quotes or letters beyond ASCII, which no token has: {advice}"
        )
    return value


def _choice(variable: Variable, value: t.Any) -> str:
    text = value if isinstance(value, str) else ""
    if text not in variable.choices:
        reason = "is not offered"
        if variable.name == "ovn_encap_type":
            reason = UNUSABLE_TUNNELS.get(text, reason)
        raise InvalidValue(value, f"{reason}: write {' or '.join(map(show, variable.choices))}")
    return text


def _choices(variable: Variable, value: t.Any) -> list[str]:
    items = _items(value)
    for item in items:
        if item not in variable.choices:
            raise InvalidValue(item, f"is not offered: write one or several of {', '.join(variable.choices)}")
    return items


def _path(variable: Variable, value: t.Any) -> str:
    if not isinstance(value, str) or "\n" in value or "\0" in value:
        raise InvalidValue(value, f"is no path: write it like {show(variable.example)}")
    return value


def _urls(variable: Variable, value: t.Any) -> str:
    """Return one URL or several, with commas between them, each once."""
    urls = [_url(variable, item) for item in _items(value)]
    if not urls:
        raise InvalidValue(value, f"names nothing: remove it, or write it like {show(variable.example)}")
    if len({urlsplit(url).scheme for url in urls}) > 1:
        raise InvalidValue(value, "has https and http: write all of them as https://...")
    return ",".join(dict.fromkeys(url.rstrip("/") if len(urls) > 1 else url for url in urls))


def _url(variable: Variable, value: t.Any) -> str:
    try:
        parts = urlsplit(value if isinstance(value, str) and not re.search(r"\s", value) else "")
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # brackets or a port that can't be right
        known = False
    if not known:
        raise InvalidValue(value, f"is not the address of an API server: write it like {show(variable.example)}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        text = "has a user or a query: give the credential apart from it, and write it like"
        raise InvalidValue(value, f"{text} {show(variable.example)}")
    return parts.geturl()  # its scheme in lower case


def _node_name(variable: Variable, value: t.Any) -> str:
    text = value.lower() if isinstance(value, str) else ""
    labels_fit = all(len(label) <= LONGEST_LABEL for label in text.split("."))
    if not NODE_NAME.fullmatch(text) or len(text) > LONGEST_NAME or not labels_fit:
        likely = "" if show(value) == NOT_SHOWN else re.sub(r"[^a-z0-9.-]+", "-", str(value).lower()).strip("-.")
        likely = likely[:LONGEST_LABEL] or variable.example
        raise InvalidValue(
            value,
            "is not a name that Kubernetes accepts (RFC 1123: a to z, 0 to 9, '-' and '.'): write it like "
            f"{show(likely)}",
        )
    return text


def _interface(variable: Variable, value: t.Any) -> str:
    if not isinstance(value, str) or not LINK_NAME.fullmatch(value) or value in (".", ".."):
        raise InvalidValue(
            value,
            "is not the name of a NIC (1 to 15 characters, without spaces and '/'): write it like "
            f"{show(variable.example)}",
        )
    return value


def _hosts(variable: Variable, value: t.Any) -> list[str]:
    names = _items(value)
    if not all(isinstance(name, str) and name for name in names):
        raise InvalidValue(value, f"is not a list of hosts: write it like {show([variable.example])}")
    return names


def _openvswitch_settings(_variable: Variable, value: t.Any) -> list[dict[str, str]]:
    entries = _items(value) if isinstance(value, str) and value.startswith(LISTS) else value
    try:
        return [setting._asdict() for setting in user_settings.read(entries)]
    except SettingsError as error:
        raise InvalidValue(error.value, sentence(error)) from None


READERS: dict[str, Reader] = {
    "networks": _one_of_each_family(address_rules.overlay_network),
    "network_list": _networks,
    "interface_addresses": _one_of_each_family(address_rules.host_interface),
    "next_hops": _one_of_each_family(address_rules.next_hop),
    "address": _host_address,
    "addresses": _host_addresses,
    "prefixes": _prefixes,
    "whole": _whole_number,
    "boolean": _boolean,
    "text": _text,
    "kubeconfig": _kubeconfig,
    "token": _token,
    "choice": _choice,
    "choices": _choices,
    "path": _path,
    "url": _urls,
    "name": _node_name,
    "interface": _interface,
    "hosts": _hosts,
    "openvswitch_settings": _openvswitch_settings,
}
