import http, { type ClientRequestArgs } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { PlainConnection, type PlainRequest } from '../../src/export/plain-request';
import { PlainResponse } from '../../src/export/plain-response';

interface Outcome {
  status: number | undefined;
  header: string | undefined;
  body: string;
  /** How the response ended. */
  end: 'complete' | 'cut off' | undefined;
  /** Code of what the request failed with. */
  error: string | undefined;
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listen(onConnection: (socket: Socket) => void): Promise<ClientRequestArgs> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { method: 'POST', hostname: '127.0.0.1', port, path: '/v1/traces?a=b', headers: { 'content-length': 4 } };
}

function outcomeOf(request: http.ClientRequest | PlainRequest): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { status: undefined, header: undefined, body: '', end: undefined, error: undefined };
    const onResponse = (response: http.IncomingMessage | PlainResponse): void => {
      outcome.status = response.statusCode;
      outcome.header = response.headers['retry-after'];
      response.on('error', () => {});
      response.on('data', (chunk: Buffer) => {
        outcome.body += chunk.toString('latin1');
      });
      response.on('end', () => {
        outcome.end = 'complete';
      });
      response.on('close', () => {
        outcome.end ??= 'cut off';
      });
    };
    request.on('response', onResponse);
    request.on('error', (error: NodeJS.ErrnoException) => {
      outcome.error = error.code;
    });
    request.on('close', () => setImmediate(() => resolve(outcome)));
    request.end(Buffer.from('body'));
  });
}

const plain = new PlainConnection();
afterEach(() => plain.destroy());

const HEAD = 'HTTP/1.1 200 OK\r\n';

