import { describeError, oneLine } from '../../log';

/** Azure's package lists what became of each of its seven sources. */
const MAX_LENGTH = 800;

/** Shorter values are words such as `true`, of which a message may be full. */
const MIN_SECRET_LENGTH = 8;

const SECRET_NAME = /secret|token|key|password|credential|authorization|header/i;

/** Runs of characters that look like a token; no words of a sentence are so long. */
const TOKEN = /[A-Za-z0-9+/_=-]{40,}/g;

/** What a vendor's package says went wrong, on one line: such messages may cite what they were given. */
export function withoutSecrets(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  const [message = ''] = describeError(error).split('\nRequire stack:');
  let text = message;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value.length < MIN_SECRET_LENGTH || !SECRET_NAME.test(name)) continue;
    text = text.replaceAll(value, 'REDACTED');
  }
  const lines = text.split('\n').map((line) => line.trim());
  return oneLine(lines.filter(Boolean).join(' | ').replace(TOKEN, 'REDACTED'), MAX_LENGTH);
}
