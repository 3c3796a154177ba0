"""kazoo's lock or election, contended for until the standard input ends.

Whoever holds it writes `begin NAME` and `end NAME` to a file that all processes append to. What becomes of the session is printed, a JSON line for each
state. Arguments: hosts, lock or election, file, name.
"""

import json
import logging
import os
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.retry import KazooRetry

HOLD_S = 0.005


def say(**fields):
    # In one write: several threads have something to say.
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def main():
    hosts, recipe, file, name = sys.argv[1:]
    logging.basicConfig(level=logging.CRITICAL)
    out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    client = KazooClient(
        hosts=hosts,
        timeout=15,
        connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=1, max_delay=0.2),
        command_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=1, max_delay=0.2),
    )
    client.add_listener(lambda state: say(state=state))
    client.start()
    say(session=str(client.client_id[0]))
    stopping = threading.Event()

    def await_end():
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=await_end, daemon=True).start()

    def hold():
        # One write for each line: lines of several processes do not mix.
        os.write(out, b"begin %s\n" % name.encode())
        time.sleep(HOLD_S)
        os.write(out, b"end %s\n" % name.encode())

    lock = client.Lock("/recipes/lock", name)
    election = client.Election("/recipes/election", name)
    while not stopping.is_set():
        try:
            if recipe == "election":
                election.run(hold)
            elif lock.acquire(timeout=5):
                try:
                    hold()
                finally:
                    lock.release()
        except KazooException as e:
            say(trouble=repr(e))
    say(session=str(client.client_id[0]))
    client.stop()


main()
