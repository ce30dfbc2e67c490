# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Stands in for the get-pip script that ansible-test would download, where only a package index can be reached.

ansible-test runs it inside each new virtual environment, which has no pip. Installing pip costs more than all that pip
then installs. So the environment only gets a path to the pip that tests/tools/sanity has unpacked beside this file, as
a package that ``pip uninstall pip`` takes away again. Nothing else that it is asked for is there (older ansible-core
want setuptools and wheel): all that is installed has wheels.
"""

from __future__ import annotations

import os
import pathlib
import sysconfig

here, name = os.path.split(os.path.abspath(__file__))  # get_pip_24_2.py
version = os.path.splitext(name)[0].partition("get_pip_")[2].replace("_", ".")
site_packages = pathlib.Path(sysconfig.get_paths()["purelib"])
files = {
    "pip.pth": f"{here}/pip-{version}\n",
    f"pip-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: pip\nVersion: {version}\n",
    f"pip-{version}.dist-info/INSTALLER": "pip\n",
}
files[f"pip-{version}.dist-info/RECORD"] = "".join(
    f"{file},,\n" for file in (*files, f"pip-{version}.dist-info/RECORD")
)
for file, text in files.items():
    (site_packages / file).parent.mkdir(exist_ok=True)
    (site_packages / file).write_text(text)
