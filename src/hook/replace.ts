import { types } from 'node:util';
import shimmer from 'shimmer';
import { log } from '../log';
import { type AnyFunction, disguise } from './disguise';

let ready = false;

/**
 * Replaces `owner[method]`. The replacement keeps name, length, prototype, own properties and symbols, so that
 * promisify, statics and `instanceof` work as before. A missing, read-only or accessor member is left alone.
 * Returns whether it was replaced.
 */
export function replace(owner: object, method: string, make: (original: AnyFunction) => AnyFunction): boolean {
  if (!ready) {
    shimmer({ logger: (text) => log.debug(text) });
    ready = true;
  }
  if (!isReplaceable(owner, method)) {
    log.debug(`${method} cannot be replaced: it is missing, read-only or an accessor`);
    return false;
  }
  const original = (owner as Record<string, AnyFunction>)[method] as AnyFunction;
  const replacement = disguise(likeMethod(make(callable(owner, method, original)), original), original);
  if (typeof owner.propertyIsEnumerable === 'function') {
    shimmer.wrap(owner as Record<string, AnyFunction>, method, () => replacement);
    hideShimmer(replacement, original);
  } else {
    // shimmer asks the object itself; one without a prototype, as namespaces are, cannot answer.
    (owner as Record<string, AnyFunction>)[method] = replacement;
  }
  return true;
}

/**
 * What a replacement is to call. One that `owner` inherits is looked up anew each time: whoever replaces it further up
 * afterwards, as `node:domain` does with `EventEmitter.prototype.emit`, reaches `owner` too, as without us.
 */
function callable(owner: object, method: string, original: AnyFunction): AnyFunction {
  if (Object.hasOwn(owner, method)) return original;
  const parent = Object.getPrototypeOf(owner) as Record<string, AnyFunction>;
  return function (this: unknown): unknown {
    return Reflect.apply(parent[method] as AnyFunction, this, arguments);
  };
}

/**
 * Methods of classes and arrow functions have no `prototype` and cannot be constructed, so neither can what stands for
 * them. A call more, which the compiler inlines.
 */
function likeMethod(replacement: AnyFunction, original: AnyFunction): AnyFunction {
  if (Object.hasOwn(original, 'prototype') || !Object.hasOwn(replacement, 'prototype')) return replacement;
  return {
    method(this: unknown): unknown {
      return Reflect.apply(replacement, this, arguments);
    },
  }.method;
}

/**
 * shimmer leaves three properties on a replacement; the application would see them among the function's own keys.
 * Those of another tool's wrapper below ours come back, so that undoing that tool still finds what it looks for.
 */
function hideShimmer(replacement: AnyFunction, original: AnyFunction): void {
  for (const key of ['__original', '__unwrap', '__wrapped']) {
    const descriptor = Object.getOwnPropertyDescriptor(original, key);
    if (descriptor === undefined) delete (replacement as unknown as Record<string, unknown>)[key];
    else Object.defineProperty(replacement, key, descriptor);
  }
}

function isReplaceable(owner: object, method: string): boolean {
  if (typeof (owner as Record<string, unknown>)[method] !== 'function') return false;
  // import-in-the-middle's stand-in for a namespace: accessors that take assignments. A real namespace takes none.
  if ((owner as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'Module') {
    return !types.isModuleNamespaceObject(owner);
  }
  for (let holder: object | null = owner; holder !== null; holder = Object.getPrototypeOf(holder)) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, method);
    if (descriptor === undefined) continue;
    if (descriptor.get !== undefined || descriptor.set !== undefined) return false;
    if (holder === owner) return descriptor.configurable === true;
    return Object.isExtensible(owner);
  }
  return false;
}
