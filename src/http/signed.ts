/**
 * Whether a request carries a signature over its headers: AWS Signature Version 4 and 4A, or Google's V4, as a header or in
 * the query. Only listed headers are signed, but verifiers on the way compare what they see, and a client that
 * signs again what it sent would sign our headers too.
 */
export function isSigned(authorization: unknown, target: string): boolean {
  if (target.includes('-Signature=') && /[?&]X-(Amz|Goog)-Signature=/.test(target)) return true;
  const value = Array.isArray(authorization) ? authorization[0] : authorization;
  return typeof value === 'string' && (value.startsWith('AWS4-') || value.startsWith('GOOG4-'));
}
