// The application: plays one scenario again and again, and tells over IPC what it saw of it. HOOKLINE_FAULT_PLAN says what
// else is to be done: { scenario, argument?, rounds, scanFile?, id?, times?, steady? }, with `steady` a list of
// { id, times, skip } that are played one after the other, each in rounds of its own.
const { join } = require('node:path');
const { isDeepStrictEqual } = require('node:util');

const plan = JSON.parse(process.env.HOOKLINE_FAULT_PLAN);
delete process.env.HOOKLINE_FAULT_PLAN;
const faults = globalThis.__hooklineFaults;
const hookline = require(join(__dirname, '..', '..', '.dist-faults', 'index.js'));

/** Longer than any round takes on a busy machine: then the application hangs. */
const ROUND_MS = 15_000;
/** Enough for a function that fails once a round to have its instrumentation switched off. */
const MAX_ROUNDS = 7;

let stray = [];
const take = (what) => (error) => {
  // Where ours was thrown helps; where a warning comes from need not be the same.
  const isOurs = error?.name === 'InjectedFault';
  stray.push(`${what}: ${isOurs ? error.stack.split('\n').slice(0, 4).join(' ') : error}`);
};
process.on('uncaughtException', take('uncaught exception'));
process.on('unhandledRejection', take('unhandled rejection'));
process.on('warning', take('warning'));
// Whoever wanted to know is gone.
process.on('disconnect', () => process.exit(71));

const send = (message) => new Promise((resolve) => process.send(message, resolve));

main().catch((error) => {
  process.send({ crashed: String(error?.stack) }, () => process.exit(70));
});

async function main() {
  const scenario = await withTimeout(require(plan.scenario).start(plan.argument), 'start');
  // Only now: it would keep the process.
  process.channel.unref();
  if (plan.steady !== undefined) await steady(scenario);
  else await rounds(scenario);
  await withTimeout(scenario.stop(), 'stop');
  await send({ end: true });
}

/** The process as it is: what is armed fails from the start. */
async function rounds(scenario) {
  for (let round = 0; round < plan.rounds; round++) {
    faults?.reached.clear();
    const seen = await play(scenario);
    await send({ seen, reached: [...(faults?.reached ?? [])] });
  }
  await send({ status: statusOf(), fired: faults?.fired ?? 0, lines: faults?.lines ?? [] });
}

async function steady(scenario) {
  // The first may have warnings that are given once.
  await play(scenario);
  const warm = await play(scenario);
  if (!isDeepStrictEqual(warm, plan.expected)) return send({ unlike: warm });
  for (const { id, times, skip } of plan.steady) {
    await send({ begin: { id, times } });
    faults.lines.length = 0;
    faults.arm(id, times, skip);
    let seen;
    let settled = false;
    for (let round = 0; round < (times === 1 ? 1 : MAX_ROUNDS) && !settled; round++) {
      const guards = [...faults.guards];
      // One more round once it is off; and none where nothing was counted in two.
      settled = guards.some(({ off }) => off) || (round === 2 && guards.every(({ failures }) => failures === 0));
      seen = await play(scenario);
      if (!isDeepStrictEqual(seen, plan.expected)) break;
    }
    const { fired } = faults;
    const result = { id, times, fired, seen, status: statusOf(), lines: [...faults.lines] };
    faults.arm(undefined, 0);
    for (const guard of faults.guards) Object.assign(guard, { failures: 0, firstError: undefined, off: false });
    // What one failure broke must not stay broken.
    result.after = await play(scenario);
    await send({ result });
  }
}

async function play(scenario) {
  const seen = {};
  const failure = await withTimeout(scenario.round(seen), 'round').then(
    () => undefined,
    (error) => error,
  );
  const flushed = await Promise.resolve()
    .then(() => hookline.forceFlush(500))
    .then(
      () => undefined,
      (error) => error,
    );
  // Whatever was thrown in a callback is reported by now.
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  if (failure !== undefined) take('failed')(failure);
  if (flushed !== undefined) take('forceFlush')(flushed);
  const result = { ...seen, stray };
  stray = [];
  return JSON.parse(JSON.stringify(result));
}

function statusOf() {
  try {
    return hookline.status()?.instrumentations;
  } catch (error) {
    return [{ name: `status() threw: ${error}` }];
  }
}

function withTimeout(promise, what) {
  let timer;
  const timeout = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), ROUND_MS);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}
