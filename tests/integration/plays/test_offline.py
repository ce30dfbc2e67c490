# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects machines that can't reach Galaxy: the commands of the README install the archive there, and its playbooks
run."""

from __future__ import annotations

import pathlib
import re
import shutil

import ansible_cores
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEPENDENCIES = ROOT / ".cache" / "dependencies" / "ansible_collections"
NOBODY = "http://127.0.0.1:1/"  # no server of Galaxy


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The collection's archive, as a user builds it."""
    folder = tmp_path_factory.mktemp("archive")
    code, said = ansible_cores.run(
        ansible_cores.OWN, "ansible-galaxy", "collection", "build", "--output-path", folder, ROOT
    )
    assert code == 0, said
    (made,) = folder.glob("ovn-kubernetes-*.tar.gz")
    return made


def run(core, home, program, *arguments):
    """Run a program on a machine with nothing but this home, and without Galaxy."""
    return ansible_cores.run(
        core,
        program,
        *arguments,
        HOME=str(home),
        ANSIBLE_HOME=str(home / ".ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(home / ".ansible" / "collections"),
        ANSIBLE_GALAXY_SERVER=NOBODY,
    )


def command_of_readme():
    """The arguments of the README's command, but for the archive."""
    (line,) = re.findall(r"(?m)^ansible-galaxy (.* --no-deps) ovn-kubernetes-", (ROOT / "README.md").read_text("utf-8"))
    return line.split()


@pytest.mark.timeout(1800)  # it may install a core
@pytest.mark.parametrize("core", ["oldest", "newest"])
def test_the_archive_installs_without_galaxy(core, archive, tmp_path):
    """Protects the offline way of the README, on the oldest and the newest core: the installed collection judges the
    sample, and says what an inventory with settings of Open vSwitch needs."""
    code, said = run(core, tmp_path, "ansible-galaxy", *command_of_readme(), archive)
    assert code == 0, said
    installed = tmp_path / ".ansible" / "collections" / "ansible_collections" / "ovn" / "kubernetes"
    sample = installed / "inventory" / "sample"
    setting = "{table: Open_vSwitch, record: ., column: other_config, key: max-idle, value: 30000}"
    variables = tmp_path / "more.yml"
    variables.write_text(f"ovn_openvswitch_settings: [{setting}]\n", encoding="utf-8")
    code, said = run(core, tmp_path, "ansible-playbook", "-i", sample, "-e", f"@{variables}", "ovn.kubernetes.validate")
    assert code == 2 and "needs the collection openvswitch.openvswitch, which is not on the controller" in said, said


@pytest.mark.timeout(1800)
def test_with_its_dependency_the_archive_needs_no_option(archive, tmp_path):
    """Protects the README's other way: the dependencies, unpacked from wheels, are found, and Galaxy is not asked. The
    installed collection validates the sample."""
    folder = tmp_path / ".ansible" / "collections" / "ansible_collections"
    folder.mkdir(parents=True)
    for name in ("openvswitch/openvswitch", "community/crypto"):
        shutil.copytree(DEPENDENCIES / name, folder / name)
    code, said = run(ansible_cores.OWN, tmp_path, "ansible-galaxy", "collection", "install", archive)
    assert code == 0 and (folder / "ovn" / "kubernetes" / "MANIFEST.json").is_file(), said
    sample = folder / "ovn" / "kubernetes" / "inventory" / "sample"
    code, said = run(ansible_cores.OWN, tmp_path, "ansible-playbook", "-i", sample, "ovn.kubernetes.validate")
    assert code == 0, said
