# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two authorities (CAs) that sign certificates, as the controller has them: in a folder, or in variables. Private
to the collection.

Two, since one ovsdb-server has one file of authorities and checks no names: whoever has a certificate of the central
authority is a master to every database.
"""

from __future__ import annotations

import os
import stat
import typing as t
from collections.abc import Iterable

from ._errors import InventoryError, show, show_path
from ._inventory import Inventory
from ._kubeconfig import CERTIFICATE, Unusable, read_file
from ._variables import VARIABLES
from ._x509 import RSA_BITS, Certificate, certificates, public_key_of, require_library

CENTRAL, CHASSIS = "central", "chassis"
ROLES = (CENTRAL, CHASSIS)
FOLDER, DAYS, CA_DAYS, ROTATE = "ovn_tls_folder", "ovn_tls_days", "ovn_tls_ca_days", "ovn_tls_rotate"
# With a dot: where the inventory is a folder, Ansible reads what else is in it as inventories.
FOLDER_NAME = ".ovn-tls"
KEYS = "keys"  # of ovn_tls_rotate
PRIVATE_KEY = "PRIVATE KEY-----"


class Signer(t.NamedTuple):
    """A certificate of an authority whose key is on the controller.

    :ivar path: of the key; empty: it is text.
    """

    certificate: Certificate
    path: str
    key: str


class Authority(t.NamedTuple):
    """One authority.

    :ivar certificates: whom hosts trust: the one that signs first, after it older ones. None: there is none.
    :ivar signers: those of them whose keys are here. None: certificates are only checked.
    :ivar of_folder: it lies in the folder, where plays may change it.
    """

    role: str
    certificates: tuple[Certificate, ...]
    signers: tuple[Signer, ...]
    of_folder: bool

    @property
    def pem(self) -> str:
        """All certificates as text."""
        return "".join(one.pem for one in self.certificates)

    def of(self, certificate: Certificate) -> Certificate | None:
        """Return which of the authority's certificates has signed this one; None: none of them."""
        return next((one for one in self.certificates if certificate.is_of(one)), None)

    def signer(self, fingerprint: str) -> Signer | None:
        """Return the signer with this certificate."""
        return next((one for one in self.signers if one.certificate.fingerprint == fingerprint), None)


class Wrong(Exception):
    """An authority that can't be used.

    :ivar variable: which one is wrong.
    :ivar text: what is wrong, and what would be right, without the variable.
    """

    def __init__(self, variable: str, text: str) -> None:
        super().__init__(f"{variable} {text}")
        self.variable, self.text = variable, text


def variable(role: str, part: str) -> str:
    """Return the variable of a part, ``certificate`` or ``key``, of a role's authority."""
    return f"ovn_tls_{role}_ca_{part}"


def folder(inventory: Inventory) -> str:
    """Return the absolute path of the folder on the controller."""
    given = inventory.cluster_value(FOLDER) or FOLDER_NAME
    return inventory.path(given)


def made_folder(inventory: Inventory) -> str:
    """Return the folder when a CA is in it; empty: there is none, or nobody can say where it is."""
    try:
        where = folder(inventory)
    except InventoryError:
        return ""
    return where if any(os.path.exists(os.path.join(where, f"{role}-ca.crt")) for role in ROLES) else ""


def number(inventory: Inventory, name: str) -> int:
    """Return a number of days."""
    value = inventory.cluster_value(name)
    return int(VARIABLES[name].default if value is None else value)


def rotations(inventory: Inventory) -> frozenset[str]:
    """Return what this run is to make anew: ``keys``, and roles whose authority is."""
    given = inventory.value(inventory.hosts[0], ROTATE) or ()
    return frozenset(str(one)[: -len("_ca")] if one != KEYS else KEYS for one in given)


