"""Uses a server the way programs use redis-py, and asserts on every answer.

    with_redis_py.py HOST PORT PROTOCOL      (PROTOCOL is 2 or 3)

The server must be empty. Exits 0 if every answer is what Redis 7.0 gives.
"""

import signal
import sys
import threading
import time

import redis
from redis.exceptions import DataError, ResponseError, WatchError

EVERY_BYTE = bytes(range(256))


def strings(r):
    assert r.set("s", "v") is True
    assert r.get("s") == b"v"
    assert r.get("absent") is None
    assert r.set("s", "w", get=True) == b"v"
    assert r.set("s", "x", nx=True) is None
    assert r.set("absent", "x", xx=True) is None
    assert r.set("new", "x", nx=True, get=True) is None
    assert r.get("new") == b"x"
    assert r.getset("s", "y") == b"w"
    assert r.getdel("s") == b"y"
    assert r.exists("s") == 0
    assert r.append("s", "ab") == 2
    assert r.append("s", "cd") == 4
    assert r.strlen("s") == 4
    assert r.strlen("absent") == 0
    assert r.getrange("s", 1, -2) == b"bc"
    assert r.substr("s", 0, 1) == b"ab"
    assert r.setrange("s", 6, "Z") == 7
    assert r.get("s") == b"abcd\0\0Z"
    assert r.setnx("s", "no") is False
    assert r.setex("e", 100, "v") is True
    assert r.psetex("p", 100_000, "v") is True
    assert 0 < r.ttl("e") <= 100
    assert 0 < r.pttl("p") <= 100_000
    r.mset({"l1": "ohmytext", "l2": "mynewtext"})
    assert r.lcs("l1", "l2") == b"mytext"
    assert r.lcs("l1", "l2", len=True) == 6


def many_keys(r):
    assert r.mset({"m1": 1, "m2": "two", "m3": b"\0"}) is True
    assert r.mget("m1", "absent", "m3") == [b"1", None, b"\0"]
    assert r.msetnx({"m1": 9, "m4": 4}) is False
    assert r.exists("m4") == 0
    assert r.msetnx({"m4": 4, "m5": 5}) is True
    assert r.exists("m1", "m1", "absent") == 2
    assert r.touch("m1", "m2", "absent") == 2
    assert r.delete("m1", "absent") == 1
    assert r.unlink("m2", "m3", "absent") == 2
    # More keys than one buffer holds, and the answers in their order.
    many = {f"many:{i}": str(i) * 10 for i in range(5000)}
    assert r.mset(many) is True
    assert r.mget(list(many)) == [v.encode() for v in many.values()]
    assert r.delete(*many) == 5000


def counters(r):
    assert r.incr("n") == 1
    assert r.incrby("n", 41) == 42
    assert r.decr("n") == 41
    assert r.decrby("n", 50) == -9
    assert float(r.incrbyfloat("f", 10.5)) == 10.5
    assert float(r.incrbyfloat("f", -0.25)) == 10.25
    assert r.get("f") == b"10.25"
    r.set("text", "x")
    refused(r.incr, "text", error="value is not an integer or out of range")
    r.set("top", 2**63 - 1)
    refused(r.incr, "top", error="increment or decrement would overflow")
    refused(r.incrbyfloat, "text", 1, error="value is not a valid float")


def bits(r):
    assert r.setbit("b", 7, 1) == 0
    assert r.setbit("b", 7, 1) == 1
    assert r.getbit("b", 7) == 1
    assert r.getbit("b", 1000) == 0
    assert r.get("b") == b"\x01"
    r.set("b", b"\xff\xf0\x00")
    assert r.bitcount("b") == 12
    assert r.bitcount("b", 1, 1) == 4
    assert r.bitcount("b", 4, 11, "BIT") == 8
    assert r.bitpos("b", 0) == 12
    assert r.bitpos("b", 1, 2) == -1
    assert r.bitpos("b", 0, 2, -1, "BYTE") == 16
    r.set("c", b"\x0f\x0f")
    assert r.bitop("AND", "d", "b", "c") == 3
    assert r.get("d") == b"\x0f\x00\x00"
    assert r.bitop("OR", "d", "b", "c") == 3
    assert r.get("d") == b"\xff\xff\x00"
    assert r.bitop("XOR", "d", "b", "c") == 3
    assert r.get("d") == b"\xf0\xff\x00"
    assert r.bitop("NOT", "d", "c") == 2
    assert r.get("d") == b"\xf0\xf0"
    refused(r.setbit, "b", 2**32, 1, error="bit offset is not an integer or out of range")
    field = r.bitfield("field").set("u8", 0, 200).incrby("u8", 0, 100).get("u4", 0)
    assert field.execute() == [0, 44, 2]
    assert r.bitfield("field", "SAT").incrby("u8", 0, 250).execute() == [255]


