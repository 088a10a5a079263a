import { describe, expect, it } from 'vitest';
import { safeMessage, serverErrorCode } from '../../src/db/mysql-error';

const server = (errno: number, message: string, sqlState = '42000') =>
  Object.assign(new Error(message), { errno, sqlState });

describe('serverErrorCode', () => {
  it('is the number of what the server reported', () => {
    expect(serverErrorCode(server(1146, ''))).toBe('1146');
  });

  it.each([
    [{ errno: -111, code: 'ECONNREFUSED' }],
    [{ errno: 'ETIMEDOUT' }],
    [{ errno: 0 }],
    [{ errno: 1.5 }],
    [new Error('Pool is closed.')],
    ['text'],
    [null],
    [undefined],
  ])('is nothing for %o', (error) => {
    expect(serverErrorCode(error)).toBeUndefined();
  });
});

describe('safeMessage', () => {
  it.each([
    [1062, "Duplicate entry 'ada@example.org' for key 'PRIMARY'", "Duplicate entry '?'"],
    [1062, "Duplicate entry 'O'Brien' for key 'PRIMARY'", "Duplicate entry '?'"],
    [1064, "right syntax to use near 'a = 'secret' and b' at line 1", "right syntax to use near '?' at line 1"],
    [1064, 'near "secret" at line 1', 'near "?" at line 1'],
    [
      1366,
      "Incorrect integer value: 'secret' for column `d`.`t`.`c` at row 1",
      "Incorrect integer value: '?' for column `d`.`t`.`c` at row 1",
    ],
    [
      1045,
      "Access denied for user 'root'@'localhost' (using password: YES)",
      "Access denied for user '?' (using password: YES)",
    ],
    [1136, "Column count doesn't match value count at row 1", "Column count doesn't match value count at row 1"],
    [1205, 'Lock wait timeout exceeded', 'Lock wait timeout exceeded'],
  ])('%i: %s', (errno, message, safe) => {
    expect(safeMessage(server(errno, message))).toBe(safe);
  });

  it('keeps names where a message has nothing else', () => {
    const message = "Table 'shop.items' doesn't exist";
    expect(safeMessage(server(1146, message))).toBe(message);
  });

  it('drops the rest of a message that the server cut', () => {
    expect(safeMessage(server(1366, `Incorrect value: 'a' and ${'x'.repeat(490)}`))).toBe("Incorrect value: '?'");
    expect(safeMessage(server(1366, "Incorrect value: 'never ends"))).toBe("Incorrect value: '?");
  });

  it('says nothing of what the application raised or of the file that a statement names', () => {
    expect(safeMessage(server(1644, 'no credit for Ada', '45000'))).toBeUndefined();
    expect(safeMessage(server(5555, 'no credit for Ada', '45001'))).toBeUndefined();
    // As 1.x has it.
    expect(safeMessage(server(5555, 'no credit for Ada', '#45000'))).toBeUndefined();
    expect(safeMessage(new Error('As a result of LOCAL INFILE command server wants to read secret'))).toBeUndefined();
  });

  it('leaves the messages of the driver and of Node as they are', () => {
    expect(safeMessage(Object.assign(new Error("reading 'x'"), { errno: -2 }))).toBe("reading 'x'");
    expect(safeMessage(new Error('Pool is closed.'))).toBe('Pool is closed.');
    expect(safeMessage(new Error(''))).toBeUndefined();
    expect(safeMessage(undefined)).toBeUndefined();
    expect(safeMessage('text')).toBeUndefined();
  });
});
