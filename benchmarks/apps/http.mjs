import { writeSync } from 'node:fs';
import http from 'node:http';

const server = http.createServer(() => {});
server.listen(0, '127.0.0.1', () => server.close());

process.on('exit', () => writeSync(1, JSON.stringify(process.cpuUsage())));
