import { oneLine } from '../log';

const VARIABLE = 'OTEL_TRACES_SAMPLER_ARG';
const MAX_SHOWN_LENGTH = 100;

/** One `key=value` of an argument. */
export interface Field<Value> {
  readonly fallback: Value;
  /** What is accepted, for the line about a value that is not. */
  readonly accepted: string;
  parse(text: string): Value | undefined;
}

/**
 * Reads `key=value,key=value` of OTEL_TRACES_SAMPLER_ARG; keys in any case. What is wrong is one line in `problems`, and
 * has its fallback. No line shows what may be a password.
 */
export function readArgument<Options extends object>(
  argument: string | undefined,
  fields: { readonly [Key in keyof Options]: Field<Options[Key]> },
): { options: Options; problems: readonly string[] } {
  const keys = Object.keys(fields) as (keyof Options & string)[];
  const options = Object.fromEntries(keys.map((key) => [key, fields[key].fallback])) as Options;
  const problems: string[] = [];
  for (const item of (argument ?? '').split(',')) {
    const pair = item.trim();
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const given = equals < 0 ? '' : pair.slice(0, equals).trim().toLowerCase();
    const key = keys.find((name) => name.toLowerCase() === given);
    if (key === undefined) {
      const names = keys.map((name) => `${name}=`);
      const known = `${names.slice(0, -1).join(', ')} or ${names[names.length - 1]}`;
      problems.push(`${VARIABLE}: ${hidden(pair)} is not ${known}; ignoring it`);
      continue;
    }
    const text = pair.slice(equals + 1).trim();
    const value = fields[key].parse(text);
    if (value !== undefined) options[key] = value;
    else
      problems.push(
        `${VARIABLE}: ${key}=${hidden(text)} is not ${fields[key].accepted}; using ${String(options[key])}`,
      );
  }
  return { options, problems };
}

/** An absolute http: or https: URL, or `host:port`. */
export function endpoint(fallback: string): Field<string> {
  return { fallback, accepted: 'an http:// or https:// URL or host:port', parse: toUrl };
}

export function integer(fallback: number, min: number, max: number): Field<number> {
  return {
    fallback,
    accepted: `an integer of ${min} or more`,
    parse(text) {
      const number = isDigits(text) ? Number(text) : Number.NaN;
      return number >= min && number <= max ? number : undefined;
    },
  };
}

/** A share, from 0 to 1. */
export function rate(fallback: number): Field<number> {
  return { fallback, accepted: 'a number from 0 to 1', parse: toRate };
}

function toUrl(value: string): string | undefined {
  try {
    const url = new URL(value.includes('://') ? value : `http://${value}`);
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function isDigits(text: string): boolean {
  return text !== '' && [...text].every((char) => char >= '0' && char <= '9');
}

function toRate(text: string): number | undefined {
  const isDecimal = text !== '' && [...text].every((char) => (char >= '0' && char <= '9') || '.eE+-'.includes(char));
  const number = isDecimal ? Number(text) : Number.NaN;
  return number >= 0 && number <= 1 ? number : undefined;
}

/** Without what may be a password. */
function hidden(value: string): string {
  const at = value.lastIndexOf('@');
  return `"${oneLine(at < 0 ? value : `REDACTED${value.slice(at)}`, MAX_SHOWN_LENGTH)}"`;
}
