// What a program with node-redis does. Arguments: "cluster" or "single", and ports. Ends with status 0 when all is right.
const assert = require("node:assert");
const { setTimeout: sleep } = require("node:timers/promises");
const { createClient, createClientPool, createCluster, defineScript, WatchError } = require("redis");

const add = defineScript({
  SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
  NUMBER_OF_KEYS: 1,
  parseCommand(parser, key, number) {
    parser.pushKey(key);
    parser.push(String(number));
  },
  transformReply: (reply) => reply,
});

async function heard(messages, count) {
  while (messages.length < count) await sleep(5);
}

async function cluster(ports, RESP) {
  const rootNodes = ports.map((port) => ({ socket: { host: "127.0.0.1", port } }));
  const client = await createCluster({ rootNodes, RESP, defaults: { RESP }, scripts: { add } }).connect();
  const names = Array.from({ length: 100 }, (_, number) => `k${number}`);
  await Promise.all(names.map((name, number) => client.set(name, number)));
  const values = await Promise.all(names.map((name) => client.get(name)));
  assert.deepStrictEqual(values, names.map((_, number) => `${number}`));

  assert.strictEqual(client.slots.length, 16384);
  assert.strictEqual(await client.mSet({ "{t}a": "1", "{t}b": "2" }), "OK");
  assert.deepStrictEqual(await client.mGet(["{t}a", "{t}b", "{t}c"]), ["1", "2", null]);
  assert.deepStrictEqual(await client.multi().incr("{t}a").get("{t}a").exec(), [2, "2"]);
  assert.strictEqual(await client.add("{t}a", 5), 7);
  await assert.rejects(client.incrBy("{t}a", "x"), /not an integer/);

  const messages = [];
  await client.subscribe("news", (message) => messages.push(message));
  await client.sSubscribe("{t}news", (message) => messages.push(message));
  await client.publish("news", "to all");
  await heard(messages, 1);
  await client.sPublish("{t}news", "to a shard");
  await heard(messages, 2);
  assert.deepStrictEqual(messages, ["to all", "to a shard"]);
  await client.close();
}

async function single(port, RESP) {
  const options = { socket: { host: "127.0.0.1", port }, RESP, scripts: { add } };
  const client = await createClient(options).connect();
  const values = await Promise.all(Array.from({ length: 200 }, () => client.incr("total")));
  assert.deepStrictEqual(values, Array.from({ length: 200 }, (_, number) => number + 1));
  assert.strictEqual(await client.add("total", 5), 205);

  const other = await client.duplicate().connect();
  await client.watch("total");
  await other.incr("total");
  await assert.rejects(client.multi().set("total", 0).exec(), WatchError);

  const taken = other.blPop("list", 10);
  await client.rPush("list", "x");
  assert.deepEqual(await taken, { key: "list", element: "x" });
  assert.strictEqual(await client.hSet("hash", { a: "1", b: "2" }), 2);
  assert.deepEqual({ ...(await client.hGetAll("hash")) }, { a: "1", b: "2" });
  await client.zAdd("zset", [{ score: 1.5, value: "x" }]);
  assert.deepEqual(await client.zRangeWithScores("zset", 0, -1), [{ score: 1.5, value: "x" }]);
  await client.xAdd("stream", "1-1", { field: "value" });
  await client.xGroupCreate("stream", "group", "0");
  const [{ messages }] = await client.xReadGroup("group", "me", { key: "stream", id: ">" });
  assert.strictEqual(messages[0].id, "1-1");
  const found = [];
  for await (const keys of client.scanIterator({ MATCH: "total" })) found.push(...keys);
  assert.deepStrictEqual(found, ["total"]);

  const pool = await createClientPool(options).connect();
  const counts = await Promise.all(Array.from({ length: 50 }, () => pool.incr("shared")));
  assert.strictEqual(new Set(counts).size, 50);
  await Promise.all([client.close(), other.close(), pool.close()]);
}

const [mode, ...ports] = process.argv.slice(2);
async function story() {
  for (const RESP of [2, 3]) {
    if (mode === "cluster") await cluster(ports.map(Number), RESP);
    else {
      await single(Number(ports[0]), RESP);
      await createClient({ socket: { port: Number(ports[0]) } }).connect().then((client) => client.flushAll());
    }
  }
}
story().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
