const http = require('node:http');
const { createRequire } = require('node:module');
const { once } = require('./tools.cjs');

const { buildSchema, execute, graphql, parse } = createRequire(`${process.cwd()}/load.cjs`)('graphql');

exports.start = async () => {
  const schema = buildSchema(
    'type Query { user(id: ID): String, fails: String } type Mutation { rename(to: String): String }',
  );
  let resolved = 0;
  const rootValue = {
    user: async ({ id }) => `user ${id}, ${++resolved}`,
    rename: ({ to }) => to,
    fails: () => {
      throw new Error('on purpose');
    },
  };
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { query, operationName } = JSON.parse(text);
    const result =
      request.url === '/direct'
        ? await execute({ schema, rootValue, document: parse(query), operationName })
        : await graphql({ schema, rootValue, source: query, operationName });
    response.end(JSON.stringify(result));
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const ask = async (path, body) => {
    const request = http.request({ port: server.address().port, host: '127.0.0.1', path, method: 'POST' });
    request.end(JSON.stringify(body));
    const [response] = await once(request, 'response');
    let text = '';
    for await (const chunk of response) text += chunk;
    return text;
  };

  return {
    async round(seen) {
      resolved = 0;
      seen.query = await ask('/graphql', { query: '{ user(id: 1) }' });
      seen.named = await ask('/graphql', {
        query: 'query ShowUser { user(id: 2) } mutation Rename { rename(to: "b") }',
        operationName: 'Rename',
      });
      seen.direct = await ask('/direct', { query: 'query ShowUser { user(id: 3) }' });
      seen.fails = await ask('/graphql', { query: 'query Fails { fails }' });
      seen.nothing = await ask('/graphql', { query: 'no query at all' });
      seen.alone = await graphql({ schema, rootValue, source: '{ user(id: 4) }' });
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
