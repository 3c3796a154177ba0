"""Changes the members of an ensemble that allows it: reconfig.py PORT user:password, then a server's line to add it or its id to remove it."""
import sys

from kazoo.client import KazooClient


def main(port, credential, what):
    client = KazooClient("127.0.0.1:" + port, timeout=30, auth_data=[("digest", credential)])
    client.start(30)
    client.reconfig(joining=what if "=" in what else None, leaving=None if "=" in what else what, new_members=None)
    client.stop()
    client.close()


main(*sys.argv[1:])
