import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { writeFolder } from '../support/packages';
import { root, runApp } from '../support/run-app';

const FIXTURES = 'test/e2e/fixtures/hygiene-shape';
const register = { mjs: pathToFileURL(join(root, 'register.mjs')).href, js: join(root, 'dist/register.js') };

describe('hygiene', () => {
  it('WR1, WR2, WR6: functions, classes and messages look and work as without the agent', async () => {
    const { traced } = await expectSameAsBare(`${FIXTURES}/shape.cjs`);
    for (const run of Object.values(traced))
      expect(run.spans.map(({ kind }) => kind).sort()).toEqual(['CLIENT', 'SERVER']);
  });

  it('WR1, WR2, WR3: replaced functions keep symbols, promisify and statics; what is read-only stays', async () => {
    const folder = writeFolder({
      'node_modules/thing/package.json': '{"name":"thing","version":"1.0.0"}',
      'node_modules/thing/index.js': `
        const util = require('util');
        const custom = Symbol('custom');
        exports.call = Object.assign(function call(a, b, done) { setImmediate(done, null, a + b, 'second'); }, { extra: { deep: 1 } });
        exports.call[custom] = 'kept';
        exports.call[util.promisify.custom] = (a, b) => Promise.resolve([a, b]);
        Object.defineProperty(exports.call, 'hidden', { value: 1 });
        exports.Class = class Class { constructor(x) { this.x = x; this.target = new.target === undefined ? 'none' : new.target.name; } static make() { return new this(1); } get double() { return this.x * 2; } };
        exports.Old = function Old(x) { if (!(this instanceof exports.Old)) return new exports.Old(x); this.x = x; };
        exports.Old.prototype.hello = function () { return 'hello ' + this.x; };
        exports.Old.static = () => 'static';
        Object.defineProperty(exports, 'readOnly', { value: function readOnly() {}, enumerable: true });
        Object.defineProperty(exports, 'getter', { get: () => function got() {}, enumerable: true, configurable: true });
        Object.defineProperty(exports, 'fixed', { value: function fixed() {}, writable: true, enumerable: true });
        exports.frozen = Object.freeze({ method() { return 1; } });
        exports.notFunction = 1;`,
      'trace.cjs': `module.exports = { name: 'thing', targets: [{ module: 'thing', patch(thing, tracing) {
        const operation = (name) => ({ kind: 2, name: () => name, attributes: () => ({}) });
        for (const key of ['call', 'Old', 'readOnly', 'getter', 'fixed', 'notFunction', 'missing', 'Class']) tracing.span(thing, key, operation(key));
        tracing.span(thing.frozen, 'method', operation('frozen'));
        tracing.span(thing.Class, 'make', operation('make'));
        tracing.span(thing.Old.prototype, 'hello', operation('hello'));
      } }] };`,
      'app.cjs': `
        const util = require('util');
        const thing = require('thing');
        const look = (fn) => Reflect.ownKeys(fn).sort((a, b) => String(a) < String(b) ? -1 : 1).map((key) => [String(key), Object.getOwnPropertyDescriptor(fn, key).enumerable, typeof fn[key], Object.getOwnPropertyDescriptor(fn, key).writable]);
        console.log(JSON.stringify(Object.keys(thing).concat(Object.getOwnPropertyNames(thing))));
        for (const fn of [thing.call, thing.Class, thing.Class.make, thing.Old, thing.Old.prototype.hello, thing.readOnly, thing.getter, thing.fixed, thing.frozen.method]) console.log(fn.name, fn.length, JSON.stringify(look(fn)));
        class Sub extends thing.Class {}
        class SubOld extends thing.Old {}
        console.log(Sub.make().double, Sub.make() instanceof thing.Class, Sub.make().target, new thing.Old(3).hello(), thing.Old(4).hello(), new thing.Old(1) instanceof thing.Old, new SubOld(5).hello(), thing.Old.static(), thing.frozen.method());
        (async () => {
          console.log(await util.promisify(thing.call)(1, 2));
          thing.call(1, 2, function (...args) { console.log(JSON.stringify(args), arguments.length); });
        })();`,
    });
    const env = { HOOKLINE_INSTRUMENTATIONS: join(folder, 'trace.cjs') };
    const { traced } = await expectSameAsBare(join(folder, 'app.cjs'), { cwd: folder, env });
    expect(traced.import!.spans.map(({ name }) => name).sort()).toEqual(
      // `new`, with and without a subclass, is no operation; `Old(4)` is.
      ['Old', 'call', 'hello', 'hello', 'hello', 'make', 'make', 'make'],
    );
  });

  it('WR4, WR5: results, errors and rejections are the originals, and each call runs once', async () => {
    const folder = writeFolder({
      'node_modules/thing/package.json': '{"name":"thing","version":"1.0.0"}',
      'node_modules/thing/index.js': `
        const { EventEmitter } = require('events');
        let calls = 0;
        exports.error = Object.freeze(Object.assign(new Error('frozen'), { code: 'X' }));
        exports.emitter = new EventEmitter();
        exports.thrower = () => { calls++; throw exports.error; };
        exports.rejecter = () => { calls++; return Promise.reject(exports.error); };
        exports.resolver = (value) => { calls++; return Promise.resolve(value); };
        exports.returner = () => { calls++; return exports.emitter; };
        exports.lazy = () => { calls++; return { then() { exports.ran = true; } }; };
        exports.callback = (done) => { calls++; done(exports.error); };
        exports.calls = () => calls;`,
      'trace.cjs': `module.exports = { name: 'thing', targets: [{ module: 'thing', patch(thing, tracing) {
        for (const key of ['thrower', 'rejecter', 'resolver', 'returner', 'lazy', 'callback']) tracing.span(thing, key, { kind: 2, name: () => key, attributes: () => ({}) });
      } }] };`,
      'app.cjs': `
        const thing = require('thing');
        let unhandled = 0;
        process.on('unhandledRejection', (reason) => { unhandled++; console.log('unhandled', reason === thing.error); });
        process.on('rejectionHandled', () => console.log('handled late'));
        (async () => {
          try { thing.thrower(); } catch (error) { console.log(error === thing.error); }
          await thing.rejecter().catch((error) => console.log(error === thing.error));
          thing.rejecter();
          const value = {};
          console.log((await thing.resolver(value)) === value, thing.resolver(1) instanceof Promise, thing.resolver(1).constructor === Promise);
          console.log(thing.returner() === thing.emitter, thing.emitter.eventNames().length);
          thing.lazy();
          console.log(thing.ran, thing.calls());
          try { thing.callback((error) => { console.log(error === thing.error); throw new Error('from the callback'); }); } catch (error) { console.log(error.message); }
          setTimeout(() => console.log(unhandled, thing.calls(), Object.keys(thing.error)), 5);
        })();`,
    });
    const env = { HOOKLINE_INSTRUMENTATIONS: join(folder, 'trace.cjs') };
    const { traced } = await expectSameAsBare(join(folder, 'app.cjs'), { cwd: folder, env });
    expect(traced.import!.spans).toHaveLength(9);
  });

  it.each(['true', 'TRUE', ' true '])(
    'WR7: with OTEL_SDK_DISABLED="%s" nothing is replaced, loaded or started',
    async (value) => {
      const env = { OTEL_SDK_DISABLED: value };
      await expectSameAsBare(`${FIXTURES}/footprint.cjs`, { env, preloads: ['require', 'node-options-require'] });
      for (const preload of [
        ['--import', register.mjs],
        ['--require', register.js],
      ]) {
        const original = join(root, FIXTURES, 'original.cjs');
        const result = await runApp(undefined, {
          preload: 'none',
          env,
          execArgv: ['--require', original, ...preload, '-p', 'current().every((fn, i) => fn === originals[i])'],
        });
        expect(result).toMatchObject({ stdout: 'true\n', stderr: '', code: 0, spans: [] });
      }
      // The ES module entry does not even read the CommonJS one.
      const { stdout } = await runApp(`${FIXTURES}/footprint.cjs`, { env, preload: 'import' });
      expect(JSON.parse(stdout)).toMatchObject({ loaded: [], prototype: true, api: false, agent: false });
    },
  );

  it("WR8: another tool's wrappers stay, whichever came first", async () => {
    const folder = writeFolder({
      'wrap.cjs': `
        const http = require('http');
        globalThis.seen = 0;
        for (const [owner, key] of [[http, 'request'], [http, 'get'], [http.Server.prototype, 'emit'], [module.constructor.prototype, 'require']]) {
          const original = owner[key];
          const wrapper = function (...args) { globalThis.seen++; return Reflect.apply(original, this, args); };
          wrapper.__original = original;
          wrapper.__unwrap = () => { if (owner[key] === wrapper) owner[key] = original; };
          wrapper.__wrapped = true;
          owner[key] = wrapper;
          (globalThis.wrappers ??= []).push(wrapper);
        }`,
      'app.cjs': `
        const http = require('http');
        const server = http.createServer((_, response) => response.end());
        const once = () => new Promise((resolve) => http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (answer) => answer.resume().on('end', resolve)));
        server.listen(0, '127.0.0.1', async () => {
          const before = globalThis.seen;
          await once();
          console.log(globalThis.seen > before, http.get.__wrapped, typeof http.request.__unwrap);
          for (const wrapper of globalThis.wrappers) wrapper.__unwrap();
          await once();
          server.close();
        });`,
    });
    const wrap = ['--require', join(folder, 'wrap.cjs')];
    for (const execArgv of [
      [...wrap, '--require', register.js],
      ['--require', register.js, ...wrap],
    ]) {
      const result = await runApp(join(folder, 'app.cjs'), { preload: 'none', execArgv });
      expect(result).toMatchObject({ stdout: 'true true function\n', stderr: '', code: 0 });
      expect(result.spans.map(({ kind }) => kind).sort()).toEqual(['CLIENT', 'CLIENT', 'SERVER', 'SERVER']);
    }
  });
});
