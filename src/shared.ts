/**
 * Modules with a state of their own, for files that are built apart (scripts/build.mjs): a copy would be a second log, clock
 * or context. On the global object, because applications that reload themselves empty `require.cache`, and a second agent
 * with a second context storage would come of it.
 */
const KEY = Symbol.for('hookline.shared');

export function share(modules: Readonly<Record<string, unknown>>): void {
  const host = globalThis as { [KEY]?: object };
  if (host[KEY] === undefined) Object.defineProperty(globalThis, KEY, { value: {}, configurable: true });
  Object.assign(host[KEY] as object, modules);
}
