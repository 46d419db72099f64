// Uses a server the way programs use ioredis, and asserts on every answer.
//
//     node with_ioredis.js HOST PORT      (NODE_PATH has ioredis)
//
// The server must be empty. Exits 0 if every answer is what Redis 7.0 gives.

"use strict";

const assert = require("node:assert/strict");
const Redis = require("ioredis");

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

async function strings(r) {
  assert.equal(await r.set("s", "v"), "OK");
  assert.equal(await r.get("s"), "v");
  assert.equal(await r.get("absent"), null);
  assert.equal(await r.set("s", "w", "GET"), "v");
  assert.equal(await r.set("s", "x", "NX"), null);
  assert.equal(await r.set("absent", "x", "XX"), null);
  assert.equal(await r.set("s", "x", "EX", 100, "XX"), "OK");
  assert.equal(await r.getset("s", "y"), "x");
  assert.equal(await r.ttl("s"), -1);
  assert.equal(await r.getdel("s"), "y");
  assert.equal(await r.append("s", "ab"), 2);
  assert.equal(await r.setrange("s", 4, "Z"), 5);
  assert.deepEqual(await r.getBuffer("s"), Buffer.from("ab\0\0Z"));
  assert.equal(await r.strlen("s"), 5);
  assert.equal(await r.getrange("s", 0, 1), "ab");
  assert.equal(await r.setnx("s", "no"), 0);
  assert.equal(await r.setex("e", 100, "v"), "OK");
  assert.equal(await r.psetex("p", 100000, "v"), "OK");
  assert.equal(await r.mset({ m1: "1", m2: "two" }), "OK");
  assert.deepEqual(await r.mget("m1", "absent", "m2"), ["1", null, "two"]);
  assert.equal(await r.msetnx("m1", "x", "m3", "y"), 0);
  assert.equal(await r.exists("m1", "m1", "m3"), 2);
  assert.equal(await r.touch("m1", "m3"), 1);
  assert.equal(await r.del("m1", "m3"), 1);
  assert.equal(await r.unlink("m2"), 1);
}

async function counters(r) {
  assert.equal(await r.incr("n"), 1);
  assert.equal(await r.incrby("n", 41), 42);
  assert.equal(await r.decr("n"), 41);
  assert.equal(await r.decrby("n", 50), -9);
  assert.equal(await r.incrbyfloat("f", "10.5"), "10.5");
  assert.equal(await r.incrbyfloat("f", "-0.25"), "10.25");
  await r.set("top", "9223372036854775807");
  await assert.rejects(r.incr("top"), /increment or decrement would overflow/);
  await assert.rejects(r.incr("s"), /value is not an integer or out of range/);
}

async function bits(r) {
  assert.equal(await r.setbit("b", 7, 1), 0);
  assert.equal(await r.getbit("b", 7), 1);
  assert.equal(await r.bitcount("b"), 1);
  assert.equal(await r.bitpos("b", 1), 7);
  assert.equal(await r.bitop("NOT", "d", "b"), 1);
  assert.deepEqual(await r.getBuffer("d"), Buffer.from([0xfe]));
  assert.deepEqual(await r.bitfield("d", "GET", "u8", 0, "INCRBY", "u8", 0, 1), [254, 255]);
}

async function expiry(r) {
  await r.set("k", "v");
  assert.equal(await r.ttl("k"), -1);
  assert.equal(await r.pttl("absent"), -2);
  assert.equal(await r.expire("k", 100, "NX"), 1);
  assert.equal(await r.expire("k", 50, "GT"), 0);
  const ttl = await r.ttl("k");
  assert.ok(ttl > 98 && ttl <= 100, `TTL ${ttl}`);
  assert.equal(await r.persist("k"), 1);
  const soon = Date.now() + 1000000;
  assert.equal(await r.pexpireat("k", soon), 1);
  assert.equal(await r.pexpiretime("k"), soon);
  assert.equal(await r.getex("k", "PERSIST"), "v");
  assert.equal(await r.ttl("k"), -1);
  assert.equal(await r.set("k", "v", "PX", 30), "OK");
  await until(async () => (await r.get("k")) === null);
  assert.equal(await r.exists("k"), 0);
  await assert.rejects(r.set("k", "v", "EX", 0), /invalid expire time in 'set' command/);
}

