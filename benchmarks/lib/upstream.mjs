// A process that answers HTTP requests of applications under measurement.
import { createServer } from 'node:http';

const BODY = '{"hello":"world"}';

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': BODY.length });
  response.end(BODY);
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}/catalog/17` }));

process.on('disconnect', () => process.exit());
