import { SpanIdentity } from '../trace/span-identity';

/** The header's value; `undefined` when it is missing or there several times, which contradicts itself. */
export function oneValue(header: string | readonly string[] | undefined): string | undefined {
  const value = typeof header === 'string' ? header : header?.length === 1 ? header[0] : undefined;
  return typeof value === 'string' ? value.trim() : undefined;
}

/**
 * Ids of older formats: any case, and leading zeros may be missing. `undefined` when they are no hexadecimal digits, too
 * long, or zero.
 * @param flags trace-flags of W3C Trace Context
 */
export function parseIdentity(trace: string, span: string, flags: number): SpanIdentity | undefined {
  if (trace.length > 32 || span.length > 16) return undefined;
  return SpanIdentity.parse(
    trace.toLowerCase().padStart(32, '0'),
    0,
    span.toLowerCase().padStart(16, '0'),
    0,
    flags,
    true,
  );
}

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/** An unsigned 64-bit decimal number as 16 hexadecimal characters; `undefined` when it is none. */
export function decimalToHex(text: string): string | undefined {
  // 20 digits hold 2^64, so nothing longer is ever converted.
  if (text.length === 0 || text.length > 20) return undefined;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return undefined;
  }
  const value = BigInt(text);
  return value > MAX_UINT64 ? undefined : value.toString(16).padStart(16, '0');
}

/** 16 hexadecimal characters as an unsigned decimal number. */
export function hexToDecimal(hex: string): string {
  return BigInt(`0x${hex}`).toString();
}