async function keys(r) {
  await r.flushall();
  assert.equal(await r.randomkey(), null);
  const names = Array.from({ length: 1000 }, (_, i) => `key:${i}`);
  await r.mset(names.flatMap((name) => [name, "v"]));
  await r.set("other", "v");
  assert.equal(await r.dbsize(), 1001);
  assert.deepEqual(await scanned(r, { match: "key:*", count: 100 }), names.sort());
  assert.deepEqual(await scanned(r, { type: "string" }), [...names, "other"].sort());
  assert.deepEqual((await r.keys("key:[01]")).sort(), ["key:0", "key:1"]);
  assert.equal(await r.type("other"), "string");
  assert.equal(await r.rename("other", "renamed"), "OK");
  assert.equal(await r.renamenx("renamed", "key:1"), 0);
  assert.equal(await r.copy("renamed", "copied"), 1);
  assert.equal(await r.object("ENCODING", "copied"), "embstr");
  await assert.rejects(r.rename("absent", "x"), /no such key/);
  assert.equal(await r.flushall(), "OK");
  assert.equal(await r.dbsize(), 0);
}

async function scanned(r, options) {
  const found = new Set();
  for await (const part of r.scanStream(options)) part.forEach((key) => found.add(key));
  return [...found].sort();
}

async function binary(r) {
  const big = Buffer.alloc(1 << 20, EVERY_BYTE);
  assert.equal(await r.set(EVERY_BYTE, big), "OK");
  assert.deepEqual(await r.getBuffer(EVERY_BYTE), big);
  assert.deepEqual(await r.keysBuffer("*"), [EVERY_BYTE]);
  assert.equal(await r.set("", ""), "OK");
  assert.equal(await r.get(""), "");
  assert.equal(await r.echo("\r\n$3\r\n"), "\r\n$3\r\n");
}

async function pipelines(r) {
  const pipe = r.pipeline();
  for (let i = 0; i < 2000; i++) pipe.set(`p:${i}`, i).get(`p:${i}`);
  const answers = await pipe.exec();
  const expected = Array.from({ length: 2000 }, (_, i) => [[null, "OK"], [null, `${i}`]]).flat();
  assert.deepEqual(answers, expected);
  // Commands of one tick, each with its own promise.
  const all = await Promise.all(Array.from({ length: 2000 }, (_, i) => r.get(`p:${i}`)));
  assert.deepEqual(all, Array.from({ length: 2000 }, (_, i) => `${i}`));
  const [ok, [error], value] = await r.pipeline().set("t", "x").incr("t").get("t").exec();
  assert.deepEqual([ok, value], [[null, "OK"], [null, "x"]]);
  assert.match(error.message, /value is not an integer/);
}

async function transactions(r, another) {
  const answers = await r.multi().set("t", 1).incr("t").mget("t", "absent").exec();
  assert.deepEqual(answers, [[null, "OK"], [null, 2], [null, ["2", null]]]);
  assert.equal(await r.watch("t"), "OK");
  await another.set("t", "changed");
  assert.equal(await r.multi().set("t", "lost").exec(), null);
  assert.equal(await r.get("t"), "changed");
  await r.watch("t");
  await another.set("t", "again");
  assert.equal(await r.unwatch(), "OK");
  assert.deepEqual(await r.multi().set("t", "kept").exec(), [[null, "OK"]]);
  await assert.rejects(r.multi().set("t", "must not be").call("GET").exec(), /EXECABORT/);
  assert.equal(await r.multi({ pipeline: false }), "OK");
  assert.equal(await r.set("t", "discarded"), "QUEUED");
  assert.equal(await r.discard(), "OK");
  assert.equal(await r.get("t"), "kept");
  await assert.rejects(r.call("EXEC"), /EXEC without MULTI/);
}

async function connections(r) {
  assert.equal(await r.ping(), "PONG");
  assert.equal(await r.ping("hello"), "hello");
  assert.equal(await r.client("GETNAME"), "heeler-test");
  assert.equal(await r.client("SETNAME", "renamed"), "OK");
  assert.match(await r.client("LIST"), /name=renamed/);
  assert.ok((await r.client("ID")) > 0);
  assert.equal(await r.select(0), "OK");
  const hello = await r.call("HELLO", "2");
  assert.equal(hello[hello.indexOf("proto") + 1], 2);
}

