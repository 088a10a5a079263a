import { log } from '../log';
import { toOtlpJson } from './otlp-json';
import type { Sender, SendOutcome, SyncOutcome } from './processor';

/**
 * Batches as lines of OTLP/JSON (specification: OTLP file exporter), one batch a line: what a collector's
 * `otlpjsonfile` receiver reads.
 */
export class LineSender implements Sender {
  readonly handedOver = false;
  readonly #write: (line: Buffer) => void;
  /** The error last reported; `undefined` while all is well. */
  #failure: string | undefined;

  /** `target` is what operators call it; `write` is synchronous and throws when it fails. */
  constructor(
    readonly target: string,
    write: (line: Buffer) => void,
  ) {
    this.#write = write;
  }

  async send(request: Buffer): Promise<SendOutcome> {
    const outcome = this.#writeLine(request);
    if (outcome === 'sent') return { kind: 'sent', rejectedSpans: 0 };
    return outcome === 'refused' ? { kind: 'refused' } : { kind: 'unreachable', retryAfterMs: 0 };
  }

  abort(): void {}

  sendSync(requests: readonly Buffer[]): readonly SyncOutcome[] {
    return requests.map((request) => this.#writeLine(request));
  }

  close(): void {}

  /** A full or missing disk may come back; what cannot be read as a batch never will. */
  #writeLine(request: Buffer): SyncOutcome {
    let line: Buffer;
    try {
      line = Buffer.concat([toOtlpJson(request), NEWLINE]);
    } catch (error) {
      log.internal('line-internal', 'internal error while writing spans', error);
      return 'refused';
    }
    try {
      this.#write(line);
    } catch (error) {
      this.#report(error as NodeJS.ErrnoException);
      return 'lost';
    }
    if (this.#failure !== undefined) log.warn(`spans are written again to ${this.target}`);
    this.#failure = undefined;
    return 'sent';
  }

  #report({ code, message }: NodeJS.ErrnoException): void {
    const kind = code ?? message;
    if (this.#failure === kind) return;
    this.#failure = kind;
    log.warn(`cannot write spans to ${this.target}: ${message}; trying again later`);
  }
}

const NEWLINE = Buffer.from('\n');
