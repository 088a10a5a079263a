// node micro.js <bundle of a file of micro/> <case> <windows> <calls> [folder of a peer]: CPU nanoseconds per call, by window.
const { createRequire } = require('node:module');
const { join } = require('node:path');

const [, , bundle, name, windowCount, callCount, folder] = process.argv;

async function main() {
  const micro = require(bundle).default;
  const peer = folder && createRequire(join(folder, 'package.json'));
  const call = await micro.cases[name].make(peer);
  const calls = Number(callCount);
  let result = 0;
  const measure = () => {
    const before = process.cpuUsage();
    for (let i = 0; i < calls; i++) result += call(i);
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / calls;
  };
  measure();
  const windows = Array.from({ length: Number(windowCount) }, measure);
  if (!(result > 0)) throw new Error(`${name} did nothing`);
  console.log(JSON.stringify({ windows }));
}

main();