async function server(r) {
  assert.match(await r.info(), /redis_version:7\./);
  assert.match(await r.info("memory"), /used_memory:\d+/);
  assert.deepEqual(await r.config("GET", "maxmemory"), ["maxmemory", "0"]);
  const [get] = await r.command("INFO", "GET");
  assert.deepEqual(get.slice(0, 2), ["get", 2]);
  assert.ok((await r.command("COUNT")) > 100);
  assert.deepEqual(await r.command("GETKEYS", "MSET", "a", "1", "b", "2"), ["a", "b"]);
  await assert.rejects(r.call("NOSUCHCOMMAND"), /unknown command/);
  await assert.rejects(r.call("GET"), /wrong number of arguments for 'get' command/);
  await assert.rejects(r.set("k", "v", "WHAT"), /syntax error/);
}

async function waiting(r, another) {
  const popped = r.blpop("none", "list", 5);
  await until(async () => /blocked_clients:1/.test(await another.info("clients")));
  assert.equal(await another.rpush("list", "a", "b"), 2);
  assert.deepEqual(await popped, ["list", "a"]);
  const moved = r.brpoplpush("list2", "dst", 5);
  await until(async () => /blocked_clients:1/.test(await another.info("clients")));
  await another.rpush("list2", "x");
  assert.equal(await moved, "x");
  assert.equal(await r.bzpopmin("none", 0.05), null);
  await another.del("list", "dst");
}

async function channels(options, r) {
  const listener = new Redis(options);
  const heard = [];
  listener.on("message", (channel, message) => heard.push([channel, message]));
  listener.on("pmessage", (pattern, channel, message) => heard.push([pattern, channel, message]));
  assert.equal(await listener.subscribe("news", "other"), 2);
  assert.equal(await listener.psubscribe("n*"), 3);
  assert.equal(await r.publish("news", "hello"), 2);
  await until(async () => heard.length === 2);
  assert.deepEqual(heard, [["news", "hello"], ["n*", "news", "hello"]]);
  assert.equal(await listener.unsubscribe("news", "other"), 1);
  assert.equal(await listener.punsubscribe("n*"), 0);
  assert.equal(await listener.set("k", "v"), "OK");
  listener.disconnect();
}

async function monitoring(r) {
  const monitor = await r.monitor();
  const told = [];
  monitor.on("monitor", (time, args, source, database) => told.push([args, database]));
  assert.equal(await r.set("monitored", 'a "b"'), "OK");
  await until(async () => told.some(([args]) => args[1] === "monitored"));
  const [args, database] = told.find(([args]) => args[1] === "monitored");
  assert.deepEqual(args, ["set", "monitored", 'a "b"']);
  assert.equal(database, "0");
  monitor.disconnect();
  assert.equal(await r.del("monitored"), 1);
}

async function until(true_) {
  const end = Date.now() + 10000;
  while (!(await true_())) {
    assert.ok(Date.now() < end, "it did not come true in time");
    await new Promise((wake) => setTimeout(wake, 10));
  }
}

async function main(host, port) {
  // ioredis asks INFO for its ready check before the first command.
  const options = { host, port, connectionName: "heeler-test", retryStrategy: null };
  const r = new Redis(options);
  const another = new Redis(options);
  assert.equal(await r.dbsize(), 0, "the server is not empty");
  for (const part of [strings, counters, bits, expiry, keys, binary, pipelines]) {
    console.log(part.name);
    await part(r);
  }
  console.log("transactions");
  await transactions(r, another);
  console.log("connections");
  await connections(r);
  console.log("waiting");
  await waiting(r, another);
  console.log("channels");
  await channels(options, r);
  console.log("server");
  await monitoring(r);
  await server(r);
  assert.equal(await r.quit(), "OK");
  another.disconnect();
}

const hung = setTimeout(() => {
  console.error("it hangs");
  process.exit(1);
}, 60000);

main(process.argv[2], Number(process.argv[3])).then(
  () => clearTimeout(hung),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
