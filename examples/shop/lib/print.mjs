// Prints one trace across services: the tree on the left, and on the right when each span ran.

/** @typedef {import('./receiver.mjs').DemoSpan} DemoSpan */

const BAR_COLUMNS = 24;
/** One style per service, in order of appearance: cyan, green, magenta, yellow, blue, orange. */
const SERVICE_STYLES = [36, 32, 35, 33, 34, '38;5;208'];
const ERROR = 31;
const DIM = 2;
const BOLD = 1;

/** @param {boolean} color */
export function createPrinter(color) {
  const styles = new Map();
  const style = (code, text) => (color && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text);
  const serviceStyle = (name) => {
    if (!styles.has(name)) styles.set(name, SERVICE_STYLES[styles.size % SERVICE_STYLES.length]);
    return styles.get(name);
  };

  return {
    dim: (text) => style(DIM, text),
    bold: (text) => style(BOLD, text),
    service: (name) => style(serviceStyle(name), name),
    error: (text) => style(ERROR, text),

    /** @param {DemoSpan[]} spans of one trace */
    formatTrace(spans) {
      const startUs = Math.min(...spans.map((span) => span.startUs));
      const totalUs = Math.max(...spans.map((span) => span.endUs)) - startUs;
      const rows = layOut(spans).map(({ tree, span }) => ({ tree, span, label: describe(span) }));
      const treeColumns = Math.max(...rows.map(({ tree, label }) => tree.length + label.length));
      const serviceColumns = Math.max(...rows.map(({ span }) => span.service.length));
      return rows
        .map(({ tree, span, label }) => {
          const name = span.failed ? style(ERROR, label) : label;
          const padding = ' '.repeat(treeColumns - tree.length - label.length);
          const service = style(serviceStyle(span.service), span.service.padEnd(serviceColumns));
          const [before, bar, after] = bars(span.startUs - startUs, span.endUs - span.startUs, totalUs);
          const time =
            style(DIM, before) + style(span.failed ? ERROR : serviceStyle(span.service), bar) + style(DIM, after);
          const failure = span.failed ? `  ${style(ERROR, reason(span))}` : '';
          const columns = [
            style(DIM, tree) + name + padding,
            service,
            style(DIM, span.kind.padEnd(8)),
            duration(span),
            time,
          ];
          return `  ${columns.join('  ')}${failure}`.trimEnd();
        })
        .join('\n');
    },
  };
}

/** Spans in printing order, each with the lines in front of it; siblings by their start. */
export function layOut(spans) {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const sorted = [...spans].sort((a, b) => a.startUs - b.startUs);
  const rows = [];
  const addChildren = (parentId, indent) => {
    const children = sorted.filter((span) => span.parentSpanId === parentId);
    for (const [index, span] of children.entries()) {
      const isLast = index === children.length - 1;
      rows.push({ tree: `${indent}${isLast ? '└─ ' : '├─ '}`, span });
      addChildren(span.spanId, `${indent}${isLast ? '   ' : '│  '}`);
    }
  };
  for (const root of sorted.filter(({ parentSpanId }) => !ids.has(parentSpanId))) {
    rows.push({ tree: '', span: root });
    addChildren(root.spanId, '');
  }
  return rows;
}

/** The span's name and, where it leaves that out, which path or queue it was about. */
export function describe({ name, attributes }) {
  const url = attributes['url.full'];
  const path = attributes['url.path'] ?? (url === undefined ? undefined : new URL(url).pathname);
  const target = path ?? attributes['messaging.destination.name'];
  return target === undefined || name.includes(target) ? name : `${name} ${target}`;
}

/** What a failed span failed with: HTTP's status, or else its class: a gRPC status, an SQLSTATE, a system's code. */
function reason({ attributes, statusMessage }) {
  return String(attributes['http.response.status_code'] ?? attributes['error.type'] ?? (statusMessage || 'error'));
}

function duration({ startUs, endUs }) {
  return `${((endUs - startUs) / 1000).toFixed(1).padStart(6)} ms`;
}

/** The trace's time as a line, with the span's part of it in bold. */
function bars(fromUs, lengthUs, totalUs) {
  const columns = (us) => Math.round((us / Math.max(totalUs, 1)) * BAR_COLUMNS);
  const start = Math.min(columns(fromUs), BAR_COLUMNS - 1);
  const length = Math.min(Math.max(columns(fromUs + lengthUs) - start, 1), BAR_COLUMNS - start);
  return ['─'.repeat(start), '━'.repeat(length), '─'.repeat(BAR_COLUMNS - start - length)];
}
