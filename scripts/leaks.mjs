// Runs each library's operations many times (normal, failing, aborted, never read, never ended, …), bare and under the agent
// with a collector that answers and one that is not there, and prints by how many bytes the heap grew with each operation. Ends
// with an error where that is more under the agent.
//
//   npm run test:leaks                              200,000 operations of every library, three times: hours
//   npm run test:leaks -- --operations 5000         fewer
//   npm run test:leaks -- http pg                   of these libraries
//   npm run test:leaks -- "http/never read"         of one variant
import { request } from 'node:http';
import { LIBRARIES, measure, verdictOf } from './leaks/measure.mjs';
import { startServers } from './servers/start.mjs';

const args = process.argv.slice(2);
const at = args.indexOf('--operations');
const operations = at < 0 ? 200_000 : Number(args.splice(at, 2)[1]);
const asked = args.length > 0 ? args : Object.keys(LIBRARIES);
const unknown = asked.filter((name) => !Object.hasOwn(LIBRARIES, name.split('/')[0]));
if (unknown.length > 0 || !(operations >= 1_000)) {
  console.error(`leaks: ${unknown.join(', ') || '--operations has to be 1000 or more'}`);
  process.exit(1);
}

const servers = await startServers();
const rows = [];
try {
  console.log(`${operations} operations each, bytes per operation\n`);
  print('library', 'bare', 'traced', 'collector away', 'delivered', 'verdict');
  for (const name of asked) rows.push(await row(name));
} finally {
  await servers.close();
}
const leaking = rows.filter(({ problems }) => problems.length > 0);
console.log(`\nleaks: ${rows.length - leaking.length} of ${rows.length} as flat as without the agent`);
for (const { name, problems } of leaking) for (const problem of problems) console.log(`${name}: ${problem}`);
process.exitCode = leaking.length > 0 ? 1 : 0;

async function row(name) {
  const [library, variants] = name.split('/');
  const options = { operations, points: 20, variants, serviceUrl: await lend(LIBRARIES[library].service) };
  try {
    const bare = await measure(library, { ...options, mode: 'bare' });
    const up = await measure(library, { ...options, mode: 'up' });
    const down = await measure(library, { ...options, mode: 'down' });
    const problems = verdictOf({ bare, up, down }, operations);
    const bytes = [bare, up, down].map(({ bytesPerOperation }) => bytesPerOperation.toFixed(2));
    print(name, ...bytes, up.exported, problems.length > 0 ? 'grows' : 'flat');
    return { name, problems };
  } catch (error) {
    print(name, '', '', '', '', 'did not run');
    return { name, problems: [error.message] };
  }
}

function print(...cells) {
  const widths = [16, 10, 10, 16, 12, 10];
  console.log(
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join(''),
  );
}

/** A database or broker of this run's own; it is dropped at the end. */
function lend(service) {
  if (service === undefined) return undefined;
  return new Promise((resolve, reject) => {
    const url = `${process.env.HOOKLINE_TEST_SERVERS}/${service}`;
    request(url, { method: 'POST', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const answer = JSON.parse(text);
        if (answer.error === undefined) resolve(answer.url);
        else reject(new Error(answer.error));
      });
    })
      .on('error', reject)
      .end();
  });
}
