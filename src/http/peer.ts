import type { Attributes } from '@opentelemetry/api';
import { NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, NETWORK_PROTOCOL_VERSION } from '../semconv';
import { AttributeBlock } from '../trace/attribute-block';

/** The other end of a client's connection, which many requests go over. */
export class Peer {
  readonly #address: string | undefined;
  readonly #port: number | undefined;
  readonly #version: string;
  #asked: AttributeBlock | undefined = undefined;
  #answered: AttributeBlock | undefined = undefined;

  /** `version`: the protocol that a peer that answers speaks. */
  constructor(address: string | undefined, port: number | undefined, version: string) {
    this.#address = address;
    this.#port = port;
    this.#version = version;
  }

  /** What spans say of it. Without an answer nobody knows whether it speaks the protocol. */
  block(hasAnswered: boolean): AttributeBlock {
    if (hasAnswered) {
      this.#answered ??= new AttributeBlock({ [NETWORK_PROTOCOL_VERSION]: this.#version, ...this.#describe() });
      return this.#answered;
    }
    this.#asked ??= new AttributeBlock(this.#describe());
    return this.#asked;
  }

  #describe(): Attributes {
    if (this.#address === undefined) return {};
    return { [NETWORK_PEER_ADDRESS]: this.#address, [NETWORK_PEER_PORT]: this.#port };
  }
}
