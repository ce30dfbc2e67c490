# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Stands in for AWX's API, which no test can start: it needs Kubernetes' operators and images from registries.

The fields and their types are those of the API's public description (its swagger.json). What AWX ignores, such as a
field that it does not know, is refused here. Lists are filtered and objects are linked as AWX does it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import awx_rules
import yaml

API = "/api/v2/"
TOKEN = "awx-token-of-the-tests"
NODE_LINKS = ("success_nodes", "failure_nodes", "always_nodes")
ASK = ("job_type", "diff_mode", "limit", "tags", "skip_tags", "verbosity", "inventory", "variables", "credential")

NAMED = {"name": str, "description": str}
OWNED = {**NAMED, "organization": "organizations"}
TEMPLATE = {
    **OWNED,
    "inventory": "inventories",
    "limit": str,
    "scm_branch": str,
    "extra_vars": str,
    "job_tags": str,
    "skip_tags": str,
    "allow_simultaneous": bool,
    "survey_enabled": bool,
    **{f"ask_{name}_on_launch": bool for name in ASK},
}
# Endpoint -> its fields: a type, or the endpoint of the object whose id it is. None: not accepted from clients.
FIELDS = {
    "organizations": NAMED,
    "credentials": {**OWNED, "credential_type": "credential_types", "inputs": dict},
    "execution_environments": {**OWNED, "image": str, "pull": str, "credential": "credentials"},
    "projects": {
        **OWNED,
        "scm_type": str,
        "scm_url": str,
        "scm_branch": str,
        "scm_update_on_launch": bool,
        "credential": "credentials",
        "default_environment": "execution_environments",
    },
    "inventories": {**OWNED, "kind": str, "host_filter": (str, type(None)), "variables": str},
    "inventory_sources": {
        **NAMED,
        "inventory": "inventories",
        "source": str,
        "source_path": str,
        "source_project": "projects",
        "overwrite": bool,
        "overwrite_vars": bool,
        "update_on_launch": bool,
        "execution_environment": "execution_environments",
    },
    "credential_types": {**NAMED, "kind": str, "inputs": dict, "injectors": dict},
    "job_templates": {
        **TEMPLATE,
        "project": "projects",
        "playbook": str,
        "job_type": str,
        "execution_environment": "execution_environments",
        "job_slice_count": int,
        "use_fact_cache": bool,
        "diff_mode": bool,
        "become_enabled": bool,
        "verbosity": int,
        "forks": int,
        "timeout": int,
    },
    "workflow_job_templates": TEMPLATE,
    "workflow_job_template_nodes": {
        "identifier": str,
        "workflow_job_template": "workflow_job_templates",
        "unified_job_template": "unified_job_templates",
        "limit": str,
        "extra_data": dict,
    },
    "workflow_approval_templates": {**NAMED, "timeout": int},
}
REQUIRED = {
    "execution_environments": ("name", "image"),
    "inventories": ("name", "organization"),
    "inventory_sources": ("name", "inventory", "source"),
    "credential_types": ("name", "kind"),
    "job_templates": ("name", "project", "playbook", "inventory"),
    "workflow_job_template_nodes": ("workflow_job_template",),
}
TEMPLATES = ("projects", "inventory_sources", "job_templates", "workflow_job_templates", "workflow_approval_templates")
READ_ONLY = ("type", "managed")  # AWX takes them, and keeps its own


