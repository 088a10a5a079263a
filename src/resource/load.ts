import type { Attributes } from '@opentelemetry/api';
import { describeError, log } from '../log';
import { startTimer, stopTimer } from '../timers';
import { ROOT_CONTEXT, runInContext } from '../trace/context';
import { awsDetector } from './aws';
import { azureDetector } from './azure';
import { gcpDetector } from './gcp';
import { detectWithModule } from './module-detector';
import { type CloudDetector, processSources } from './sources';

const VARIABLE = 'OTEL_NODE_RESOURCE_DETECTORS';

const CLOUDS: Readonly<Record<string, CloudDetector>> = { aws: awsDetector, azure: azureDetector, gcp: gcpDetector };

/** What a detector knows without asking anyone or running foreign code. */
export function known(name: string): Attributes {
  return cloud(name)?.known(processSources(0)) ?? {};
}

/**
 * Runs detectors that ask others, by their names in OTEL_NODE_RESOURCE_DETECTORS, side by side and untraced. `onFound` gets the
 * attributes of each as soon as they are there. Resolves when all are done, and after `timeoutMs` at the latest; never rejects.
 * Keeps nothing alive by itself. A platform that is not there is no news; a module that gives nothing is one line.
 */
export function detect(
  names: readonly string[],
  timeoutMs: number,
  onFound: (name: string, attributes: Attributes) => void,
): Promise<void> {
  return runInContext(ROOT_CONTEXT.suppress(), () => {
    const sources = processSources(timeoutMs);
    const open = new Set(names);
    const run = async (name: string): Promise<void> => {
      const platform = cloud(name);
      try {
        const attributes = await (platform === undefined ? detectWithModule(name) : platform.detect(sources));
        if (open.has(name)) onFound(name, attributes);
        log.debug(`resource detector ${name}: ${Object.keys(attributes).length} attributes`);
      } catch (error) {
        if (platform !== undefined) log.debug(`resource detector ${name}: not there (${describeError(error)})`);
        else if (open.has(name)) log.error(`${VARIABLE}: "${name}" cannot be used: ${describeError(error)}`);
      } finally {
        open.delete(name);
      }
    };
    return new Promise((resolve) => {
      const timer = startTimer(() => {
        for (const name of open) {
          const line = `resource detector ${name} gave no answer within ${timeoutMs} ms; spans are sent without its attributes`;
          if (cloud(name) === undefined) log.warn(line);
          else log.debug(line);
        }
        open.clear();
        resolve();
      }, timeoutMs).unref();
      void Promise.all(names.map(run)).then(() => {
        stopTimer(timer);
        resolve();
      });
    });
  });
}

function cloud(name: string): CloudDetector | undefined {
  return Object.hasOwn(CLOUDS, name) ? CLOUDS[name] : undefined;
}
