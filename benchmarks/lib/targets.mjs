// What the agent is to stay below, and whether a row does.

/**
 * @typedef {object} Target each of them of what the row says the agent costs
 * @property {number} [ratio] to what another costs: OpenTelemetry with traces only, unless the row has another `reference`
 * @property {number} [atMost] in the row's unit
 * @property {number} [over] to the whole of the bare application
 * @property {string} [asLittleAs] not more than the variant of this name, as far as can be told
 * @property {true} [nothing] nothing that can be told from the bare application once more (the variant `again`)
 */

/** How many standard errors a difference may be off by chance. */
const ERRORS = 2;

/** What a variant costs: the difference to the bare application, or all of it where the row has no such thing. */
export function cost({ compare, variants }, name) {
  const own = variants[name];
  return compare === 'difference' ? own?.difference : own?.median;
}

/** The variant that a row is about. */
export function subjectOf({ subject = 'hookline' }) {
  return subject;
}

/** To the reference; undefined without one, or where what it costs is lost in the noise. */
export function ratio(row) {
  const own = cost(row, subjectOf(row));
  const reference = cost(row, row.reference ?? 'otel');
  if (own === undefined || reference === undefined || reference <= 0) return undefined;
  return own / reference;
}

/** @returns {{ target: string, verdict: string, met: boolean | undefined }} */
export function judge(row) {
  const { target, unit, variants } = row;
  if (target === undefined) return { target: '', verdict: '', met: undefined };
  const subject = subjectOf(row);
  const own = cost(row, subject);
  const error = ERRORS * (variants[subject]?.differenceError ?? 0);
  const show = (value) => `${number(value)} ${unit}`;
  const checks = [];
  if (target.ratio !== undefined) checks.push(check(ratio(row), target.ratio, (value) => value.toFixed(2)));
  if (target.atMost !== undefined) checks.push(check(own, target.atMost, show));
  if (target.over !== undefined) {
    const share = own === undefined ? undefined : own / variants.bare.median;
    checks.push(check(share, target.over, (value) => `${(value * 100).toFixed(1)} %`));
  }
  if (target.asLittleAs !== undefined) {
    const other = variants[target.asLittleAs];
    const limit = other && Math.max(other.difference, 0) + ERRORS * other.differenceError + error;
    checks.push(check(own, limit, show));
  }
  if (target.nothing) {
    const { again } = variants;
    const limit = again && Math.abs(again.difference) + ERRORS * again.differenceError + error;
    checks.push(check(own, limit, show));
  }
  const failed = checks.filter(({ met }) => met === false);
  const met = failed.length > 0 ? false : checks.every((one) => one.met) ? true : undefined;
  return {
    target: checks.map(({ limit }) => limit).join(', '),
    verdict: met === undefined ? 'not measured' : met ? 'met' : failed.map(({ over }) => `${over} over`).join(', '),
    met,
  };
}

function check(value, limit, show) {
  if (value === undefined || limit === undefined)
    return { met: undefined, limit: limit === undefined ? '' : `≤ ${show(limit)}`, over: '' };
  const met = value <= limit;
  return { met, limit: `≤ ${show(limit)}`, over: met ? '' : show(value - limit) };
}

/** With as many digits as say something. */
export function number(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2).replace('-', '−');
}
