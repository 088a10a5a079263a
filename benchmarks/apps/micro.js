// node micro.js <bundle of a file of micro/> <case> <windows> <calls> [folder of a peer]: CPU nanoseconds per call, by window.
const { createRequire } = require('node:module');
const { join } = require('node:path');

const [, , bundle, name, windowCount, callCount, folder] = process.argv;
const BURST = 512;

async function main() {
  const micro = require(bundle).default;
  const peer = folder && createRequire(join(folder, 'package.json'));
  const made = await micro.cases[name].make(peer);
  const { call, after } = typeof made === 'function' ? { call: made } : made;
  const calls = Number(callCount);
  let result = 0;
  const measure = async () => {
    const before = process.cpuUsage();
    for (let i = 0; i < calls; ) {
      const end = Math.min(i + BURST, calls);
      for (; i < end; i++) result += call(i);
      if (after !== undefined) await after();
    }
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / calls;
  };
  await measure();
  const windows = [];
  while (windows.length < Number(windowCount)) windows.push(await measure());
  if (!(result > 0)) throw new Error(`${name} did nothing`);
  console.log(JSON.stringify({ windows }));
}

main();
