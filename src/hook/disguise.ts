// biome-ignore lint/suspicious/noExplicitAny: any function of a library
export type AnyFunction = (...args: any[]) => any;

/** Makes `replacement` look like `original`. Every own key, since libraries hang symbols on functions (util.promisify.custom). */
export function disguise(replacement: AnyFunction, original: AnyFunction): AnyFunction {
  for (const key of Reflect.ownKeys(original)) {
    const descriptor = Object.getOwnPropertyDescriptor(original, key);
    const existing = Object.getOwnPropertyDescriptor(replacement, key);
    if (descriptor === undefined) continue;
    if (existing !== undefined && !existing.configurable) {
      // `prototype` of an ordinary function: not configurable, but writable; that of a class is not even that.
      if (existing.writable && 'value' in descriptor) {
        Object.defineProperty(replacement, key, { value: descriptor.value, writable: descriptor.writable === true });
      }
      continue;
    }
    Object.defineProperty(replacement, key, descriptor);
  }
  const proto = Object.getPrototypeOf(original);
  if (Object.getPrototypeOf(replacement) !== proto) Object.setPrototypeOf(replacement, proto);
  return replacement;
}
