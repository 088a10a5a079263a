import type { Attributes } from '@opentelemetry/api';
import { expect, test } from 'vitest';
import { setMethod, spanName } from '../../src/http/method';

const known = new Set(['GET', 'CUSTOM']);

test.each([
  ['GET', 'GET', { 'http.request.method': 'GET' }],
  ['CUSTOM', 'CUSTOM', { 'http.request.method': 'CUSTOM' }],
  ['get', 'HTTP', { 'http.request.method': '_OTHER', 'http.request.method_original': 'get' }],
  ['POST', 'HTTP', { 'http.request.method': '_OTHER', 'http.request.method_original': 'POST' }],
  ['', 'HTTP', { 'http.request.method': '_OTHER', 'http.request.method_original': '' }],
  ['__proto__', 'HTTP', { 'http.request.method': '_OTHER', 'http.request.method_original': '__proto__' }],
])('method %j', (method, name, expected) => {
  const attributes: Attributes = {};
  setMethod(attributes, method, known);
  expect(attributes).toEqual(expected);
  expect(spanName(method, known)).toBe(name);
});