class AWX:
    """The stand-in, while it is used as a context.

    :ivar objects: (endpoint, id) -> object.
    :ivar writes: what changed something: (method, path, body).
    """

    def __init__(self, playbooks):
        self.playbooks = playbooks  # that a project has
        self.objects, self.surveys, self.links, self.writes = {}, {}, {}, []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                try:
                    if self.headers["Authorization"] != f"Bearer {TOKEN}":
                        status, answer = 401, {"detail": "no such token"}
                    else:
                        status, answer = stand_in.answer(self.command, urlsplit(self.path), body)
                except awx_rules.Refused as error:
                    status, answer = 400, {"error": str(error), "__all__": [str(error)]}
                text = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("X-API-Product-Name", "AWX")
                self.send_header("X-API-Product-Version", "24.6.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_one

            def log_message(self, *_arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()

    def add(self, endpoint, **fields):
        """Make an object; return it."""
        number = len(self.objects) + 1
        url = f"{API}{endpoint}/{number}/"
        blank = {str: "", bool: False, int: 0, dict: {}}
        known = {name: blank.get(kind) if isinstance(kind, type) else None for name, kind in FIELDS[endpoint].items()}
        made = {**known, **fields, "id": number, "url": url, "type": endpoint[:-1], "related": {}, "summary_fields": {}}
        if endpoint in ("job_templates", "workflow_job_templates"):
            made["related"]["survey_spec"] = f"{url}survey_spec/"
        if endpoint == "projects":
            made["scm_revision"] = "0" * 40
        if endpoint == "credential_types":
            made["managed"] = False
        self.objects[endpoint, number] = made
        return made

    def named(self, endpoint, name):
        """Return the object with this name, or this identifier."""
        (found,) = (
            one
            for (kind, _number), one in self.objects.items()
            if kind == endpoint and name in (one.get("name"), one.get("identifier"))
        )
        return found

    def linked(self, endpoint, name, link):
        """Return the names of the objects that are linked with this one."""
        ids = self.links.get((endpoint, self.named(endpoint, name)["id"], link), [])
        return [one.get("name") or one["identifier"] for one in map(self._by_id, ids)]

    def answer(self, method, url, body):
        """Return status and body of the answer."""
        if method != "GET":
            self.writes.append((method, url.path, body))
        parts = url.path.removeprefix(API).strip("/").split("/")
        if len(parts) == 1:
            return self._list(parts[0], dict(parse_qsl(url.query))) if method == "GET" else self._post(parts[0], body)
        endpoint, number = parts[0], int(parts[1])
        if (endpoint, number) not in self.objects:
            return 404, {"detail": "not found"}
        if len(parts) == 3:
            return self._part(method, endpoint, number, parts[2], body)
        if method == "PATCH":
            self._check(endpoint, {**self._writable(endpoint, self.objects[endpoint, number]), **body})
            self.objects[endpoint, number].update(self._writable(endpoint, body))
        return 200, self.objects[endpoint, number]

    def _list(self, endpoint, query):
        kinds = TEMPLATES if endpoint == "unified_job_templates" else (endpoint,)
        alike = [one for (kind, _number), one in self.objects.items() if kind in kinds]
        either = {name.removeprefix("or__"): query.pop(name) for name in list(query) if name.startswith("or__")}
        found = [one for one in alike if all(str(one.get(name)) == value for name, value in query.items())]
        if either:
            found = [one for one in found if any(str(one.get(name)) == value for name, value in either.items())]
        return _page(found)

    def _post(self, endpoint, body):
        self._check(endpoint, body)
        return 201, self.add(endpoint, **self._writable(endpoint, body))

    def _part(self, method, endpoint, number, part, body):
        if part == "survey_spec":
            if method == "POST":
                awx_rules.check_survey(body)
                self.surveys[endpoint, number] = body
            return 200, self.surveys.get((endpoint, number), {})
        if part == "create_approval_template":
            status, made = self._post("workflow_approval_templates", body)
            node = self.objects[endpoint, number]
            node["unified_job_template"], node["related"]["unified_job_template"] = made["id"], made["url"]
            return status, made
        awx_rules.require(part in (*NODE_LINKS, "credentials"), f"{endpoint}: no list {part}")
        ids = self.links.setdefault((endpoint, number, part), [])
        if method == "GET":
            return _page([self._by_id(one) for one in ids])
        self._by_id(body["id"])
        if body.get("disassociate"):
            ids.remove(body["id"])
        else:
            ids.append(body["id"])
        return 204, None

    def _by_id(self, number):
        found = [one for (_endpoint, known), one in self.objects.items() if known == number]
        awx_rules.require(found, f"no object {number}")
        return found[0]

    @staticmethod
    def _writable(endpoint, body):
        return {name: value for name, value in body.items() if name in FIELDS[endpoint]}

    def _check(self, endpoint, body):
        """Refuse fields that the API does not have, of other types, and those that are missing."""
        for name in REQUIRED.get(endpoint, ("name",)):
            awx_rules.require(body.get(name) not in (None, ""), f"{endpoint}: {name} is required")
        for name, value in body.items():
            kind = FIELDS[endpoint].get(name)
            awx_rules.require(kind or name in READ_ONLY, f"{endpoint}: no field {name}")
            if isinstance(kind, str):
                kinds = TEMPLATES if kind == "unified_job_templates" else (kind,)
                awx_rules.require(
                    value is None or any((one, value) in self.objects for one in kinds), f"{endpoint}: {name} {value}"
                )
            elif kind and not (kind is dict and value is None):
                awx_rules.require(isinstance(value, kind), f"{endpoint}: {name} {value!r}")
        if endpoint == "credential_types":
            awx_rules.check_credential_type(body)
        if endpoint == "job_templates":
            awx_rules.require(body["playbook"] in self.playbooks, f"no playbook {body['playbook']} in the project")


def _page(results):
    return 200, {"count": len(results), "next": None, "previous": None, "results": results}


def playbooks_of(project):
    """Return the playbooks that AWX finds in a project: files with plays, not below roles or inventories."""
    found = set()
    for path in (*project.glob("*.y*ml"), *project.glob("playbooks/*.y*ml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        plays = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
        if any("hosts" in play or "ansible.builtin.import_playbook" in play for play in plays):
            found.add(path.relative_to(project).as_posix())
    return found