def expiry(r):
    r.set("k", "v")
    assert r.ttl("k") == -1
    assert r.ttl("absent") == -2
    assert r.expire("absent", 10) is False
    assert r.expire("k", 100) is True
    assert r.expire("k", 10, nx=True) is False
    assert r.expire("k", 200, gt=True) is True
    assert r.expire("k", 300, lt=True) is False
    assert 199 <= r.ttl("k") <= 200
    assert r.persist("k") is True
    assert r.persist("k") is False
    assert r.expire("k", 10, xx=True) is False
    soon = int(time.time()) + 1000
    assert r.expireat("k", soon) is True
    assert r.expiretime("k") == soon
    assert r.pexpireat("k", soon * 1000 + 5) is True
    assert r.pexpiretime("k") == soon * 1000 + 5
    assert r.set("k", "v", keepttl=True) is True
    assert r.pexpiretime("k") == soon * 1000 + 5
    assert r.set("k", "v") is True
    assert r.ttl("k") == -1
    assert r.getex("k", ex=50) == b"v"
    assert 0 < r.ttl("k") <= 50
    assert r.getex("k", persist=True) == b"v"
    assert r.ttl("k") == -1
    assert r.set("k", "v", px=30) is True
    assert r.get("k") == b"v"
    wait_until(lambda: r.get("k") is None)
    assert r.exists("k") == 0
    assert r.set("k", "v") and r.expire("k", -1) is True
    assert r.exists("k") == 0
    # Keys that nobody reads any more go too.
    r.flushall()
    for i in range(100):
        r.set(f"gone:{i}", "v", px=20)
    wait_until(lambda: r.dbsize() == 0)
    refused(r.set, "k", "v", ex=0, error="invalid expire time in 'set' command")


def keys(r):
    r.flushall()
    assert r.randomkey() is None
    names = {f"key:{i}".encode() for i in range(1000)}
    r.mset({name: "v" for name in names})
    r.set("other", "v")
    assert r.dbsize() == 1001
    assert set(r.scan_iter()) == names | {b"other"}
    assert set(r.scan_iter(match="key:*", count=100)) == names
    assert set(r.scan_iter(match="key:1?", count=7)) == {f"key:1{i}".encode() for i in range(10)}
    assert set(r.scan_iter(_type="string", count=500)) == names | {b"other"}
    assert set(r.scan_iter(_type="list")) == set()
    assert set(r.keys("key:[0-4]")) == {f"key:{i}".encode() for i in range(5)}
    assert r.randomkey() in names | {b"other"}
    assert r.type("other") == b"string"
    assert r.type("absent") == b"none"
    assert r.rename("other", "renamed") is True
    assert r.renamenx("renamed", "key:1") is False
    assert r.renamenx("renamed", "other") is True
    refused(r.rename, "absent", "x", error="no such key")
    assert r.copy("other", "copied") is True
    assert r.copy("other", "key:1") is False
    assert r.copy("other", "key:1", replace=True) is True
    assert r.object("encoding", "other") == b"embstr"
    r.mset({"int": 12, "long": "x" * 100})
    assert r.object("encoding", "int") == b"int"
    assert r.object("encoding", "long") == b"raw"
    assert r.object("refcount", "long") == 1
    assert r.object("idletime", "long") == 0
    assert r.flushdb() is True
    assert r.dbsize() == 0


def binary(r):
    r.set(EVERY_BYTE, EVERY_BYTE * 100)
    assert r.get(EVERY_BYTE) == EVERY_BYTE * 100
    assert r.keys("*") == [EVERY_BYTE]
    assert r.set("", "") is True
    assert r.get("") == b""
    assert r.set("crlf", b"\r\n$3\r\n") is True
    assert r.get("crlf") == b"\r\n$3\r\n"
    big = EVERY_BYTE * 4 * 1024 * 8
    assert r.set("big", big) is True
    assert r.get("big") == big
    assert r.echo(EVERY_BYTE) == EVERY_BYTE
    r.flushall()


def pipelines(r):
    with r.pipeline(transaction=False) as pipe:
        for i in range(2000):
            pipe.set(f"p:{i}", i)
            pipe.get(f"p:{i}")
        answers = pipe.execute()
    assert answers == [a for i in range(2000) for a in (True, str(i).encode())]
    pipe = r.pipeline(transaction=False).set("t", "x").incr("t").get("t")
    ok, error, value = pipe.execute(raise_on_error=False)
    assert ok is True and isinstance(error, ResponseError) and value == b"x"


