"""Clients of kazoo that write, hold sessions and watch while the servers under them are exchanged.

Steered over standard input and output, a line of JSON each: {"call": n, "name": ..., "argument": ...} is answered by {"call": n}, with "error" if it failed. What the clients were told
goes out as {"note": ...}, as load.ts tells it, with the name of the client and the time.
"""
import itertools
import json
import logging
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, KazooException, NodeExistsError, NoNodeError, SessionExpiredError
from kazoo.protocol.states import KazooState
from kazoo.recipe.watchers import DataWatch
from kazoo.security import CREATOR_ALL_ACL

logging.basicConfig(level=logging.CRITICAL)

output = threading.Lock()


def say(message):
    print(json.dumps(message), flush=True)


def tell(client, **note):
    # The time is taken inside: what stands later in the output happened later.
    with output:
        say({"note": {**note, "client": client, "at": time.monotonic() * 1000}})


class Load(threading.Thread):
    """A client with one session for all its life, which does one thing after another."""

    def __init__(self, name, servers):
        super().__init__(daemon=True)
        self.label = name
        self.counter_path = "/load/" + name
        # Found out before the next write to the counter.
        self.version = None
        self.ephemerals = []
        self.session_id = None
        self.going = threading.Event()
        self.idle = threading.Event()
        self.ended = False
        reconnect = {"max_tries": -1, "delay": 0.05, "max_jitter": 0.05, "max_delay": 1}
        self.zk = KazooClient(servers, timeout=10, connection_retry=reconnect, auth_data=[("digest", name + ":pass")])
        self.zk.add_listener(self.state_changed)

    def open(self):
        self.zk.start(30)
        path = "/eph/fixed-" + self.label
        self.zk.create(path, b"fixed", ephemeral=True)
        self.session_id = self.zk.client_id[0]
        tell(self.label, kind="session", id=str(self.session_id), path=path)
        self.going.set()
        self.start()

    def state_changed(self, state):
        if state == KazooState.LOST and not self.ended:
            tell(self.label, kind="bad", what="%s has lost its session" % self.label)

    def arm(self, path):
        """Tells once when there is a znode `path`."""

        def changed(data, stat):
            if stat is None:
                return True
            tell(self.label, kind="told", path=path)
            return False

        DataWatch(self.zk, path, changed)

    def pause(self):
        self.going.clear()
        self.idle.wait()

    def resume(self):
        self.idle.clear()
        self.going.set()

    def close(self):
        self.ended = True
        self.going.set()
        self.join()
        self.zk.stop()
        self.zk.close()

    def run(self):
        for k in itertools.count(int(time.time() * 1000) % 10**9):
            if not self.going.is_set():
                self.idle.set()
                self.going.wait()
            if self.ended:
                return
            try:
                self.next(k)
            except SessionExpiredError:
                tell(self.label, kind="bad", what="the session of %s has expired" % self.label)
                time.sleep(0.1)
            except ConnectionLoss:
                self.version = None
            except Exception as error:
                tell(self.label, kind="bad", what="%s: %r" % (self.label, error))
                self.version = None

    def next(self, k):
        tag = "%s/%d" % (self.label, k)
        at = "/load/%s-%d" % (self.label, k)
        if self.version is None:
            self.find_counter(tag)
        elif k % 6 == 0:
            self.create(at, tag)
        elif k % 6 == 1:
            self.set(tag)
        elif k % 6 == 2:
            self.multi(at, tag)
        elif k % 6 == 3:
            self.create(at, tag, acl=CREATOR_ALL_ACL)
        elif k % 6 == 4:
            self.ephemeral("/eph/%s-%d" % (self.label, k))
        else:
            self.look()

    def attempt(self, path, tag, write):
        """`write` gives the zxid. One that ends with a lost connection may have been done or not; any other error says that it was not."""
        tell(self.label, kind="try", path=path, tag=tag)
        try:
            zxid = write()
        except ConnectionLoss:
            raise
        except KazooException:
            tell(self.label, kind="no", path=path, tag=tag)
            raise
        tell(self.label, kind="ack", path=path, tag=tag, zxid=str(zxid))

    def create(self, path, tag, acl=None):
        self.attempt(path, tag, lambda: self.zk.create(path, tag.encode(), acl=acl, include_data=True)[1].czxid)

    def set(self, tag):
        version, self.version = self.version, None

        def write():
            stat = self.zk.set(self.counter_path, tag.encode(), version=version)
            self.version = stat.version
            return stat.mzxid

        self.attempt(self.counter_path, tag, write)

    def multi(self, path, tag):
        """All or nothing: the new znode and the counter."""
        version, self.version = self.version, None

        def write():
            transaction = self.zk.transaction()
            transaction.check("/load", -1)
            transaction.create(path, tag.encode())
            transaction.set_data(self.counter_path, tag.encode(), version)
            results = transaction.commit()
            for result in results:
                if isinstance(result, Exception):
                    raise result
            self.version = results[2].version
            return results[2].mzxid

        def both():
            zxid = write()
            tell(self.label, kind="ack", path=path, tag=tag, zxid=str(zxid))
            return zxid

        tell(self.label, kind="try", path=path, tag=tag)
        self.attempt(self.counter_path, tag, both)

    def ephemeral(self, path):
        if len(self.ephemerals) > 4:
            self.zk.delete(self.ephemerals.pop(0))
            return
        stat = self.zk.create(path, b"", ephemeral=True, include_data=True)[1]
        if stat.ephemeralOwner != self.session_id:
            tell(self.label, kind="bad", what="%s belongs to 0x%x" % (path, stat.ephemeralOwner))
        self.ephemerals.append(path)

    def find_counter(self, tag):
        try:
            self.attempt(self.counter_path, tag, lambda: self.zk.create(self.counter_path, tag.encode(), include_data=True)[1].czxid)
        except NodeExistsError:
            pass
        self.zk.sync(self.counter_path)
        data, stat = self.zk.get(self.counter_path)
        tell(self.label, kind="ack", path=self.counter_path, tag=data.decode(), zxid=str(stat.mzxid))
        self.version = stat.version

    def look(self):
        """A session sees its own writes, and while it lives its ephemeral znodes do."""
        version = self.zk.get(self.counter_path)[1].version
        if version != self.version:
            tell(self.label, kind="bad", what="%s reads version %d after %d" % (self.label, version, self.version))
        for path in self.ephemerals[:1]:
            if self.zk.exists(path) is None:
                tell(self.label, kind="bad", what="%s is gone while its session lives" % path)


loads = []


def open_all(names, servers):
    for name in names:
        load = Load(name, servers)
        loads.append(load)
        load.open()


def close_all():
    while loads:
        loads.pop().close()


handlers = {
    "open": lambda argument: open_all(**argument),
    "arm": lambda path: [load.arm(path) for load in loads],
    "pause": lambda _: [load.pause() for load in loads],
    "resume": lambda _: [load.resume() for load in loads],
    "close": lambda _: close_all(),
}

for line in sys.stdin:
    call = json.loads(line)
    answer = {"call": call["call"]}
    try:
        handlers[call["name"]](call.get("argument"))
    except Exception as error:
        answer["error"] = repr(error)
    with output:
        say(answer)
