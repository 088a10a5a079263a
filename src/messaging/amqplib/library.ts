/** What is read of amqplib's objects, as far as all versions agree. */

export interface Channel {
  readonly connection: Connection;
  /** By consumer tag; an object up to 0.9.0. */
  readonly consumers?: Map<string, unknown> | Record<string, unknown>;
  /** Only confirm channels have it. */
  readonly waitForConfirms?: unknown;
}

export interface Connection {
  readonly stream?: Socket;
  /** The first is the connection's own, on the bare socket. */
  readonly channels?: readonly ({ readonly channel?: object; readonly buffer?: Socket } | null)[];
  /** In bytes, as negotiated. */
  readonly frameMax?: number;
  /** True once the end of the socket is no surprise. */
  readonly expectSocketClose?: boolean;
}

export interface Socket {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** A message that was delivered or got. */
export interface Message {
  readonly fields?: {
    readonly deliveryTag?: unknown;
    readonly consumerTag?: unknown;
    readonly exchange?: unknown;
    readonly routingKey?: unknown;
  };
  readonly properties?: {
    readonly headers?: unknown;
    readonly messageId?: unknown;
    readonly correlationId?: unknown;
    readonly replyTo?: unknown;
  };
}
