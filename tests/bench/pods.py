# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""How long real pods take until they are ready, compared with the CNI plugins `bridge` and `host-local`.

Both run on the same hosts in the same run. It takes the lab as the scenario kubernetes leaves it
(`molecule converge -s kubernetes`, or `make demo`). A deployment is scaled from nothing over three hosts, by turns with
our network and with bridges that reach no further than their host. While the bridges are measured, our programs are
stopped. One turn says little, since turns differ by a quarter: the figure is the median of ten.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))

from lab_hosts import HOSTS, on, wait
from lab_kubernetes import CLUSTER, get, kubectl
from lab_running_pods import deployment

NAME = "scale"
PODS = "/api/v1/namespaces/default/pods"
GOALS = {"P50": 0.85, "P99": 0.9, "all ready": 1.15}
OTHER = "/etc/cni/net.d/00-bench.conflist"  # the runtime takes the first file


class Watch(threading.Thread):
    """When each pod was first seen, and when it was ready, as a watch of the API server tells."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.ready, self.ended = {}, {}, False
        self.version = json.loads(kubectl("get", "--raw", PODS))["metadata"]["resourceVersion"]
        self._open()
        self.start()

    def _open(self):
        query = f"labelSelector=app%3D{NAME}&watch=true&resourceVersion={self.version}"
        self.process = subprocess.Popen(
            [str(CLUSTER), "kubectl", "get", "--raw", f"{PODS}?{query}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self):
        """Read events as they come, one a line; a watch that is cut off goes on where it was."""
        while not self.ended:
            for line in self.process.stdout:
                now, pod = time.monotonic(), json.loads(line)["object"]
                name, self.version = pod["metadata"]["name"], pod["metadata"]["resourceVersion"]
                self.seen.setdefault(name, now)
                if any(
                    one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ())
                ):
                    self.ready.setdefault(name, now)
            self.process.wait()
            if not self.ended:
                self._open()

    def stop(self):
        """End it."""
        self.ended = True
        os.killpg(self.process.pid, signal.SIGKILL)  # the script and its kubectl
        self.join()


def together(work):
    """Do it for all hosts at once."""
    with ThreadPoolExecutor(len(HOSTS)) as workers:
        list(workers.map(work, range(len(HOSTS)), HOSTS))


def other(number, host):
    """The host's pods get their interfaces from `bridge`, and nothing of ours runs."""
    plugins = [
        {
            "type": "bridge",
            "bridge": "bench0",
            "isGateway": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": f"10.250.{number}.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ]
    text = json.dumps({"cniVersion": "1.0.0", "name": "bench", "plugins": plugins})
    on(
        host,
        f"systemctl stop ovn-k8s-node; systemctl is-active --quiet ovn-k8s-watcher && systemctl stop ovn-k8s-watcher;"
        "cp --remove-destination /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/ && "
        f"echo '{text}' >{OTHER}.new && mv {OTHER}.new {OTHER}",
    )


def ours(_number, host):
    """Back to what was there."""
    on(
        host,
        f"rm -rf {OTHER} /opt/cni/bin/bridge /opt/cni/bin/host-local /var/lib/cni/networks/bench; "
        "ip link del bench0 2>/dev/null;"
        "systemctl is-enabled --quiet ovn-k8s-watcher 2>/dev/null && "
        "systemctl start ovn-k8s-watcher; systemctl start ovn-k8s-node",
        limit=120,
    )
    wait(
        lambda: (
            "200"
            in on(
                host,
                "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:9410/readyz",
                check=False,
            ).stdout
        ),
        60,
        f"{host} to serve pods",
    )


def buckets():
    """Upper bound -> number of successful ADDs so far, of all hosts."""
    found = {}
    for host in HOSTS:
        for line in on(host, "curl --silent http://127.0.0.1:9410/metrics").splitlines():
            if (
                line.startswith("ovnkube_node_cni_request_duration_seconds_bucket")
                and 'command="ADD"' in line
                and 'err="false"' in line
            ):
                bound = float(line.split('le="')[1].split('"')[0])
                found[bound] = found.get(bound, 0) + float(line.split()[-1])
    return found


def quantile(counts, share):
    """A quantile of a histogram, as Prometheus reckons it."""
    bounds = sorted(counts)
    wanted, lower, before = counts[bounds[-1]] * share, 0.0, 0
    for bound in bounds:
        if counts[bound] >= wanted:
            return (
                lower
                if bound == float("inf")
                else lower + (bound - lower) * (wanted - before) / max(1, counts[bound] - before)
            )
        lower, before = bound, counts[bound]
    return lower


def scale(count):
    """Scale up from nothing and back: (seconds from seen to ready, sorted; seconds until all were)."""
    watch = Watch()
    try:
        time.sleep(2)  # its watch is open by then; nothing is lost when it is not, but seen late
        began = time.monotonic()
        kubectl("scale", "deployment", NAME, f"--replicas={count}")
        wait(lambda: len(watch.ready) >= count, 300, f"{count} pods to be ready")
        took = sorted(watch.ready[name] - watch.seen[name] for name in watch.ready)
        whole = max(watch.ready.values()) - began
    finally:
        watch.stop()
        kubectl("scale", "deployment", NAME, "--replicas=0")
        wait(lambda: not get("pods", labelSelector=f"app={NAME}")["items"], 300, "the pods to go")
    return took, whole


def show(name, took, whole):
    """One line; its P50, P99 and whole time."""
    middle, high = statistics.median(took), took[min(len(took) - 1, int(len(took) * 0.99))]
    print(
        (
            f"  {name:<7} {len(took)} pods: created to ready P50 {middle:6.2f} s  P99 {high:6.2f} s; "
            f"all ready after {whole:6.2f} s"
        ),
        flush=True,
    )
    return middle, high, whole


def spread(ratios):
    """The median of the turns, and how far they are apart."""
    ordered = sorted(ratios)
    quarter = len(ordered) // 4
    turns = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return (
        f"{statistics.median(ordered):.2f} (median of {len(ordered)} turns, "
        f"half of them from {ordered[quarter]:.2f} to {ordered[-1 - quarter]:.2f}: {turns})"
    )


def measure(count, times):
    """All figures."""
    found = {"ours": [], "bridge": []}
    kubectl("apply", "--filename=-", content=json.dumps(deployment(NAME)))
    try:
        scale(len(HOSTS))  # what is only slow at first
        for _turn in range(times):
            for name in ("ours", "bridge"):
                together(ours if name == "ours" else other)
                before = buckets() if name == "ours" else None
                found[name].append(show(name, *scale(count)))
                if before is not None:
                    counts = {bound: number - before.get(bound, 0) for bound, number in buckets().items()}
                    print(
                        (
                            f"          our ADD in this burst: P50 {quantile(counts, 0.5) * 1000:.0f} ms  P99 "
                            f"{quantile(counts, 0.99) * 1000:.0f} ms"
                        ),
                        flush=True,
                    )
    finally:
        together(ours)
        kubectl("delete", "deployment", NAME, "--ignore-not-found")
    for number, what in enumerate(("P50", "P99", "all ready")):
        ratios = [mine[number] / theirs[number] for mine, theirs in zip(found["ours"], found["bridge"])]
        print(f"  {what}: {spread(ratios)} times bridge with host-local; goal: {GOALS[what]}")


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pods", nargs="?", type=int, default=60)
    parser.add_argument("turns", nargs="?", type=int, default=10)
    options = parser.parse_args()
    if kubectl("get", "--raw", "/readyz", check=False).returncode:
        print("pods: left out, since the lab's Kubernetes does not run: molecule converge -s kubernetes makes it")
        return
    print(f"pods: a deployment from 0 to {options.pods} over {len(HOSTS)} hosts")
    measure(options.pods, options.turns)


if __name__ == "__main__":
    main()
