import type { Config } from '../config';
import { armSignals, disarmSignals } from '../exit';
import { loadPlugin, type Plugin } from '../load-module';
import { log } from '../log';
import type { SpanProcessor } from '../trace/span';
import { ConsoleProcessor, writeAll } from './console';
import { ExporterProcessor, type SpanExporter } from './exporter-processor';
import { FanOut } from './fan-out';
import { OTLP_GRPC, OTLP_JSON, OTLP_PROTOBUF, ZIPKIN_JSON } from './http-format';
import { HttpSender } from './http-sender';
import { LineSender } from './line-sender';
import { MemoryProcessor } from './memory';
import { NoProcessor } from './no-processor';
import { type BatchOptions, BatchSpanProcessor, type Flushable, type PendingListener, type Sender } from './processor';
import { RotatingFile } from './rotating-file';

const OTLP_FORMATS = { 'http/protobuf': OTLP_PROTOBUF, 'http/json': OTLP_JSON, grpc: OTLP_GRPC };

const SIGNALS: PendingListener = { onQueued: armSignals, onDrained: disarmSignals };

/**
 * Where ended spans go, by OTEL_TRACES_EXPORTER. Nothing is loaded, connected or allocated before the first
 * span has ended. `listener` is told when there is something that `flushSync` could deliver, and when not.
 */
export function createProcessor(config: Config, listener: PendingListener = SIGNALS): SpanProcessor & Flushable {
  const { batch } = config;
  const parts = config.exporters.map((name): SpanProcessor & Flushable => {
    if (name === 'console' && config.consoleFormat === 'tree') return new ConsoleProcessor(batch, { listener });
    if (name === 'memory') return new MemoryProcessor(batch);
    const sender = createSender(name, config);
    if (sender !== undefined) return new BatchSpanProcessor(batch, sender, listener, batchOptions(name, config));
    return new ExporterProcessor(name, () => loadExporter(name, config.exporterOptions[name]), batch);
  });
  const [only] = parts;
  if (only === undefined) return new NoProcessor();
  return parts.length === 1 ? only : new FanOut(parts, config.exporters);
}

/** Only what leaves the machine needs a spool. */
function batchOptions(name: string, config: Config): BatchOptions {
  const { spool } = config;
  if (name !== 'otlp' && name !== 'zipkin') return {};
  return {
    maxSpanBytes: name === 'otlp' ? config.otlp.maxSpanBytes : undefined,
    openSpool: spool && ((service, onLost) => loadSpool().openSpool(spool, name, service, onLost)),
  };
}

/** A file of its own: few operators have one. */
function loadSpool(): typeof import('./spool') {
  return require('./spool.js');
}

/** What carries batches of ours; `undefined` for a name that is not ours. */
function createSender(name: string, config: Config): Sender | undefined {
  const { otlp, zipkin, exitTimeoutMs } = config;
  switch (name) {
    case 'otlp': {
      const { authorization } = otlp;
      const authorize =
        authorization &&
        (() => (require('./auth.js') as typeof import('./auth/load')).createAuthorization(authorization));
      return new HttpSender(otlp, OTLP_FORMATS[otlp.protocol], exitTimeoutMs, authorize);
    }
    case 'zipkin':
      return new HttpSender(zipkin, ZIPKIN_JSON, exitTimeoutMs);
    case 'console':
    case 'otlp/stdout':
      return new LineSender('standard output', (line) => writeAll(1, line));
    case 'file': {
      const file = new RotatingFile(config.file);
      return new LineSender(file.path, (line) => file.append(line));
    }
    default:
      return undefined;
  }
}

/**
 * An exporter by module specifier: a package or path, with the name of the export behind `#` where it is not
 * the default one. The export is a class, a function that returns an exporter, or an exporter.
 * `options`, where there are any, are what it is made with. Throws an Error that says what is wrong.
 */
export async function loadExporter(specifier: string, options?: unknown): Promise<SpanExporter> {
  // Nothing at all where there are none: exporters count on their defaults.
  const args = options === undefined ? [] : [options];
  const exporter = await loadPlugin(specifier, EXPORTER, ...args);
  log.debug(`exporter ${specifier} loaded`);
  return exporter;
}

const EXPORTER: Plugin<SpanExporter> = {
  is: isExporter,
  // Most exporter packages have named exports only: one class whose name says that it exports spans is clear enough.
  isMeant: (name, value) => typeof value === 'function' && name.endsWith('Exporter') && isExporter(value.prototype),
  fault: 'what it exports has no export() method',
};

function isExporter(value: unknown): value is SpanExporter {
  return typeof value === 'object' && value !== null && typeof (value as { export?: unknown }).export === 'function';
}
