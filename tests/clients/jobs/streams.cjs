// Jobs in streams, through the cluster clients of ioredis and node-redis. Arguments: the package; "produce NAME COUNT" or
// "work NAME"; the nodes' ports. streams_app.py does the same in Python, and tells how no job's effect is lost or comes twice.
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");

const STREAMS = 6;
const EXISTS = /^BUSYGROUP|^ERR The ID specified in XADD is equal or smaller/;
const DONE = `
if redis.call('XACK', KEYS[1], 'workers', ARGV[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[2], ARGV[2], 1)`;

const [name, role, jobs, ...numbers] = process.argv.slice(2);
const stream = (number) => `{${number % STREAMS}}${jobs}:jobs`;
const effects = (number) => `{${number % STREAMS}}${jobs}:done`;

// Each gives a function that sends a command, whose key comes first.
const connect = {
  async ioredis(name, ports) {
    const nodes = ports.map((port) => ({ host: "127.0.0.1", port }));
    const client = new (require(name).Cluster)(nodes, { redisOptions: { protocol: 2 } });
    client.on("error", (error) => console.log("client:", error.message));
    return (key, ...args) => client.call(...args);
  },
  async redis(name, ports) {
    const rootNodes = ports.map((port) => ({ socket: { host: "127.0.0.1", port } }));
    const client = require(name).createCluster({ rootNodes, RESP: 2, defaults: { RESP: 2 } });
    client.on("error", (error) => console.log("client:", error.message));
    await client.connect();
    return (key, ...args) => client.sendCommand(key, false, args);
  },
};

async function untilKnown(call, ...args) {
  for (;;) {
    try {
      return await call(...args);
    } catch (error) {
      if (EXISTS.test(error.message)) return null;
      if (/^(ERR|WRONGTYPE|NOGROUP)/.test(error.message)) throw error;
      console.log("sent again after", error.message);
    }
    await sleep(50);
  }
}

async function produce(call, count) {
  for (let number = 0; number < count; number++) {
    const key = stream(number);
    await untilKnown(call, key, "XADD", key, `${number + 1}-0`, "number", `${number}`);
    await sleep(10);
  }
}

async function doSome(call, number, start) {
  const key = stream(number);
  const reading = ["XREADGROUP", "GROUP", "workers", "me", "COUNT", "10", "STREAMS", key, start];
  for (const [, entries] of (await untilKnown(call, key, ...reading)) ?? []) {
    for (const [identity, [, job]] of entries) {
      fs.appendFileSync(process.env.RAN, `${job}\n`);
      await untilKnown(call, key, "EVAL", DONE, "2", key, effects(number), identity, job);
    }
  }
}

async function work(call) {
  for (let number = 0; number < STREAMS; number++) {
    await untilKnown(call, stream(number), "XGROUP", "CREATE", stream(number), "workers", "0", "MKSTREAM");
  }
  console.log("ready");
  for (;;) {
    for (let number = 0; number < STREAMS; number++) {
      await doSome(call, number, "0"); // taken before, when the reply did not arrive
      await doSome(call, number, ">");
    }
    await sleep(10);
  }
}

async function main() {
  const count = role === "produce" ? Number(numbers.shift()) : 0;
  const call = await connect[name.replace(/\d$/, "")](name, numbers.map(Number));
  await (role === "produce" ? produce(call, count) : work(call));
}
main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
