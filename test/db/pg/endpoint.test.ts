import { expect, it } from 'vitest';
import { endpointOf } from '../../../src/db/pg/endpoint';

it('takes host, port and database', () => {
  expect(endpointOf({ host: 'db.example.com', port: 5433, database: 'shop' })).toEqual({
    database: 'shop',
    address: 'db.example.com',
    port: 5433,
  });
});

it('PG10: the port is a number or absent', () => {
  expect(endpointOf({ host: 'a', port: '5433' }).port).toBe(5433);
  for (const port of [Number.NaN, '', null, undefined, 'no', 0, 70_000, 1.5]) {
    expect(endpointOf({ host: 'a', port }).port).toBeUndefined();
  }
});

it('shows the path of a socket, without a port', () => {
  expect(endpointOf({ host: '/var/run/postgresql', port: 5432 })).toEqual({
    database: undefined,
    address: '/var/run/postgresql/.s.PGSQL.5432',
    port: undefined,
  });
});

it('takes the brackets off an IPv6 address', () => expect(endpointOf({ host: '[::1]' }).address).toBe('::1'));

it('PG10: nothing that stands before an @ is shown', () => {
  expect(endpointOf({ host: 'postgres://me:s3cret@db', database: 'word@db/shop' })).toEqual({
    database: 'db/shop',
    address: 'db',
    port: undefined,
  });
  expect(endpointOf({ host: 'me:s3cret@' }).address).toBeUndefined();
});

it('knows nothing of a connection string that only libpq reads', () => {
  const fields = { host: 'localhost', port: 5432, connectionParameters: { nativeConnectionString: 'host=other' } };
  expect(endpointOf(fields)).toEqual({ database: undefined, address: undefined, port: undefined });
});