def transactions(r):
    with r.pipeline() as pipe:
        pipe.set("t", 1).incr("t").get("t").mget("t", "absent")
        assert pipe.execute() == [True, 2, b"2", [b"2", None]]
    with r.pipeline() as pipe:
        pipe.watch("t")
        seen = int(pipe.get("t"))
        pipe.multi()
        pipe.set("t", seen + 1)
        assert pipe.execute() == [True]
    with r.pipeline() as pipe:
        pipe.watch("t")
        r.set("t", "changed by another")
        pipe.multi()
        pipe.set("t", "lost")
        try:
            pipe.execute()
            raise AssertionError("EXEC went through after a watched key had changed")
        except WatchError:
            pass
    assert r.get("t") == b"changed by another"
    with r.pipeline() as pipe:
        pipe.watch("t")
        r.set("t", "again")
        pipe.unwatch()
        pipe.multi()
        pipe.set("t", "kept")
        assert pipe.execute() == [True]
    # An error while it runs stops nothing, an error while it is queued stops all.
    with r.pipeline() as pipe:
        pipe.set("t", "x").incr("t").set("u", "set")
        ok, error, after = pipe.execute(raise_on_error=False)
        assert ok is True and isinstance(error, ResponseError) and after is True
    with r.pipeline() as pipe:
        pipe.set("u", "must not be").execute_command("GET")
        refused(pipe.execute, error="wrong number of arguments")
    assert r.get("u") == b"set"
    connection = r.client()
    assert connection.execute_command("MULTI") == b"OK"
    assert connection.execute_command("APPEND", "u", "discarded") == b"QUEUED"
    refused(connection.execute_command, "MULTI", error="MULTI calls can not be nested")
    assert connection.execute_command("DISCARD") == b"OK"
    refused(connection.execute_command, "EXEC", error="EXEC without MULTI")
    assert r.get("u") == b"set"
    connection.close()


def connections(r, host, port, protocol):
    assert r.ping() is True
    one = r.client()
    assert one.client_setname("heeler-test") is True
    assert text(one.client_getname()) == "heeler-test"
    me = one.client_id()
    assert me > 0
    assert one.client_info()["name"] == "heeler-test"
    listed = {int(c["id"]): c for c in r.client_list()}
    assert listed[me]["name"] == "heeler-test"
    assert r.client_kill_filter(_id=me) == 1
    one.close()
    named = redis.Redis(host, port, protocol=protocol, client_name="named", db=0)
    assert text(named.client_getname()) == "named"
    named.close()
    hello = r.execute_command("HELLO", protocol)
    if isinstance(hello, list):
        hello = dict(zip(hello[::2], hello[1::2]))
    assert hello[b"proto"] == protocol
    assert hello[b"server"] == b"redis"
    assert r.execute_command("SELECT", 0) in (True, b"OK")
    refused(r.execute_command, "HELLO", 4, error="unsupported protocol version")
    connection = r.client()
    assert connection.execute_command("RESET") in (b"RESET", "RESET")
    # RESET goes back to RESP2; the pool gives this connection to others.
    connection.execute_command("HELLO", protocol)
    connection.close()


def server(r):
    info = r.info()
    assert info["redis_version"].startswith("7.")
    assert info["connected_clients"] >= 1
    assert info["uptime_in_seconds"] >= 0
    assert info["process_id"] > 0
    assert "used_memory" in r.info("memory")
    r.set("k", "v")
    r.set("e", "v", ex=100)
    r.get("k")
    keyspace = r.info("keyspace")["db0"]
    assert keyspace["keys"] == r.dbsize() and keyspace["expires"] >= 1
    assert r.info("stats")["keyspace_hits"] >= 1
    assert r.config_get("maxmemory") == {"maxmemory": "0"}
    assert "appendonly" in r.config_get("app*")
    assert r.config_get("no-such-setting") == {}
    assert r.command_count() > 100
    assert "get" in str(r.execute_command("COMMAND INFO", "GET"))
    assert [text(k) for k in r.command_getkeys("MSET", "a", 1, "b", 2)] == ["a", "b"]
    refused(r.execute_command, "NOSUCHCOMMAND", "a", error="unknown command 'NOSUCHCOMMAND'")
    refused(r.execute_command, "GET", error="wrong number of arguments for 'get' command")
    refused(r.execute_command, "SET", "k", "v", "WHAT", error="syntax error")
    assert r.flushall() is True
    assert r.dbsize() == 0


