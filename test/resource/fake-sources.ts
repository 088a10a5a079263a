import type { Answer, AskOptions } from '../../src/ask';
import type { CloudSources } from '../../src/resource/sources';

interface Machine {
  env?: Record<string, string>;
  files?: Record<string, string>;
  /** By URL; `undefined` for one that nobody answers. */
  answer?: (url: string, options: AskOptions) => Partial<Answer> | string | undefined;
  /** How often there is time for another try. */
  pauses?: number;
}

/** A machine that has just these variables, files and metadata services; `asked` has the URLs in order. */
export function machine({ env = {}, files = {}, answer = () => undefined, pauses = 0 }: Machine) {
  let pausesLeft = pauses;
  const asked: string[] = [];
  const sources: CloudSources = {
    env,
    read(path) {
      const text = files[path];
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return text;
    },
    async ask(url, options = {}) {
      asked.push(`${options.method ?? 'GET'} ${url}`);
      const given = answer(url, options);
      if (given === undefined) throw new Error('no connection in time');
      return typeof given === 'string' ? { body: given, headers: {} } : { body: '', headers: {}, ...given };
    },
    pause: async () => pausesLeft-- > 0,
  };
  return { sources, asked };
}
