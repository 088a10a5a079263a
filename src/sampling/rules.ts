import { readFileSync, statSync } from 'node:fs';
import type { Attributes, SpanKind } from '@opentelemetry/api';
import { oneLine } from '../log';
import { TraceIdRatioSampler } from '../trace/sampler';
import type { SpanIdentity } from '../trace/span-identity';
import { Glob } from './glob';
import type { RootSampler } from './local-root';
import { type AttributePattern, attributesMatch, hostMatches, MAX_VALUE_LENGTH, some } from './match';
import { methodOf, pathOf, routeOf } from './request';

const VARIABLE = 'OTEL_TRACES_SAMPLER_ARG';

/** The API's SpanKind by name. */
const KINDS = ['internal', 'server', 'client', 'producer', 'consumer'] as const;

const MATCHERS = ['path', 'route', 'method', 'host', 'name', 'kind', 'attributes'] as const;
const KEYS: readonly string[] = [...MATCHERS, 'decision', 'ratio'];

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_RULES = 1000;
const MAX_PATTERN_LENGTH = 1024;
const MAX_SHOWN_LENGTH = 100;

const STAR = '*';

/** One rule: every part that is there has to match; of several patterns in a part, one. */
interface Rule {
  readonly path: readonly Glob[] | undefined;
  readonly route: readonly RoutePattern[] | undefined;
  readonly method: readonly Glob[] | undefined;
  readonly host: readonly Glob[] | undefined;
  readonly name: readonly Glob[] | undefined;
  readonly kind: ReadonlySet<number> | undefined;
  readonly attributes: readonly AttributePattern[] | undefined;
  /** Share of traces that is kept. */
  readonly share: TraceIdRatioSampler;
}

/** A route as frameworks know it, and the paths that belong to it. */
interface RoutePattern {
  readonly route: Glob;
  readonly segments: readonly Glob[];
}

export interface RuleSet {
  readonly rules: readonly Rule[];
  /** What becomes of a trace that no rule matches. */
  readonly fallback: TraceIdRatioSampler;
}

/**
 * Reads `[rule, …]` or `{ "rules": [rule, …], "default": decision }`, in the text itself or in the file that it names.
 *
 *     { "path": "/api/*", "method": ["GET", "HEAD"], "decision": "drop" }
 *     { "attributes": { "user_agent.original": "curl/*" }, "ratio": 0.1 }
 *
 * A decision is `keep`, `drop` or a number from 0 to 1. Never fails: what is wrong is one line each in `problems`, and
 * the rule is left out.
 */
export function readRules(argument: string | undefined): { set: RuleSet; problems: readonly string[] } {
  const problems: string[] = [];
  const document = parse(argument, problems);
  const list = Array.isArray(document) ? document : isObject(document) ? document['rules'] : undefined;
  let fallback = 1;
  if (isObject(document) && !Array.isArray(document)) {
    for (const key of Object.keys(document)) {
      if (key !== 'rules' && key !== 'default')
        problems.push(`${VARIABLE}: ${shown(key)} is not rules or default; ignoring it`);
    }
    const given = document['default'];
    if (given !== undefined) {
      const share = toShare(given);
      if (share === undefined)
        problems.push(`${VARIABLE}: default is not keep, drop or a number from 0 to 1; using keep`);
      else fallback = share;
    }
  }
  const rules: Rule[] = [];
  if (document !== undefined && !Array.isArray(list)) {
    problems.push(`${VARIABLE} is not a list of rules or {"rules": [...], "default": ...}; using no rules`);
  }
  const items: readonly unknown[] = Array.isArray(list) ? list : [];
  if (items.length > MAX_RULES) problems.push(`${VARIABLE}: more than ${MAX_RULES} rules; leaving out the rest`);
  for (const [index, item] of items.slice(0, MAX_RULES).entries()) {
    const rule = toRule(item);
    if (typeof rule === 'string') problems.push(`${VARIABLE}: rule ${index + 1} ${rule}; skipping it`);
    else rules.push(rule);
  }
  return { set: { rules, fallback: new TraceIdRatioSampler(fallback) }, problems };
}

