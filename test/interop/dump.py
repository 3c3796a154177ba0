"""Prints a server's whole tree as its client interface gives it: one line of JSON per znode, in the order of the paths.

dump.py PORT [user:password]
"""
import base64
import json
import logging
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.retry import KazooRetry

logging.basicConfig(level=logging.CRITICAL)


def walk(client):
    """Level by level, and each level with all its requests under way at once: the round trips of a large tree are not waited for one by one."""
    level = ["/"]
    while level:
        asked = [(p, client.get_async(p), client.get_acls_async(p), client.get_children_async(p)) for p in level]
        level = []
        for path, got, acls, children in asked:
            try:
                data, stat = got.get()
                yield path, data, stat, acls.get()[0]
                level += [("" if path == "/" else path) + "/" + name for name in children.get()]
            except NoNodeError:
                pass


def line(path, data, stat, acls):
    acl = [[a.perms, a.id.scheme, a.id.id] for a in acls]
    text = None if data is None else base64.b64encode(data).decode()
    # As text: these numbers have 64 bits.
    return json.dumps([path, text, {name: str(value) for name, value in zip(stat._fields, stat)}, acl])


def main(port, credential=None):
    auth = [("digest", credential)] if credential else None
    client = KazooClient("127.0.0.1:" + port, timeout=30, auth_data=auth, connection_retry=KazooRetry(max_tries=3))
    client.start(30)
    try:
        for text in sorted(line(*znode) for znode in walk(client)):
            print(text)
    finally:
        client.stop()
        client.close()


main(*sys.argv[1:])
