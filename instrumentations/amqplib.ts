/**
 * `amqplib` (0.5.5 to 2.x): the promise and the callback API, channels and confirm channels, over RabbitMQ. The seams
 * are in the files that both APIs share, except for the few methods that each has for itself.
 *
 * - `publish`, `sendToQueue`: a PRODUCER span whose context goes into the message's headers. It ends when amqplib took
 *   the message; on a confirm channel, with the broker's confirmation. Where the application has put a `traceparent`
 *   into the headers itself, its fields stay as they are and the span links to that context.
 * - `consume`: a CONSUMER span for each message that the handler is given, child of the message's context and linked to
 *   it (with links only: a trace of its own), in which the handler runs; whatever was active at `consume` has no part
 *   in it. It ends when the message is settled, or when its channel is closed, its time is up, or too many are open.
 *   A cancellation by the broker, which is a handler called with null, is no message.
 * - `get`: a CLIENT span linked to the message that was there. An empty queue makes one without a link.
 * - `ack`, `nack`, `reject`, `ackAll`, `nackAll`: a CLIENT span each, in the context that calls.
 * - Connections, channels, declarations and heartbeats: no spans.
 *
 * Operations are named after the method of AMQP or amqplib: `publish`, `consume`, `get`, `ack`, `nack`, `reject`.
 * `messaging.destination.name` is composed as the conventions have it. Span names hold less, so that there are few of
 * them: the queue where it has a lasting name, else the exchange, else nothing. A queue has none when the broker made
 * its name up, when it was declared as exclusive over the same connection, or when a message named it as where to reply
 * to. One that deletes itself is not temporary by that alone: the application gave it its name, and often for good.
 *
 * The error of a handler is recorded when it throws, or when it is an async function whose promise rejects. A promise
 * from any other function may have other owners: looking for its rejection would mark it as handled, and the
 * application's unhandled rejections have to stay what they are. Where a span ends with its handler, it then ends when
 * the handler returns.
 *
 * The socket is opened outside of any trace, or all that it ever receives would belong to the first request that needed
 * a connection. Replies go back to their callers' contexts, and returned messages to that of their publishing. amqplib
 * up to 0.9 makes bluebird's promises, whose callbacks would run in any caller's context; they are bound too.
 *
 * Where things are, in src/messaging/amqplib/:
 * - the operations: `sending` with `confirming`, `receiving`, `getting`, `settling`;
 * - what they rest on: `connections`, `channels`, `topology` (queues and consumers), `bluebird`;
 * - what is remembered: `link` of a connection, `channel-state` of a channel;
 * - what spans say of it: `place` (where a message came from or goes, span names), `attributes`.
 */
import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { followBluebird } from '../src/messaging/amqplib/bluebird';
import { patchChannel } from '../src/messaging/amqplib/channels';
import { bindConfirms, patchConfirms } from '../src/messaging/amqplib/confirming';
import { patchConnect, patchConnection } from '../src/messaging/amqplib/connections';
import { patchGetting } from '../src/messaging/amqplib/getting';
import { patchReceiving } from '../src/messaging/amqplib/receiving';
import { traceSending } from '../src/messaging/amqplib/sending';
import { patchSettling } from '../src/messaging/amqplib/settling';
import { watchTopology } from '../src/messaging/amqplib/topology';

/** The buffer that amqplib encodes header tables in, less what its own bookkeeping takes. */
const TABLE_BYTES_0_5_5 = 16_384 - 64;
const TABLE_BYTES = 65_536 - 64;

interface ChannelExports {
  readonly Channel: { readonly prototype: object };
  readonly BaseChannel: { readonly prototype: object };
}

/** Of lib/channel_model.js and lib/callback_model.js: what each API has for itself. */
interface ModelExports {
  readonly Channel: { readonly prototype: object };
  readonly ConfirmChannel: { readonly prototype: object };
}

export default {
  name: 'amqplib',
  targets: [
    {
      // Of use up to 0.9; a range that ends there would have later versions reported as untraced.
      module: 'amqplib',
      versions: '>=0.5.5 <3',
      patch: (exports, tracing) => followBluebird(exports, tracing),
    },
    {
      module: 'amqplib',
      versions: '>=0.5.5 <3',
      file: 'lib/connect.js',
      patch: (exports, tracing) => patchConnect(exports, tracing),
    },
    {
      module: 'amqplib',
      versions: '>=0.5.5 <3',
      file: 'lib/connection.js',
      patch: ({ Connection }, tracing) => patchConnection(Connection.prototype, tracing),
    },
    {
      module: 'amqplib',
      versions: '0.5.5',
      file: 'lib/channel.js',
      patch: (exports, tracing) => patchChannelFile(exports, TABLE_BYTES_0_5_5, tracing),
    },
    {
      module: 'amqplib',
      versions: '>=0.5.6 <3',
      file: 'lib/channel.js',
      patch: (exports, tracing) => patchChannelFile(exports, TABLE_BYTES, tracing),
    },
    ...['lib/channel_model.js', 'lib/callback_model.js'].map((file) => ({
      module: 'amqplib',
      versions: '>=0.5.5 <3',
      file,
      patch: (exports: ModelExports, tracing: Tracing) => patchModelFile(exports, tracing),
    })),
  ],
} satisfies Instrumentation;

function patchChannelFile({ Channel, BaseChannel }: ChannelExports, maxTableBytes: number, tracing: Tracing): void {
  const { prototype } = Channel;
  const traceSend = traceSending(maxTableBytes, tracing);
  tracing.replace(prototype, 'sendMessage', traceSend);
  patchConfirms(prototype, tracing);
  watchTopology(prototype, tracing);
  patchChannel(prototype, traceSend, tracing);
  patchReceiving(BaseChannel.prototype, tracing);
}

function patchModelFile({ Channel, ConfirmChannel }: ModelExports, tracing: Tracing): void {
  bindConfirms(ConfirmChannel.prototype, tracing);
  patchGetting(Channel.prototype, tracing);
  patchSettling(Channel.prototype, tracing);
}
