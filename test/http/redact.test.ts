import { describe, expect, test } from 'vitest';
import { redactQuery, redactTarget, redactUserInfo } from '../../src/http/redact';

const keys = new Set(['sig', 'Signature']);

describe('redaction', () => {
  test.each([
    ['sig=1', 'sig=REDACTED'],
    ['a=1&sig=2&b=3', 'a=1&sig=REDACTED&b=3'],
    ['sig=&sig=2&Signature=a=b', 'sig=REDACTED&sig=REDACTED&Signature=REDACTED'],
    ['SIG=1&xsig=1&sigx=1&sig', 'SIG=1&xsig=1&sigx=1&sig'],
    ['', ''],
    ['&&&', '&&&'],
    ['=sig=1', '=sig=1'],
    ['%E0%A4%A&sig=%', '%E0%A4%A&sig=REDACTED'],
    ['a&sig=1', 'a&sig=REDACTED'],
  ])('query %j', (query, expected) => {
    expect(redactQuery(query, keys)).toBe(expected);
  });

  test('an empty list redacts nothing', () => {
    expect(redactQuery('sig=1', new Set())).toBe('sig=1');
  });

  test.each([
    ['/a', '/a'],
    ['/a?sig=1#sig=2', '/a?sig=REDACTED#sig=2'],
    ['https://h/a?b=1&sig=2', 'https://h/a?b=1&sig=REDACTED'],
    ['?sig=1', '?sig=REDACTED'],
    ['/a#b?sig=1', '/a#b?sig=REDACTED'],
  ])('target %s', (target, expected) => {
    expect(redactTarget(target, keys)).toBe(expected);
  });

  test.each([
    ['https://ann:secret@h/a', 'https://REDACTED:REDACTED@h/a'],
    ['https://ann@h', 'https://REDACTED:REDACTED@h'],
    ['https://ann:p@ss@h/@', 'https://REDACTED:REDACTED@h/@'],
    ['https://h/ann:secret@i', 'https://h/ann:secret@i'],
    ['https://h?ann@i', 'https://h?ann@i'],
    ['https://h\\@i', 'https://h\\@i'],
    ['https://h#@i', 'https://h#@i'],
    ['/a@b', '/a@b'],
    ['', ''],
    ['://@', '://REDACTED:REDACTED@'],
  ])('user info of %s', (url, expected) => {
    expect(redactUserInfo(url)).toBe(expected);
  });

  test('long input is no problem', () => {
    const query = 'sig=1&'.repeat(200_000);
    expect(redactQuery(query, keys)).toHaveLength(query.length + 200_000 * ('REDACTED'.length - 1));
    expect(redactUserInfo(`https://${'@'.repeat(1_000_000)}`)).toBe('https://REDACTED:REDACTED@');
  });
});
