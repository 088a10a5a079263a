import type { Attributes } from '@opentelemetry/api';
import type { Glob } from './glob';
import { hostOf } from './request';

// Whether a request is meant by the patterns of a rule, whoever wrote the rule.

/** Longer values of attributes are matched by their beginning: a forgotten body must not be searched for each request. */
export const MAX_VALUE_LENGTH = 16_384;

/** What one attribute has to be; of several patterns, one. */
export interface AttributePattern {
  readonly key: string;
  readonly patterns: readonly Glob[];
}

/** Whether one pattern matches; nothing matches what is not there. */
export function some(patterns: readonly Glob[], text: string | undefined): boolean {
  if (text === undefined) return false;
  const bounded = text.length > MAX_VALUE_LENGTH ? text.slice(0, MAX_VALUE_LENGTH) : text;
  for (const pattern of patterns) if (pattern.matches(bounded)) return true;
  return false;
}

/** Patterns in lower case, with or without the port. */
export function hostMatches(patterns: readonly Glob[], attributes: Attributes | undefined): boolean {
  const host = hostOf(attributes);
  return host !== undefined && (some(patterns, host.address) || some(patterns, host.withPort));
}

/** Whether all of them match. Of a list, one item has to. `ignoreCase`: the patterns are in lower case. */
export function attributesMatch(
  wanted: readonly AttributePattern[],
  attributes: Attributes | undefined,
  ignoreCase = false,
): boolean {
  if (attributes === undefined) return false;
  const matches = (patterns: readonly Glob[], value: unknown): boolean => {
    const text = String(value);
    return some(patterns, ignoreCase ? text.slice(0, MAX_VALUE_LENGTH).toLowerCase() : text);
  };
  return wanted.every(({ key, patterns }) => {
    if (!Object.hasOwn(attributes, key)) return false;
    const value = attributes[key];
    if (value === undefined) return false;
    return Array.isArray(value)
      ? value.some((item) => item !== null && item !== undefined && matches(patterns, item))
      : matches(patterns, value);
  });
}
