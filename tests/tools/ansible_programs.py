# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the process of :mod:`ansible_calls` imports, and what each one forked from it does."""

from __future__ import annotations

import atexit
import os
import pathlib
import warnings

os.environ.update(
    ANSIBLE_CONFIG=str(pathlib.Path(__file__).with_name("ansible.cfg")),
    ANSIBLE_CALLBACK_RESULT_FORMAT="json",
    ANSIBLE_NOCOLOR="1",
    ANSIBLE_FORCE_COLOR="0",
)

import packed_modules
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.plugins import loader
from ansible.utils.path import cleanup_tmp_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = {"ansible": AdHocCLI, "ansible-playbook": PlaybookCLI}
# Plugins that nearly all runs load.
PLUGINS = (
    (loader.action_loader, ("command", "copy", "normal", "validate_argument_spec")),
    (loader.callback_loader, ("default", "minimal")),
    (loader.connection_loader, ("local", "ssh")),
    (loader.shell_loader, ("sh",)),
    (loader.strategy_loader, ("linear",)),
)


def main(arguments):
    """Be one of Ansible's programs, given by its name, which comes first."""
    # The folder of temporary files is that of all programs, which finds what an earlier one has packed.
    atexit.unregister(cleanup_tmp_file)
    warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
    os.chdir(ROOT)
    PROGRAMS[arguments[0]].cli_executor(arguments)


packed_modules.share()
loader.init_plugin_loader()
for _loader, _names in PLUGINS:
    for _name in _names:
        _loader.get(_name, class_only=True)
for _loader in (loader.filter_loader, loader.test_loader):
    list(_loader.all())
