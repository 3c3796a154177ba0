"""kazoo as a driver of the matrix (README.md)."""

import json
import logging
import queue
import sys
import threading
from urllib.parse import unquote

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, ZookeeperError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import Callback, KeeperState
from kazoo.security import ACL, Id

LIMIT_S = 20
LONG_DATA = 256

STATES = {
    KeeperState.CONNECTED: "SyncConnected",
    KeeperState.CONNECTED_RO: "ConnectedReadOnly",
    KeeperState.CONNECTING: "Disconnected",
    KeeperState.EXPIRED_SESSION: "Expired",
    KeeperState.AUTH_FAILED: "AuthFailed",
    KeeperState.CLOSED: "Closed",
}
EVENTS = {"CREATED": "NodeCreated", "DELETED": "NodeDeleted", "CHANGED": "NodeDataChanged", "CHILD": "NodeChildrenChanged"}


class Client(KazooClient):
    """Tells all states, and does not make a new session when the old one has expired: the script asks what becomes of the old one."""

    def __init__(self, *args, **kwargs):
        self.states = queue.Queue()
        super().__init__(*args, **kwargs)

    def _session_callback(self, state):
        super()._session_callback(state)
        self.states.put(STATES[state])
        if state == KeeperState.EXPIRED_SESSION:
            self._stopped.set()

    def wait_for(self, *wanted):
        while True:
            try:
                state = self.states.get(timeout=LIMIT_S)
            except queue.Empty:
                return {"refused": "no " + " or ".join(wanted)}
            if state in wanted:
                return {"state": state}


def data_of(arg):
    if arg == "-":
        return None
    if "*" in arg:
        byte, count = arg.split("*")
        return bytes.fromhex(byte) * int(count)
    return bytes.fromhex(arg)


def show_data(data):
    if data is None:
        return None
    return data.hex() if len(data) <= LONG_DATA else "%d:%s" % (len(data), data[:LONG_DATA].hex())


def acl_of(arg):
    entries = [entry.split(":", 2) for entry in arg.split(",")] if arg else []
    return [ACL(int(perms), Id(scheme, ident)) for perms, scheme, ident in entries]


def show_acl(acls):
    return ["%d:%s:%s" % (a.perms, a.id.scheme, a.id.id) for a in acls]


def show_stat(s):
    times = [str(n) for n in (s.czxid, s.mzxid, s.ctime, s.mtime)]
    return times + [s.version, s.cversion, s.aversion, str(s.ephemeralOwner), s.dataLength, s.numChildren, str(s.pzxid)]


