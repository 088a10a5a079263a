import type { Attributes } from '@opentelemetry/api';
import { HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL } from '../semconv';
import { AttributeBlock, type AttributeBlocks } from '../trace/attribute-block';

/** What the conventions call a method they do not know, and what such a span is named. */
export const OTHER = '_OTHER';
export const OTHER_NAME = 'HTTP';

/** The `{method}` of span names. */
export function spanName(method: string, known: ReadonlySet<string>): string {
  return known.has(method) ? method : OTHER_NAME;
}

const methodBlocks = new Map<string, AttributeBlock>();

/** `setMethod` with a block for the methods that are known, of which there are few. */
export function addMethod(
  attributes: Attributes,
  blocks: AttributeBlocks,
  method: string,
  known: ReadonlySet<string>,
): void {
  if (!known.has(method)) {
    setMethod(attributes, method, known);
    return;
  }
  let block = methodBlocks.get(method);
  if (block === undefined) {
    block = new AttributeBlock({ [HTTP_REQUEST_METHOD]: method });
    methodBlocks.set(method, block);
  }
  blocks.add(block);
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
