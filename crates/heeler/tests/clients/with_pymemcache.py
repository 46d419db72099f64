"""Uses a server the way programs use pymemcache, and asserts on every answer.

    with_pymemcache.py HOST PORT

The server must be empty. Exits 0 if every answer is what memcached 1.6 gives.
"""

import signal
import sys
import threading
import time

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheUnknownCommandError
from pymemcache.serde import pickle_serde

EVERY_BYTE = bytes(range(256))


def storage(c):
    assert c.set("s", "v") is True
    assert c.get("s") == b"v"
    assert c.get("absent") is None
    assert c.get("absent", "default") == "default"
    assert c.add("s", "w") is False
    assert c.add("new", "w") is True
    assert c.replace("absent", "x") is False
    assert c.replace("new", "x") is True
    assert c.append("new", "yz") is True
    assert c.prepend("new", "w") is True
    assert c.get("new") == b"wxyz"
    assert c.append("absent", "x") is False
    assert c.set("bytes", EVERY_BYTE) is True
    assert c.get("bytes") == EVERY_BYTE
    assert c.set("empty", b"") is True
    assert c.get("empty") == b""
    assert c.set("silent", "v", noreply=True) is True
    assert c.get("silent") == b"v"
    assert c.delete("silent") is True
    assert c.delete("silent") is False


def many_keys(c):
    assert c.set_many({f"m{i}": str(i) * 20 for i in range(500)}) == []
    found = c.get_many([f"m{i}" for i in range(0, 1000, 2)])
    assert found == {f"m{i}": (str(i) * 20).encode() for i in range(0, 500, 2)}
    assert len(c.gets_many(["m1", "m2", "absent"])) == 2
    assert c.delete_many(["m1", "m2", "absent"]) is True
    assert c.get_many(["m1", "m2", "m3"]) == {"m3": b"3" * 20}


def compare_and_set(c):
    assert c.gets("absent") == (None, None)
    c.set("c", "1")
    value, cas = c.gets("c")
    assert value == b"1"
    assert c.cas("c", "2", cas) is True
    assert c.cas("c", "3", cas) is False
    assert c.cas("absent", "3", cas) is None
    assert c.get("c") == b"2"


def numbers(c):
    assert c.incr("n", 1) is None
    c.set("n", "10")
    assert c.incr("n", 5) == 15
    assert c.decr("n", 20) == 0
    assert c.incr("n", 2**64 - 1) == 2**64 - 1
    assert c.incr("n", 2) == 1
    c.set("n", "text")
    try:
        c.incr("n", 1)
    except MemcacheClientError:
        pass
    else:
        raise AssertionError("a text was counted")


def times(c):
    c.set("t", "v", expire=1)
    assert c.get("t") == b"v"
    assert c.touch("t", 100) is True
    assert c.touch("absent", 100) is False
    # It has no call for gat.
    assert c.raw_command(b"gat 200 t", b"END\r\n") == b"VALUE t 0 1\r\nv\r\n"
    assert c.raw_command(b"mg t t", b"\r\n") in (b"HD t200", b"HD t199")
    c.set("gone", "v", expire=int(time.time()) - 1)
    assert c.get("gone") is None
    c.set("soon", "v", expire=1)
    time.sleep(2.1)
    assert c.get("soon") is None
    assert c.get("t") == b"v"


def objects(host, port):
    c = Client((host, port), serde=pickle_serde)
    thing = {"a": [1, 2.5, None, "text"], "b": (True, b"\0")}
    c.set("object", thing)
    c.set("number", 7)
    c.set("text", "ütf")
    assert c.get("object") == thing
    assert c.get("number") == 7
    assert c.get("text") == "ütf"
    assert c.get_many(["object", "number"]) == {"object": thing, "number": 7}


def of_the_server(c):
    assert c.version().startswith(b"1.6.")
    stats = c.stats()
    assert stats[b"curr_items"] > 0 and stats[b"cmd_set"] > 0
    assert b"maxconns" in c.stats("settings")
    try:
        c.raw_command(b"nonsense", b"\r\n")
    except MemcacheUnknownCommandError:
        pass
    else:
        raise AssertionError("nonsense was understood")
    assert c.flush_all() is True
    assert c.get("s") is None


def at_once(host, port):
    pool = PooledClient((host, port), max_pool_size=8)
    herd = HashClient([(host, port)], use_pooling=True, max_pool_size=8)
    failed = []

    def work(number):
        try:
            for i in range(200):
                key = f"thread:{number}:{i}"
                pool.set(key, str(i), noreply=False)
                assert herd.get(key) == str(i).encode()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def main():
    signal.alarm(60)
    host, port = sys.argv[1], int(sys.argv[2])
    c = Client((host, port), default_noreply=False, timeout=10)
    storage(c)
    many_keys(c)
    compare_and_set(c)
    numbers(c)
    times(c)
    objects(host, port)
    of_the_server(c)
    at_once(host, port)
    c.quit()


main()
