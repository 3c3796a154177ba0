"""Adds an observer to an ensemble that allows it: reconfig.py PORT user:password SERVER-LINE."""
import sys

from kazoo.client import KazooClient


def main(port, credential, line):
    client = KazooClient("127.0.0.1:" + port, timeout=30, auth_data=[("digest", credential)])
    client.start(30)
    client.reconfig(joining=line, leaving=None, new_members=None)
    client.stop()
    client.close()


main(*sys.argv[1:])
