import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

export * from './parts';

const root = protobuf.loadSync(fileURLToPath(new URL('../support/proto/opentelemetry.proto', import.meta.url)));

/** Decoded messages are compared, not typed. */
export type Decoded = any;

/** 64-bit integers as decimal text, bytes as base64, camel-case names; only fields that are on the wire. */
export function decode(type: string, bytes: Uint8Array): Decoded {
  const message = root.lookupType(`opentelemetry.${type}`);
  return message.toObject(message.decode(bytes), { longs: String, bytes: String, enums: Number });
}

export function encode(type: string, value: Record<string, unknown>): Buffer {
  const message = root.lookupType(`opentelemetry.${type}`);
  return Buffer.from(message.encode(message.fromObject(value)).finish());
}
