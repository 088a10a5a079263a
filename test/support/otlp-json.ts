import protobuf from 'protobufjs';
import { decodeTraceRequest, type ReceivedSpan, requestType } from './otlp-decode';

/** Bytes that OTLP/JSON writes in hexadecimal; all others are base64 (specification: protocol, "JSON Protobuf Encoding"). */
const HEX_FIELDS = /^(traceId|spanId|parentSpanId)$/;

/**
 * Decodes an ExportTraceServiceRequest in OTLP/JSON, as strict as `decodeTraceRequest`: unknown fields, enums by name and
 * ids that are not hexadecimal are refused.
 */
export function decodeTraceJson(bytes: Uint8Array): ReceivedSpan[] {
  const request = toMessage(requestType, JSON.parse(Buffer.from(bytes).toString('utf8')), 'request');
  return decodeTraceRequest(requestType.encode(requestType.fromObject(request)).finish());
}

function toMessage(type: protobuf.Type, value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${path}: not an object`);
  const message: Record<string, unknown> = {};
  for (const [key, content] of Object.entries(value)) {
    const field = type.fields[key];
    if (field === undefined) throw new Error(`${path}: unknown field ${key}`);
    if (content === null) continue;
    const where = `${path}.${key}`;
    if (!field.repeated) message[key] = toValue(field, content, where);
    else if (Array.isArray(content)) message[key] = content.map((item) => toValue(field, item, where));
    else throw new Error(`${where}: not an array`);
  }
  return message;
}

function toValue(field: protobuf.Field, content: unknown, where: string): unknown {
  const { resolvedType } = field.resolve();
  if (resolvedType instanceof protobuf.Type) return toMessage(resolvedType, content, where);
  if (resolvedType instanceof protobuf.Enum && typeof content !== 'number') throw new Error(`${where}: enum by name`);
  if (/int64|fixed64/.test(field.type) && !/^-?\d+$/.test(String(content))) throw new Error(`${where}: no integer`);
  if (field.type !== 'bytes') return content;
  if (!HEX_FIELDS.test(field.name)) return Buffer.from(String(content), 'base64');
  if (!/^([0-9a-f]{2})*$/i.test(String(content))) throw new Error(`${where}: not hexadecimal`);
  return Buffer.from(String(content), 'hex');
}
