import type { ReceivedSpan } from './otlp-receiver';

/** The spans of one case: those under the span that has its name, without it; roots where there is no such span. */
export function spansOfCase(spans: readonly ReceivedSpan[], name: string): ReceivedSpan[] {
  const root = spans.find((span) => span.name === name && span.scope.name === 'cases');
  if (root === undefined) throw new Error(`no case "${name}" among ${spans.map((span) => span.name).join(', ')}`);
  return spans.filter((span) => span.traceId === root.traceId && span !== root);
}

/** What a case printed. */
export function outcomeOf(stdout: string, name: string): any {
  for (const line of stdout.split('\n')) {
    if (!line.startsWith('{"case"')) continue;
    const parsed = JSON.parse(line) as { case: string; outcome: unknown };
    if (parsed.case === name) return parsed.outcome;
  }
  throw new Error(`case "${name}" printed nothing:\n${stdout}`);
}
