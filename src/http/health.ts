/**
 * Requests by which load balancers and orchestrators ask whether a service lives, out of many services' conventions.
 * Stateless, for servers of any protocol.
 */

const PATHS: ReadonlySet<string> = new Set([
  '/health',
  '/healthz',
  '/_health',
  '/livez',
  '/live',
  '/readyz',
  '/ready',
  '/ping',
  '/status',
]);

/** Spring's and Kubernetes' own ask for single parts below these: `/actuator/health/liveness`, `/readyz/etcd`. */
const ROOTS = ['/actuator/health', '/health', '/healthz', '/livez', '/readyz'] as const;

/** How the user agents of probes begin: Kubernetes, Google Cloud, AWS (load balancer, Route 53), Azure, Envoy, Consul. */
const USER_AGENTS = [
  'kube-probe/',
  'GoogleHC/',
  'ELB-HealthChecker/',
  'Amazon-Route53-Health-Check-Service',
  'Edge Health Probe',
  'Load Balancer Agent',
  'Envoy/HC',
  'Consul Health Check',
] as const;

/** The service that gRPC defines for the purpose (grpc/grpc: doc/health-checking.md). */
const GRPC_SERVICE = 'grpc.health.v1.Health';

/** No probe's path is longer. */
const MAX_PATH_LENGTH = 64;

/**
 * Whether a request is a health check: GET or HEAD of a well-known path, or from a well-known prober.
 * @param target the request target as sent; the query and a slash at the end do not count
 */
export function isHealthCheck(
  method: string | undefined,
  target: string | undefined,
  userAgent: string | undefined,
): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  if (userAgent !== undefined) for (const start of USER_AGENTS) if (userAgent.startsWith(start)) return true;
  if (target === undefined) return false;
  const mark = target.indexOf('?');
  let end = mark < 0 ? target.length : mark;
  if (end > 1 && target.charCodeAt(end - 1) === 0x2f) end--;
  if (end > MAX_PATH_LENGTH) return false;
  const path = target.slice(0, end);
  if (PATHS.has(path)) return true;
  for (const root of ROOTS) {
    if (path.startsWith(root) && (path.length === root.length || path.charCodeAt(root.length) === 0x2f)) return true;
  }
  return false;
}

/** Whether a gRPC method is the health check, by its path with or without the slash in front: `/grpc.health.v1.Health/Check`. */
export function isHealthMethod(path: string): boolean {
  const start = path.charCodeAt(0) === 0x2f ? 1 : 0;
  return path.startsWith(GRPC_SERVICE, start) && path.charCodeAt(start + GRPC_SERVICE.length) === 0x2f;
}
