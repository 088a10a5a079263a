// Does loading many modules take longer under the agent? A thousand small modules that load each other, as a tree.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startUpRounds } from './startup.mjs';

const MODULES = 1000;
const CHILDREN = 3;

const KINDS = {
  cjs: {
    title: 'CommonJS',
    extension: 'js',
    load: (children) => children.map((i) => `const m${i} = require('./m${i}.js');`),
    offer: (children) => `exports.sum = (n) => n${children.map((i) => ` + m${i}.sum(n)`).join('')};`,
    main: "const { sum } = require('./m0.js');\nconst { writeSync } = require('node:fs');",
  },
  esm: {
    title: 'ES modules',
    extension: 'mjs',
    load: (children) => children.map((i) => `import * as m${i} from './m${i}.mjs';`),
    offer: (children) => `export const sum = (n) => n${children.map((i) => ` + m${i}.sum(n)`).join('')};`,
    main: "import { writeSync } from 'node:fs';\nimport { sum } from './m0.mjs';",
  },
};

/** @type {import('./index.mjs').Benchmark[]} */
export const GRAPH = Object.entries(KINDS).map(([kind, { title }]) => ({
  name: `graph-${kind}`,
  group: 'startup',
  async run(bench) {
    const script = writeGraph(join(bench.apps, `graph-${kind}`), kind);
    return [
      {
        name: `graph-${kind}`,
        title: `start-up: graph of ${MODULES.toLocaleString('en')} modules, ${title}`,
        unit: 'ms',
        compare: 'difference',
        rounds: await startUpRounds(script, 'import', bench),
        target: { over: 0.03 },
      },
    ];
  },
}));

function writeGraph(folder, kind) {
  const { extension, load, offer, main } = KINDS[kind];
  mkdirSync(folder, { recursive: true });
  for (let i = 0; i < MODULES; i++) {
    const children = Array.from({ length: CHILDREN }, (_, child) => i * CHILDREN + child + 1).filter(
      (n) => n < MODULES,
    );
    const text = [...load(children), ...filler(i, kind), offer(children)].join('\n');
    writeFileSync(join(folder, `m${i}.${extension}`), `${text}\n`);
  }
  const script = join(folder, `main.${extension}`);
  writeFileSync(
    script,
    `${main}\nif (sum(1) !== ${MODULES}) throw new Error('a module is missing');\nprocess.on('exit', () => writeSync(1, JSON.stringify(process.cpuUsage())));\n`,
  );
  return script;
}

/** As much to read and compile as a small module of an application has. */
function filler(i, kind) {
  const names = Array.from({ length: 12 }, (_, n) => `helper${i}_${n}`);
  const functions = names.map(
    (name, n) =>
      `function ${name}(value, options = {}) {\n  if (value === undefined) throw new TypeError('${name} needs a value');\n  return { ...options, value: String(value).slice(0, ${n + 8}), at: ${n} };\n}`,
  );
  const list = names.join(', ');
  return [...functions, kind === 'cjs' ? `exports.helpers = { ${list} };` : `export const helpers = { ${list} };`];
}
