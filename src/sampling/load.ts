import type { Config } from '../config';
import { log } from '../log';
import { ALWAYS_ON, type Sampler } from '../trace/sampler';
import { AdaptiveSampler } from './adaptive';
import { ConsistentSampler } from './consistent';
import { JaegerRemoteSampler, readJaegerRemote } from './jaeger-remote';
import { LocalRootSampler, type RootSampler } from './local-root';
import { RateLimitingSampler } from './rate-limiting';
import { RulesSampler, readRules } from './rules';

const PARENT_BASED = 'parentbased_';

/**
 * A sampler that is more than a comparison, by its name in OTEL_TRACES_SAMPLER. What is wrong in its argument is one line each,
 * and never fails. `serviceName` is what `jaeger_remote` asks for.
 */
export function loadSampler(config: Config['sampler'], serviceName: string): Sampler {
  const parentBased = config.name.startsWith(PARENT_BASED);
  const name = parentBased ? config.name.slice(PARENT_BASED.length) : config.name;
  if (name === 'consistent_probability') return new ConsistentSampler(config.ratio, parentBased);
  const root = createRoot(name, config, serviceName);
  return root === undefined ? ALWAYS_ON : new LocalRootSampler(root, parentBased);
}

function createRoot(name: string, config: Config['sampler'], serviceName: string): RootSampler | undefined {
  switch (name) {
    case 'rate_limiting':
      return new RateLimitingSampler(config.perSecond ?? 0);
    case 'adaptive':
      return new AdaptiveSampler(config.perSecond ?? 0);
    case 'rules': {
      const { set, problems } = readRules(config.argument);
      for (const problem of problems) log.warn(problem);
      return new RulesSampler(set);
    }
    case 'jaeger_remote': {
      const { options, problems } = readJaegerRemote(config.argument);
      for (const problem of problems) log.warn(problem);
      return new JaegerRemoteSampler(options, serviceName).start();
    }
    default:
      return undefined;
  }
}