/** What a server may answer before it closes the connection. */
const ANSWERS: Record<string, string> = {
  'a length': `${HEAD}content-length: 5\r\nretry-after: 7\r\n\r\nhello`,
  'no body': `${HEAD}content-length: 0\r\n\r\n`,
  'a body until the end': `${HEAD}\r\nhello`,
  'an old server': 'HTTP/1.0 503 Busy\r\nretry-after: 1\r\n\r\nhello',
  'no reason': 'HTTP/1.1 429\r\ncontent-length: 0\r\n\r\n',
  'no content': 'HTTP/1.1 204 No Content\r\n\r\n',
  'names in any case': `${HEAD}Content-Length: 2\r\nRETRY-AFTER:  9 \r\n\r\nok`,
  chunks: `${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\nA;name=value\r\n0123456789\r\n0\r\n\r\n`,
  'chunks and a trailer': `${HEAD}Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n`,
  'an informational answer first': `HTTP/1.1 100 Continue\r\n\r\n${HEAD}content-length: 2\r\n\r\nok`,
  'two informational answers first': `HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nlink: x\r\n\r\n${HEAD}content-length: 2\r\n\r\nok`,
  'a length that is not reached': `${HEAD}content-length: 50\r\n\r\nhello`,
  'chunks that stop': `${HEAD}transfer-encoding: chunked\r\n\r\n5\r\nhel`,
  'half a head': 'HTTP/1.1 200 OK\r\ncontent-le',
  nothing: '',
  'another protocol': '\0\0\x12\x04\0\0\0\0\0',
  text: '220 mail.example ESMTP\r\n',
  'a future version': 'HTTP/3.0 200 OK\r\n\r\n',
  'no status': 'HTTP/1.1 OK\r\n\r\n',
  'a length that is none': `${HEAD}content-length: five\r\n\r\nhello`,
  'two lengths': `${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
  'a chunk size that is none': `${HEAD}transfer-encoding: chunked\r\n\r\nxyz\r\n`,
  'a chunk without its end': `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n`,
  'a header without a name': `${HEAD}: x\r\n\r\n`,
  'a header without a value': `${HEAD}content-length\r\n\r\n`,
  'a head that does not end': `${HEAD}x: ${'y'.repeat(70_000)}`,
};

const isParseError = (code: string | undefined): boolean => code?.startsWith('HPE_') === true;

describe('a POST gets what the client of node:http gets', () => {
  it.each(Object.entries(ANSWERS))('from a server with %s', async (_, answer) => {
    const options = await listen((socket) => {
      socket.once('data', () => socket.end(answer, 'latin1'));
    });
    const expected = await outcomeOf(http.request({ ...options, agent: false }));
    const actual = await outcomeOf(plain.request(options));
    // Which of the parser's codes does not matter to anybody.
    if (isParseError(expected.error)) {
      expect(isParseError(actual.error), String(actual.error)).toBe(true);
      expected.error = actual.error;
    }
    expect(actual).toEqual(expected);
  });
});

describe('PlainResponse', () => {
  it.each(Object.entries(ANSWERS))('reads %s the same in whatever pieces it comes', (_, answer) => {
    const bytes = Buffer.from(answer, 'latin1').subarray(0, 400);
    const read = (pieces: Buffer[]): unknown => {
      const response = new PlainResponse();
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('latin1');
      });
      let heads = 0;
      let error: unknown;
      let rest: string | undefined;
      try {
        for (const piece of pieces) rest = response.read(piece, () => heads++)?.toString('latin1') ?? rest;
      } catch (thrown) {
        error = (thrown as NodeJS.ErrnoException).code;
      }
      return {
        status: response.statusCode,
        headers: { ...response.headers },
        complete: response.complete,
        body,
        heads,
        error,
        rest,
      };
    };
    const whole = read([bytes]);
    for (let at = 1; at < bytes.length; at++) expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
    expect(read([...bytes].map((byte) => Buffer.of(byte)))).toEqual(whole);
  });

  it('gives back what comes behind the answer', () => {
    const response = new PlainResponse();
    const rest = response.read(Buffer.from(`${HEAD}content-length: 2\r\n\r\nok${HEAD}`), () => {});
    expect(rest?.toString()).toBe(HEAD);
    expect(response.complete).toBe(true);
  });

  it.each([
    ['a line of a chunk', `${HEAD}transfer-encoding: chunked\r\n\r\n1;${'x'.repeat(2000)}`],
    ['a trailer', `${HEAD}transfer-encoding: chunked\r\n\r\n0\r\n${'x: y\r\n'.repeat(4000)}`],
  ])('does not keep %s that goes on', (_, answer) => {
    expect(() => new PlainResponse().read(Buffer.from(answer), () => {})).toThrow(/overflow/);
  });
});

describe('a connection', () => {
  const answering = (answer: string, heads: string[] = []) => {
    let connections = 0;
    const options = listen((socket) => {
      connections++;
      socket.on('data', (chunk) => {
        heads.push(chunk.toString('latin1'));
        socket.write(answer);
      });
    });
    return { options, connections: () => connections };
  };

  it('is kept for the next request', async () => {
    const heads: string[] = [];
    const server = answering(`${HEAD}content-length: 0\r\nkeep-alive: timeout=60\r\n\r\n`, heads);
    const options = await server.options;
    const requests = [];
    for (let i = 0; i < 3; i++) {
      const request = plain.request(options);
      requests.push(request.reusedSocket);
      expect((await outcomeOf(request)).end).toBe('complete');
      // What is over has no say in what comes next.
      request.destroy();
    }
    expect([server.connections(), ...requests]).toEqual([1, false, true, true]);
    const { port } = options;
    expect(heads[0]).toBe(
      `POST /v1/traces?a=b HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\nbody`,
    );
  });

  it.each([
    ['the answer says so', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n'],
    ['the server is an old one', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['the server is about to close it', `${HEAD}content-length: 0\r\nkeep-alive: timeout=1\r\n\r\n`],
    ['there is more than an answer', `${HEAD}content-length: 0\r\n\r\nHTTP/1.1 200`],
  ])('is not when %s', async (_, answer) => {
    const server = answering(answer);
    const options = await server.options;
    for (let i = 0; i < 2; i++) expect((await outcomeOf(plain.request(options))).end).toBe('complete');
    expect(server.connections()).toBe(2);
  });

  it('is not when the server closed it meanwhile', async () => {
    let connections = 0;
    const options = await listen((socket) => {
      connections++;
      socket.on('data', () => socket.end(`${HEAD}content-length: 0\r\n\r\n`));
    });
    for (let i = 0; i < 2; i++) {
      expect((await outcomeOf(plain.request(options))).end).toBe('complete');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(connections).toBe(2);
  });

  it('refuses what HTTP cannot carry', () => {
    const options = { method: 'POST', hostname: 'collector.test', port: 4318, path: '/' };
    for (const bad of [
      { path: '/a b' },
      { path: '/\r\nx' },
      { headers: { 'x-a': 'b\r\nc: d' } },
      { headers: { 'x a': 'b' } },
    ])
      expect(() => plain.request({ ...options, ...bad })).toThrow(TypeError);
  });

  it('names the host as the client of node:http does', async () => {
    const heads: string[] = [];
    const options = await answering(`${HEAD}content-length: 0\r\n\r\n`, heads).options;
    for (const own of [{}, { headers: { ...options.headers, host: 'mine.test' } }]) {
      await outcomeOf(http.request({ ...options, ...own, agent: false }));
      await outcomeOf(plain.request({ ...options, ...own }));
    }
    const hosts = heads.map((head) => /^host: (.*)\r$/im.exec(head)?.[1]);
    expect(hosts[0]).toBe(hosts[1]);
    expect(hosts[2]).toBe(hosts[3]);
  });
});
