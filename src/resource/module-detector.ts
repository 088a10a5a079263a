import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { loadPlugin, type Plugin } from '../load-module';
import { cut, defineAttribute, keysOf } from '../trace/attributes';

/** What a resource may hold of one foreign detector. */
const MAX_ATTRIBUTES = 128;
const MAX_KEY_LENGTH = 256;
const MAX_VALUE_LENGTH = 4096;
const MAX_ITEMS = 128;

/** A detector of any SDK line, as far as it is used. What `detect` gives is looked at in `attributesOf`. */
interface Detector {
  detect(config: object): unknown;
}

/**
 * Runs somebody else's resource detector, given as a package or path, with the name of the export behind `#` where it is not the
 * default one or the only one. Rejects with an Error that says what is wrong. To be called in a context that is not traced.
 */
export async function detectWithModule(specifier: string): Promise<Attributes> {
  const detector = await loadPlugin(specifier, DETECTOR);
  return attributesOf(await detector.detect({}));
}

const DETECTOR: Plugin<Detector> = {
  is: isDetector,
  isMeant: (_name, value) => isDetector(value) || isDetectorClass(value),
  fault: 'what it exports has no detect() method',
};

/**
 * What `detect` gave: a resource of SDK 1.x, which says when its attributes are there, or what SDK 2.x and later call a detected
 * resource, whose values may each be a promise. A value that rejects is left out, like one that no attribute can have.
 */
async function attributesOf(detected: unknown): Promise<Attributes> {
  if (!isObject(detected)) throw new Error('its detect() gives no resource');
  const { asyncAttributesPending, waitForAsyncAttributes } = detected;
  if (asyncAttributesPending === true && typeof waitForAsyncAttributes === 'function') {
    await waitForAsyncAttributes.call(detected);
  }
  const values = detected['attributes'] ?? {};
  if (!isObject(values)) throw new Error('its detect() gives no attributes');
  // All of them are awaited: a rejection that nobody handles would end the process.
  const entries = keysOf(values).map(async (key) => [key, await settled(values, key)] as const);
  const attributes: Attributes = {};
  let count = 0;
  for (const [key, given] of await Promise.all(entries)) {
    const value = toValue(given);
    if (value === undefined || key === '' || key.length > MAX_KEY_LENGTH || count === MAX_ATTRIBUTES) continue;
    defineAttribute(attributes, key, value);
    count++;
  }
  return attributes;
}

async function settled(values: Record<string, unknown>, key: string): Promise<unknown> {
  try {
    return await values[key];
  } catch {
    return undefined;
  }
}

/** A copy of what an attribute can have (specification: common/README.md, "Attribute"); `undefined` for the rest and for empty text. */
function toValue(value: unknown): AttributeValue | undefined {
  if (typeof value === 'string') return value === '' ? undefined : cut(value, MAX_VALUE_LENGTH);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (!Array.isArray(value)) return undefined;
  const items = value.slice(0, MAX_ITEMS);
  const type = typeof items[0];
  const isPlain = type === 'string' || type === 'number' || type === 'boolean';
  if (!isPlain || items.some((item) => typeof item !== type)) return undefined;
  return items.map((item) => (typeof item === 'string' ? cut(item, MAX_VALUE_LENGTH) : item)) as AttributeValue;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isDetector(value: unknown): value is Detector {
  const isHolder = isObject(value) || typeof value === 'function';
  return isHolder && typeof (value as Record<string, unknown>)['detect'] === 'function';
}

function isDetectorClass(value: unknown): boolean {
  return typeof value === 'function' && isDetector(value.prototype);
}