def monitoring(r, host, port):
    other = redis.Redis(host, port, socket_timeout=10)
    with r.monitor() as monitor:
        other.set("monitored", 'a "b"')
        told = monitor.next_command()
        while "monitored" not in told["command"]:
            told = monitor.next_command()
        assert told["command"] == 'SET monitored a "b"'
        assert (told["db"], told["client_type"]) == (0, "tcp")
        assert abs(told["time"] - time.time()) < 60
    other.delete("monitored")


def settings(r):
    assert r.config_set("timeout", 0) is True
    assert r.config_set("latency-monitor-threshold", 100) is True
    assert r.config_get("latency-monitor-threshold") == {"latency-monitor-threshold": "100"}
    assert r.latency_latest() == [] and r.latency_history("command") == []
    assert r.latency_reset() == 0
    assert r.config_set("latency-monitor-threshold", 0) is True
    refused(r.config_set, "timeout", -1, error="must be between 0 and 2147483647")
    assert r.config_resetstat() is True
    assert r.lastsave() is not None


def waiting(r, host, port, protocol):
    other = redis.Redis(host, port, protocol=protocol, socket_timeout=10)
    got = []

    def wait(*call):
        thread = threading.Thread(target=lambda: got.append(call[0](*call[1:])))
        thread.start()
        wait_until(lambda: other.info("clients")["blocked_clients"] == 1)
        return thread

    for call, give, expected in [
        ((r.blpop, ["none", "list"], 5), ("RPUSH", "list", "a", "b"), (b"list", b"a")),
        ((r.brpop, ["list2"], 5), ("RPUSH", "list2", "a", "b"), (b"list2", b"b")),
        ((r.blmove, "src", "dst", 5), ("RPUSH", "src", "x"), b"x"),
        ((r.bzpopmin, ["z"], 5), ("ZADD", "z", 2, "m"), (b"z", b"m", 2.0)),
    ]:
        thread = wait(*call)
        other.execute_command(*give)
        thread.join()
        answer = got.pop()
        answer = tuple(answer) if isinstance(answer, list) else answer
        assert answer == expected, f"{answer!r}, not {expected!r}"
    assert r.blpop(["none"], timeout=0.05) is None
    assert r.blmpop(0.05, 1, "none", direction="LEFT") is None
    ident = r.client_id()
    thread = threading.Thread(target=lambda: refused(r.blpop, ["none"], error="UNBLOCKED"))
    thread.start()
    wait_until(lambda: other.client_unblock(ident, error=True))
    thread.join()
    other.delete("list", "list2", "dst")


def channels(r, host, port, protocol):
    other = redis.Redis(host, port, protocol=protocol, socket_timeout=10)
    listener = r.pubsub()
    listener.subscribe("news", "other")
    listener.psubscribe("n*")
    for count, name in enumerate(["news", "other", "n*"], 1):
        told = listener.get_message(timeout=5)
        assert told["channel"] == name.encode() and told["data"] == count, told
    assert other.publish("news", "hello") == 2
    first, second = listener.get_message(timeout=5), listener.get_message(timeout=5)
    assert (first["type"], first["data"]) == ("message", b"hello"), first
    assert (second["type"], second["pattern"]) == ("pmessage", b"n*"), second
    assert other.pubsub_numsub("news") == [(b"news", 1)]
    assert other.pubsub_numpat() == 1
    listener.unsubscribe("news")
    assert listener.get_message(timeout=5)["type"] == "unsubscribe"
    listener.close()
    wait_until(lambda: other.publish("news", "hello") == 0)


def refused(call, *args, error, **options):
    """The call must fail with this text in its error."""
    try:
        answer = call(*args, **options)
    except (ResponseError, DataError) as e:
        assert error in str(e), f"{e!s}, not {error}"
        return
    raise AssertionError(f"{args} was answered with {answer!r}, not with an error: {error}")


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def main(host, port, protocol):
    signal.alarm(60)  # A script that hangs ends.
    r = redis.Redis(host, port, protocol=protocol, socket_timeout=10)
    assert r.dbsize() == 0, "the server is not empty"
    for part in (strings, many_keys, counters, bits, expiry, keys, binary, pipelines):
        print(part.__name__, flush=True)
        part(r)
    print("transactions", flush=True)
    transactions(r)
    print("connections", flush=True)
    connections(r, host, port, protocol)
    print("waiting", flush=True)
    waiting(r, host, port, protocol)
    print("channels", flush=True)
    channels(r, host, port, protocol)
    print("monitoring", flush=True)
    monitoring(r, host, port)
    print("settings", flush=True)
    settings(r)
    print("server", flush=True)
    server(r)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
