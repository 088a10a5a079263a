// What became of the tests of one file, and how two runs of it differ.

/** What stands for the process of a file itself: its exit code tells of errors outside of tests. */
export const PROCESS = '(process)';

/**
 * Tests by name. Names that occur more than once are numbered, in the order in which they ended.
 * @param lines `{ name, outcome, why? }` as JSON, one a line, as mocha-reporter.cjs writes them
 * @returns Map of name to `{ outcome, why? }`
 */
export function parseReport(lines) {
  const tests = new Map();
  const add = counting(tests);
  for (const line of lines.split('\n')) {
    // The last one may be half a line: a process can end while it is written.
    const test = line.startsWith('{') && line.endsWith('}') ? parseJson(line) : undefined;
    if (test !== undefined) add(test.name, { outcome: test.outcome, ...(test.why && { why: test.why }) });
  }
  return tests;
}

/**
 * The same from what a file printed, where its runner has no reporters.
 * @param patterns `{ passed, failed?, skipped? }`, each an expression whose first group is the name
 */
export function parseOutput(output, patterns) {
  const tests = new Map();
  const add = counting(tests);
  for (const line of withoutColours(output).split('\n')) {
    for (const [outcome, pattern] of Object.entries(patterns)) {
      const name = pattern.exec(line)?.[1]?.trim();
      if (name) {
        add(name, { outcome });
        break;
      }
    }
  }
  return tests;
}

/** Lines of ours in what a process printed; numbers and addresses in them differ from run to run. */
export function ownLines(output) {
  return withoutColours(output)
    .split('\n')
    .filter((line) => line.startsWith('hookline: '));
}

/**
 * What differs between two runs of the same files.
 * @param bare Map of file to Map of name to test
 * @returns `{ file, name, bare, traced, why? }`; the outcome of a test that is not in one of them is `missing`
 */
export function differences(bare, traced) {
  const found = [];
  for (const file of new Set([...bare.keys(), ...traced.keys()])) {
    const before = bare.get(file) ?? new Map();
    const after = traced.get(file) ?? new Map();
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      const one = { bare: before.get(name)?.outcome ?? 'missing', traced: after.get(name)?.outcome ?? 'missing' };
      if (one.bare === one.traced) continue;
      const why = after.get(name)?.why ?? before.get(name)?.why;
      found.push({ file, name, ...one, ...(why && { why }) });
    }
  }
  return found;
}

/**
 * What a difference comes from, when its file was run again a few times in each way.
 * @param difference of `differences`
 * @param again `{ bare, empty, traced, silent }`: outcomes of the test in these runs, `missing` where it was not in one. `empty` is a
 *   preload that does nothing, `silent` is the agent without propagation.
 * @returns `flaky`: without us it ends in both ways too, or it did not happen again. `preload`: any preload does it. `headers`: only
 *   trace headers do. `agent`: all the rest.
 */
export function causeOf({ bare, traced }, again) {
  const differs = (outcome) => outcome !== bare;
  if (again.bare.some(differs) || !again.traced.some(differs)) return 'flaky';
  // An outcome of its own, such as another test's name in its place, is not the same thing.
  if (again.empty.every((outcome) => outcome === traced)) return 'preload';
  return again.silent.some(differs) ? 'agent' : 'headers';
}

/** Numbers by outcome. */
export function count(run) {
  const numbers = { passed: 0, failed: 0, skipped: 0 };
  for (const tests of run.values()) for (const { outcome } of tests.values()) numbers[outcome]++;
  return numbers;
}

/** Adds tests to a Map, numbering names that are there already. */
export function counting(tests) {
  const times = new Map();
  return (name, test) => {
    const time = (times.get(name) ?? 0) + 1;
    times.set(name, time);
    tests.set(time === 1 ? name : `${name} #${time}`, test);
  };
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withoutColours(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what colours begin with
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}
