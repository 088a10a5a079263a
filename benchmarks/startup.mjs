// How much CPU does the agent take until a small application is up?
import { PRELOADS, runScript } from './lib/processes.mjs';
import { interleave } from './lib/statistics.mjs';

const APPS = {
  'empty script, CommonJS': 'apps/empty.js',
  'empty script, ES modules': 'apps/empty.mjs',
  'http app, CommonJS': 'apps/http.js',
  'http app, ES modules': 'apps/http.mjs',
};

export async function run({ quick }) {
  const variants = {};
  for (const [app, script] of Object.entries(APPS)) {
    for (const [preload, nodeArguments] of Object.entries(PRELOADS)) {
      variants[`${app}, ${preload}`] = () => {
        const { user, system } = runScript(script, { nodeArguments });
        return (user + system) / 1000;
      };
    }
  }
  const results = await interleave(variants, quick ? 15 : 50);
  return Object.keys(APPS).flatMap((app) =>
    ['import', 'require'].map((preload) => ({
      name: `start-up: ${app}, --${preload}`,
      unit: 'ms CPU',
      base: results[`${app}, none`],
      agent: results[`${app}, ${preload}`],
    })),
  );
}
