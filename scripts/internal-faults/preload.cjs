// Loaded before the agent: decides which of its functions fail (probes.mjs), and sees what it says.
const fs = require('node:fs');

class InjectedFault extends Error {
  name = 'InjectedFault';
}

const { scanFile } = JSON.parse(process.env.HOOKLINE_FAULT_PLAN ?? '{}');
const scanned = new Set();

/** What app.cjs looks at and changes. */
const faults = {
  /** The function that fails. */
  id: undefined,
  /** How often it still does. */
  times: 0,
  /** Calls of it that pass before it does. */
  skip: 0,
  /** How often it did. */
  fired: 0,
  /** Of the instrumentations that failed. */
  guards: new Set(),
  /** How often each was reached since app.cjs emptied it. */
  reached: new Map(),
  /** Lines that the agent wrote to standard error. */
  lines: [],
  arm(id, times, skip = 0) {
    this.id = id;
    this.times = times;
    this.skip = skip;
    this.fired = 0;
  },
};

Object.defineProperty(globalThis, '__hooklineFaults', { value: faults });
Object.defineProperty(globalThis, '__hooklineFault', {
  value: (id, self) => {
    if (self !== undefined && id.endsWith(' Guard.fail')) faults.guards.add(self);
    if (scanFile !== undefined) {
      faults.reached.set(id, (faults.reached.get(id) ?? 0) + 1);
      // At once: some are reached when the process ends.
      if (!scanned.has(id)) fs.appendFileSync(scanFile, `${id}\n`);
      scanned.add(id);
    }
    if (id !== faults.id || faults.fired >= faults.times) return;
    if (faults.skip-- > 0) return;
    faults.fired++;
    throw new InjectedFault(`injected into ${id}`);
  },
});

const { writeSync } = fs;
fs.writeSync = function (fd, text, ...rest) {
  if (fd === 2) faults.lines.push(...String(text).split('\n').filter(Boolean));
  return Reflect.apply(writeSync, this, [fd, text, ...rest]);
};

const { id, times } = JSON.parse(process.env.HOOKLINE_FAULT_PLAN ?? '{}');
if (id !== undefined) faults.arm(id, times);
