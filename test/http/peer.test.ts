import { expect, it } from 'vitest';
import { Peer } from '../../src/http/peer';

it('a peer says which protocol it speaks when it answers', () => {
  const peer = new Peer('127.0.0.1', 8080, '2');
  const address = { 'network.peer.address': '127.0.0.1', 'network.peer.port': 8080 };
  expect(peer.block(false).attributes).toEqual(address);
  expect(peer.block(true).attributes).toEqual({ ...address, 'network.protocol.version': '2' });
  expect(peer.block(true)).toBe(peer.block(true));
  expect(peer.block(false)).toBe(peer.block(false));
});

it('a peer without an address has no port either', () => {
  const peer = new Peer(undefined, 8080, '1.1');
  expect(peer.block(false).attributes).toEqual({});
  expect(peer.block(true).attributes).toEqual({ 'network.protocol.version': '1.1' });
});
