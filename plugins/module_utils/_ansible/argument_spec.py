# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The arguments of the modules: each option is described once, and modules put their options together from here.

The last part has one dictionary for each module, as keyword arguments of ``AnsibleModule``. Plain values: no Ansible in
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names

if TYPE_CHECKING:
    from typing import Any

TEXT = {"type": "str"}
TEXTS = {"type": "list", "elements": "str"}
NUMBER = {"type": "int"}
STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
DATAPATH_TYPE = {"type": "str", "choices": ["system", "netdev"]}
OPEN_VSWITCH = {"type": "str", "default": names.LOCAL_SOCKET}
# Without them as _ovsdb/access.py says.
NORTHBOUND = {"type": "str"}
SOUTHBOUND = {"type": "str"}
TIMEOUT = {"type": "int", "default": 10}
NAME = {"type": "str", "required": True}

CONNECTION: dict[str, dict[str, Any]] = {
    "northbound": NORTHBOUND,
    "open_vswitch": OPEN_VSWITCH,
    "timeout": TIMEOUT,
    "private_key": {"type": "path"},
    "certificate": {"type": "path"},
    "ca_cert": {"type": "path"},
}
TLS_TOGETHER = [("private_key", "certificate", "ca_cert")]
OVERLAY_OBJECT: dict[str, dict[str, Any]] = {
    "state": STATE,
    "part": {"type": "str", "choices": ["all", "northbound", "host"], "default": "all"},
    "cluster_ip_subnet": TEXTS,
    "node_name": TEXT,
}
NODE_HOST: dict[str, dict[str, Any]] = {
    "southbound": {"type": "str", "default": names.SOUTHBOUND_SOCKET},  # of ovn-controller
    "encap_type": {"type": "str", "choices": ["geneve"], "default": "geneve"},
    "encap_ip": TEXT,
    "mtu": NUMBER,
    "datapath_type": DATAPATH_TYPE,
    "routes": {**TEXTS, "default": []},
    "monitor_all": {"type": "bool"},
    "remote_probe": NUMBER,
    "move_underlay": {"type": "bool", "default": True},
    "former_nodes": {**TEXTS, "default": []},
}
NODE: dict[str, dict[str, Any]] = {"minion_switch_subnet": TEXTS, "chassis": TEXT}
GATEWAY: dict[str, dict[str, Any]] = {
    "physical_interface": TEXT,
    "bridge_interface": TEXT,
    "physical_ip": TEXTS,
    "default_gw": TEXTS,
    "physical_mac": TEXT,
    "physical_mtu": NUMBER,
    "chassis": TEXT,
    "mtu": NUMBER,
}
NODES = {"type": "list", "elements": "dict", "options": {**NODE, "node_name": NAME, "encap_ip": TEXT}}
GATEWAYS = {"type": "list", "elements": "dict", "options": {**GATEWAY, "node_name": NAME}}
ONE_OR_MANY_NODES = [("node_name", "nodes")]
ONE_OR_MANY_GATEWAYS = [("node_name", "gateways")]
PRESENT_NEEDS = ("state", "present", ("cluster_ip_subnet",))

