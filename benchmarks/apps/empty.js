process.on('exit', () => require('node:fs').writeSync(1, JSON.stringify(process.cpuUsage())));
