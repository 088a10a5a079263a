import { loadExport } from '../../load-module';
import { describeError } from '../../log';
import { type Authorization, type Authorized, type OutgoingRequest, toHeaders } from './authorization';
import { withoutSecrets } from './without-secrets';

/** What a module of the operator's gives: the headers of one request. */
type Authorize = (request: OutgoingRequest) => unknown;

/**
 * HOOKLINE_OTLP_AUTH by module specifier. The function is called for each request, in this process, and caches what it wants
 * to. At the end of the process a promise cannot be awaited: the headers that it gave last are used then.
 */
export class ModuleAuthorization implements Authorization {
  readonly hint: string;
  readonly #specifier: string;
  #authorize: Authorize | undefined;
  #loading: Promise<string | undefined> | undefined;
  #last: Readonly<Record<string, string>> | undefined;
  /** A call has not settled: one that never does must not be joined by another for each batch. */
  #isCalled = false;

  constructor(specifier: string) {
    this.#specifier = specifier;
    this.hint = ` (see HOOKLINE_OTLP_AUTH=${specifier})`;
  }

  async headers(request: OutgoingRequest): Promise<Authorized> {
    this.#loading ??= this.#load();
    const problem = await this.#loading;
    if (problem !== undefined) return { problem, final: true };
    if (this.#isCalled) return { problem: `HOOKLINE_OTLP_AUTH=${this.#specifier} has not answered yet`, final: false };
    this.#isCalled = true;
    try {
      return this.#checked(await this.#authorize?.(request));
    } catch (error) {
      return this.#failed(error);
    } finally {
      this.#isCalled = false;
    }
  }

  headersSync(request: OutgoingRequest): Authorized {
    if (this.#authorize === undefined) {
      return { problem: `HOOKLINE_OTLP_AUTH=${this.#specifier} was not loaded before the process ended`, final: false };
    }
    try {
      const given = this.#authorize(request);
      if (!(given instanceof Promise)) return this.#checked(given);
      given.catch(() => {});
      if (this.#last !== undefined) return { headers: this.#last };
      return { problem: `HOOKLINE_OTLP_AUTH=${this.#specifier} gives its headers later`, final: false };
    } catch (error) {
      return this.#failed(error);
    }
  }

  renew(): boolean {
    return true;
  }

  async #load(): Promise<string | undefined> {
    try {
      const given = await loadExport(this.#specifier);
      if (typeof given !== 'function') throw new Error('what it exports is not a function');
      this.#authorize = given as Authorize;
      return undefined;
    } catch (error) {
      // Of a failed require, Node lists who asked for it.
      const [line] = describeError(error).split('\n');
      return `cannot load HOOKLINE_OTLP_AUTH=${this.#specifier}: ${line}`;
    }
  }

  #checked(given: unknown): Authorized {
    const headers = toHeaders(given);
    if (headers === undefined) {
      return { problem: `HOOKLINE_OTLP_AUTH=${this.#specifier} gives no object of headers`, final: false };
    }
    this.#last = headers;
    return { headers };
  }

  #failed(error: unknown): Authorized {
    const problem = `HOOKLINE_OTLP_AUTH=${this.#specifier} failed: ${withoutSecrets(error, process.env)}`;
    return { problem, final: false };
  }
}
