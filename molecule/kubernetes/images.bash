# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# Part of `cluster`: container images without a registry, as archives that `ctr images import` reads. They lie beside the programs.

images=(registry.k8s.io/pause:3.10.1 registry.k8s.io/e2e-test-images/agnhost:2.56)
# What upstream's tests, and whoever looks around in a pod, run beside agnhost.
image_tools=curl,wget,iproute2,iputils-ping,bind9-dnsutils,netcat-openbsd,ca-certificates

# Made anew when this recipe changes.
image_file() { echo "$programs/image-$(basename "${1%:*}")-$(sha256sum "$here/images.bash" | cut -c1-8).tar"; }

make_images() {
    local suite=bookworm tar
    if [ ! -e "$(image_file "${images[0]}")" ]; then
        # agnhost knows how to pause, too.
        tar --create --dereference --directory "$programs" agnhost | archive "${images[0]}" /agnhost pause
    fi
    if [ ! -e "$(image_file "${images[1]}")" ]; then
        say 'image agnhost: building (half a minute)'
        tar=$programs/.agnhost.tar
        "$lab" rootfs "$suite" "$image_tools" "$tar"
        # What agnhost serves TLS with, where it looks for it.
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost -keyout "$programs/localhost.key" -out "$programs/localhost.crt" 2>/dev/null
        tar --append --dereference --directory "$programs" --file "$tar" ./agnhost ./localhost.crt ./localhost.key
        rm -f "$programs/localhost.key" "$programs/localhost.crt"
        archive "${images[1]}" /agnhost <"$tar"
        rm -f "$tar"
    fi
}

# archive NAME COMMAND...: one layer from standard input, as docker-archive.
archive() {
    python3 - "$(image_file "$1")" "$@" 3<&0 <<'PY'
import hashlib
import io
import json
import os
import sys
import tarfile

path, name, *command = sys.argv[1:]
with os.fdopen(3, "rb") as layer_in:
    layer = layer_in.read()
config = json.dumps({"architecture": "amd64" if os.uname().machine == "x86_64" else "arm64", "os": "linux",
                     "config": {"Entrypoint": command, "Cmd": ["pause"] if len(command) == 1 else [], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin:/"]},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
config_name = hashlib.sha256(config).hexdigest() + ".json"
manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
with tarfile.open(path + ".part", "w") as out:
    for file, content in (("layer.tar", layer), (config_name, config), ("manifest.json", manifest)):
        info = tarfile.TarInfo(file)
        info.size = len(content)
        out.addfile(info, io.BytesIO(content))
os.replace(path + ".part", path)
PY
}
