// Packages under test: exact versions, outside the repository's own dependencies, installed once per machine.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache', 'test-packages');

export async function installPackages(...specs) {
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  return installOnce(specs.map(folderName).join('+'), specs.join(' '), (folder) =>
    promisify(execFile)('npm', ['install', '--prefix', folder, ...flags, ...specs], {
      cwd: folder,
      shell: process.platform === 'win32',
    }),
  );
}

/**
 * A project with these packages as pnpm (isolated) or Yarn (Plug'n'Play) lays them out. Each downloads into a store below the
 * cache, and Yarn asks the registry that npm is set up with.
 * @param {'pnpm' | 'yarn'} manager
 * @param {...string} specs
 */
export async function installLayout(manager, ...specs) {
  const layout = LAYOUTS[manager];
  const program = join(await installPackages(layout.package), layout.program);
  const dependencies = Object.fromEntries(specs.map(nameAndVersion));
  const name = [layout.package, ...specs].map(folderName).join('+');
  return installOnce(`layout-${name}`, `${specs.join(' ')} by ${manager}`, async (folder) => {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'layout', private: true, dependencies }));
    for (const [file, text] of Object.entries(layout.files)) writeFileSync(join(folder, file), text);
    const env = { ...process.env, ...(await layout.env()) };
    await promisify(execFile)(process.execPath, [program, ...layout.args], { cwd: folder, env });
  });
}

const LAYOUTS = {
  pnpm: {
    package: 'pnpm@10.34.8',
    program: 'node_modules/pnpm/bin/pnpm.cjs',
    args: ['install', '--ignore-scripts', '--reporter=silent', `--store-dir=${join(cache, '.pnpm-store')}`],
    files: {},
    env: async () => ({}),
  },
  yarn: {
    package: '@yarnpkg/cli-dist@4.18.1',
    program: 'node_modules/@yarnpkg/cli-dist/bin/yarn.js',
    args: ['install'],
    files: {
      // The loader is written only where an ES module is expected; an empty lockfile makes the folder a project of its own.
      '.yarnrc.yml': 'nodeLinker: pnp\npnpEnableEsmLoader: true\nenableGlobalCache: false\nenableScripts: false\n',
      'yarn.lock': '',
    },
    env: async () => {
      const npm = promisify(execFile)('npm', ['config', 'get', 'registry'], { shell: process.platform === 'win32' });
      return {
        YARN_NPM_REGISTRY_SERVER: (await npm).stdout.trim(),
        YARN_ENABLE_TELEMETRY: '0',
        // In what is called CI, Yarn refuses to write a lockfile.
        YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
      };
    },
  },
};

async function installOnce(name, what, install) {
  const target = join(cache, name);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  // Test files run at the same time: each installs into a folder of its own, and the first to finish wins.
  const folder = mkdtempSync(join(cache, '.install-'));
  try {
    await install(folder);
    renameSync(folder, target);
  } catch (error) {
    if (!existsSync(target)) throw new Error(`${what} could not be installed: ${whyOf(error)}`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return target;
}

/** The manager's own first line, where it can be told; the error's is the whole command. */
function whyOf({ stderr = '', stdout = '', message }) {
  const lines = `${stderr}\n${stdout}`.split('\n');
  const own = /^npm (error|ERR!) (?!code|syscall|errno)|ERR_PNPM|YN(?!0000|0013)\d{4}:.*[Ee]rror/;
  return lines.find((line) => own.test(line)) ?? message.split('\n')[0];
}

/** `@scope/name@1.2.3` as one folder name: `@scope~name-1.2.3`. */
function folderName(spec) {
  const [name, version] = nameAndVersion(spec);
  return `${name.replaceAll('/', '~')}-${version}`;
}

function nameAndVersion(spec) {
  const at = spec.lastIndexOf('@');
  return [spec.slice(0, at), spec.slice(at + 1)];
}
