import { describe, expect, test } from 'vitest';
import { createQueryDescriber, type SqlDialect } from '../../src/db/query';
import { random } from '../support/random';
import { FORMS, SECRET, statement } from './secret-statements';

function expectSafe(dialect: SqlDialect, text: string, maxLength: number): void {
  const { summary, sanitized } = createQueryDescriber({ dialect, maxLength })(text);
  if (SECRET.test(summary) || SECRET.test(sanitized))
    expect.fail(JSON.stringify({ dialect, text, maxLength, summary, sanitized }));
}

describe.each<SqlDialect>(['postgresql', 'mysql'])('PG12 MY10 secrets, %s', (dialect) => {
  test('no literal is shown', () => {
    const source = random(1);
    for (let i = 0; i < 20_000; i++) expectSafe(dialect, statement(dialect, source), 10_000);
  });

  test('each form is masked alone, and shown as what it is', () => {
    const source = random(2);
    for (const form of FORMS[dialect])
      for (let i = 0; i < 50; i++) {
        const text = `SELECT ${form(source)}`;
        expectSafe(dialect, text, 10_000);
        expect(createQueryDescriber({ dialect, maxLength: 10_000 })(text).summary, text).toBe('SELECT');
      }
  });

  test('no part of a literal is shown wherever the text is cut', () => {
    const source = random(3);
    for (let i = 0; i < 250; i++) {
      const text = statement(dialect, source);
      for (let cut = 0; cut <= text.length; cut++) expectSafe(dialect, text, cut);
    }
  });

  test('no part of a literal is shown when the text ends within it', () => {
    const source = random(4);
    for (let i = 0; i < 250; i++) {
      const text = statement(dialect, source);
      for (let end = 0; end <= text.length; end++) expectSafe(dialect, text.slice(0, end), 10_000);
    }
  });

  test('the statements are shown apart from their literals', () => {
    const source = random(5);
    let shown = 0;
    for (let i = 0; i < 1000; i++) {
      const { summary, sanitized } = createQueryDescriber({ dialect, maxLength: 10_000 })(statement(dialect, source));
      if (sanitized.includes('?') && summary !== '') shown++;
    }
    expect(shown).toBeGreaterThan(700);
  });
});
