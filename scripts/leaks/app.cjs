// Runs the operations of one library over and over and prints, as JSON, how much memory was in use after how many.
//
//   LIBRARY      a file in cases/
//   VARIANTS     names separated by `|`; default: all
//   OPERATIONS   how many, after a warm-up of a fifth as many
//   POINTS       how often memory is looked at
//   PLANT        `object` or `span`: keeps one for each operation, to show that it would be found
const { join } = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');

const AT_ONCE = 8;
const OPERATION_MS = 60_000;
const { LIBRARY, VARIANTS, PLANT } = process.env;
const operations = Number(process.env.OPERATIONS);
const points = Number(process.env.POINTS);

const agent = globalThis[Symbol.for('hookline')];
/** What is planted; nothing else of the harness grows with the operations. */
const kept = [];

main();

async function main() {
  const { variants, close } = await require(join(__dirname, 'cases', `${LIBRARY}.cjs`))();
  const names = VARIANTS ? VARIANTS.split('|') : Object.keys(variants);
  const turns = takeTurns(names, variants);
  // What is rare needs its turns, too, before the first look.
  for (let time = 0; time < 2; time++) await many(names.length, oneAfterTheOther(names, variants));
  await many(Math.ceil(operations / 5), turns);
  const samples = [[0, await usedBytes()]];
  for (let point = 1; point <= points; point++) {
    await many(Math.round(operations / points), turns);
    samples.push([Math.round(operations / points) * point, await usedBytes()]);
  }
  console.log(JSON.stringify({ samples, variants: names, export: agent?.status().export }));
  await close();
  // A server may wait for connections that a variant has left behind.
  process.exit(0);
}

function* oneAfterTheOther(names, variants) {
  for (const name of names) yield { name, run: variants[name].run ?? variants[name] };
}

/** Says which variant is next; those that are `rare` have a fiftieth of the turns of the others. */
function* takeTurns(names, variants) {
  for (let round = 0; ; round++) {
    for (const [at, name] of names.entries()) {
      const { run = variants[name], rare = false } = variants[name];
      if (!rare || names.length === 1 || round % 50 === at % 50) yield { name, run };
    }
  }
}

async function many(count, turns) {
  let started = 0;
  const worker = async () => {
    while (started < count) {
      const operation = started++;
      const { name, run } = turns.next().value;
      try {
        await within(OPERATION_MS, run(operation));
      } catch (error) {
        throw new Error(`${LIBRARY}, ${name}: ${error.message}`, { cause: error });
      }
      if (PLANT) plant(operation);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** An operation that hangs has a name, too. */
async function within(timeoutMs, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function plant(operation) {
  if (PLANT === 'object') kept.push({ operation });
  else if (PLANT === 'span') kept.push(require('@opentelemetry/api').trace.getTracer('planted').startSpan('planted'));
  else throw new Error(`PLANT: ${PLANT}`);
}

/**
 * What is in use once nothing is under way: with a collector that answers, also no span. The smallest of several looks,
 * since finalizers and what they release take turns of the event loop.
 */
async function usedBytes() {
  if (agent && process.env.COLLECTOR === 'up') {
    while (agent.status().export.queued + agent.status().export.inFlight > 0) await delay(5);
  }
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 3; look++) {
    await delay(15);
    global.gc();
    // Not `external`, which has what compression and TLS come to hold in their own time.
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}
