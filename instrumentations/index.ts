/**
 * The definitions table: one line per instrumentation. A module's file is read when the application loads one of
 * `modules`, or with the first message on one of `channels`; test/instrumentations/index.test.ts fails when a line and
 * its file disagree.
 */
import type { Instrumentation } from '../src/hook/instrumentation';
import type { Definition } from '../src/hook/registry';

export const definitions: readonly Definition[] = [
  { name: 'amqplib', modules: ['amqplib'], load: () => take(require('./instrumentations/amqplib.js')) },
  {
    name: 'child-process',
    wanted: ({ childProcessContext }) => childProcessContext,
    modules: ['child_process'],
    load: () => take(require('./instrumentations/child-process.js')),
  },
  {
    name: 'connect',
    modules: ['connect', 'finalhandler'],
    load: () => take(require('./instrumentations/connect.js')),
  },
  {
    name: 'express',
    aliases: ['router'],
    modules: ['express', 'finalhandler', 'router'],
    load: () => take(require('./instrumentations/express.js')),
  },
  {
    name: 'fastify',
    modules: ['fastify', 'find-my-way'],
    load: () => take(require('./instrumentations/fastify.js')),
  },
  { name: 'find-my-way', modules: ['find-my-way'], load: () => take(require('./instrumentations/find-my-way.js')) },
  { name: 'graphql', modules: ['graphql'], load: () => take(require('./instrumentations/graphql.js')) },
  { name: 'grpc', modules: ['@grpc/grpc-js'], load: () => take(require('./instrumentations/grpc.js')) },
  { name: 'h3', modules: ['h3'], esModules: ['h3'], load: () => take(require('./instrumentations/h3.js')) },
  { name: 'hapi', modules: ['@hapi/hapi'], load: () => take(require('./instrumentations/hapi.js')) },
  { name: 'hono', modules: ['hono'], esModules: ['hono'], load: () => take(require('./instrumentations/hono.js')) },
  {
    name: 'http',
    aliases: ['https'],
    modules: ['http', 'https', 'http2'],
    load: () => take(require('./instrumentations/http.js')),
  },
  { name: 'http2', modules: ['http2'], load: () => take(require('./instrumentations/http2.js')) },
  { name: 'koa', modules: ['koa'], load: () => take(require('./instrumentations/koa.js')) },
  { name: 'mysql2', modules: ['mysql2'], load: () => take(require('./instrumentations/mysql2.js')) },
  {
    name: 'nestjs',
    modules: ['@nestjs/core'],
    esModules: ['@nestjs/core'],
    esFiles: ['exceptions/exceptions-handler.js', 'router/router-execution-context.js'],
    needsSyncHooks: true,
    load: () => take(require('./instrumentations/nestjs.js')),
  },
  { name: 'next', modules: ['next'], load: () => take(require('./instrumentations/next.js')) },
  {
    name: 'pg',
    modules: ['pg', 'pg-cursor', 'pg-pool'],
    load: () => take(require('./instrumentations/pg.js')),
  },
  { name: 'restify', modules: ['restify'], load: () => take(require('./instrumentations/restify.js')) },
  {
    name: 'undici',
    aliases: ['fetch'],
    channels: ['undici:request:create'],
    load: () => take(require('./instrumentations/undici.js')),
  },
  { name: 'ws', modules: ['ws'], load: () => take(require('./instrumentations/ws.js')) },
];

function take(module: unknown): Instrumentation {
  return (module as { default: Instrumentation }).default;
}
