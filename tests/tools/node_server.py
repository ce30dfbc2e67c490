# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A node for the CNI plugin: a network namespace with a real Open vSwitch (userspace datapath), the node's server as a
process, and the plugin itself.

Two parts are stand-ins: the API server (one that serves a list and a watch of pods), and ovn-controller (it says that
flows are there). Both exist for real in the lab's scenarios.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import socketserver
import subprocess
import threading
import time

import preloaded
from database_server import Client, Server, wait_for
from vswitch import Vswitch

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "roles" / "node" / "files" / "ovn-k8s-cni-overlay"


class ApiServer:
    """An API server for reading: lists and watches. It takes events.

    It can be made unavailable. It counts the requests for pods.
    """

    def __init__(self):
        self.forbidden = set()  # collections that nobody may read
        self.others = {}  # the last part of another collection's path -> its objects
        self.pods, self.version, self.pod_requests, self._news = {}, 1, 0, threading.Condition()
        self._log, self._away = [], False
        self.events = []  # (pod, reason, message)
        self.conditions = {}  # of the node: type -> condition
        self.annotations = {}  # of the node
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments):
                pass

            def do_GET(self):
                kind = self.path.partition("?")[0].rpartition("/")[2]
                outer.pod_requests += kind == "pods"
                if outer._away:
                    self.close_connection = True
                    return
                if kind in outer.forbidden:
                    self.send_error(403)
                    return
                if self.path.startswith("/api/v1/nodes/"):
                    meta = {"annotations": outer.annotations}
                    self.answer({"metadata": meta, "status": {"conditions": list(outer.conditions.values())}})
                    return
                (outer.watch if "watch=true" in self.path else outer.list)(self, kind)

            def answer(self, content):
                body = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PATCH(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["Content-Type"] == "application/strategic-merge-patch+json"
                if outer._away or not self.path.endswith("/status"):
                    self.close_connection = True
                    return
                outer.annotations.update(body.get("metadata", {}).get("annotations", {}))
                for one in body.get("status", {}).get("conditions", ()):
                    if one.get("$patch") == "delete":
                        outer.conditions.pop(one["type"], None)
                    else:
                        outer.conditions[one["type"]] = one
                self.answer({})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.events.append((body["involvedObject"]["name"], body["reason"], body["message"]))
                self.send_response(201)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def list(self, handler, collection):
        """Answer with all objects."""
        with self._news:
            items = list(self.pods.values() if collection == "pods" else self.others.get(collection, ()))
            body = json.dumps({"metadata": {"resourceVersion": str(self.version)}, "items": items}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def watch(self, handler, collection):
        """Answer with each change after the requested version."""
        seen = int(handler.path.split("resourceVersion=")[1].split("&")[0])
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while True:
            with self._news:
                while self.version <= seen and not self._away:
                    self._news.wait()
                if self._away:
                    handler.close_connection = True
                    return
                events = [event for version, where, event in self._log if version > seen and where == collection]
                seen = self.version
            for event in events:
                line = json.dumps(event).encode() + b"\n"
                try:
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                except OSError:
                    return

    def change(self, kind, item, collection="pods"):
        """Change a pod or another object: ADDED, MODIFIED or DELETED."""
        with self._news:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            key = item["metadata"].get("namespace"), item["metadata"]["name"]
            known = (
                self.pods
                if collection == "pods"
                else {
                    (one["metadata"].get("namespace"), one["metadata"]["name"]): one
                    for one in self.others.get(collection, ())
                }
            )
            if kind == "DELETED":
                known.pop(key, None)
            else:
                known[key] = item
            if collection != "pods":
                self.others[collection] = list(known.values())
            self._log.append((self.version, collection, {"type": kind, "object": json.loads(json.dumps(item))}))
            self._news.notify_all()

    def set_away(self, away):
        """End all watches and answer no request, or answer again."""
        with self._news:
            self._away = away
            self._news.notify_all()

    def close(self):
        """Stop it."""
        self.set_away(True)
        self.server.shutdown()
        self.server.server_close()


def pod(name, uid="uid-1", annotation=None, written_for=None, **more):
    """A pod of the API server.

    :param written_for: the UID of the pod that the annotations are for: a copied pod is created with those of another.
    """
    annotations = {"ovn.kubernetes/pod-uid": written_for or uid, **more}
    if annotation is not None:
        annotations["ovn"] = annotation if isinstance(annotation, str) else json.dumps(annotation)
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "annotations": annotations},
        "spec": {"nodeName": "node1"},
    }


