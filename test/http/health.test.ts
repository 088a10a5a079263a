import { describe, expect, it } from 'vitest';
import { isHealthCheck, isHealthMethod } from '../../src/http/health';

describe('health checks', () => {
  it.each([
    ...['/health', '/healthz', '/livez', '/readyz', '/live', '/ready', '/ping', '/status', '/_health'],
    ...[
      '/actuator/health',
      '/actuator/health/liveness',
      '/health/ready',
      '/readyz/etcd',
      '/health/',
      '/healthz?verbose',
    ],
  ])('%s is one', (path) => {
    expect(isHealthCheck('GET', path, undefined)).toBe(true);
    expect(isHealthCheck('HEAD', path, 'curl/8')).toBe(true);
    expect(isHealthCheck('POST', path, undefined)).toBe(false);
  });

  it.each([
    ...[
      '/',
      '',
      '/healthy',
      '/health-plan',
      '/Health',
      '/api/health',
      '/status/42',
      '/ping/pong',
      '/pings',
      '?/health',
    ],
    ...['/actuator', '/actuator/healthx', `/health/${'x'.repeat(100)}`, 'http://host/health'],
  ])('%s is none', (path) => {
    expect(isHealthCheck('GET', path, 'Mozilla/5.0')).toBe(false);
  });

  it.each(['kube-probe/1.30', 'GoogleHC/1.0', 'ELB-HealthChecker/2.0', 'Envoy/HC', 'Consul Health Check'])(
    'whatever %s asks for is one',
    (userAgent) => {
      expect(isHealthCheck('GET', '/custom/path', userAgent)).toBe(true);
      expect(isHealthCheck('GET', undefined, userAgent)).toBe(true);
      expect(isHealthCheck('POST', '/custom/path', userAgent)).toBe(false);
      expect(isHealthCheck('GET', '/custom/path', `not ${userAgent}`)).toBe(false);
    },
  );

  it('knows the gRPC service', () => {
    for (const method of ['Check', 'Watch', 'List']) {
      expect(isHealthMethod(`/grpc.health.v1.Health/${method}`)).toBe(true);
      expect(isHealthMethod(`grpc.health.v1.Health/${method}`)).toBe(true);
    }
    for (const path of [
      '/grpc.health.v1.HealthX/Check',
      '/my.grpc.health.v1.Health/Check',
      '/grpc.health.v1.Health',
      '',
    ])
      expect(isHealthMethod(path)).toBe(false);
  });
});
