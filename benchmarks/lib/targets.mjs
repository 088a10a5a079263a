// What the agent is to stay below, and whether a row does.

/**
 * @typedef {object} Target
 * @property {number} [ratio] of what the row says it costs, to the same of OpenTelemetry, traces only
 * @property {number} [atMost] of what the row says it costs, in its unit
 * @property {number} [over] of what the row says it costs, to the bare application
 */

/** What a variant costs: the difference to the bare application, or all of it where the row has no such thing. */
export function cost({ compare, variants }, name) {
  const own = variants[name];
  return compare === 'difference' ? own?.difference : own?.median;
}

/** To OpenTelemetry's, traces only; undefined without it, or where what it costs is lost in the noise. */
export function ratio(row, name = row.subject ?? 'hookline') {
  const own = cost(row, name);
  const reference = cost(row, row.reference ?? 'otel');
  if (own === undefined || reference === undefined || reference <= 0) return undefined;
  return own / reference;
}

/** @returns {{ target: string, verdict: string, met: boolean | undefined }} */
export function judge(row) {
  const { target, unit } = row;
  if (target === undefined) return { target: '', verdict: '', met: undefined };
  const own = cost(row, row.subject ?? 'hookline');
  const checks = [];
  if (target.ratio !== undefined) checks.push(check(ratio(row), target.ratio, (value) => value.toFixed(2)));
  if (target.atMost !== undefined) checks.push(check(own, target.atMost, (value) => amount(value, unit)));
  if (target.over !== undefined)
    checks.push(check(own / row.variants.bare.median, target.over, (value) => `${(value * 100).toFixed(1)} %`));
  const failed = checks.filter(({ met }) => met === false);
  const unknown = checks.filter(({ met }) => met === undefined);
  const met = failed.length > 0 ? false : unknown.length > 0 ? undefined : true;
  return {
    target: checks.map(({ limit }) => `≤ ${limit}`).join(', '),
    verdict:
      met === true ? 'met' : met === undefined ? 'not measured' : failed.map(({ over }) => `${over} over`).join(', '),
    met,
  };
}

function check(value, limit, show) {
  const met = value === undefined ? undefined : value <= limit;
  return { met, limit: show(limit), over: met === false ? show(value - limit) : '' };
}

/** A number with as many digits as say something, and its unit. */
export function amount(value, unit) {
  return `${number(value)} ${unit}`;
}

export function number(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace('-', '−');
}
