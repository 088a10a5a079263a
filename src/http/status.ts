import type { Attributes } from '@opentelemetry/api';
import { ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE } from '../semconv';
import { AttributeBlock } from '../trace/attribute-block';
import type { Span } from '../trace/span';

const ERROR = { code: 2 } as const;

/** By status; only those that HTTP has room for, so there are at most 500 of each. */
const plain: (AttributeBlock | undefined)[] = [];
const failed: (AttributeBlock | undefined)[] = [];

/**
 * Puts `http.response.status_code`. `isError`: with `error.type` and the error status, as the conventions want of statuses
 * that are this side's failure.
 */
export function setStatus(span: Span, status: number, isError: boolean): void {
  // An error that a framework answered for has said what it is.
  if (isError && span.status.code === 0) span.setStatus(ERROR);
  // What the application set itself is replaced, as a key may be there only once.
  const isSet =
    span.getAttribute(HTTP_RESPONSE_STATUS_CODE) !== undefined ||
    (isError && span.getAttribute(ERROR_TYPE) !== undefined);
  if (isSet || !(status >= 100 && status <= 599)) {
    span.adopt(describe(status, isError));
    return;
  }
  const blocks = isError ? failed : plain;
  blocks[status] ??= new AttributeBlock(describe(status, isError));
  span.addBlock(blocks[status] as AttributeBlock);
}

function describe(status: number, isError: boolean): Attributes {
  const attributes: Attributes = { [HTTP_RESPONSE_STATUS_CODE]: status };
  if (isError) attributes[ERROR_TYPE] = String(status);
  return attributes;
}
