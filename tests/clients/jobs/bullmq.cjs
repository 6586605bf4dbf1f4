// An application with BullMQ, whose prefix is a hash tag. Arguments: "life" (a whole life, ends with status 0 when all is
// right), "worker" (works until it is ended) or "produce COUNT" (enqueues so many jobs, none of which may fail).
const assert = require("node:assert");
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const { FlowProducer, Queue, QueueEvents, Worker } = require("bullmq");

const url = new URL(process.env.REDIS_URL);
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
const options = { connection, prefix: "{bull}" };

function ran(name) {
  fs.appendFileSync(process.env.RAN, `${name}\n`);
}

async function work(job) {
  if (job.name === "run") ran(job.data);
  if (job.name === "fails") throw new Error("as it always does");
  if (job.name === "retried" && job.attemptsMade === 0) throw new Error("the first try fails");
  if (job.name === "total") return Object.values(await job.getChildrenValues()).reduce((sum, value) => sum + value, 0);
  return job.name === "add" ? job.data.first + job.data.second : job.attemptsMade;
}

function newWorker() {
  const worker = new Worker("jobs", work, { ...options, concurrency: 2 });
  worker.on("error", (error) => console.error("worker:", error.message));
  return worker;
}

async function life() {
  const queue = new Queue("jobs", options);
  const flows = new FlowProducer(options);
  const events = new QueueEvents("jobs", options);
  await events.waitUntilReady();

  const [first, second] = await queue.addBulk([
    { name: "add", data: { first: 1, second: 1 } },
    { name: "add", data: { first: 1, second: 2 }, opts: { priority: 1 } },
  ]);
  assert.deepStrictEqual(await queue.getJobCounts("waiting", "prioritized"), { waiting: 1, prioritized: 1 });
  await queue.pause();
  assert.strictEqual(await queue.isPaused(), true);
  await queue.resume();

  const worker = newWorker();
  const results = [await first.waitUntilFinished(events), await second.waitUntilFinished(events)];
  assert.deepStrictEqual(results, [2, 3]);
  const retried = await queue.add("retried", {}, { attempts: 2, backoff: { type: "fixed", delay: 50 } });
  const later = await queue.add("run", "later", { delay: 300 });
  const failed = await queue.add("fails", {});
  await assert.rejects(failed.waitUntilFinished(events), /as it always does/);
  assert.strictEqual(await retried.waitUntilFinished(events), 1);
  await later.waitUntilFinished(events);

  const child = (number) => ({ name: "add", queueName: "jobs", data: { first: number, second: 1 } });
  const flow = await flows.add({ name: "total", queueName: "jobs", children: [child(1), child(2), child(3)] });
  assert.strictEqual(await flow.job.waitUntilFinished(events), 9);

  await queue.upsertJobScheduler("often", { every: 100, limit: 3 }, { name: "run", data: "often" });
  while (fs.readFileSync(process.env.RAN, "utf8").split("often").length < 4) await sleep(10);
  await queue.removeJobScheduler("often");
  const once = await Promise.all([1, 2].map(() => queue.add("run", "once", { deduplication: { id: "x" }, delay: 100 })));
  assert.strictEqual(once[0].id, once[1].id);
  await once[0].waitUntilFinished(events);

  assert.strictEqual((await queue.getJobCounts("failed")).failed, 1);
  await failed.remove();
  await worker.close();
  await queue.obliterate({ force: true });
  await Promise.all([queue.close(), flows.close(), events.close()]);
}

async function produce(count) {
  const queue = new Queue("jobs", options);
  for (let number = 0; number < count; number++) {
    await queue.add("run", number);
    await sleep(10);
  }
  await queue.close();
}

async function main([role, ...rest]) {
  if (role === "life") await life();
  else if (role === "produce") await produce(Number(rest[0]));
  else {
    const worker = newWorker();
    await worker.waitUntilReady();
    console.log("ready");
    await new Promise((resolve) => process.once("SIGTERM", resolve));
    await worker.close();
  }
}
main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