/** The JSON; `undefined` with a line about it when there is none. */
function parse(argument: string | undefined, problems: string[]): unknown {
  if (argument === undefined) {
    problems.push(`${VARIABLE} is not set: the sampler rules takes JSON or the path of a JSON file; using no rules`);
    return undefined;
  }
  const isInline = argument.startsWith('[') || argument.startsWith('{');
  let json = argument;
  if (!isInline) {
    try {
      const stats = statSync(argument);
      // Reading a pipe would wait for whoever writes into it.
      if (!stats.isFile()) throw new Error('not a file');
      if (stats.size > MAX_FILE_BYTES) throw new Error(`more than ${MAX_FILE_BYTES} bytes`);
      json = readFileSync(argument, 'utf8');
    } catch (error) {
      problems.push(
        `${VARIABLE}=${shown(argument)} is not JSON and no file that can be read (${reasonOf(error)}); using no rules`,
      );
      return undefined;
    }
  }
  try {
    // Editors of some systems put a byte order mark in front.
    const value: unknown = JSON.parse(json.charCodeAt(0) === 0xfeff ? json.slice(1) : json);
    return value ?? 'null';
  } catch (error) {
    const where = isInline ? VARIABLE : `${VARIABLE}: ${shown(argument)}`;
    problems.push(`${where} is not valid JSON (${reasonOf(error)}); using no rules`);
    return undefined;
  }
}

/** The rule, or what is wrong with it. */
function toRule(item: unknown): Rule | string {
  if (!isObject(item) || Array.isArray(item)) return 'is not an object';
  const unknown = Object.keys(item).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) return `has the unknown key ${shown(unknown)}, which is not one of ${KEYS.join(', ')}`;
  const share = shareOf(item);
  if (typeof share === 'string') return share;

  const patterns: Partial<Record<(typeof MATCHERS)[number], readonly string[]>> = {};
  for (const key of MATCHERS) {
    if (key === 'attributes' || item[key] === undefined) continue;
    const list = toTexts(item[key]);
    if (list === undefined)
      return `has a ${key} that is not a text or a list of texts of up to ${MAX_PATTERN_LENGTH} characters`;
    patterns[key] = list;
  }
  const kinds = patterns.kind?.map((kind) => KINDS.indexOf(kind.toLowerCase() as (typeof KINDS)[number]));
  if (kinds?.includes(-1)) return `has a kind that is not one of ${KINDS.join(', ')}`;

  const attributes: AttributePattern[] = [];
  const given = item['attributes'];
  if (given !== undefined) {
    if (!isObject(given) || Array.isArray(given)) return 'has attributes that are not an object of patterns';
    for (const [key, value] of Object.entries(given)) {
      const texts = toTexts(typeof value === 'number' || typeof value === 'boolean' ? String(value) : value);
      if (texts === undefined) return `has a pattern for ${shown(key)} that is not a text or a list of texts`;
      attributes.push({ key, patterns: toGlobs(texts) as Glob[] });
    }
  }
  const lower = (list: readonly string[] | undefined): string[] | undefined => list?.map((text) => text.toLowerCase());
  return {
    path: toGlobs(patterns.path),
    route: patterns.route?.map(toRoutePattern),
    method: toGlobs(lower(patterns.method)),
    host: toGlobs(lower(patterns.host)),
    name: toGlobs(patterns.name),
    kind: kinds === undefined ? undefined : new Set(kinds),
    attributes: attributes.length === 0 ? undefined : attributes,
    share: new TraceIdRatioSampler(share),
  };
}

function shareOf({ decision, ratio }: Record<string, unknown>): number | string {
  if (ratio !== undefined && decision !== undefined && decision !== 'ratio') return 'has both a decision and a ratio';
  if (ratio === undefined && decision === 'ratio') return 'has the decision ratio and no ratio';
  const given = ratio ?? decision;
  const share = ratio === undefined ? toShare(given) : typeof given === 'number' ? toShare(given) : undefined;
  return share ?? 'has no decision that is keep, drop or a number from 0 to 1';
}

function toShare(decision: unknown): number | undefined {
  const word = typeof decision === 'string' ? decision.toLowerCase() : decision;
  if (word === 'keep') return 1;
  if (word === 'drop') return 0;
  return typeof word === 'number' && word >= 0 && word <= 1 ? word : undefined;
}

function toTexts(value: unknown): readonly string[] | undefined {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) return undefined;
  return list.every((item) => typeof item === 'string' && item.length <= MAX_PATTERN_LENGTH)
    ? (list as string[])
    : undefined;
}

