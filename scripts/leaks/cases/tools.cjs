// What the cases have in common.
const { createRequire } = require('node:module');
const { join } = require('node:path');

/** A package of the version under test: PACKAGES is the folder that it was installed in. */
exports.load = (name) => createRequire(join(process.env.PACKAGES, 'noop.js'))(name);

/**
 * Keeps what an application leaves behind (a body that nobody reads, a request that never ends), and lets go of the oldest
 * beyond `size`: so an application that is careless has a steady state too.
 */
exports.leftBehind = (letGo, size = 20) => {
  const held = [];
  return (thing) => {
    held.push(thing);
    if (held.length > size) letGo(held.shift());
  };
};

/** Rejects unless the promise does; so a variant that is about a failure has one. */
exports.failing = async (promise) => {
  let value;
  try {
    value = await promise;
  } catch {
    return;
  }
  throw new Error(`should have failed, and gave ${String(value)}`);
};

/** Resolves with the arguments of the event, or of `error`, without listeners that stay. */
exports.event = (emitter, ...names) =>
  new Promise((resolve) => {
    const listeners = names.map((name) => [name, (value) => finish({ name, value })]);
    const finish = (outcome) => {
      for (const [name, listener] of listeners) emitter.removeListener(name, listener);
      resolve(outcome);
    };
    for (const [name, listener] of listeners) emitter.on(name, listener);
  });

/**
 * How many different statements, or names of queues, there are: as many as operations where the caches of them (2,000 statements,
 * 1,000 names) are full long before the last look.
 */
exports.texts = Number(process.env.OPERATIONS) < 200_000 ? 20 : Number.POSITIVE_INFINITY;

exports.ignore = () => {};

/**
 * A port where nobody listens. Not one that was free a moment ago, which another process may be given meanwhile: it is below those that
 * are given out, and none that `fetch` refuses to call (https://fetch.spec.whatwg.org/#port-blocking).
 */
exports.CLOSED_PORT = 3;
