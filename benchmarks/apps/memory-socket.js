// A socket that leads nowhere: `answer` says what comes back for what was written. No kernel, no other process, so that
// of a call only the library and what is around it are left.
const { Duplex } = require('node:stream');

exports.MemorySocket = class MemorySocket extends Duplex {
  #answer;
  remoteAddress = '10.1.2.3';
  remotePort = 8080;
  remoteFamily = 'IPv4';
  localAddress = '10.1.2.4';
  localPort = 40_000;

  /** @param {(chunk: Buffer) => Buffer | undefined} answer */
  constructor(answer) {
    super();
    this.#answer = answer;
  }

  _read() {}

  _write(chunk, _encoding, callback) {
    const reply = this.#answer(chunk);
    // As from a network: not before whoever wrote has returned.
    if (reply !== undefined) process.nextTick(() => this.push(reply));
    callback();
  }

  /** For clients that connect the socket that they are given. */
  connect() {
    process.nextTick(() => this.emit('connect'));
    return this;
  }

  setTimeout() {
    return this;
  }

  setNoDelay() {
    return this;
  }

  setKeepAlive() {
    return this;
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }
};