def authorities(inventory: Inventory) -> dict[str, Authority]:
    """Return role -> authority.

    :raises Wrong: one can't be used, or both are one.
    :raises InventoryError: a variable can't be read, or the library is missing.
    """
    require_library()
    found = {role: authority(inventory, role) for role in ROLES}
    _refuse_one_key(found)
    keys = {one.public_key: one for one in found[CENTRAL].certificates}
    for one in found[CHASSIS].certificates:
        if one.public_key in keys:
            raise Wrong(
                variable(CHASSIS, "certificate") if not found[CHASSIS].of_folder else FOLDER,
                f"has one CA for both roles, {show(one.name)}: a chassis' certificate would be a master's, and open "
                "every database; give two",
            )
    return found


def _refuse_one_key(found: dict[str, Authority]) -> None:
    """Refuse the certificates of both authorities in variables with the key of one: half of the hosts' certificates
    would be issued, and nobody says whose the others are."""
    given = [role for role in ROLES if not found[role].of_folder]
    able = [role for role in given if found[role].signers]
    if len(given) == len(ROLES) and len(able) == 1:
        other = next(role for role in ROLES if role not in able)
        raise Wrong(
            variable(able[0], "key"),
            f"is set, and {variable(other, 'key')} is not: give both keys, and the play issues all certificates, or "
            "none, and put all of them on the hosts yourself",
        )


def authority(inventory: Inventory, role: str) -> Authority:
    """Return the authority of a role.

    :raises Wrong: it can't be used.
    :raises InventoryError: a variable can't be read.
    """
    certificate, key = (inventory.cluster_value(variable(role, part)) for part in ("certificate", "key"))
    if certificate:
        return _of_variables(inventory, role, certificate, key)
    if key:
        name = variable(role, "key")
        raise Wrong(name, f"is set, and {variable(role, 'certificate')} is not: set it to the CA's certificate")
    return _of_folder(role, folder(inventory))


def _of_variables(inventory: Inventory, role: str, certificate: str, key: str | None) -> Authority:
    name, key_name = variable(role, "certificate"), variable(role, "key")
    beside = inventory.path("")
    found = _parsed(name, _text(name, certificate, CERTIFICATE, beside))
    if not key:
        return Authority(role, found, (), False)
    path = "" if PRIVATE_KEY in key else inventory.path(key)
    if path:
        _refuse_exposed(key_name, path, "names a file")
    text = _text(key_name, key, PRIVATE_KEY, beside)
    return Authority(role, found, (_signer(key_name, found, text, path, name),), False)


def _text(name: str, value: str, mark: str, beside: str) -> str:
    """Return PEM text, which is the value, or in the file that it names.

    :param beside: in which folder a relative path begins.
    """
    try:
        text = f"{value.rstrip()}\n" if mark in value else read_file(value, beside)
    except Unusable as error:
        raise Wrong(name, f"{error}: write PEM text, or the path of such a file on the controller") from None
    return text


def _of_folder(role: str, where: str) -> Authority:
    path, key_path = (os.path.join(where, f"{role}-ca.{kind}") for kind in ("crt", "key"))
    if not os.path.exists(path):
        # With the next key beside it a run was making them, and has ended before it wrote the certificate.
        if os.path.exists(key_path) and not os.path.exists(new_key(key_path)):
            raise Wrong(
                FOLDER,
                f"has the key {show_path(key_path)} and not its certificate {show_path(path)}: put that certificate "
                "there; where it is lost for good, move the key away, and run ovn.kubernetes.site with "
                f"-e {ROTATE}={role}_ca, which makes another CA",
            )
        return Authority(role, (), (), True)
    _refuse_open(where, "", 0o700)
    _refuse_open(path, f"{show_path(path)} with ", 0o644)
    found = _parsed(FOLDER, _file(path), f"{show_path(path)} ")
    signers = []
    for one in (key_path, old_key(key_path)):
        if os.path.exists(one):
            _refuse_exposed(FOLDER, one, f"has the key {show_path(one)}")
            signers.append(_signer(FOLDER, found, _file(one), one, show_path(path), f"{show_path(one)} "))
    # The one that signs first; the others were there before it, or are to come after it.
    first = [signer.certificate for signer in signers[:1]]
    rest = [one for one in found if one not in first]
    return Authority(role, (*first, *rest), tuple(signers), True)


