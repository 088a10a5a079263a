/** Commands whose packet names a prepared statement by a number that a server may count up over all its connections. */
const STATEMENT_COMMANDS = new Set([0x17, 0x18, 0x19, 0x1a, 0x1c]);

/** What a MySQL client sent, a line for each packet; prepared statements are numbered by their first use. */
export function mysqlPackets(bytes: Buffer): string[] {
  const lines: string[] = [];
  const statements = new Map<number, number>();
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUIntLE(at, 3);
    const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
    if (bytes[at + 3] === 0 && payload.length >= 5 && STATEMENT_COMMANDS.has(payload[0]!)) {
      const id = payload.readUInt32LE(1);
      if (!statements.has(id)) statements.set(id, statements.size);
      payload.writeUInt32LE(statements.get(id)!, 1);
    }
    lines.push(`${bytes[at + 3]} ${payload.toString('latin1')}`);
    at += 4 + length;
  }
  return lines;
}
