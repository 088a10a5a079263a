// Start-up of an application that loads what the agent instruments.
require('node:http');
require('express');
require('pg');
require('mysql2');
require('amqplib');
require('@grpc/grpc-js');

process.on('exit', () => require('node:fs').writeSync(1, JSON.stringify(process.cpuUsage())));
