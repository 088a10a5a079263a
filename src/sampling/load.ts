import type { Attributes } from '@opentelemetry/api';
import type { Config } from '../config';
import { log } from '../log';
import { ALWAYS_ON, type Sampler } from '../trace/sampler';
import { AdaptiveSampler } from './adaptive';
import { ConsistentSampler } from './consistent';
import { JaegerRemoteSampler, readJaegerRemote } from './jaeger-remote';
import { LocalRootSampler, type RootSampler } from './local-root';
import { RateLimitingSampler } from './rate-limiting';
import { RulesSampler, readRules } from './rules';
import { readXRay, XRaySampler } from './xray';

const PARENT_BASED = 'parentbased_';

/** Its attributes are detected when they are first read, so only those read them who need them. */
interface ResourceView {
  readonly attributes: Attributes;
}

/**
 * A sampler that is more than a comparison, by its name in OTEL_TRACES_SAMPLER. What is wrong in its argument is one line each,
 * and never fails. `resource` says which service it is, to back ends that decide by that.
 */
export function loadSampler(config: Config['sampler'], resource: ResourceView): Sampler {
  const isPrefixed = config.name.startsWith(PARENT_BASED);
  const name = isPrefixed ? config.name.slice(PARENT_BASED.length) : config.name;
  // X-Ray decides once per trace: AWS's own samplers follow the caller under either name.
  const parentBased = isPrefixed || name === 'xray';
  if (name === 'consistent_probability') return new ConsistentSampler(config.ratio, parentBased);
  const root = createRoot(name, config, resource);
  return root === undefined ? ALWAYS_ON : new LocalRootSampler(root, parentBased);
}

function createRoot(name: string, config: Config['sampler'], resource: ResourceView): RootSampler | undefined {
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
      return new JaegerRemoteSampler(options, String(resource.attributes['service.name'])).start();
    }
    case 'xray': {
      const { options, problems } = readXRay(config.argument);
      for (const problem of problems) log.warn(problem);
      return new XRaySampler(options, resource).start();
    }
    default:
      return undefined;
  }
}