function toGlobs(patterns: readonly string[] | undefined): readonly Glob[] | undefined {
  return patterns?.map((pattern) => new Glob(pattern));
}

function toRoutePattern(pattern: string): RoutePattern {
  // Express and Fastify write `:id`, hapi and OpenAPI `{id}`, Next.js `[id]`.
  const segments = pattern.split('/').map((segment) => new Glob(/^(:|\{.*\}$|\[.*\]$)/.test(segment) ? STAR : segment));
  return { route: new Glob(pattern), segments };
}

/** Until the framework has found its route, the path says which one it will be. */
function matchesRoute({ route, segments }: RoutePattern, known: string | undefined, path: string | undefined): boolean {
  if (known !== undefined) return route.matches(known);
  if (path === undefined) return false;
  if (route.matches(path)) return true;
  let at = 0;
  for (const [index, segment] of segments.entries()) {
    const slash = path.indexOf('/', at);
    const isLast = index === segments.length - 1;
    if (slash < 0 !== isLast) return false;
    const text = slash < 0 ? path.slice(at) : path.slice(at, slash);
    // A parameter is never empty.
    if (!segment.matches(text) || (text === '' && segment.pattern === STAR)) return false;
    at = slash + 1;
  }
  return true;
}

/**
 * `rules`: the first rule that matches decides. Rules that name a span's `name` or `kind` are about spans inside of a trace as
 * well: what they do not keep is left out together with all below it.
 */
export class RulesSampler implements RootSampler {
  readonly describes: boolean;
  readonly #set: RuleSet;
  readonly #childRules: readonly Rule[];
  readonly samplesChild: RootSampler['samplesChild'];

  constructor(set: RuleSet) {
    this.#set = set;
    this.#childRules = set.rules.filter(({ name, kind }) => name !== undefined || kind !== undefined);
    this.describes = set.rules.some(
      ({ path, route, method, host, attributes }) => (path ?? route ?? method ?? host ?? attributes) !== undefined,
    );
    if (this.#childRules.length > 0) {
      this.samplesChild = (span, name, kind, attributes) =>
        keeps(find(this.#childRules, name, kind, attributes)?.share, span) ?? true;
    }
  }

  samples(span: SpanIdentity, name: string, kind: SpanKind, attributes: Attributes | undefined): boolean {
    const { rules, fallback } = this.#set;
    return keeps(find(rules, name, kind, attributes)?.share ?? fallback, span) as boolean;
  }

  toString(): string {
    return `RulesSampler{${this.#set.rules.length} rules, default=${this.#set.fallback.ratio}}`;
  }
}

function keeps(share: TraceIdRatioSampler | undefined, span: SpanIdentity): boolean | undefined {
  return share === undefined ? undefined : share.shouldSample(undefined, span) !== 0;
}

function find(
  rules: readonly Rule[],
  name: string,
  kind: SpanKind,
  attributes: Attributes | undefined,
): Rule | undefined {
  // A plain loop: for each request, and with the cheapest questions first.
  for (const rule of rules) {
    if (rule.kind !== undefined && !rule.kind.has(kind)) continue;
    if (rule.name !== undefined && !some(rule.name, name)) continue;
    if (rule.method !== undefined && !some(rule.method, methodOf(attributes)?.toLowerCase())) continue;
    if (rule.path !== undefined && !some(rule.path, pathOf(attributes))) continue;
    if (rule.route !== undefined && !routeMatches(rule.route, attributes)) continue;
    if (rule.host !== undefined && !hostMatches(rule.host, attributes)) continue;
    if (rule.attributes !== undefined && !attributesMatch(rule.attributes, attributes)) continue;
    return rule;
  }
  return undefined;
}

function routeMatches(patterns: readonly RoutePattern[], attributes: Attributes | undefined): boolean {
  const known = routeOf(attributes);
  const path = known === undefined ? pathOf(attributes)?.slice(0, MAX_VALUE_LENGTH) : undefined;
  return patterns.some((pattern) => matchesRoute(pattern, known, path));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function shown(value: string): string {
  return `"${oneLine(value, MAX_SHOWN_LENGTH)}"`;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return oneLine(code ?? message, MAX_SHOWN_LENGTH);
}
