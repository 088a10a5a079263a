import { describe, expect, it } from 'vitest';
import { safeMessage, sqlStateOf } from '../../src/db/postgres-error';

const mask = (code: string, message: string, routine?: string) => safeMessage({ code, message, routine });

describe('sqlStateOf', () => {
  it('is the code of an error that the server reported', () => {
    expect(sqlStateOf({ code: '42P01', severity: 'ERROR' })).toBe('42P01');
    expect(sqlStateOf({ code: 'ABCDE', severity: 'FATAL' })).toBe('ABCDE');
  });

  it.each([
    ['an error of Node', Object.assign(new Error('broken pipe'), { code: 'EPIPE' })],
    ['a code of another length', { code: '42P0', severity: 'ERROR' }],
    ['a number', { code: 42501, severity: 'ERROR' }],
    ['nothing', undefined],
    ['null', null],
    ['a string', '42P01'],
  ])('is not that of %s', (_what, error) => expect(sqlStateOf(error)).toBeUndefined());
});

describe('safeMessage', () => {
  it('keeps names', () => {
    for (const [code, message] of [
      ['42P01', 'relation "public.songs" does not exist'],
      ['42703', 'column s.titel does not exist'],
      ['23505', 'duplicate key value violates unique constraint "songs_pkey"'],
      ['40P01', 'deadlock detected'],
      ['57014', 'canceling statement due to statement timeout'],
      ['42883', 'function frobnicate(integer) does not exist'],
      ['42P01', 'Relation »lieder« existiert nicht'],
    ] as const) {
      expect(mask(code, message)).toBe(message);
    }
  });

  it('keeps names in quotes with blanks, and apostrophes', () => {
    expect(mask('42P01', 'la relation « chansons » n’existe pas')).toBe('la relation «chansons» n’existe pas');
  });

  it('masks quoted values that are no names', () => {
    expect(mask('42704', 'role "mail@example.com" does not exist')).toBe('role "?" does not exist');
    expect(mask('3D000', 'database "a b" does not exist')).toBe('database "?" does not exist');
    expect(mask('42P01', 'relation "songs" does not exist in "4111 1111"')).toBe(
      'relation "songs" does not exist in "?"',
    );
    expect(mask('42P01', 'relation "cut off')).toBe('relation "?');
  });

  it('masks all of what data exceptions and syntax errors cite', () => {
    expect(mask('22P02', 'invalid input syntax for type integer: "secret"')).toBe(
      'invalid input syntax for type integer: "?"',
    );
    expect(mask('22P02', 'invalid input syntax for type json: "say "secret" twice"')).toBe(
      'invalid input syntax for type json: "?"',
    );
    expect(mask('22003', 'value "99999999999" is out of range for type integer')).toBe(
      'value "?" is out of range for type integer',
    );
    expect(mask('22021', 'invalid byte sequence for encoding "UTF8": 0xff 0x61')).toBe(
      'invalid byte sequence for encoding "?": ? ?',
    );
    expect(mask('42601', 'syntax error at or near "secret"')).toBe('syntax error at or near "?"');
    expect(mask('22P02', 'ungültige Eingabesyntax für Typ integer: »secret«')).toBe(
      'ungültige Eingabesyntax für Typ integer: »?«',
    );
    expect(mask('22P02', 'invalid input: "secret cut')).toBe('invalid input: "?');
    expect(mask('22012', 'division by zero')).toBe('division by zero');
  });

  it('drops what functions of the application raise, whatever its code', () => {
    expect(mask('P0001', 'card 4111 refused')).toBeUndefined();
    expect(mask('23505', 'card 4111 refused', 'exec_stmt_raise')).toBeUndefined();
  });

  it('takes any message', () => {
    expect(safeMessage({ code: '42P01' })).toBeUndefined();
    expect(safeMessage({ code: '42P01', message: 7 })).toBeUndefined();
    expect(mask('42P01', '')).toBeUndefined();
    expect(mask('42P01', '"'.repeat(100_000))!.length).toBeLessThan(4096);
    expect(mask('22P02', `"${'x'.repeat(100_000)}`)).toBe('"?');
  });
});
