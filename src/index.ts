/**
 * The public entry. Applications need none of it: it is for operators' own instrumentations, tests and short-lived
 * programs that want to wait for delivery.
 */
import type { Agent, AgentStatus } from './agent';
import type { SpanSnapshot } from './export/exporter-processor';

export type { AgentStatus } from './agent';
export type { SpanSnapshot } from './export/exporter-processor';
export type {
  Begun,
  Call,
  Done,
  FieldGetter,
  FieldSetter,
  Instrumentation,
  Operation,
  Outcome,
  Receiver,
  Span,
  Target,
  TraceContext,
  Tracing,
} from './hook/instrumentation';
export type { InstrumentationStatus } from './hook/registry';

function running(): Agent | undefined {
  const agent = (globalThis as unknown as Record<symbol, Partial<Agent> | undefined>)[Symbol.for('hookline')];
  return typeof agent?.flush === 'function' ? (agent as Agent) : undefined;
}

/**
 * Sends the spans that are queued. Resolves to true when all were delivered within `timeoutMs` (default
 * OTEL_BSP_EXPORT_TIMEOUT), also when the agent is not running: there is nothing to lose then. Never rejects.
 */
export async function forceFlush(timeoutMs?: number): Promise<boolean> {
  try {
    return (await running()?.flush(timeoutMs)) ?? true;
  } catch {
    return false;
  }
}

/** What is traced, what is not and why, and what became of the spans; `undefined` when the agent is not running. */
export function status(): AgentStatus | undefined {
  return running()?.status();
}

/**
 * The spans that have ended, oldest first, under OTEL_TRACES_EXPORTER=memory: for tests of an application. At most
 * OTEL_BSP_MAX_QUEUE_SIZE are kept. Each call gives copies; empty with any other exporter, and without the agent.
 */
export function finishedSpans(): SpanSnapshot[] {
  return running()?.memory?.()?.finishedSpans() ?? [];
}

/** Forgets the spans that `finishedSpans` gives. */
export function clearFinishedSpans(): void {
  running()?.memory?.()?.clear();
}
