import { type ChildProcess, type Serializable, spawn } from 'node:child_process';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { violations } from './conventions';
import { type OtlpReceiver, type ReceivedSpan, startReceiver } from './otlp-receiver';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The Node that applications run under; the runner itself may need a newer one than the oldest supported. */
export const nodeBinary = process.env.HOOKLINE_TEST_NODE ?? process.execPath;

/** How the agent gets into the process: a flag, or NODE_OPTIONS with `--import` or `--require` in it. */
export type Preload = 'import' | 'require' | 'node-options' | 'node-options-require' | 'none';

export interface RunOptions {
  /** Default `import`. */
  preload?: Preload;
  /** What is preloaded; default: this repository's files by absolute path. */
  specifier?: { import: string; require: string };
  /** Default: HOOKLINE_TEST_NODE, else the Node that runs the tests. */
  node?: string;
  /** Added to a clean environment; `undefined` removes a default. */
  env?: Record<string, string | undefined>;
  /** Arguments of the application. */
  args?: string[];
  /** Arguments of Node, after the preload's. */
  execArgv?: string[];
  /** Default: the repository's root. */
  cwd?: string;
  /** Written to the application's standard input, which is then closed. */
  stdin?: string;
  /** Sent once, when standard output holds the text. */
  signal?: { after: string | RegExp; name: NodeJS.Signals };
  /** Opens an IPC channel: `child.send`, `messages`. */
  ipc?: boolean;
  /** Default 40 s: then the application is killed and the run rejects with what it printed. */
  timeoutMs?: number;
  /** Default: a receiver of its own for this run. `false`: none, and no endpoint in the environment. */
  receiver?: OtlpReceiver | false;
  /** Accepts spans that are not as the conventions have them; they come from an unusual configuration. */
  anyConventions?: boolean;
  /** Waits for this many spans after the end and rejects when fewer arrive. Needed only when someone else sends them. */
  waitForSpans?: number;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Everything the receiver had accepted when the process was gone; empty without a receiver. */
  spans: ReceivedSpan[];
  /** What came over the IPC channel. */
  messages: Serializable[];
}

export interface RunningApp {
  readonly child: ChildProcess;
  readonly stdout: string;
  readonly stderr: string;
  readonly messages: Serializable[];
  readonly receiver: OtlpReceiver | undefined;
  /** Resolves with the match once standard output has it; rejects when the process ends without. */
  waitForOutput(pattern: string | RegExp): Promise<RegExpMatchArray>;
  /** Resolves when the process has ended and its output is complete, whatever its exit code. */
  readonly done: Promise<RunResult>;
}

/** Enough for Node and for what it starts; anything else would let the machine decide how tests end. */
const INHERITED = [
  'PATH',
  'HOME',
  'USER',
  'TMPDIR',
  'TEMP',
  'TMP',
  'LANG',
  'TZ',
  'LD_LIBRARY_PATH',
  'SystemRoot',
  'ComSpec',
];

/**
 * Runs an application to its end.
 * @param fixture a path, absolute or from the repository's root; `undefined` when `execArgv` names the code (`-e`)
 */
export async function runApp(fixture: string | undefined, options: RunOptions = {}): Promise<RunResult> {
  const app = await startApp(fixture, options);
  return app.done;
}

