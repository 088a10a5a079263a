import { describe, expect, it } from 'vitest';
import { isSigned } from '../../src/http/signed';

const AWS = 'AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=ab';

describe('isSigned', () => {
  it.each<[string, unknown, string]>([
    ['Signature Version 4', AWS, '/'],
    ['Signature Version 4A', 'AWS4-ECDSA-P256-SHA256 Credential=…', '/'],
    ['as a list', [AWS], '/'],
    ['presigned', undefined, '/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab'],
    ['presigned, in front', undefined, '/key?X-Amz-Signature=ab&x=1'],
    ["Google's V4", 'GOOG4-RSA-SHA256 Credential=…', '/'],
    ["Google's V4, presigned", undefined, '/key?x=1&X-Goog-Signature=ab'],
  ])('%s: yes', (_title, authorization, target) => {
    expect(isSigned(authorization, target)).toBe(true);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, '/'],
    ['another scheme', 'Bearer AWS4-HMAC-SHA256', '/'],
    ['another signature', undefined, '/?My-Signature=1&sig=2&Signature=3'],
    ['a name in a path', undefined, '/X-Amz-Signature=ab'],
    ['a name that ends so', undefined, '/?Not-X-Amz-Signature=ab'],
    ['an odd value', 7, '/'],
    ['an empty list', [], '/'],
  ])('%s: no', (_title, authorization, target) => {
    expect(isSigned(authorization, target)).toBe(false);
  });
});
