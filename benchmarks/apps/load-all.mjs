import { writeSync } from 'node:fs';
import 'node:http';
import 'express';
import 'pg';
import 'mysql2';
import 'amqplib';
import '@grpc/grpc-js';

process.on('exit', () => writeSync(1, JSON.stringify(process.cpuUsage())));
