const http = require('node:http');

const server = http.createServer(() => {});
server.listen(0, '127.0.0.1', () => server.close());

process.on('exit', () => require('node:fs').writeSync(1, JSON.stringify(process.cpuUsage())));
