// Reads what node:test's own TAP reporter wrote. A reporter of ours would be a module that Node loads while the tests wait, some turns of
// the event loop in which all that a file begins outside of its tests goes on: servers of Fastify have started then, and refuse the
// routes that the first test adds.
import { counting } from './results.mjs';

/** One level of nesting. */
const INDENT = 4;

const SUBTEST = /^( *)# Subtest: (.*)$/;
const RESULT = /^( *)(not )?ok \d+(?: - (.*?))?( # (?:SKIP|TODO)\b.*)?$/;

/**
 * Tests by name, with the names of those that they are in. Names that occur more than once are numbered, in the order in which they ended.
 * @returns Map of name to `{ outcome, why? }`; `why` is what TAP says about a failure
 */
export function parseTap(text) {
  const tests = new Map();
  const add = counting(tests);
  const open = [];
  // The last line is empty, or half a line: a process can end while it is written.
  const lines = text.split('\n').slice(0, -1);
  for (let at = 0; at < lines.length; at++) {
    const begun = SUBTEST.exec(lines[at]);
    if (begun) {
      const level = begun[1].length / INDENT;
      open.length = Math.min(open.length, level);
      open[level] = unescaped(begun[2]);
      continue;
    }
    const result = RESULT.exec(lines[at]);
    if (!result) continue;
    const [, indent, failed, name = '', directive] = result;
    // Errors may look like results.
    const details = detailsAfter(lines, at, `${indent}  `);
    at += details.length;
    const outcome = directive ? 'skipped' : failed ? 'failed' : 'passed';
    const names = [...open.slice(0, indent.length / INDENT), unescaped(name)];
    add(names.join(' > '), { outcome, ...(outcome === 'failed' && { why: details.slice(1, -1).join('\n') }) });
  }
  return tests;
}

/** The lines of the block that follows the result in this line, which is as indented as that and two spaces more. */
function detailsAfter(lines, at, indent) {
  if (lines[at + 1] !== `${indent}---`) return [];
  const end = lines.indexOf(`${indent}...`, at + 1);
  return lines.slice(at + 1, end === -1 ? undefined : end + 1);
}

function unescaped(name) {
  return name.replace(/\\(.)/g, '$1');
}
