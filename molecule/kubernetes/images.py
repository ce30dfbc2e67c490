# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Container images without a registry, as archives that ``ctr images import`` reads.

They lie beside the programs of Kubernetes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import platform
import subprocess
import tarfile

PAUSE = "registry.k8s.io/pause:3.10.1"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.56"
NAME_SERVER = "registry.k8s.io/coredns/coredns:v1.13.1"
# Images that upstream's tests use for a shell, sleep or dig. The agnhost image takes their place.
STAND_INS = (
    "registry.k8s.io/e2e-test-images/busybox:1.37.0-1",
    "registry.k8s.io/e2e-test-images/jessie-dnsutils:1.7",
)
# Beside agnhost: what upstream's tests run in pods.
TOOLS = "curl,wget,iproute2,iputils-ping,bind9-dnsutils,netcat-openbsd,ca-certificates"
SUITE = "bookworm"
LAB = pathlib.Path(__file__).resolve().parents[1] / "lab" / "lab"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Images:
    """The images, made from the programs in a folder.

    :param programs: the folder of ``tests/tools/kubernetes``, which gets the images too.
    """

    def __init__(self, programs: pathlib.Path) -> None:
        self.programs = programs
        # An image is made again when its recipe, which is this file, has changed.
        self._recipe = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:8]

    def file(self, image: str) -> pathlib.Path:
        """Return the archive of an image."""
        name = image.rpartition(":")[0].rpartition("/")[2]
        return self.programs / f"image-{name}-{self._recipe}.tar"

    def make(self) -> None:
        """Make the images that each host gets: pause and agnhost."""
        if not self.file(PAUSE).exists():
            self._write(PAUSE, self._layer("agnhost"), "/agnhost", "pause")
        if not self.file(AGNHOST).exists():
            print("cluster: image agnhost: building (half a minute)", flush=True)
            self._write(AGNHOST, self._agnhost_layer(), "/agnhost")

    def make_name_server(self) -> None:
        """Make the image of CoreDNS."""
        if not self.file(NAME_SERVER).exists():
            self._write(NAME_SERVER, self._layer("coredns"), "/coredns")

    def _layer(self, program: str) -> bytes:
        """Return a layer that holds one program in its root folder."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", dereference=True) as tar:
            tar.add(self.programs / program, program)
        return out.getvalue()

    def _agnhost_layer(self) -> bytes:
        """Return a layer with a small Debian, agnhost, and the certificate with which agnhost serves TLS."""
        path = self.programs / ".agnhost.tar"
        key, certificate = self.programs / "localhost.key", self.programs / "localhost.crt"
        try:
            subprocess.run([LAB, "rootfs", SUITE, TOOLS, path], check=True)
            request = [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "3650",
                "-subj",
                "/CN=localhost",
            ]
            subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
            with tarfile.open(path, "a", dereference=True) as tar:
                for file in (self.programs / "agnhost", certificate, key):
                    tar.add(file, f"./{file.name}")
            return path.read_bytes()
        finally:
            for file in (path, key, certificate):
                file.unlink(missing_ok=True)

    def _write(self, image: str, layer: bytes, *command: str) -> None:
        """Write an image of one layer as docker-archive."""
        config = json.dumps(
            {
                "architecture": ARCHITECTURES[platform.machine()],
                "os": "linux",
                "config": {
                    "Entrypoint": command,
                    "Cmd": ["pause"] if len(command) == 1 else [],
                    "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin:/"],
                },
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            }
        ).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        manifest = json.dumps([{"Config": config_name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
        path = self.file(image)
        part = path.with_name(f"{path.name}.part")
        with tarfile.open(part, "w") as out:
            for name, content in (("layer.tar", layer), (config_name, config), ("manifest.json", manifest)):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
        os.replace(part, path)
