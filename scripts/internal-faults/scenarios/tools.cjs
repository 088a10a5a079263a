// What the scenarios have in common. Each exports `start()`, which resolves to `{ round(seen), stop() }`: a round does the
// same every time and writes into `seen` all that the application can see of it. Nothing in there may depend on time or ports.

/** Fields that the agent may add to what goes over the wire, in whichever case the other side shows them. */
const ADDED = /^(traceparent|tracestate|baggage)$/i;

/** A list of what happens to one object, in order. */
exports.events = (emitter, names) => {
  const list = [];
  for (const name of names) emitter.on(name, (...args) => list.push([name, ...args.map(exports.brief)]));
  return list;
};

/** Strings, numbers and errors as they are; of other objects that there is one. */
exports.brief = (value) => {
  if (value instanceof Error) return exports.failure(value);
  if (Buffer.isBuffer(value)) return value.toString();
  return typeof value === 'object' && value !== null ? 'object' : String(value);
};

/** What makes an error the same error, without addresses. */
exports.failure = (error) =>
  `${error?.name} ${error?.code ?? ''} ${String(error?.message ?? error).replace(/:\d{4,5}\b/g, ':PORT')}`;

/** An object's own entries without what the agent adds. */
exports.without = (headers) =>
  Object.fromEntries(
    Object.entries(headers ?? {})
      .filter(([name]) => !ADDED.test(name))
      .sort(),
  );

exports.deferred = () => {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
};

/** The outcome of a promise, or of a function that may throw. */
exports.outcome = async (promise, read = (value) => value) => {
  try {
    return read(await (typeof promise === 'function' ? promise() : promise));
  } catch (error) {
    return exports.failure(error);
  }
};

/** Resolves with the event's arguments; unlike `events.once` never rejects. */
exports.once = (emitter, name) => new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));

/** Calls a function with a callback at the end, and keeps how often that was called and with what. */
exports.called = (call, read = (value) => value) => {
  const { promise, resolve, reject } = exports.deferred();
  let times = 0;
  const callback = (...args) => {
    times++;
    resolve({
      get times() {
        return times;
      },
      arguments: args.length,
      error: args[0] ? exports.failure(args[0]) : undefined,
      value: args[0] ? undefined : read(...args.slice(1)),
    });
  };
  try {
    call(callback);
  } catch (error) {
    reject(error);
  }
  return promise;
};
