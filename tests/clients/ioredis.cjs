// What a program with ioredis does, on a cluster whose nodes are given as ports. Ends with status 0 when all is right.
const assert = require("node:assert");

const [name, mode, ...ports] = process.argv.slice(2);
const Redis = require(name);

async function cluster(ports) {
  const client = new Redis.Cluster(ports.map((port) => ({ host: "127.0.0.1", port })));
  const names = Array.from({ length: 100 }, (_, number) => `k${number}`);
  await Promise.all(names.map((name, number) => client.set(name, number)));
  const values = await Promise.all(names.map((name) => client.get(name)));
  assert.deepStrictEqual(values, names.map((_, number) => `${number}`));

  assert.deepStrictEqual(await client.mset("{t}a", 1, "{t}b", 2), "OK");
  assert.deepStrictEqual(await client.mget("{t}a", "{t}b", "{t}c"), ["1", "2", null]);
  assert.deepStrictEqual(await client.multi().incr("{t}a").get("{t}a").exec(), [[null, 2], [null, "2"]]);
  assert.deepStrictEqual(await client.pipeline().set("{t}d", 5).incr("{t}d").exec(), [[null, "OK"], [null, 6]]);
  await assert.rejects(client.incrby("{t}d", "x"), /not an integer/);

  const replicas = new Redis.Cluster([{ host: "127.0.0.1", port: ports[0] }], { scaleReads: "slave" });
  for (const name of names.slice(0, 10)) {
    while ((await replicas.get(name)) !== name.slice(1)) {}
  }
  assert.strictEqual(client.nodes("all").length, ports.length);
  replicas.disconnect();
  client.disconnect();
}

async function single(port) {
  const client = new Redis(port, { enableAutoPipelining: true });
  const values = await Promise.all(Array.from({ length: 200 }, () => client.incr("total")));
  assert.deepStrictEqual(values, Array.from({ length: 200 }, (_, number) => number + 1));
  await client.watch("total");
  await client.duplicate().incr("total");
  assert.strictEqual(await client.multi().set("total", 0).exec(), null);
  const found = [];
  for await (const keys of client.scanStream({ match: "total" })) found.push(...keys);
  assert.deepStrictEqual(found, ["total"]);
  client.disconnect();
}

const story = mode === "cluster" ? cluster(ports.map(Number)) : single(Number(ports[0]));
story.then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
