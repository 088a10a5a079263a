// A process that answers HTTP requests of applications under measurement.
import { createServer } from 'node:http';

const BODY = '{"hello":"world"}';
/** Longer than applications take turns between two requests. */
const AWAKE_MS = 20;

let lastMs = 0;
let isAwake = false;

const server = createServer((_request, response) => {
  staysAwake();
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': BODY.length });
  response.end(BODY);
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}/catalog/17` }));

/** Waking a process that sleeps is charged to whoever writes to it: the slower the application, the more often it would pay. */
function staysAwake() {
  lastMs = performance.now();
  if (isAwake) return;
  isAwake = true;
  const spin = () => {
    isAwake = performance.now() - lastMs < AWAKE_MS;
    if (isAwake) setImmediate(spin);
  };
  spin();
}

process.on('disconnect', () => process.exit());