/** Starts an application and leaves it running; await `done` in the same test. */
export async function startApp(fixture: string | undefined, options: RunOptions = {}): Promise<RunningApp> {
  const { timeoutMs = 40_000 } = options;
  const ownReceiver = options.receiver === undefined ? await startReceiver() : undefined;
  const receiver = options.receiver === false ? undefined : (options.receiver ?? ownReceiver);

  const { nodeArguments, nodeOptions } = preloadArguments(options);
  const environment: Record<string, string | undefined> = {
    ...Object.fromEntries(INHERITED.map((name) => [name, process.env[name]])),
    ...(receiver && { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '50' }),
    ...options.env,
  };
  const allNodeOptions = [nodeOptions, options.env?.NODE_OPTIONS].filter(Boolean).join(' ');
  if (allNodeOptions) environment.NODE_OPTIONS = allNodeOptions;
  for (const name of Object.keys(environment)) if (environment[name] === undefined) delete environment[name];

  const script = fixture === undefined ? [] : [isAbsolute(fixture) ? fixture : join(root, fixture)];
  const child = spawn(
    options.node ?? nodeBinary,
    [...nodeArguments, ...(options.execArgv ?? []), ...script, ...(options.args ?? [])],
    {
      cwd: options.cwd ?? root,
      env: environment,
      stdio: options.ipc ? ['pipe', 'pipe', 'pipe', 'ipc'] : ['pipe', 'pipe', 'pipe'],
    },
  );

  let stdout = '';
  let stderr = '';
  let closed = false;
  let signalPending = options.signal;
  const messages: Serializable[] = [];
  const watchers = new Set<() => void>();
  const notify = () => {
    for (const watcher of watchers) watcher();
  };
  const printed = () => `\n--- stdout\n${stdout}\n--- stderr\n${stderr}`;

  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (signalPending && match(stdout, signalPending.after)) {
      child.kill(signalPending.name);
      signalPending = undefined;
    }
    notify();
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.on('message', (message) => messages.push(message));
  // The application may end without reading its input.
  child.stdin!.on('error', () => {});
  child.stdin!.end(options.stdin ?? '');

  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`still running after ${timeoutMs} ms${printed()}`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      closed = true;
      notify();
      resolve({ code, signal });
    });
  });

  const finish = async (): Promise<RunResult> => {
    try {
      const { code, signal } = await ended;
      try {
        if (options.waitForSpans !== undefined) await receiver?.waitForSpans(options.waitForSpans);
        // A receiver that was handed in may still serve other processes.
        await ownReceiver?.settled();
      } catch (error) {
        throw new Error(`${(error as Error).message}; exit code ${code}, signal ${signal}${printed()}`, {
          cause: error,
        });
      }
      const spans = [...(receiver?.spans ?? [])];
      const problems = options.anyConventions ? [] : spans.flatMap(violations);
      if (problems.length > 0) throw new Error(`against the conventions:\n${problems.join('\n')}${printed()}`);
      return { stdout, stderr, code, signal, spans, messages };
    } finally {
      await ownReceiver?.close();
    }
  };
  const done = finish();
  // A test that fails before it awaits `done` should report its own failure.
  done.catch(() => {});

  return {
    child,
    messages,
    receiver,
    done,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    waitForOutput: (pattern) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found = match(stdout, pattern);
          if (!found && !closed) return;
          watchers.delete(check);
          if (found) resolve(found);
          else reject(new Error(`ended without printing ${pattern}${printed()}`));
        };
        watchers.add(check);
        check();
      }),
  };
}

function preloadArguments({ preload = 'import', specifier }: RunOptions): {
  nodeArguments: string[];
  nodeOptions: string;
} {
  const { import: imported, require: required } = specifier ?? {
    import: pathToFileURL(join(root, 'register.mjs')).href,
    require: join(root, 'dist', 'register.js'),
  };
  switch (preload) {
    case 'import':
      return { nodeArguments: ['--import', imported], nodeOptions: '' };
    case 'require':
      return { nodeArguments: ['--require', required], nodeOptions: '' };
    case 'node-options':
      return { nodeArguments: [], nodeOptions: `--import=${imported}` };
    case 'node-options-require':
      // Quoted: NODE_OPTIONS is split at spaces, and a backslash would escape.
      return { nodeArguments: [], nodeOptions: `--require=${JSON.stringify(required)}` };
    case 'none':
      return { nodeArguments: [], nodeOptions: '' };
  }
}

function match(text: string, pattern: string | RegExp): RegExpMatchArray | undefined {
  if (typeof pattern === 'string') return text.includes(pattern) ? [pattern] : undefined;
  return text.match(pattern) ?? undefined;
}
