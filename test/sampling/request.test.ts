import { describe, expect, it } from 'vitest';
import { hostOf, pathOf, routeKey, withoutIdentifiers } from '../../src/sampling/request';
import { CLIENT, request, SERVER } from './support';

describe('paths without identifiers', () => {
  it.each([
    ['/', '/'],
    ['', ''],
    ['*', '*'],
    ['/users', '/users'],
    ['/users/42', '/users/*'],
    ['/users/42/', '/users/*/'],
    ['/users/42/orders/7', '/users/*/orders/*'],
    ['/v1/oauth2/s3/users', '/v1/oauth2/s3/users'],
    ['/a/0f8fad5b-d9cb-469f-a165-70867728950e', '/a/*'],
    ['/a/507f1f77bcf86cd799439011', '/a/*'],
    ['/a/2026-11-21', '/a/*'],
    ['/a/order-12345', '/a/*'],
    ['/a/user@host.example', '/a/*'],
    ['/a/%C3%A4', '/a/*'],
    ['/a/10.0.0.1', '/a/*'],
    ['/a/eyJhbGciOiJIUzI1NiJ9', '/a/*'],
    ['/a/deadbeef', '/a/deadbeef'],
    ['/a/accounts-receivable', '/a/accounts-receivable'],
    [`/a/${'x'.repeat(41)}`, '/a/*'],
  ])('%s is %s', (path, expected) => {
    expect(withoutIdentifiers(path)).toBe(expected);
  });

  it('are bounded in length and segments', () => {
    expect(withoutIdentifiers('/a'.repeat(100))).toBe(`${'/a'.repeat(9)}/…`);
    expect(withoutIdentifiers(`/${'abcdefghij'.repeat(4)}`.repeat(10)).length).toBeLessThan(300);
    expect(routeKey('x'.repeat(10_000), SERVER, undefined)).toHaveLength(200);
  });
});

describe('the key of a route', () => {
  it('is the route, else the path, else the name', () => {
    expect(routeKey('GET /users/:id', SERVER, request('/users/1', { 'http.route': '/users/:id' }))).toBe(
      'GET /users/:id',
    );
    expect(routeKey('GET', SERVER, request('/users/1'))).toBe('GET /users/*');
    expect(routeKey('process orders', 4, {})).toBe('process orders');
    expect(routeKey('GET', CLIENT, { 'http.request.method': 'GET', 'url.full': 'http://x/y' })).toBe('GET');
  });
});

describe('a request in attributes', () => {
  it('has a path', () => {
    expect(pathOf({ 'url.path': '/a' })).toBe('/a');
    expect(pathOf({ 'url.full': 'https://host:1/a/b?c=/d#e' })).toBe('/a/b');
    expect(pathOf({ 'url.full': 'https://host?a=/b' })).toBe('/');
    expect(pathOf({ 'url.full': 'https://host' })).toBe('/');
    expect(pathOf({ 'url.full': 'nonsense' })).toBeUndefined();
    expect(pathOf({ 'url.path': 7 })).toBeUndefined();
    expect(pathOf(undefined)).toBeUndefined();
  });

  it('has a host', () => {
    expect(hostOf({ 'server.address': 'Shop.Test', 'server.port': 8080 })).toEqual({
      address: 'shop.test',
      withPort: 'shop.test:8080',
    });
    expect(hostOf({})).toBeUndefined();
  });
});
