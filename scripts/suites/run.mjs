// Runs a test file in a process of its own, and says what became of their tests.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ownLines, PROCESS, parseOutput, parseReport } from './results.mjs';
import { parseTap } from './tap.mjs';

const OUTPUT_LIMIT = 2 ** 20;

/** Groups of processes that run: they have left ours, so nothing else ends them when we are interrupted. */
const groups = new Set();
process.on('exit', () => {
  for (const pid of groups) endGroup(pid);
});

/** How the command of a file looks, and how its tests are read; `report` is a file for the reporter. */
const RUNNERS = {
  'node:test': {
    command: (file, { flags = [] }, report) => [
      ...flags,
      '--test-reporter=tap',
      `--test-reporter-destination=${report}`,
      file,
    ],
    read: ({ report }) => parseTap(report),
  },
  mocha: {
    command: (file, { flags = [], nodeFlags = [], folder }, report) => [
      ...nodeFlags,
      join(folder, 'node_modules/mocha/bin/_mocha'),
      '--reporter',
      fileURLToPath(new URL('./mocha-reporter.cjs', import.meta.url)),
      '--reporter-options',
      `file=${report}`,
      ...flags,
      file,
    ],
    read: ({ report }) => parseReport(report),
  },
  script: {
    command: (file, { flags = [], flagsOf = () => [] }) => [...flags, ...flagsOf(file), file],
    read: ({ stdout }, { prints = {} }) => parseOutput(stdout, prints),
  },
};

/**
 * Runs a file.
 * @param suite `{ runner, folder, cwd, flags?, nodeFlags?, flagsOf?, prints?, env?, timeoutMs? }`
 * @param env variables on top of those of the suite
 * @returns `tests`, a Map of name to outcome, and `lines` of ours
 */
export async function runFile(file, suite, node, env) {
  const { command, read } = RUNNERS[suite.runner];
  const scratch = mkdtempSync(join(tmpdir(), 'suites-'));
  const report = join(scratch, 'report');
  try {
    const path = join(suite.cwd, file);
    const { stdout, stderr, ending } = await execute(node, command(path, suite, report), {
      cwd: suite.cwd,
      env: { ...cleanEnvironment(node), ...suite.env, ...env },
      timeoutMs: suite.timeoutMs ?? 120_000,
    });
    const tests = read({ stdout, report: readIfThere(report) }, suite);
    const failed = ending !== 'exit code 0';
    const why = `${ending}\n${tail(stdout)}\n${tail(stderr)}`;
    tests.set(PROCESS, { outcome: failed ? 'failed' : 'passed', ...(failed && { why }) });
    return { tests, lines: ownLines(stderr) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function execute(node, args, { cwd, env, timeoutMs }) {
  // In a group of its own, so that what it leaves running ends with it.
  const child = spawn(node, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  groups.add(child.pid);
  // Apart: a warning in the middle of a line would hide what that line says.
  const output = { stdout: '', stderr: '' };
  for (const name of Object.keys(output)) {
    child[name].setEncoding('utf8').on('data', (chunk) => {
      if (output[name].length < OUTPUT_LIMIT) output[name] += chunk;
    });
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endGroup(child.pid);
  }, timeoutMs);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // What it started may keep its output open for ever.
    child.once('exit', () => {
      endGroup(child.pid);
    });
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const ending = late ? `not over after ${timeoutMs / 1000} s` : signal ? `signal ${signal}` : `exit code ${code}`;
      resolve({ ...output, ending });
    });
  });
}

function endGroup(pid) {
  groups.delete(pid);
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

/** Ours is that of npm, of a test run, or of someone who tries the agent. */
function cleanEnvironment(node) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(OTEL_|HOOKLINE_|npm_|PG[A-Z]|MYSQL_|NODE_|FORCE_COLOR$|NO_COLOR$|INIT_CWD$|COLOR$)/.test(name),
  );
  const env = Object.fromEntries(kept);
  return { ...env, PATH: `${dirname(node)}${delimiter}${env.PATH ?? ''}` };
}

/**
 * Variables under which a file runs with a preload.
 * @param flag `import`, which reads the application's main file some turns later, or `require`, which does not
 * @param what of `EMPTY` or `agentPreload`
 */
export function preload(flag, what, env = {}) {
  return { NODE_OPTIONS: `--${flag} ${what[flag]}`, ...env };
}

/** A preload that does nothing, by the flag that loads it. */
export const EMPTY = {
  import: 'data:text/javascript,',
  require: fileURLToPath(new URL('./empty.cjs', import.meta.url)),
};

/** Ours. */
export function agentPreload(root) {
  return { import: pathToFileURL(join(root, 'register.mjs')).href, require: join(root, 'dist/register.js') };
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function tail(text) {
  return text.trimEnd().split('\n').slice(-30).join('\n');
}
