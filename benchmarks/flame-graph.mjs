// Draws where the CPU time of a process went: a V8 profile (`node --cpu-prof`) as an SVG flame graph.
//
//   node benchmarks/flame-graph.mjs profile.cpuprofile picture.svg 'Title'
//
// Each box is a function, as wide as its share of the samples, above the function that called it. The agent's own
// functions are red, Node's are grey, all else is blue. Idle time is left out.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const WIDTH = 1200;
const ROW = 16;
/** Narrower boxes are not drawn: they could not be read and are most of the file. */
const MIN_WIDTH = 0.6;
/** Width of a letter of the 11-pixel font. */
const LETTER = 6.2;

/** @typedef {{ name: string, kind: 'agent' | 'node' | 'other', samples: number, children: Map<string, Frame> }} Frame */

/** Merges calls of the same function below the same callers into one box. */
export function readProfile({ nodes, samples }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parentOf = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])));
  const root = frame('all', 'other');
  for (const id of samples) {
    const stack = [];
    for (let at = id; at !== undefined; at = parentOf.get(at)) stack.push(byId.get(at).callFrame);
    if (stack.some(({ functionName }) => functionName === '(idle)')) continue;
    root.samples++;
    let current = root;
    // Without V8's own root.
    for (const { functionName, url } of stack.reverse().slice(1)) {
      const name = functionName || '(anonymous)';
      const kind = kindOf(url);
      const key = `${kind} ${name}`;
      let next = current.children.get(key);
      if (next === undefined) {
        next = frame(name, kind);
        current.children.set(key, next);
      }
      next.samples++;
      current = next;
    }
  }
  return root;
}

function frame(name, kind) {
  return { name, kind, samples: 0, children: new Map() };
}

function kindOf(url) {
  if (url.startsWith('node:') || url === '') return 'node';
  return /\/(hookline|dist)\//.test(url) && !url.includes('/benchmarks/') ? 'agent' : 'other';
}

/** The share of samples that have a function of the agent's anywhere. */
export function agentShare(root) {
  const count = ({ kind, samples, children }) =>
    kind === 'agent' ? samples : [...children.values()].reduce((sum, child) => sum + count(child), 0);
  return root.samples === 0 ? 0 : count(root) / root.samples;
}

export function draw(root, title) {
  const boxes = [];
  let depth = 0;
  const place = ({ name, kind, samples, children }, x, level) => {
    const width = (samples / root.samples) * WIDTH;
    if (width < MIN_WIDTH) return;
    depth = Math.max(depth, level);
    boxes.push({ name, kind, x, width, level, share: samples / root.samples });
    let at = x;
    for (const child of [...children.values()].sort((a, b) => b.samples - a.samples)) {
      place(child, at, level + 1);
      at += (child.samples / root.samples) * WIDTH;
    }
  };
  place(root, 0, 0);
  const height = (depth + 1) * ROW + 34;
  const color = { agent: '#d9534f', node: '#c9ccd1', other: '#8fb8de' };
  const lines = boxes.map(({ name, kind, x, width, level, share }) => {
    const y = height - (level + 1) * ROW - 4;
    const label = `${name} ${(share * 100).toFixed(1)} %`;
    const room = Math.floor((width - 4) / LETTER);
    const text = room < 3 ? '' : escapeXml(name.length > room ? `${name.slice(0, room - 1)}…` : name);
    return (
      `<g><title>${escapeXml(label)}</title>` +
      `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${color[kind]}"/>` +
      (text === '' ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 11}">${text}</text>`) +
      '</g>'
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="11">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="6" y="18" font-size="14">${escapeXml(title)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n');
}

function escapeXml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , from, to, title = ''] = process.argv;
  const root = readProfile(JSON.parse(readFileSync(from, 'utf8')));
  writeFileSync(to, draw(root, title));
  console.log(`${to}: ${root.samples} samples, ${(agentShare(root) * 100).toFixed(1)} % with the agent on the stack`);
}