OVN_MASTER_INIT: dict[str, Any] = {
    "argument_spec": {
        **CONNECTION,
        **OVERLAY_OBJECT,
        **NODE_HOST,
        "master_switch_subnet": TEXTS,
        "join_subnet": TEXTS,
        "chassis": TEXT,
        "nodes": {**NODES, "default": []},
        "gateways": {**GATEWAYS, "default": []},
        "absent_gateways": {**TEXTS, "default": []},
        "known_nodes": {**TEXTS, "default": []},
        "rebalance_egress": {"type": "bool", "default": False},
    },
    "required_if": [PRESENT_NEEDS, ("part", "host", ("node_name",))],
    "required_together": TLS_TOGETHER,
    "supports_check_mode": True,
}
OVN_MINION_INIT: dict[str, Any] = {
    "argument_spec": {**CONNECTION, **OVERLAY_OBJECT, **NODE_HOST, **NODE, "nodes": NODES},
    "required_one_of": ONE_OR_MANY_NODES,
    "mutually_exclusive": ONE_OR_MANY_NODES,
    "required_if": [PRESENT_NEEDS],
    "required_together": TLS_TOGETHER,
    "supports_check_mode": True,
}
OVN_GATEWAY: dict[str, Any] = {
    "argument_spec": {
        **CONNECTION,
        **OVERLAY_OBJECT,
        **GATEWAY,
        "datapath_type": DATAPATH_TYPE,
        "gateways": GATEWAYS,
    },
    "required_one_of": ONE_OR_MANY_GATEWAYS,
    "mutually_exclusive": [*ONE_OR_MANY_GATEWAYS, ("physical_interface", "bridge_interface")],
    "required_if": [PRESENT_NEEDS],
    "required_together": TLS_TOGETHER,
    "supports_check_mode": True,
}
SERVICES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": NAME,
        "state": {"type": "str", "choices": ["started", "stopped", "absent"], "default": "started"},
        "unit": TEXT,
        "started_from": {"type": "list", "elements": "path"},
        "optional": {"type": "bool", "default": False},
        "enabled": {"type": "bool", "default": True},
    },
}
UNITS: dict[str, Any] = {**SERVICES, "default": []}
CENTRAL_PORTS: dict[str, Any] = {
    "type": "dict",
    "options": {
        "state": STATE,
        "masters": {**TEXTS, "default": []},
        "withdrawn": {**TEXTS, "default": []},
        "complete": {"type": "bool", "default": True},
    },
}
FILES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "path": {"type": "path", "required": True},
        "content": TEXT,
        "block": TEXT,
        "source": {"type": "path"},
        "sha256": TEXT,
        "mode": TEXT,
        "absent": {"type": "bool", "default": False},
        "folder": {"type": "bool", "default": False},
    },
}
OVN_HOST: dict[str, Any] = {
    "argument_spec": {
        "files": FILES,
        "certificates": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                "key": {"type": "path", "required": True, "no_log": False},  # a path
                "certificate": {"type": "str", "required": True},
            },
        },
        "packages": {**TEXTS, "default": []},
        "central_ports": CENTRAL_PORTS,
        "services": UNITS,
        "node": {
            "type": "dict",
            "options": {
                "node_name": NAME,
                "cluster_ip_subnet": TEXTS,
                "minion_switch_subnet": TEXTS,
                **{name: option for name, option in NODE_HOST.items() if name != "move_underlay"},
            },
        },
        "gateway": {
            "type": "dict",
            "options": {
                "node_name": NAME,
                "cluster_ip_subnet": TEXTS,
                "physical_interface": TEXT,
                "bridge_interface": TEXT,
                "shared_interface": TEXT,
                "physical_ip": TEXTS,
                "default_gw": TEXTS,
                "datapath_type": DATAPATH_TYPE,
            },
        },
        "token_files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "no_log": False,  # paths, no tokens
            "options": {
                "account": NAME,
                "path": {"type": "path", "required": True},
                "issued": {"type": "bool", "default": True},
            },
        },
        "openvswitch_settings": {
            "type": "list",
            "elements": "dict",
            "options": {"table": NAME, "record": NAME, "column": NAME, "key": {**NAME, "no_log": False}, "value": NAME},
        },
        # At the top level, as below: it is masked there.
        "tokens": {"type": "dict", "default": {}, "no_log": True},
        "programs": UNITS,
        "open_vswitch": OPEN_VSWITCH,
    },
    "supports_check_mode": True,
}
OVN_CHASSIS: dict[str, Any] = {
    "argument_spec": {
        "southbound": SOUTHBOUND,
        "system_ids": {**TEXTS, "required": True},
        "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    },
    "supports_check_mode": True,
}
# At the top level of a module, never in a dictionary: Ansible logs a dictionary as text where a line end is two
# characters, and would not find a key of several lines in it (``AnsibleModule._log_invocation``).
KUBERNETES_READER: dict[str, dict[str, Any]] = {
    "server": TEXT,
    "ca": TEXT,
    "token": {"type": "str", "no_log": True},
    "certificate": {"type": "str", "no_log": True},
    "key": {"type": "str", "no_log": True},
}
PODS_OF = {**TEXTS, "default": []}
KUBERNETES_ADMINISTRATOR = {**KUBERNETES_READER, "server": NAME}
OVN_INFO: dict[str, Any] = {
    "argument_spec": {
        "northbound": NORTHBOUND,
        "southbound": SOUTHBOUND,
        "timeout": TIMEOUT,
        "database_file": {"type": "path", "default": "/var/lib/ovn/ovnnb_db.db"},
        **KUBERNETES_READER,
        "pods_of": PODS_OF,
    },
    "required_together": [("certificate", "key")],
    "supports_check_mode": True,
}
OVN_KUBERNETES_ACCESS: dict[str, Any] = {
    "argument_spec": {
        **KUBERNETES_ADMINISTRATOR,
        "nodes": TEXTS,
        "absent_nodes": {**TEXTS, "default": []},
        "state": STATE,
    },
    "required_together": [("certificate", "key")],
    "supports_check_mode": True,
}
OVN_KUBERNETES_TOKEN: dict[str, Any] = {
    "argument_spec": {**KUBERNETES_ADMINISTRATOR, "accounts": {**TEXTS, "required": True}},
    "required_together": [("certificate", "key")],
    "supports_check_mode": True,
}
PEERS = {"type": "list", "elements": "dict", "default": [], "options": {"name": NAME, "address": NAME}}
OVN_VERIFY: dict[str, Any] = {
    "argument_spec": {
        # Of the action plugin, which carries out the first two phases with other modules.
        "phase": {"type": "str", "choices": ["facts", "overlay", "host"], "default": "host"},
        "settings": {"type": "dict"},
        "subnets": TEXTS,
        "parts": {**TEXTS, "default": ["node"]},
        "packages": {**TEXTS, "default": []},
        "units": UNITS,
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                "content": TEXT,
                "sha256": TEXT,
                "block": TEXT,
                "mode": TEXT,
            },
        },
        "central_ports": CENTRAL_PORTS,
        "peers": PEERS,
        "routers": PEERS,
        "overlay": {
            "type": "dict",
            "options": {
                "cluster_ip_subnet": TEXTS,
                "join_subnet": TEXTS,
                "nodes": {**NODES, "default": []},
                "gateways": {**GATEWAYS, "default": []},
                "known_nodes": {**TEXTS, "default": []},
            },
        },
        "accounts_of": {**TEXTS, "default": []},
        "advisories": {"type": "dict"},
        **KUBERNETES_READER,
        "pods_of": PODS_OF,
        "northbound": NORTHBOUND,
        "open_vswitch": OPEN_VSWITCH,
    },
    "required_together": [("certificate", "key")],
    "supports_check_mode": True,
}
NICS_TO_BRIDGE: dict[str, Any] = {
    "argument_spec": {
        "nics": {**TEXTS, "required": True},
        "rollback_timeout": {"type": "int", "default": 30},
        "state": STATE,
        "used_by": {"type": "str", "choices": ["request", "node", "gateway"], "default": "request"},
        "datapath_type": DATAPATH_TYPE,
        "open_vswitch": OPEN_VSWITCH,
    },
    "supports_check_mode": True,
}
CENTRAL_ACTIONS = [
    "bootstrap",
    "convert",
    "readdress",
    "join",
    "leave",
    "kick",
    "start",
    "restart",
    "wait",
    "timer",
    "upgrade",
    "listen",
    "compact",
    "set_aside",
    "reset",
]
OVN_CENTRAL: dict[str, Any] = {
    "argument_spec": {
        "action": {"type": "str", "required": True, "choices": CENTRAL_ACTIONS},
        "database": {"type": "str", "choices": ["northbound", "southbound", "relay"]},
        "address": TEXT,
        "remotes": {**TEXTS, "default": []},
        "cluster": TEXT,
        "server": TEXT,
        "timer": {"type": "int", "default": 0},
        "listeners": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {"target": NAME, "role": {"type": "str", "default": ""}, "probe": NUMBER},
        },
        "reason": {"type": "str", "default": ""},
        "files": FILES,
        "units": {"type": "dict", "default": {}},
        "cut_off": {"type": "bool", "default": False},
    },
    "required_if": [
        *(("action", action, ["database"]) for action in CENTRAL_ACTIONS if action != "reset"),
        *(("action", action, ["address"]) for action in ("bootstrap", "convert", "readdress", "join")),
        *(("action", action, ["timer"]) for action in ("bootstrap", "convert", "readdress", "timer")),
        ("action", "kick", ["server"]),
    ],
    "supports_check_mode": True,
}
OVN_FACTS: dict[str, Any] = {
    "argument_spec": {
        "overlay": {
            "type": "dict",
            "default": {},
            "options": {
                name: {**TEXTS, "default": []}
                for name in ("cluster_ip_subnet", "routes", "api_servers", "tunnel_addresses")
            },
            "apply_defaults": True,
        },
    },
    "supports_check_mode": True,
}
