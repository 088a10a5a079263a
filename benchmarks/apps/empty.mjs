import { writeSync } from 'node:fs';

process.on('exit', () => writeSync(1, JSON.stringify(process.cpuUsage())));
