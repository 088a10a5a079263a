import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { definitions } from '../instrumentations/index';
import { withProbes } from '../scripts/internal-faults/probes.mjs';
import { root } from './support/run-app';

/** Runs `code` with probes, of which the one whose id ends with `failing` throws; what `run()` returns, and who was reached. */
function play(code: string, failing?: string): { result: unknown; reached: string[] } {
  const reached: string[] = [];
  const context = {
    __hooklineFault: (id: string) => {
      const [place = '', name = ''] = id.split(' ');
      expect(place).toMatch(/^file\.ts:\d+$/);
      reached.push(name);
      if (name === failing) throw new Error(`injected into ${name}`);
    },
  };
  const probed = withProbes(code, 'file.ts', ({ line }) => line);
  let result: unknown;
  try {
    result = runInNewContext(`${probed}\nrun();`, context);
  } catch (error) {
    result = (error as Error).message;
  }
  return { result, reached };
}

describe('a probe', () => {
  it('is in every function that does something, by the name of where it stands', () => {
    const { result, reached } = play(`
      const arrow = (text) => text.trim();
      const object = { caller() { return arrow(' b ').length; }, literal: () => ({ size: String(1).length }) };
      class Class {
        #field = [1].concat(2);
        get size() { return this.#field.length + Number('1'); }
        #inner() { return Number('3'); }
        method() { return this.#inner() + 1; }
        async later() { return (await null) ?? Number('4'); }
        *each() { yield* this.#field; }
      }
      function run() {
        const it = new Class();
        it.later();
        return [object.caller(), object.literal().size, it.size, it.method(), ...it.each()].join();
      }`);
    expect(result).toBe('1,1,3,4,1,2');
    expect(reached).toEqual([
      'run',
      'Class.later',
      'arrow',
      'literal',
      'Class.get',
      'Class.method',
      'Class.#inner',
      'Class.each',
    ]);
  });

  it('throws where the function takes its first step, in a try when that stands in one', () => {
    const code = `
      function original() { return String('original'); }
      function replaced() {
        let found;
        try {
          found = Number('1');
        } catch {
          found = undefined;
        }
        const result = Reflect.apply(original, this, arguments);
        return found === undefined ? result + ' without us' : result;
      }
      const run = () => replaced();`;
    expect(play(code).result).toBe('original');
    expect(play(code, 'replaced').result).toBe('original without us');
    expect(play(code, 'original').result).toBe('injected into original');
  });

  it('of a function with a step outside of its try is thrown at whoever called it', () => {
    for (const body of [
      "const size = Number('1'); try { return size; } catch { return 0; }",
      'const [length = Number(1)] = arguments; try { return length; } catch { return 0; }',
      "try { return Reflect.apply(String, null, ['a']); } finally { Number('1'); }",
    ]) {
      expect(play(`function replaced() { ${body} } const run = () => replaced();`, 'replaced').result).toBe(
        'injected into replaced',
      );
    }
  });

  it('is left out where nothing could throw: values are named, and functions with probes of their own called', () => {
    const { reached } = play(`
      const state = { on: true };
      function inner(value) { return typeof value === 'string' ? value.trim() : value; }
      function handOver() { if (state.on !== true) return undefined; const value = arguments[0]; return inner(value); }
      const run = () => handOver(' a ');`);
    expect(reached).toEqual(['inner']);
  });

  it('is inside of branches that are taken without a step', () => {
    const code = `
      function replaced(on) {
        let found = 0;
        if (on === true) {
          try {
            found = Number('1');
          } catch {
            found = -1;
          }
        }
        return found;
      }`;
    for (const [on, name, result] of [
      ['true', undefined, 1],
      ['true', 'replaced', -1],
      ['false', 'replaced', 0],
    ] as const) {
      expect(play(`${code} const run = () => replaced(${on});`, name).result).toBe(result);
    }
  });

  it('is on each path that takes a first step of its own', () => {
    const code = `
      function replaced(original) {
        let result;
        try {
          result = Reflect.apply(original, this, []);
        } catch (error) {
          String(error);
          throw error;
        }
        Number('1');
        return result;
      }`;
    const returns = `${code} const run = () => replaced(() => 'value');`;
    const throws = `${code} const run = () => replaced(() => { throw new RangeError('its own'); });`;
    expect([play(returns).result, play(throws).result]).toEqual(['value', 'its own']);
    for (const path of [returns, throws]) expect(play(path, 'replaced').result).toBe('injected into replaced');
  });
});

it('has a scenario for each instrumentation', () => {
  const list = execFileSync(process.execPath, [join(root, 'scripts/internal-faults.mjs'), '--list'], {
    encoding: 'utf8',
  });
  const scenarios = list.trim().split('\n');
  // The one of undici is called after what most applications use of it.
  // An application of Next.js has to be built first, which takes longer than all of a brief run.
  const played = definitions.filter(({ name }) => name !== 'next');
  const names = played.map(({ name }) => (name === 'undici' ? 'fetch' : name));
  expect(scenarios).toEqual(expect.arrayContaining(names));
});