def old_key(path: str) -> str:
    """Return where the key of the authority before is kept, until no host needs it any more."""
    return f"{path}.old"


def new_key(path: str) -> str:
    """Return where the key of the next authority, or of the first one, is until its certificate is there."""
    return f"{path}.new"


def _file(path: str) -> str:
    try:
        return read_file(path)
    except Unusable as error:
        raise Wrong(FOLDER, str(error)) from None


def _refuse_exposed(name: str, path: str, what: str) -> None:
    """Refuse a key that others can read, as ssh does.

    :param what: what the variable has or names, for the message.
    """
    mode = _mode(path)
    if mode & 0o077:
        raise Wrong(
            name,
            f"{what} with mode {mode:04o}: others than its owner may read it, and make themselves a master or a "
            "chassis; chmod 600",
        )


def _refuse_open(path: str, what: str, right: int) -> None:
    """Refuse what others can write, since hosts trust the CAs in it.

    :param what: what the folder has, for the message; empty: it is the folder.
    """
    mode = _mode(path)
    if mode & 0o022:
        text = f"has {what}mode {mode:04o}: others may put their own CA there; chmod {right:o} {show_path(path)}"
        raise Wrong(FOLDER, text)


def _mode(path: str) -> int:
    """Return who may do what with a file; 0 where it can't be asked, since reading it says why."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return 0


def _parsed(name: str, text: str, what: str = "") -> tuple[Certificate, ...]:
    """Return the certificates of an authority.

    :param what: the file of the folder that has it, for the message.
    """
    try:
        found = tuple(certificates(text))
    except ValueError:
        raise Wrong(name, f"{what}holds a certificate that is damaged") from None
    if not found:
        raise Wrong(name, f"{what}holds no certificate in PEM, with its lines")
    if name != FOLDER and PRIVATE_KEY in text:
        raise Wrong(name, "holds a private key too: leave it out, and give it in the variable of the key")
    for one in found:
        problem = _unfit(one)
        if problem:
            raise Wrong(name, f"{what}holds {problem}")
    return found


def _unfit(certificate: Certificate) -> str:
    """Return why a certificate can't be a CA's for Open vSwitch, in words that begin with it; empty: it can."""
    name, weak = show(certificate.name), certificate.weak_key
    if not certificate.is_authority:
        return f"the certificate {name}, which is none of a CA: give the CA's own, which has CA:TRUE"
    if not certificate.may_sign:
        return f"{name}, whose keyUsage lacks keyCertSign: give a CA that may sign certificates"
    if weak:
        return (
            f"{name}, which has {weak}: give a CA with a key on P-256, P-384 or P-521, Ed25519 or Ed448, or with an "
            f"RSA key of at least {RSA_BITS} bits"
        )
    if not certificate.is_of(certificate):  # it sets no X509_V_FLAG_PARTIAL_CHAIN
        return (
            f"{name}, which {show(certificate.issuer)} has signed: Open vSwitch needs a CA that has signed itself; "
            "make one with ovn.kubernetes.authority"
        )
    return ""


def _signer(name: str, found: Iterable[Certificate], text: str, path: str, beside: str, what: str = "") -> Signer:
    """Return who signs with a key.

    :param beside: what has the certificate, for the message.
    :param what: the file of the folder that has the key, for the message.
    """
    try:
        public = public_key_of(text)
    except ValueError as error:
        raise Wrong(name, f"{what}{error}") from None
    for one in found:
        if one.public_key == public:
            return Signer(one, path, "" if path else text)
    raise Wrong(name, f"{what}does not fit {beside}: give the key of that CA")


def sentence(inventory: Inventory, wrong: Wrong) -> str:
    """Return what is wrong with an authority as a sentence; no value is shown but the folder's path."""
    if wrong.variable != FOLDER:
        return str(wrong)
    try:
        where = show_path(folder(inventory))
    except InventoryError:
        where = ""
    return f"{FOLDER} {where} {wrong.text}"
