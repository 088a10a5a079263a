/**
 * The preload. Compiled for every Node that has `--require`, since one that is too old has to be told so in a line
 * and not by a syntax error. Nothing of the agent is read before all checks passed.
 */

/** The oldest supported release of the oldest supported line. */
const OLDEST: readonly [number, number] = [18, 19];

/** Their entry scripts lie in a `bin` or `dist` folder, with `-cli` or an extension behind the name. */
const PACKAGE_MANAGERS = ['npm', 'npx', 'yarn', 'yarnpkg', 'pnpm', 'pnpx', 'corepack'];

const KEY = Symbol.for('hookline');
const host = globalThis as unknown as Record<symbol, unknown>;

function start(): unknown {
  if (host[KEY] !== undefined) return undefined;
  if (isDisabled() || isPackageManager(process.argv[1]) || isHookThread()) return undefined;
  const parts = process.versions.node.split('.');
  const major = Number(parts[0]);
  const minor = Number(parts[1]);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    host[KEY] = { unsupported: true };
    process.stderr.write(
      `hookline: Node.js ${process.versions.node} is too old, ${OLDEST.join('.')} or later is needed; nothing is traced\n`,
    );
    return undefined;
  }
  try {
    const pending = (require('./agent.js') as { start(): Promise<void> | undefined }).start();
    // The application waits for it, and would not start at all.
    return pending?.then(undefined, couldNotStart);
  } catch (error) {
    return couldNotStart(error);
  }
}

function couldNotStart(error: unknown): undefined {
  process.stderr.write(`hookline: could not start, nothing is traced: ${String(error)}\n`);
  return undefined;
}

function isDisabled(): boolean {
  const value = process.env['OTEL_SDK_DISABLED'];
  return typeof value === 'string' && value.trim().toLowerCase() === 'true';
}

/** Node runs preloads on the thread of its module hooks too, where no code of the application will ever run. */
function isHookThread(): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList?: string[] };
  return Array.isArray(moduleLoadList) && moduleLoadList.indexOf('NativeModule internal/modules/esm/worker') >= 0;
}

/** NODE_OPTIONS reaches npm, npx, yarn, pnpm and corepack too, which start the service but are not it. */
function isPackageManager(script: string | undefined): boolean {
  if (typeof script !== 'string') return false;
  const parts = script.replace(/\\/g, '/').split('/');
  const name = (parts[parts.length - 1] as string).replace(/(-cli)?(\.c?js)?$/, '');
  const folder = parts[parts.length - 2];
  return (folder === 'bin' || folder === 'dist') && PACKAGE_MANAGERS.indexOf(name) >= 0;
}

/** A promise when the application has to wait for the agent, else `undefined`. */
export const ready: unknown = start();
