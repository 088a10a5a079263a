import type { Attributes } from '@opentelemetry/api';
import { HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL } from '../semconv';

/** What the conventions call a method they do not know, and what such a span is named. */
export const OTHER = '_OTHER';
export const OTHER_NAME = 'HTTP';

/** The `{method}` of span names. */
export function spanName(method: string, known: ReadonlySet<string>): string {
  return known.has(method) ? method : OTHER_NAME;
}

/** Puts `http.request.method`, and the original where it is another. Methods are case-sensitive. */
export function setMethod(attributes: Attributes, method: string, known: ReadonlySet<string>): void {
  if (known.has(method)) {
    attributes[HTTP_REQUEST_METHOD] = method;
  } else {
    attributes[HTTP_REQUEST_METHOD] = OTHER;
    attributes[HTTP_REQUEST_METHOD_ORIGINAL] = method;
  }
}