def network(number=3):
    """The annotation of a pod with an address of that number."""
    return {
        "ip_address": f"192.168.1.{number}/24",
        "mac_address": f"0a:58:c0:a8:01:{number:02x}",
        "gateway_ip": "192.168.1.1",
    }


class Controller(threading.Thread):
    """Mark each pod's interface as installed, as ovn-controller does; ``silent`` stops that."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.database, self.ended = database, False
        self._silent, self.lock = False, threading.RLock()

    @property
    def silent(self):
        """Whether it installs nothing."""
        return self._silent

    @silent.setter
    def silent(self, value):
        with self.lock:
            self._silent = value
            self._look()

    def run(self):
        """Look at all interfaces at first and whenever one of them changes."""
        while not self.ended:
            try:
                with contextlib.closing(Client(self.database.socket)) as client:
                    columns = {"Interface": {"columns": ["external_ids"]}}
                    client.request("monitor", ["Open_vSwitch", None, columns])
                    while not self.ended:
                        self._look()
                        client.receive()
            except OSError:
                time.sleep(0.01)  # until there is a database

    def _look(self):
        """Mark what is not marked yet."""
        with self.lock:
            if self._silent:
                return
            with contextlib.closing(Client(self.database.socket)) as client:
                where = {"op": "select", "table": "Interface", "where": []}
                for row in client.request("transact", ["Open_vSwitch", where])[0]["rows"]:
                    keys = dict(row["external_ids"][1])
                    if "iface-id" in keys and "ovn-installed" not in keys:
                        change = {
                            "op": "mutate",
                            "table": "Interface",
                            "where": [["_uuid", "==", row["_uuid"]]],
                            "mutations": [["external_ids", "insert", ["map", [["ovn-installed", "true"]]]]],
                        }
                        client.request("transact", ["Open_vSwitch", change])


class ControlSocket:
    """A daemon's pid file and control socket; it answers every question with :attr:`answer`."""

    def __init__(self, folder, name, answer):
        self.answer, self.folder, self.name = answer, pathlib.Path(folder), name
        self.folder.mkdir(exist_ok=True)
        self._server = None
        self.start()

    def start(self):
        """Run (again)."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer._connections.append(self.request)
                while data := self.request.recv(1 << 16):
                    if outer.answer is None:  # it hangs
                        continue
                    reply = {"id": json.loads(data)["id"], "result": outer.answer, "error": None}
                    self.request.sendall(json.dumps(reply).encode())

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self._connections = []
        path = self.folder / f"{self.name}.77.ctl"
        path.unlink(missing_ok=True)
        self._server = Server(str(path), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        (self.folder / f"{self.name}.pid").write_text("77\n")

    def stop(self):
        """End as a daemon does that is stopped."""
        if self._server is None:
            return
        (self.folder / f"{self.name}.pid").unlink()
        self._server.shutdown()
        self._server.server_close()
        (self.folder / f"{self.name}.77.ctl").unlink()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server = None


class Node:
    """The node.

    :param folder: for its files.
    :param datapath: of br-int: netdev is really there, system is only named.
    :param start: how its server is started, as :mod:`preloaded` has it.
    """

    def __init__(self, folder, datapath="netdev", vswitchd=True, start=preloaded.start):
        self.folder, self.server, self._start_program = pathlib.Path(folder), None, start
        self.folder.mkdir(exist_ok=True)
        self.database = Vswitch() if vswitchd else Server("vswitch", "Open_vSwitch")
        self.api = ApiServer()
        # Tests run beside each other, and beside what this machine may be: a place of their own, told to the server and
        # written into the plugin.
        self.run = self.folder / "run"
        self.plugin = self.folder / PLUGIN.name
        self.plugin.touch(0o755)
        self.plugin.write_text(PLUGIN.read_text().replace('"/run/ovn-kubernetes"', repr(str(self.run))))
        self.configuration = self.folder / "10-ovn-kubernetes.conflist"
        self._make_rows(datapath)
        self.daemons_folder = self.database.directory / "daemons"  # short, as a socket's path must be
        self.daemons = {
            "ovs-vswitchd": ControlSocket(self.daemons_folder, "ovs-vswitchd", "ovs-vswitchd (Open vSwitch) 3.5.0"),
            "ovn-controller": ControlSocket(self.daemons_folder, "ovn-controller", "connected"),
        }
        self.controller = Controller(self.database)
        self.controller.start()
        self.set_api_server(server=self.api.url)

    def set_api_server(self, **access):
        """Set which API server the node's server uses, and how."""
        (self.folder / "kubernetes.json").write_text(json.dumps(access))

    def _make_rows(self, datapath):
        def keys(role, **more):
            mine = {
                "k8s.ovn.org/owner-controller": "ovn.kubernetes",
                "k8s.ovn.org/owner-type": "Node",
                "k8s.ovn.org/name": "host",
                "k8s.ovn.org/id": "ovn.kubernetes:Node:host:" + role,
                **more,
            }
            return ["map", [[key, value] for key, value in mine.items()]]

        self.database.transact(
            {
                "op": "insert",
                "table": "Interface",
                "uuid-name": "i",
                "row": {
                    "name": "k8s-node1",
                    "type": "internal",
                    "mtu_request": 1400,
                    "external_ids": keys("management-interface", **{"iface-id": "k8s-node1"}),
                },
            },
            {
                "op": "insert",
                "table": "Port",
                "uuid-name": "p",
                "row": {"name": "k8s-node1", "interfaces": ["named-uuid", "i"]},
            },
            {"op": "insert", "table": "Interface", "uuid-name": "bi", "row": {"name": "br-int", "type": "internal"}},
            {
                "op": "insert",
                "table": "Port",
                "uuid-name": "bp",
                "row": {"name": "br-int", "interfaces": ["named-uuid", "bi"]},
            },
            {
                "op": "insert",
                "table": "Bridge",
                "uuid-name": "b",
                "row": {
                    "name": "br-int",
                    "datapath_type": datapath,
                    "ports": ["set", [["named-uuid", "p"], ["named-uuid", "bp"]]],
                    "external_ids": keys("integration-bridge"),
                },
            },
            {"op": "delete", "table": "Open_vSwitch", "where": []},
            {"op": "insert", "table": "Open_vSwitch", "row": {"bridges": ["named-uuid", "b"]}},
        )

    def start(self, wait=True, patience=20):
        """Start the node's server."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.http = f"127.0.0.1:{probe.getsockname()[1]}"
        self.log = (self.folder / "node.log").open("a")
        self.server = self._start_program(
            "node_program:main",
            [
                "--node",
                "node1",
                "--cluster-subnet",
                "192.168.0.0/16",
                "--kubernetes",
                str(self.folder / "kubernetes.json"),
                "--local",
                self.database.remote,
                "--cni-configuration",
                str(self.configuration),
                "--run",
                str(self.run),
                "--ovn-run",
                str(self.daemons_folder),
                "--openvswitch-run",
                str(self.daemons_folder),
                "--cni-plugin",
                str(self.plugin),
                "--listen",
                self.http,
                "--patience",
                str(patience),
            ],
            self.log,
        )
        if wait:
            wait_for(lambda: self._ended() or self._serves(), "the node's server to be ready")

    def _serves(self):
        try:
            return self.http_get("/readyz")[0] == 200 and self.configuration.exists()
        except OSError:
            return False

    def _ended(self):
        if self.server.poll() is not None:
            raise AssertionError("ovn-k8s-node ended: " + self.text())

    def text(self):
        """The server's log."""
        return (self.folder / "node.log").read_text()

    def stop(self, number=signal.SIGTERM):
        """Stop the server."""
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(number)
            self.server.wait(timeout=20)
        self.server = None

    def remove(self):
        """Stop everything."""
        self.stop(signal.SIGKILL)
        self.controller.ended = True
        for daemon in self.daemons.values():
            daemon.stop()
        self.database.remove()  # which wakes ovn-controller's stand-in
        self.controller.join(timeout=10)
        self.api.close()

    def remove_flows(self):
        """Be as before ovn-controller's start: no interface is marked as installed."""
        with self.controller.lock:
            self.controller.silent = True
            self.database.transact(
                {
                    "op": "mutate",
                    "table": "Interface",
                    "where": [["name", "==", "k8s-node1"]],
                    "mutations": [["external_ids", "delete", ["set", ["ovn-installed"]]]],
                }
            )

    # What a runtime does.

    def call(
        self,
        command,
        container="c1",
        netns="",
        ifname="eth0",
        name="web",
        uid="uid-1",
        config=None,
        version="1.0.0",
        environment=None,
        stdin=None,
    ):
        """Start the plugin as a runtime does; :returns: a process to :func:`answer` from."""
        args = (
            f"K8S_POD_NAME={name};IgnoreUnknown=1;K8S_POD_UID={uid};K8S_POD_NAMESPACE=ns;"
            f"K8S_POD_INFRA_CONTAINER_ID={container}"
        )
        variables = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns if netns is None else str(netns),
            "CNI_IFNAME": ifname,
            "CNI_ARGS": args,
            "CNI_PATH": "/opt/cni/bin",
            "PATH": os.environ["PATH"],
            **(environment or {}),
        }
        variables = {key: value for key, value in variables.items() if value is not None}
        text = (
            stdin
            if stdin is not None
            else json.dumps(
                {"cniVersion": version, "name": "ovn-kubernetes", "type": "ovn-k8s-cni-overlay", **(config or {})}
            )
        )
        process = subprocess.Popen(
            ["/usr/bin/perl", "-w", str(self.plugin)],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
        return process

    def cni(self, *args, **more):
        """Call the plugin and wait: (exit code, what it printed as JSON or None)."""
        return answer(self.call(*args, **more))

    def http_get(self, path):
        """(status, text) of one of the server's pages."""
        connection = http.client.HTTPConnection(self.http, timeout=10)
        try:
            connection.request("GET", path)
            got = connection.getresponse()
            return got.status, got.read().decode()
        finally:
            connection.close()

    def unavailable(self):
        """Why the node's condition NetworkUnavailable keeps new pods away; empty: it does not; None: there is none."""
        found = self.api.conditions.get("NetworkUnavailable")
        return None if found is None else found["message"] if found["status"] == "True" else ""

    def has_request(self):
        """Whether a plugin has a connection: beside the listening socket there is an accepted one."""
        with open("/proc/net/unix", encoding="utf-8") as sockets:
            return sum(str(self.run) in line for line in sockets) > 1

    def pod_ports(self):
        """Interfaces of pods: name -> external_ids."""
        found = {}
        for row in self.database.rows("Interface"):
            keys = dict(row["external_ids"][1])
            if "sandbox" in keys:
                found[row["name"]] = keys
        return found


def host_links():
    """Names of the node's ends of pairs."""
    return [
        link["ifname"]
        for link in json.loads(
            subprocess.run(
                ["ip", "-j", "link", "show", "type", "veth"], check=True, capture_output=True, text=True, timeout=10
            ).stdout
            or "[]"
        )
    ]


def answer(process, patience=60):
    """(exit code, what the plugin printed as JSON or None)."""
    out, err = process.communicate(timeout=patience)
    assert not err, err
    return process.returncode, json.loads(out) if out.strip() else None


class Netns:
    """A pod's network namespace, bound to a path as runtimes do."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.touch()
        subprocess.run(["unshare", f"--net={self.path}", "true"], check=True, timeout=10)

    def run(self, *command):
        """Run a command in it."""
        return subprocess.run(
            ["nsenter", f"--net={self.path}", *command], check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def ip(self, arguments):
        """The output of ip, as JSON."""
        return json.loads(self.run("ip", "-j", "-d", *arguments.split()) or "[]")

    def remove(self):
        """Remove it as a runtime does at the end of a sandbox."""
        subprocess.run(["umount", str(self.path)], check=False, capture_output=True, timeout=10)
        self.path.unlink(missing_ok=True)
