import { expect, test } from 'vitest';
import { parsePeer, parseTarget } from '../../src/rpc/target';

test.each([
  ['grpc.io:50051', 'grpc.io', 50051],
  ['grpc.io', 'grpc.io', undefined],
  ['dns:grpc.io:50051', 'grpc.io', 50051],
  ['dns:///grpc.io:50051', 'grpc.io', 50051],
  ['dns:///grpc.io', 'grpc.io', undefined],
  // The authority of the URI is a name server.
  ['dns://1.2.3.4/grpc.io:50051', 'grpc.io', 50051],
  ['dns:[::1]:50051', '::1', 50051],
  ['[::1]:50051', '::1', 50051],
  ['[::1]', '::1', undefined],
  ['::1', '::1', undefined],
  ['ipv4:127.0.0.1:50051', '127.0.0.1', 50051],
  ['ipv4:///127.0.0.1:50051', '127.0.0.1', 50051],
  ['ipv6:[::1]:50051', '::1', 50051],
  ['ipv6:%5B::1%5D:50051', '::1', 50051],
  ['ipv6:::1', '::1', undefined],
  ['passthrough:///orders:80', 'orders', 80],
  // Several addresses, and names of other systems, stay whole.
  ['ipv4:127.0.0.1:1,127.0.0.2:2', 'ipv4:127.0.0.1:1,127.0.0.2:2', undefined],
  ['ipv6:[::1]:1,[::2]:2', 'ipv6:[::1]:1,[::2]:2', undefined],
  ['xds:///orders', 'xds:///orders', undefined],
  ['zk://a:1,b:2/orders', 'zk://a:1,b:2/orders', undefined],
  ['consul:orders', 'consul:orders', undefined],
  ['unix:/run/a.sock', '/run/a.sock', undefined],
  ['unix:a.sock', 'a.sock', undefined],
  ['unix:///run/a.sock', '/run/a.sock', undefined],
  ['unix-abstract:name', 'name', undefined],
  ['dns:', 'dns:', undefined],
  ['', '', undefined],
  ['host:notaport', 'host:notaport', undefined],
  ['host:99999', 'host:99999', undefined],
])('the target %s is %s, port %s', (target, address, port) => {
  expect(parseTarget(target)).toEqual({ address, port });
});

test.each([
  ['127.0.0.1:50051', '127.0.0.1', 50051],
  ['[::1]:50051', '::1', 50051],
  ['::1:50051', '::1', 50051],
  ['[fe80::1%eth0]:80', 'fe80::1%eth0', 80],
  ['/run/a.sock', '/run/a.sock', undefined],
])('GR10: the peer %s is %s, port %s', (text, address, port) => {
  expect(parsePeer(text)).toEqual({ address, port });
});

test.each(['', 'unknown', 'dns:localhost:50051', 'localhost:50051', ':80', '127.0.0.1', '127.0.0.1:x', '127.0.0.1:0'])(
  'GR10: %j is no peer',
  (text) => {
    expect(parsePeer(text)).toBeUndefined();
  },
);