class Driver:
    def __init__(self):
        self.clients = {}
        self.ids = {}
        self.logs = {}

    def run(self, verb, *args):
        method = getattr(self, "do_" + verb, None)
        if method is None:
            return {"unsupported": verb}
        try:
            return method(*args)
        except KazooTimeoutError:
            return {"refused": "no answer"}
        except ZookeeperError as e:
            return {"error": e.code} if hasattr(e, "code") else {"refused": type(e).__name__}
        except (KazooException, TypeError, ValueError) as e:
            return {"refused": type(e).__name__}

    def open(self, name, hosts, timeout, client_id, read_only=False):
        client = Client(
            hosts=hosts,
            timeout=int(timeout) / 1000.0,
            client_id=client_id,
            read_only=read_only,
            randomize_hosts=False,
            connection_retry={"max_tries": -1, "delay": 0.05, "backoff": 1, "max_delay": 0.1},
        )
        self.clients[name] = client
        self.logs[name] = []
        client.start_async()
        answer = client.wait_for("SyncConnected", "ConnectedReadOnly", "Expired", "AuthFailed")
        if "Connected" not in answer.get("state", ""):
            return answer
        self.ids[name] = client.client_id
        shown = answer if answer["state"] == "ConnectedReadOnly" else {}
        return {"session": str(client.client_id[0]), **shown}

    def do_connect(self, name, hosts, timeout, how=""):
        return self.open(name, hosts, timeout, None, how == "read-only")

    def do_reattach(self, name, hosts, timeout, other, which):
        session, password = self.ids[other]
        if which == "wrong":
            password = bytes([password[0] ^ 1]) + password[1:]
        return self.open(name, hosts, timeout, (session, password))

    def do_close(self, name):
        self.clients[name].stop()
        return {}

    def do_await(self, name, state):
        return self.clients[name].wait_for(state)

    def do_events(self, name):
        client = self.clients[name]
        client.sync("/")
        drained = threading.Event()
        client.handler.dispatch_callback(Callback("watch", drained.set, ()))
        drained.wait(LIMIT_S)
        events = list(self.logs[name])
        del self.logs[name][: len(events)]
        return {"events": events}

    def watcher(self, name, label):
        if not label:
            return None

        def on_event(event):
            if event.type in EVENTS:
                self.logs[name].append("%s %s %s" % (label, EVENTS[event.type], event.path))

        return on_event

    def create(self, name, path, data, acl, mode, ttl, with_stat):
        if int(mode) > 3 or ttl:
            return {"unsupported": "mode %s" % mode}
        bits = int(mode)
        made = self.clients[name].create(
            path, data_of(data), acl_of(acl), ephemeral=bits & 1 == 1, sequence=bits & 2 == 2, include_data=with_stat
        )
        return {"path": made[0], "stat": show_stat(made[1])} if with_stat else {"path": made}

    def do_create(self, name, path, data, acl, mode, ttl=""):
        return self.create(name, path, data, acl, mode, ttl, False)

    def do_create2(self, name, path, data, acl, mode, ttl=""):
        return self.create(name, path, data, acl, mode, ttl, True)

    def do_delete(self, name, path, version):
        self.clients[name].delete(path, int(version))
        return {}

    def do_exists(self, name, path, label):
        stat = self.clients[name].exists(path, self.watcher(name, label))
        return {"stat": None if stat is None else show_stat(stat)}

    def do_getData(self, name, path, label):
        data, stat = self.clients[name].get(path, self.watcher(name, label))
        return {"data": show_data(data), "stat": show_stat(stat)}

    def do_getChildren(self, name, path, label):
        return {"children": self.clients[name].get_children(path, self.watcher(name, label))}

    def do_getChildren2(self, name, path, label):
        children, stat = self.clients[name].get_children(path, self.watcher(name, label), include_data=True)
        return {"children": children, "stat": show_stat(stat)}

    def do_setData(self, name, path, data, version):
        return {"stat": show_stat(self.clients[name].set(path, data_of(data), int(version)))}

    def do_getAcl(self, name, path):
        acl, stat = self.clients[name].get_acls(path)
        return {"acl": show_acl(acl), "stat": show_stat(stat)}

    def do_setAcl(self, name, path, acl, version):
        return {"stat": show_stat(self.clients[name].set_acls(path, acl_of(acl), int(version)))}

    def do_sync(self, name, path):
        return {"path": self.clients[name].sync(path)}

    def do_addAuth(self, name, scheme, credential):
        self.clients[name].add_auth(scheme, credential)
        return {}

    def do_reconfig(self, name, joining, leaving, members):
        # Its thread dies of an error code that kazoo 2.8.0 does not know, such as -123, ReconfigDisabled.
        return {"unsupported": "reconfig"}

    def do_multi(self, name, *parts):
        transaction = self.clients[name].transaction()
        verbs = []
        for part in parts:
            verb, *f = [unquote(field) for field in part.split("|")]
            verbs.append(verb)
            if verb == "create":
                if int(f[3]) > 3:
                    return {"unsupported": "mode %s in a multi" % f[3]}
                transaction.create(f[0], data_of(f[1]), acl_of(f[2]), bool(int(f[3]) & 1), bool(int(f[3]) & 2))
            elif verb == "delete":
                transaction.delete(f[0], int(f[1]))
            elif verb == "setData":
                transaction.set_data(f[0], data_of(f[1]), int(f[2]))
            else:
                transaction.check(f[0], int(f[1]))
        results = transaction.commit()
        shown = [self.show_result(verb, result) for verb, result in zip(verbs, results)]
        errors = [r["error"] for r in shown if "error" in r and r["error"] not in (0, -2)]
        return {"error": errors[0], "results": shown} if errors else {"results": shown}

    @staticmethod
    def show_result(verb, result):
        if isinstance(result, ZookeeperError):
            return {"error": result.code}
        if verb == "create":
            return {"path": result}
        return {"stat": show_stat(result)} if verb == "setData" else {}


def main():
    logging.basicConfig(level=logging.CRITICAL)
    driver = Driver()
    for line in sys.stdin:
        answer = driver.run(*[unquote(field) for field in line.rstrip("\n").split("\t")])
        print(json.dumps(answer), flush=True)


main()
