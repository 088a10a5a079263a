// A server that asks another one over a kept connection before it answers, by node:http or by fetch (CALL).
const http = require('node:http');
const { ready } = require('./measure.js');

const { CALL, URL: url } = process.env;
const agent = new http.Agent({ keepAlive: true });

const calls = {
  http: (callback) => {
    http
      .get(url, { agent }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => callback(undefined, text));
      })
      .on('error', callback);
  },
  fetch: (callback) => {
    fetch(url)
      .then((response) => response.text())
      .then((text) => callback(undefined, text), callback);
  },
};
const call = calls[CALL];

const server = http.createServer((_request, response) => {
  call((error, text) => {
    const body = error === undefined ? text : String(error);
    response.writeHead(error === undefined ? 200 : 500, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  });
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => ready({ port: server.address().port }));
