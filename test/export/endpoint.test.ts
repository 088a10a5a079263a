import { describe, expect, it } from 'vitest';
import type { HttpTarget } from '../../src/config';
import { displayTarget, requestOptions, toEndpoint } from '../../src/export/endpoint';
import { OTLP_GRPC, OTLP_PROTOBUF } from '../../src/export/http-format';
import { otlpConfig } from './support';

const proxy = { variable: 'HTTP_PROXY', url: 'http://me:s3cret@proxy.test:3128', noProxy: '' };
const options = (url: string, changes: Partial<HttpTarget> = {}) =>
  requestOptions(toEndpoint(otlpConfig(url, changes), OTLP_PROTOBUF), 5, false);

describe('a target in a message', () => {
  it.each([
    ['https://me:s3cret@collector.test/v1/traces?key=s3cret', undefined, 'https://collector.test/v1/traces'],
    ['http://[::1]:4318/v1/traces', undefined, 'http://[::1]:4318/v1/traces'],
    ['http://localhost/v1/traces?key=s3cret', '/run/otel.sock', 'unix:///run/otel.sock:/v1/traces'],
    ['http://localhost/v1/traces', 'otel.sock', 'unix:otel.sock:/v1/traces'],
    ['http://localhost/', '/run/otel.sock', 'unix:///run/otel.sock'],
  ])('%s on %s', (url, socketPath, text) => expect(displayTarget({ url, socketPath })).toBe(text));
});

describe('a request', () => {
  it('goes to the host', () => {
    expect(options('http://[fd00::1]:4318/v1/traces?k=v')).toMatchObject({
      ...{ hostname: 'fd00::1', port: 4318, path: '/v1/traces?k=v' },
      headers: { 'content-length': 5 },
    });
    expect(options('http://collector.test/').headers).not.toHaveProperty('host');
  });

  it('goes to the socket', () => {
    const sent = options('http://localhost/v1/traces', { socketPath: '/run/otel.sock' });
    expect(sent).toMatchObject({ socketPath: '/run/otel.sock', hostname: 'localhost', path: '/v1/traces' });
  });

  it.each([
    ['http://collector.test:4318/v1/traces?k=v', 'collector.test:4318'],
    ['http://collector.test/v1/traces?k=v', 'collector.test'],
    ['http://[fd00::1]:8080/v1/traces?k=v', '[fd00::1]:8080'],
    ['http://[fd00::1]/v1/traces?k=v', '[fd00::1]'],
  ])('to %s is handed to a proxy', (url, authority) => {
    expect(options(url, { proxy })).toEqual({
      method: 'POST',
      hostname: 'proxy.test',
      port: 3128,
      path: url,
      headers: expect.objectContaining({
        host: authority,
        'proxy-authorization': `Basic ${Buffer.from('me:s3cret').toString('base64')}`,
      }),
    });
  });

  it('names a proxy that speaks TLS by its own name', () => {
    const named = options('http://collector.test/', { proxy: { ...proxy, url: 'https://proxy.test' } });
    expect(named).toMatchObject({ hostname: 'proxy.test', port: 443, servername: 'proxy.test' });
    const address = options('http://collector.test/', { proxy: { ...proxy, url: 'https://[fd00::1]' } });
    expect(address).toMatchObject({ hostname: 'fd00::1', servername: '' });
  });

  it('with TLS says nothing to the proxy', () => {
    expect(options('https://collector.test/v1/traces', { proxy })).toEqual({
      method: 'POST',
      hostname: 'collector.test',
      port: 443,
      path: '/v1/traces',
      headers: expect.not.objectContaining({ 'proxy-authorization': expect.anything() }),
    });
    const { proxy: tunnel, displayUrl } = toEndpoint(otlpConfig('http://collector.test:4317/', { proxy }), OTLP_GRPC);
    expect(tunnel?.host).toBe('proxy.test');
    expect(displayUrl).toBe('http://collector.test:4317/');
  });
});
